//! Prometheus exporter for what SQL queries say.

mod board;
mod config;
mod dsn;
mod failure;
mod file;
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

use exporter::App;

const APP: App = App {
    name: "sql-exporter",
    about: "Exports what SQL queries say: LiteLLM usage, queues, business figures, own queries.",
    port: 9402,
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    exporter::run(&APP, watches::exporter)
}
