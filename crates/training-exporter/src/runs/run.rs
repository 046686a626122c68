//! One run: all its sources, its process, its state.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::board::Board;
use super::file::Look;
use super::huggingface::{self, History};
use super::lines::{self, Format, Log};
use super::place::{Place, latest};
use super::process::{Claim, Processes};
use super::state::{Process, Signs, State, judge};
use super::tensorboard::{self, EventFiles};
use super::track::Track;
use crate::errors::{ReadErrors, SourceErrors};

/// Progress so many seconds after the process was seen to be gone is that of another process.
const SETTLED: f64 = 5.0;
/// Records so many seconds behind the end still belong to it.
const AFTER_END: f64 = 1.0;
/// What is in a file that holds the number of a process is short.
const LONGEST_PID: usize = 20;

/// The counters of the sources.
#[derive(Clone)]
pub(crate) struct Errors {
    events: SourceErrors,
    history: SourceErrors,
    jsonl: SourceErrors,
    csv: SourceErrors,
    torchtune: SourceErrors,
}

impl Errors {
    pub(crate) fn new(errors: &ReadErrors) -> Self {
        let lines = |format: Format| errors.of(format.word(), lines::REASONS);
        Self {
            events: errors.of("tensorboard", tensorboard::REASONS),
            history: errors.of("huggingface", huggingface::REASONS),
            jsonl: lines(Format::Jsonl),
            csv: lines(Format::Csv),
            torchtune: lines(Format::Torchtune),
        }
    }

    fn of(&self, format: Format) -> &SourceErrors {
        match format {
            Format::Jsonl => &self.jsonl,
            Format::Csv => &self.csv,
            Format::Torchtune => &self.torchtune,
        }
    }
}

/// What a look needs beside the run's files.
pub(crate) struct World<'a> {
    /// Unix seconds.
    pub(crate) now: f64,
    pub(crate) processes: &'a Processes,
    pub(crate) errors: &'a Errors,
}

/// A run and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Run {
    events: Option<EventFiles>,
    history: Option<History>,
    logs: BTreeMap<PathBuf, Log>,
    pub(crate) board: Board,
    /// When it said that it is done.
    done: Option<f64>,
    /// When its process was first seen to be gone.
    gone: Option<f64>,
    pub(crate) checkpoint: Option<f64>,
    /// `None` until all that is there has been read.
    pub(crate) state: Option<State>,
}

impl Run {
    /// What became of the process that writes the files, as far as their names say.
    pub(crate) fn process(&self, place: &Place, world: &World<'_>) -> Process {
        let host = world.processes.host();
        let named = place.events.iter().filter_map(|found| {
            let name = found.path.file_name()?.to_str()?;
            tensorboard::claim(name, host)
        });
        let written = place.pids.iter().map(|found| Claim {
            pid: exporter::fs::read_text(&found.path)
                .ok()
                .filter(|text| text.len() <= LONGEST_PID)
                .and_then(|text| text.parse().ok()),
            since: found.version.modified,
        });
        let is_here = self.board.host.as_deref().is_none_or(|named| named == host);
        let said = self.board.pid.map(|pid| Claim {
            pid: Some(pid).filter(|_| is_here),
            since: self.progress().unwrap_or(world.now),
        });
        let claims: Vec<Claim> = named.chain(written).chain(said).collect();
        world.processes.state(&claims)
    }

    /// Reads what is new, and judges.
    pub(crate) fn look(&mut self, place: &Place, world: &World<'_>, budget: &mut u64) {
        // Before the files are read: what the process wrote last is in them.
        let mut process = self.process(place, world);
        let (before, pid) = (self.progress(), self.board.pid);
        let looks = [
            self.look_at_events(place, world, budget),
            self.look_at_logs(place, world, budget),
            // The last, as it is behind the others, and a tag is of the first source that brings it.
            self.look_at_history(place, world, budget),
        ];
        self.checkpoint = place.checkpoint;
        if looks.contains(&Look::More) {
            return;
        }
        let progress = self.progress();
        self.board
            .looked(progress.zip(before).map(|(now, before)| now - before));
        let is_latest = |done: &f64| progress.is_none_or(|progress| progress <= done + AFTER_END);
        self.done = self.done.filter(is_latest);
        if self.board.pid != pid {
            process = self.process(place, world);
        }
        let process = self.settled(process, world.now);
        let tracks = self.tracks();
        self.state = Some(judge(
            world.now,
            &Signs {
                tracks: &tracks,
                is_done: self.done.or(place.done.filter(is_latest)).is_some(),
                process,
                activity: self.board.activity,
                life: latest(place.saving, place.checkpoint),
                written: Some(place.modified()),
                evaluations: Some(&self.board.evaluations),
            },
        ));
    }

    /// A process that is gone while the run goes on was not the run's, or is not any more.
    fn settled(&mut self, process: Process, now: f64) -> Process {
        if process != Process::Gone {
            self.gone = None;
            return process;
        }
        let gone = *self.gone.get_or_insert(now);
        match self.progress() {
            Some(progress) if progress > gone + SETTLED => Process::Unknown,
            _ => Process::Gone,
        }
    }

