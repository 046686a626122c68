//! The table `[canary]` of the configuration file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use exporter::text;
use serde::Deserialize;

use super::compare::Direction;
use super::decision::Limits;

const EVERY: Duration = Duration::from_hours(1);
const TIMEOUT: Duration = Duration::from_mins(30);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(31 * 24);
const DROP: f64 = 0.1;
const MIN_SAMPLES: u64 = 5;

/// The table as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    command: Option<Vec<String>>,
    results: Option<PathBuf>,
    folder: Option<PathBuf>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    every: Option<Duration>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    timeout: Option<Duration>,
    drop: Option<f64>,
    #[serde(default)]
    direction: Direction,
    min_samples: Option<u64>,
}

/// What the table means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(super) source: Source,
    pub(super) folder: PathBuf,
    pub(super) every: Duration,
    pub(super) limits: Limits,
}

/// Where results come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// A program that prints one.
    Command(Command),
    /// A file that somebody else's schedule writes.
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    /// Where it runs.
    pub(super) directory: PathBuf,
    pub(super) timeout: Duration,
}

impl Entry {
    /// Paths in it are relative to `home`, the configuration file's folder; `metrics`, the training's own file, is not.
    pub(crate) fn settings(self, home: &Path, metrics: Option<&Path>) -> anyhow::Result<Settings> {
        let every = time("every", self.every, EVERY)?;
        let timeout = time("timeout", self.timeout, TIMEOUT)?;
        let drop = self.drop.unwrap_or(DROP);
        ensure!(
            drop > 0.0 && drop < 1.0,
            "drop: {drop} is no share of the baseline; write a number between 0 and 1, as in 0.1"
        );
        let folder = match (self.folder, metrics.and_then(Path::parent)) {
            (Some(folder), _) => home.join(folder),
            (None, Some(beside)) => beside.join("canary"),
            (None, None) => {
                bail!("folder: name one; only with `metrics` it is the folder canary beside that file")
            }
        };
        // A command's result is of the time when it began, and the next is there when the next run ends.
        let stale_after = match &self.command {
            Some(_) => every + timeout.max(every),
            None => 2 * every,
        };
        let source = match (self.command, self.results) {
            (Some(words), None) => Source::Command(command(words, home, timeout)?),
            (None, Some(results)) => Source::File(home.join(results)),
            _ => bail!("give either command, or results for a file that your own schedule writes"),
        };
        Ok(Settings {
            source,
            folder,
            every,
            limits: Limits {
                drop,
                direction: self.direction,
                min_samples: self.min_samples.unwrap_or(MIN_SAMPLES),
                stale_after_seconds: stale_after.as_secs_f64(),
            },
        })
    }
}

/// A name without a slash is looked up on the PATH.
fn command(words: Vec<String>, home: &Path, timeout: Duration) -> anyhow::Result<Command> {
    let mut words = words.into_iter();
    let program = words.next().filter(|program| !program.is_empty());
    let program = program.context("command: it is empty; write a program and its arguments")?;
    // A file in the current folder has a nameless one.
    let home = std::path::absolute(Path::new(".").join(home)).context("command: find the current folder")?;
    Ok(Command {
        program: if program.contains('/') {
            home.join(program)
        } else {
            program.into()
        },
        arguments: words.collect(),
        directory: home,
        timeout,
    })
}

fn time(key: &str, written: Option<Duration>, otherwise: Duration) -> anyhow::Result<Duration> {
    let time = written.unwrap_or(otherwise);
    ensure!(
        (SHORTEST..=LONGEST).contains(&time),
        "{key}: {time:?} is not between 1s and 31d"
    );
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, String> {
        let entry: Entry = toml::from_str(text).map_err(|error| error.to_string())?;
        entry
            .settings(
                Path::new("/etc/lab"),
                Some(Path::new("/srv/training/latest_metrics.json")),
            )
            .map_err(|error| format!("{error:#}"))
    }

    fn command_in(home: &str) -> PathBuf {
        let words = vec!["./canary.sh".to_owned()];
        command(words, Path::new(home), Duration::from_secs(1))
            .expect("a command")
            .program
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let read = settings("command = [\"./canary.sh\", \"-q\"]").expect("good");
        assert_eq!(read.folder, Path::new("/srv/training/canary"));
        assert_eq!(read.every, Duration::from_hours(1));
        assert_eq!((read.limits.drop, read.limits.min_samples), (0.1, 5));
        assert!((read.limits.stale_after_seconds - 7200.0).abs() <= 0.0);
        let slow = settings("command = [\"x\"]\ntimeout = \"5h\"").expect("good");
        assert!((slow.limits.stale_after_seconds - 6.0 * 3600.0).abs() <= 0.0);
        let Source::Command(command) = read.source else {
            panic!("{read:?}");
        };
        assert_eq!(command.program, Path::new("/etc/lab/./canary.sh"));
        assert_eq!(command.directory, Path::new("/etc/lab"));
        assert!(command_in("").is_absolute() && command_in("").ends_with("canary.sh"));
        assert_eq!(command.timeout, Duration::from_mins(30));
        let read = settings("results = \"r.json\"\nfolder = \"c\"\ndirection = \"lower\"").expect("good");
        assert_eq!(read.source, Source::File("/etc/lab/r.json".into()));
        assert_eq!(read.folder, Path::new("/etc/lab/c"));
        assert_eq!(read.limits.direction, Direction::Lower);
    }

    #[test]
    fn a_program_without_a_slash_is_on_the_path() {
        let read = settings("command = [\"python3\", \"canary.py\"]").expect("good");
        assert!(matches!(read.source, Source::Command(command) if command.program == Path::new("python3")));
    }

    #[test]
    fn mistakes_are_refused_with_their_key() {
        for (text, expected) in [
            ("", "either command, or results"),
            ("command = []", "command: it is empty"),
            ("command = [\"x\"]\nresults = \"y\"", "either command, or results"),
            ("results = \"y\"\ndrop = 10", "drop: 10"),
            ("results = \"y\"\ndrop = nan", "drop: NaN"),
            ("results = \"y\"\nevery = \"500ms\"", "every: 500ms"),
            ("results = \"y\"\ndirection = \"up\"", "`higher`"),
            ("results = \"y\"\nmin_samples = -1", "min_samples"),
            ("results = \"y\"\nbaseline = 1", "unknown field `baseline`"),
        ] {
            let error = settings(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        let entry: Entry = toml::from_str("results = \"y\"").expect("good");
        let error = entry.settings(Path::new(""), None).expect_err("no folder");
        assert!(error.to_string().starts_with("folder: "), "{error}");
    }
}
