//! The exporter: its collectors, and the timers on which the files are read.

use std::process::{ExitCode, exit};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use exporter::{App, Common, Exporter, Instruments, Sampler};

use crate::canary::{Canary, NewestCheckpoint};
use crate::cet::Cet;
use crate::config::{self, Flags, Settings};
use crate::errors::ReadErrors;
use crate::orchestra::Orchestra;
use crate::runs::{self, Runs};
use crate::storage::Storage;

const APP: App = App {
    name: "training-exporter",
    about: "Exports training runs, their quality, the LLM orchestra's calls and the canary set.",
    port: 9405,
    version: env!("CARGO_PKG_VERSION"),
};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often what was counted is written down, if it changed.
const SAVE: Duration = Duration::from_secs(5);
/// `--once` reads files for so long at most; less than the library waits for the page.
const ONCE: Duration = Duration::from_secs(25);

/// The whole program.
pub fn run() -> ExitCode {
    exporter::run(&APP, build)
}

/// All that is watched.
#[derive(Clone)]
struct Sources {
    cet: Cet,
    orchestra: Orchestra,
    runs: Runs,
    canary: Canary,
}

impl Sources {
    fn apply(&self, settings: Settings) -> anyhow::Result<()> {
        if settings == Settings::default() {
            tracing::warn!(
                "no training is configured, so nothing is watched; name its files in --config.file"
            );
        }
        self.cet.apply(settings.metrics);
        self.orchestra.apply(settings.orchestra);
        self.runs.apply(settings.runs, settings.expire);
        self.canary
            .apply(settings.canary)
            .context("start the canary set's thread")
    }
}

/// The exporter; with `--config.check`, the end of the program.
fn build(flags: &Flags, common: &Common) -> anyhow::Result<Exporter> {
    let settings = config::read(common)?;
    if flags.check {
        // Nothing was begun yet that would have to be ended.
        exit(0);
    }
    // One that only looks writes nothing, so it may look while another one counts.
    let writes = !common.once;
    let storage = writes.then(|| Storage::take(&flags.storage)).transpose()?;
    let instruments = Instruments::new();
    let errors = ReadErrors::new(&instruments)?;
    let newest = NewestCheckpoint::default();
    let patience = if common.once { ONCE } else { runs::CATCHING_UP };
    let sources = Sources {
        cet: Cet::new(&flags.storage, writes, &common.procfs, &errors, newest.clone()),
        orchestra: Orchestra::new(&flags.storage, writes, &errors),
        runs: Runs::new(&common.procfs, &errors, patience),
        canary: Canary::new(newest, &errors, common.once),
    };
    sources.apply(settings)?;
    let samplers = start(&sources, common.once)?;
    let collectors = Exporter::new(vec![
        Box::new(sources.cet.clone()),
        Box::new(sources.orchestra.clone()),
        Box::new(sources.runs.clone()),
        Box::new(sources.canary.clone()),
    ]);
    let common = common.clone();
    Ok(collectors.instruments(instruments).on_reload(move || {
        // They live as long as the exporter.
        let _ = (&samplers, &storage);
        sources.apply(config::read(&common)?)
    }))
}

/// Looks at the files, once or again and again.
fn start(sources: &Sources, once: bool) -> anyhow::Result<Vec<Sampler>> {
    let Sources { cet, orchestra, .. } = sources.clone();
    if once {
        cet.look();
        cet.save();
        orchestra.look(ONCE);
        orchestra.save();
        return Ok(Vec::new());
    }
    let metrics = ticking(move || cet.look(), {
        let cet = sources.cet.clone();
        move || cet.save()
    });
    let calls = ticking(move || orchestra.look(LOOK), {
        let orchestra = sources.orchestra.clone();
        move || orchestra.save()
    });
    Ok(vec![
        Sampler::every("metrics", LOOK, metrics)?,
        Sampler::every("orchestra", LOOK, calls)?,
    ])
}

/// A look each time, and now and then a save.
fn ticking(
    look: impl Fn() + Send + 'static,
    save: impl Fn() + Send + 'static,
) -> impl FnMut() + Send + 'static {
    let mut saved: Option<Instant> = None;
    move || {
        look();
        if saved.is_none_or(|saved| saved.elapsed() >= SAVE) {
            save();
            saved = Some(Instant::now());
        }
    }
}
