//! Where results come from: a command on a schedule, or a file that is watched.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::job::Job;
use super::measurement::Measurement;
use super::results::{Attempt, Outcome, Run};
use super::settings::{Command, Source};
use crate::clock::unix;
use crate::errors::SourceErrors;

/// Bytes of the file of results.
const LARGEST_FILE: u64 = 1024 * 1024;
/// How often it is tried to get a lock that another command has.
const RETRY: Duration = Duration::from_secs(1);
/// How often a running command is looked at.
const SOON: Duration = Duration::from_millis(100);
/// How often anything else is: the file of results, the baseline, the age of the result.
pub(super) const LATER: Duration = Duration::from_secs(2);

/// A source at work.
pub(super) enum Feed {
    Command(Schedule),
    File(Watched),
}

impl Feed {
    /// `last` is the run before, perhaps of an exporter before this one.
    pub(super) fn new(source: &Source, every: Duration, last: Option<&Run>, now: f64) -> Self {
        match source {
            Source::Command(command) => Self::Command(Schedule::new(command, every, last, now)),
            Source::File(path) => Self::File(Watched::new(path)),
        }
    }

    /// Goes on by one step; returns a run that ended.
    pub(super) fn step(&mut self, folder: &Folder, errors: &SourceErrors, now: f64) -> Option<Attempt> {
        match self {
            Self::Command(schedule) => schedule.step(folder, now),
            Self::File(watched) => watched.step(errors, now),
        }
    }

    /// Measures once more as soon as may be, to see whether it was chance. A file cannot be hurried.
    pub(super) fn again(&mut self) {
        if let Self::Command(schedule) = self {
            schedule.next = Instant::now();
        }
    }

    /// When the next step is due.
    pub(super) fn pause(&self) -> Duration {
        match self {
            Self::Command(schedule) if schedule.job.is_some() => SOON,
            Self::Command(schedule) => schedule.next.saturating_duration_since(Instant::now()).min(LATER),
            Self::File(_) => LATER,
        }
    }

    /// Ends what runs.
    pub(super) fn end(self) {
        if let Self::Command(Schedule { job: Some(job), .. }) = self {
            job.end();
        }
    }
}

/// A command that is run every so often, at most one at a time.
pub(super) struct Schedule {
    command: Command,
    every: Duration,
    next: Instant,
    job: Option<Box<Job>>,
    /// Since when another command has the lock.
    locked_since: Option<Instant>,
}

impl Schedule {
    fn new(command: &Command, every: Duration, last: Option<&Run>, now: f64) -> Self {
        // A start in the future is from a clock that was set back since: who knows how long ago it was.
        let since = last.and_then(|run| Duration::try_from_secs_f64(now - run.started_at).ok());
        let rest = since.map_or(Duration::ZERO, |since| every.saturating_sub(since));
        Self {
            command: command.clone(),
            every,
            next: Instant::now() + rest,
            job: None,
            locked_since: None,
        }
    }

    fn step(&mut self, folder: &Folder, now: f64) -> Option<Attempt> {
        if let Some(job) = &mut self.job {
            let attempt = job.look(now)?;
            self.job = None;
            return Some(attempt);
        }
        if Instant::now() < self.next {
            return None;
        }
        let started = self.start(folder, now);
        if let Ok(None) = started
            && self.is_worth_waiting()
        {
            self.next = Instant::now() + RETRY;
            return None;
        }
        self.locked_since = None;
        self.next = Instant::now() + self.every;
        let error = match started {
            Ok(Some(job)) => {
                self.job = Some(Box::new(job));
                return None;
            }
            Ok(None) => "the command of an earlier run, or of another exporter, still runs".to_owned(),
            Err(error) => error,
        };
        Some(Attempt::new(now, now, Err((Outcome::NotStarted, error))))
    }

    /// A command that outlived its exporter comes to its end, as does what was killed a moment ago; but it may take no
    /// longer than this one might.
    fn is_worth_waiting(&mut self) -> bool {
        let since = *self.locked_since.get_or_insert_with(|| {
            tracing::info!("the canary set's command still runs since before, or of another exporter; its end is waited for");
            Instant::now()
        });
        since.elapsed() < self.command.timeout
    }

    /// `None` while another command has the lock.
    fn start(&self, folder: &Folder, now: f64) -> Result<Option<Job>, String> {
        let lock = match folder.lock() {
            Ok(None) => return Ok(None),
            Ok(lock) => lock,
            // The run need not fail because its record will.
            Err(_) => None,
        };
        Job::start(&self.command, lock, now)
            .map(Some)
            .map_err(|error| format!("{}: {error}", self.command.program.display()))
    }
}

/// A file that somebody else's schedule writes.
pub(super) struct Watched {
    path: PathBuf,
    /// Or why there was nothing to see.
    seen: Option<Result<Version, io::ErrorKind>>,
}

/// What tells one version of a file from the next.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Watched {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            seen: None,
        }
    }

    /// One that is torn is being written: what was known stays, and the next version is waited for.
    pub(super) fn step(&mut self, errors: &SourceErrors, now: f64) -> Option<Attempt> {
        let opened = exporter::fs::open(&self.path).and_then(|file| Ok((file.metadata()?, file)));
        let seen = match &opened {
            Ok((metadata, _)) => Ok(Version::of(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(error.kind()),
        };
        if self.seen.replace(seen) == Some(seen) {
            return None;
        }
        let modified = opened.as_ref().ok().and_then(|(file, _)| file.modified().ok());
        let written_at = modified.map_or(now, unix);
        let ended = read(opened.map(|(_, file)| file), written_at);
        let ended = ended.map_err(|(reason, outcome, text)| {
            errors.count(reason);
            (reason, outcome, format!("{}: {text}", self.path.display()))
        });
        match ended {
            Err(("torn", _, error)) => {
                tracing::debug!(error, "the result is being written");
                None
            }
            ended => Some(Attempt::new(
                written_at,
                written_at,
                ended.map_err(|(_, outcome, text)| (outcome, text)),
            )),
        }
    }
}

fn read(file: io::Result<File>, written_at: f64) -> Result<Measurement, (&'static str, Outcome, String)> {
    let mut text = Vec::new();
    match file.and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut text)) {
        Err(error) => Err(("unreadable", Outcome::Failed, error.to_string())),
        Ok(size) if size as u64 > LARGEST_FILE => Err((
            "too_large",
            Outcome::TooLarge,
            "it is larger than 1 MiB".to_owned(),
        )),
        Ok(_) => Measurement::parse(&text, written_at)
            .map_err(|error| (error.reason(), Outcome::Invalid, error.to_string())),
    }
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}
