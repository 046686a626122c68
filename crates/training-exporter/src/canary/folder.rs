//! The folder beside the run: `result.json`, `decision.json` and `decisions.jsonl`, which the exporter writes,
//! `baseline.json` and `baselines.jsonl`, which accepting a baseline writes, and `running`, which is locked while a
//! command runs.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::baseline::{Baseline, Pin};
use super::decision::Decision;
use super::results::Results;
use crate::ledger;

/// A history that is longer, in bytes, becomes the earlier one, of which there is one.
const LONGEST_HISTORY: u64 = 1024 * 1024;

/// The files of one canary set.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn results(&self) -> anyhow::Result<Results> {
        Ok(self.read("result.json")?.unwrap_or_default())
    }

    pub(super) fn save_results(&self, results: &Results) -> anyhow::Result<()> {
        ledger::write(&self.0.join("result.json"), results)
    }

    pub(super) fn decision(&self) -> anyhow::Result<Option<Decision>> {
        self.read("decision.json")
    }

    pub(super) fn save_decision(&self, decision: &Decision) -> anyhow::Result<()> {
        ledger::write(&self.0.join("decision.json"), decision)
    }

    pub(super) fn add_decision(&self, decision: &Decision) -> anyhow::Result<()> {
        self.append("decisions.jsonl", decision)
    }

    pub(super) fn pin(&self) -> Pin {
        match exporter::fs::read_text(&self.0.join("baseline.json")) {
            Ok(text) => Pin::parse(&text),
            Err(error) if error.is_missing() => Pin::Missing,
            Err(error) => Pin::Changed(error.to_string()),
        }
    }

    /// The history comes first, so that no baseline is in use that it does not have.
    pub(super) fn save_baseline(&self, baseline: &Baseline) -> anyhow::Result<()> {
        self.append("baselines.jsonl", baseline)?;
        ledger::write(&self.0.join("baseline.json"), baseline)
    }

    /// The lock that a command holds as long as it, or a program that it started, has it as its input. `None` when
    /// another has it. Where files cannot be locked there is a file without a lock.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        std::fs::create_dir_all(&self.0)?;
        let path = self.0.join("running");
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(None),
            _ => Ok(Some(file)),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let path = self.0.join(name);
        let text = match exporter::fs::read_text(&path) {
            Err(error) if error.is_missing() => return Ok(None),
            read => read?,
        };
        let value = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
        Ok(Some(value))
    }

    fn append(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let path = self.0.join(name);
        let written: io::Result<()> = (|| {
            std::fs::create_dir_all(&self.0)?;
            if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LONGEST_HISTORY) {
                std::fs::rename(&path, path.with_extension("jsonl.1"))?;
            }
            let mut file = OpenOptions::new()
                .create(true)
                .read(true)
                .append(true)
                .open(&path)?;
            let mut line = Vec::new();
            if !ends_with_a_line(&mut file)? {
                // What a full disk cut off is not to spoil what comes after it.
                line.push(b'\n');
            }
            serde_json::to_writer(&mut line, value)?;
            line.push(b'\n');
            file.write_all(&line)
        })();
        written.with_context(|| format!("write {}", path.display()))
    }
}

fn ends_with_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_bounded_and_keeps_whole_lines() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(&place.path().join("new/canary"));
        let path = place.path().join("new/canary/x.jsonl");
        folder.append("x.jsonl", &1).expect("written");
        std::fs::write(&path, "1\n{\"half").expect("write");
        folder.append("x.jsonl", &2).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "1\n{\"half\n2\n");
        for _ in 0..5 {
            folder.append("x.jsonl", &"x".repeat(400_000)).expect("written");
        }
        let size = |path: &Path| std::fs::metadata(path).expect("a file").len();
        assert_eq!(size(&path), 2 * 400_003);
        assert_eq!(size(&path.with_extension("jsonl.1")), 11 + 3 * 400_003);
    }

    #[test]
    fn one_command_runs_at_a_time() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(place.path());
        let lock = folder.lock().expect("a file").expect("a lock");
        assert!(folder.lock().expect("a file").is_none());
        drop(lock);
        assert!(folder.lock().expect("a file").is_some());
    }

    #[test]
    fn a_full_disk_is_said() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(place.path());
        std::os::unix::fs::symlink("/dev/full", place.path().join("result.json.new")).expect("a link");
        let error = folder.save_results(&Results::default()).expect_err("no space");
        assert!(
            format!("{error:#}").ends_with("result.json: No space left on device (os error 28)"),
            "{error:#}"
        );
        assert_eq!(folder.results().expect("none"), Results::default());
    }

    #[test]
    fn a_torn_file_is_no_result() {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::write(place.path().join("result.json"), "{\"run\":").expect("write");
        let error = Folder::new(place.path()).results().expect_err("torn");
        assert!(format!("{error:#}").contains("result.json: EOF"), "{error:#}");
    }
}