    fn look_at_events(&mut self, place: &Place, world: &World<'_>, budget: &mut u64) -> Look {
        if place.events.is_empty() {
            if self.events.take().is_some() {
                self.board.forget(tensorboard::SOURCE);
            }
            return Look::Current;
        }
        let events = self.events.get_or_insert_with(EventFiles::new);
        let errors = &world.errors.events;
        let look = events.look(&place.events, budget, &mut self.board, errors);
        let look = readable(look, &place.folder, errors);
        let modified = place.events.iter().map(|found| found.version.modified);
        looked(look, &mut events.track, world, modified.fold(0.0, f64::max));
        self.note_end(world);
        look
    }

    fn look_at_history(&mut self, place: &Place, world: &World<'_>, budget: &mut u64) -> Look {
        let Some(found) = &place.history else {
            if self.history.take().is_some() {
                self.board.forget(huggingface::SOURCE);
            }
            return Look::Current;
        };
        let history = self.history.get_or_insert_default();
        let look = history.look(found, budget, &mut self.board, &world.errors.history);
        looked(look, &mut history.track, world, found.version.modified);
        self.note_end(world);
        look
    }

    fn look_at_logs(&mut self, place: &Place, world: &World<'_>, budget: &mut u64) -> Look {
        self.logs.retain(|path, log| {
            let is_there = place.logs.iter().any(|(found, _)| found.path == *path);
            if !is_there && log.is_log() {
                self.board.forget(log.format().word());
            }
            is_there
        });
        let mut all = Look::Current;
        for (found, format) in &place.logs {
            let log = self
                .logs
                .entry(found.path.clone())
                .or_insert_with(|| Log::new(&found.path, *format));
            let errors = world.errors.of(*format);
            let look = log.look(found, budget, &mut self.board, errors);
            let look = readable(look, &found.path, errors);
            looked(look, &mut log.track, world, found.version.modified);
            if look == Look::More {
                all = Look::More;
            }
            self.note_end(world);
        }
        all
    }

    /// Notes when a source said that the run is done; without a time of its own it said so now.
    fn note_end(&mut self, world: &World<'_>) {
        if let Some(end) = self.board.take_end() {
            self.done = latest(self.done, Some(end.time.unwrap_or(world.now)));
        }
    }

    /// One for each source.
    pub(crate) fn tracks(&self) -> Vec<&Track> {
        let events = self.events.iter().map(|events| &events.track);
        let history = self.history.iter().map(|history| &history.track);
        let logs = self
            .logs
            .values()
            .filter(|log| log.is_log())
            .map(|log| &log.track);
        events.chain(history).chain(logs).collect()
    }

    /// The names of the sources.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &'static str> {
        let events = self.events.iter().map(|_| tensorboard::SOURCE);
        let history = self.history.iter().map(|_| huggingface::SOURCE);
        let of = |format| {
            self.logs
                .values()
                .any(move |log| log.is_log() && log.format() == format)
        };
        let logs = [Format::Jsonl, Format::Csv, Format::Torchtune]
            .into_iter()
            .filter(move |format| of(*format));
        events.chain(history).chain(logs.map(Format::word))
    }

    /// Whether there is a source: files with lines may be of something else.
    pub(crate) fn is_run(&self) -> bool {
        self.sources().next().is_some()
    }

    /// When the run last got on, in Unix seconds.
    pub(crate) fn progress(&self) -> Option<f64> {
        self.tracks()
            .iter()
            .filter_map(|track| track.progress())
            .reduce(f64::max)
    }

    /// The step of the source that got on last.
    pub(crate) fn step(&self) -> Option<f64> {
        self.newest(Track::step)
    }

    /// How long a step takes, of the source that tells the most of it.
    pub(crate) fn step_seconds(&self) -> Option<f64> {
        let tracks = self.tracks();
        let known = tracks
            .iter()
            .filter_map(|track| track.longest_silence().zip(track.step_seconds()));
        known
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, seconds)| seconds)
    }

    fn newest(&self, value: fn(&Track) -> Option<f64>) -> Option<f64> {
        let tracks = self.tracks();
        let known = tracks
            .iter()
            .filter_map(|track| track.progress().zip(value(track)));
        known
            .max_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
            .map(|(_, value)| value)
    }
}

/// What cannot be read is counted and logged, and is not asked for again at this look.
fn readable(look: io::Result<Look>, path: &Path, errors: &SourceErrors) -> Look {
    look.unwrap_or_else(|error| {
        errors.count("unreadable");
        tracing::warn!(path = %path.display(), %error, "a file of a run cannot be read");
        Look::Current
    })
}

fn looked(look: Look, track: &mut Track, world: &World<'_>, modified: f64) {
    if look == Look::Current {
        track.looked(world.now, modified);
    }
}
