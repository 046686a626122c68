//! An exporter whose collectors do what the real ones may meet: hang, panic, and read a torn file. The library's own
//! tests run it; it also shows how little an exporter needs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use exporter::{App, CollectError, Collector, Exporter, Family, Metric, Unit};

const APP: App = App {
    name: "misbehaving-exporter",
    about: "Collectors that fail.",
    port: 9499,
    version: "0.0.1",
};

const ANSWER: Metric<0> = Metric::gauge(
    "misbehaving_answer",
    Unit::None,
    "The number in --config.file.",
    [],
);
const TORN: Metric<0> = Metric::gauge("misbehaving_torn", Unit::None, "The number in --torn.file.", []);
const BULK: Metric<1> = Metric::gauge(
    "misbehaving_bulk",
    Unit::None,
    "As many series as --bulk says.",
    ["row"],
);

#[derive(clap::Args, Debug)]
struct Args {
    /// Add a collector that never returns
    #[arg(long)]
    hang: bool,
    /// Add a collector that panics
    #[arg(long)]
    panic: bool,
    /// Add a collector that reads a number from this file
    #[arg(long = "torn.file")]
    torn_file: Option<PathBuf>,
    /// Rows of the bulk family
    #[arg(long, default_value_t = 0)]
    bulk: u32,
}

struct Named(
    &'static str,
    Box<dyn Fn() -> Result<Vec<Family>, CollectError> + Send + Sync>,
);

impl Collector for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        self.1()
    }
}

fn main() -> ExitCode {
    exporter::run(&APP, |args: &Args, common| {
        let mut collectors: Vec<Box<dyn Collector>> = Vec::new();
        let mut add = |name, collect| collectors.push(Box::new(Named(name, collect)));
        if args.hang {
            add(
                "hang",
                Box::new(|| {
                    loop {
                        std::thread::park();
                    }
                }),
            );
        }
        if args.panic {
            add("panic", Box::new(|| panic!("as told")));
        }
        if let Some(path) = args.torn_file.clone() {
            add(
                "torn",
                Box::new(move || {
                    #[expect(clippy::cast_precision_loss, reason = "a small number")]
                    Ok(vec![TORN.value(exporter::fs::read_u64(&path)? as f64)])
                }),
            );
        }
        let rows: Vec<_> = (0..args.bulk).map(|row| BULK.labels([row.to_string()])).collect();
        add(
            "bulk",
            Box::new(move || Ok(vec![BULK.family(rows.iter().map(|row| (row, 0.5)))])),
        );

        let Some(path) = common.config_file.clone() else {
            return Ok(Exporter::new(collectors));
        };
        let read = move || {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            text.trim()
                .parse::<f64>()
                .with_context(|| format!("{}: `{}`", path.display(), text.trim()))
        };
        let answer = Arc::new(Mutex::new(read()?));
        let shared = Arc::clone(&answer);
        collectors.push(Box::new(Named(
            "answer",
            Box::new(move || {
                Ok(vec![
                    ANSWER.value(*shared.lock().unwrap_or_else(PoisonError::into_inner)),
                ])
            }),
        )));
        Ok(Exporter::new(collectors).on_reload(move || {
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = read()?;
            Ok(())
        }))
    })
}
