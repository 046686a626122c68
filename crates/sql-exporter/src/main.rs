//! Prometheus exporter for what SQL queries say.

mod board;
mod config;
mod dsn;
mod failure;
mod line;
mod packs;
mod parameters;
mod queries;
mod query;
mod samples;
mod schedule;
mod sql;
mod table;
mod tally;
mod text;
mod watches;

use std::process::ExitCode;
use std::sync::Arc;

use exporter::{App, Exporter};
use watches::{SqlCollector, Watches};

const APP: App = App {
    name: "sql-exporter",
    about: "Exports what SQL queries say: LiteLLM usage, queues, business figures, own queries.",
    port: 9402,
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    exporter::run(&APP, |flags: &config::Flags, common| {
        let watches = Watches::new(config::read(flags, common)?, common.once)?;
        let collector = SqlCollector(Arc::clone(&watches));
        let (flags, common) = (flags.clone(), common.clone());
        Ok(Exporter::new(vec![Box::new(collector)])
            .on_reload(move || watches.apply(config::read(&flags, &common)?)))
    })
}
