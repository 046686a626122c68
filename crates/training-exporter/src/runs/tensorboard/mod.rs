//! TensorBoard's event files. A trainer that starts again writes a new one into the same folder.

mod event;
mod frame;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use self::frame::{Found as Frame, Frames};
use super::board::{Board, Kind};
use super::file::{File, Found, Look};
use super::process::Claim;
use super::track::Track;
use crate::errors::SourceErrors;

/// How every event file's name begins.
const PREFIX: &str = "events.out.tfevents.";
/// The profiler's event files hold no scalars.
const NO_SCALARS: &str = ".profile-empty";
/// Unless it is told otherwise, a writer holds events back for so many seconds.
const FLUSH: f64 = 120.0;

/// The word for it on the page.
pub(crate) const SOURCE: &str = "tensorboard";
/// The reasons in `training_read_errors_total`.
pub(crate) const REASONS: &[&str] = &["crc", "invalid", "unreadable"];

/// Whether a file of this name is one of events.
pub(crate) fn is_event_file(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.ends_with(NO_SCALARS)
}

/// Whether the trainer of Hugging Face began the event file: it writes down its arguments first.
pub(crate) fn is_of_huggingface(path: &Path) -> bool {
    let mut head = [0; 512];
    let read = exporter::fs::open(path).and_then(|mut file| file.read(&mut head));
    let tag = b"args/text_summary";
    read.is_ok_and(|size| head[..size].windows(tag.len()).any(|window| window == tag))
}

/// The process that writes an event file, from its name: `events.out.tfevents.<seconds>.<host>.<pid>.<number>`. Some
/// writers leave out the process, and only those of this host can be watched.
pub(crate) fn claim(name: &str, host: &str) -> Option<Claim> {
    let (seconds, rest) = name.strip_prefix(PREFIX)?.split_once('.')?;
    let since = f64::from(seconds.parse::<u32>().ok()?);
    let pid = rest
        .strip_prefix(host)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.split('.').next()?.parse().ok());
    Some(Claim { pid, since })
}

/// The event files of one run.
#[derive(Debug)]
pub(crate) struct EventFiles {
    files: BTreeMap<PathBuf, Reading>,
    pub(crate) track: Track,
}

#[derive(Debug)]
struct Reading {
    file: File,
    frames: Frames,
    is_damaged: bool,
}

impl EventFiles {
    pub(crate) fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            track: Track::rising(FLUSH),
        }
    }

    /// Reads what is new in the files, which are in the order in which they were begun.
    pub(crate) fn look(
        &mut self,
        found: &[Found],
        budget: &mut u64,
        board: &mut Board,
        errors: &SourceErrors,
    ) -> io::Result<Look> {
        let is_first = self.files.is_empty();
        self.files
            .retain(|path, _| found.iter().any(|file| file.path == *path));
        if self.files.is_empty() && !is_first {
            board.forget(SOURCE);
            self.track = Track::rising(FLUSH);
        }
        for file in found {
            if !self.files.contains_key(&file.path) {
                self.track.rewind();
            }
            let reading = self.files.entry(file.path.clone()).or_insert_with(|| Reading {
                file: File::new(&file.path),
                frames: Frames::default(),
                is_damaged: false,
            });
            if reading.look(file, budget, board, &mut self.track, errors)? == Look::More {
                return Ok(Look::More);
            }
        }
        Ok(Look::Current)
    }
}

impl Reading {
    fn look(
        &mut self,
        found: &Found,
        budget: &mut u64,
        board: &mut Board,
        track: &mut Track,
        errors: &SourceErrors,
    ) -> io::Result<Look> {
        let Self {
            file,
            frames,
            is_damaged,
        } = self;
        let mut damage = |reason: &'static str| {
            errors.count(reason);
            if !std::mem::replace(is_damaged, true) {
                tracing::warn!(path = %found.path.display(), reason, "an event cannot be read");
            }
        };
        file.look(found.version, budget, |tail, budget, is_restart| {
            if is_restart {
                *frames = Frames::default();
                track.rewind();
            }
            tail.bytes(budget, &mut |piece| {
                frames.take(piece, &mut |frame| match frame {
                    Frame::Damage => damage("crc"),
                    Frame::Content(content) => match event::record(content) {
                        Ok(Some(record)) => board.take(&record, track, Kind::New, SOURCE),
                        Ok(None) => {}
                        Err(_) => damage("invalid"),
                    },
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_in_the_name() {
        let claims = |name: &str| claim(name, "box.lan").map(|claim| (claim.pid, claim.since));
        for (name, pid) in [
            ("events.out.tfevents.1795381465.box.lan.23368.0", Some(23368)),
            ("events.out.tfevents.1795381465.box.lan.23368.7.v2", Some(23368)),
            (
                "events.out.tfevents.1795381465.box.lan.23368.0_suffix",
                Some(23368),
            ),
            ("events.out.tfevents.1795381465.box.lan", None),
            ("events.out.tfevents.1795381465.box.lanes.7.0", None),
            ("events.out.tfevents.1795381465.other.7.0", None),
        ] {
            assert_eq!(claims(name), Some((pid, 1_795_381_465.0)), "{name}");
        }
        assert_eq!(claims("events.out.tfevents.x.box.lan.1.0"), None);
        assert_eq!(claims("model.bin"), None);
    }
}
