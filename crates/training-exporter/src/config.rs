//! What to watch: from the configuration file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use exporter::{Common, text};
use glob::Pattern;
use serde::Deserialize;
use toml::Spanned;

use crate::canary;

/// The exporter's own flags.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// Where counters and positions in files are kept over a restart
    #[arg(
        long = "storage.path",
        value_name = "DIR",
        default_value = "training-exporter-data"
    )]
    pub(crate) storage: PathBuf,
    /// Read the configuration, say what is wrong with it, and exit
    #[arg(long = "config.check")]
    pub(crate) check: bool,
}

/// What the configuration file says. Paths are relative to the current folder, not to the file any more.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) metrics: Option<PathBuf>,
    /// Patterns of file names.
    pub(crate) orchestra: Vec<String>,
    /// Folders of runs.
    pub(crate) runs: Vec<PathBuf>,
    /// After how long without progress a run is left out.
    pub(crate) expire: Option<Duration>,
    pub(crate) canary: Option<canary::Settings>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    metrics: Option<Spanned<PathBuf>>,
    #[serde(default)]
    orchestra: Vec<Spanned<String>>,
    #[serde(default)]
    runs: Vec<Spanned<PathBuf>>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    expire: Option<Duration>,
    canary: Option<Spanned<canary::Entry>>,
}

/// Reads the file; without one nothing is watched.
pub(crate) fn read(common: &Common) -> anyhow::Result<Settings> {
    let Some(path) = &common.config_file else {
        return Ok(Settings::default());
    };
    // It may be a pipe: a shell's `<(…)`.
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Settings> {
    let at = |offset| format!("{}:{}", path.display(), text::line(text, offset));
    let file: File = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        anyhow!("{}: {}", at(start), error.message())
    })?;
    let home = path.parent().unwrap_or(Path::new(""));
    let mut orchestra = Vec::new();
    for entry in file.orchestra {
        let place = at(entry.span().start);
        orchestra.push(pattern(home, entry.get_ref()).with_context(|| format!("{place}: orchestra"))?);
    }
    let named = |key: &str, path: Spanned<PathBuf>| {
        let place = at(path.span().start);
        // Joined, it would be the configuration's own folder.
        ensure!(
            !path.get_ref().as_os_str().is_empty(),
            "{place}: {key}: \"\" is no path"
        );
        Ok(home.join(path.into_inner()))
    };
    let metrics = file.metrics.map(|path| named("metrics", path)).transpose()?;
    let runs = file.runs.into_iter().map(|path| named("runs", path));
    let canary = file
        .canary
        .map(|entry| {
            let place = at(entry.span().start);
            let settings = entry.into_inner().settings(home, metrics.as_deref());
            settings.with_context(|| format!("{place}: canary"))
        })
        .transpose()?;
    Ok(Settings {
        runs: runs.collect::<anyhow::Result<_>>()?,
        metrics,
        orchestra,
        expire: file.expire,
        canary,
    })
}

/// The folder is no part of the pattern, whatever characters it has.
fn pattern(home: &Path, written: &str) -> anyhow::Result<String> {
    ensure!(
        !written.is_empty(),
        "\"\" is no file; write a path or a pattern, as in \"logs/*.jsonl\""
    );
    let home = home
        .to_str()
        .context("the folder of the configuration file has a name that is not UTF-8")?;
    let whole = if written.starts_with('/') || home.is_empty() {
        written.to_owned()
    } else {
        format!("{}/{written}", Pattern::escape(home))
    };
    Pattern::new(&whole).with_context(|| format!("{written:?} is no pattern"))?;
    Ok(whole)
}
