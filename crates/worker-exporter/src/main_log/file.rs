//! Follows a log file over its rotations, each line once.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// How many rotated files are looked through for the one read last; supervisord keeps 10.
const ROTATED: u32 = 32;

/// A longer piece without an end of line is no line of a log.
const LONGEST_LINE: usize = 64 * 1024;

/// A file and how far it was read.
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    identity: Identity,
    /// The beginning of a line whose end is not written yet.
    torn: Vec<u8>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// A folder or a pipe can be opened too, but not followed.
fn open(path: &Path) -> io::Result<File> {
    let file = exporter::fs::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

impl LogFile {
    /// Opens the file at its end: what happened before is not told.
    pub(crate) fn open_at_end(path: &Path) -> io::Result<Self> {
        let mut file = open(path)?;
        file.seek(SeekFrom::End(0))?;
        let identity = Identity::of(&file)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            identity,
            torn: Vec::new(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells every line that was completed since the last call.
    pub(crate) fn lines(&mut self, mut tell: impl FnMut(&str)) -> io::Result<()> {
        let current = match open(&self.path) {
            Ok(file) => file,
            // In the middle of a rotation, or removed: what is open may still have news.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.read(&mut tell),
            Err(error) => return Err(error),
        };
        if Identity::of(&current)? == self.identity {
            if current.metadata()?.len() < self.file.stream_position()? {
                self.file.seek(SeekFrom::Start(0))?;
                self.torn.clear();
            }
            return self.read(&mut tell);
        }
        self.read(&mut tell)?;
        for missed in self.rotated_since()? {
            self.follow(missed)?;
            self.read(&mut tell)?;
        }
        self.follow(current)?;
        self.read(&mut tell)
    }

    fn follow(&mut self, file: File) -> io::Result<()> {
        self.identity = Identity::of(&file)?;
        self.file = file;
        self.torn.clear();
        Ok(())
    }

    /// The files between the one read last and the current one, oldest first: none unless the log was
    /// rotated twice since the last call.
    fn rotated_since(&self) -> io::Result<Vec<File>> {
        let mut newer = Vec::new();
        for number in 1..=ROTATED {
            let mut name = OsString::from(&self.path);
            name.push(format!(".{number}"));
            let Ok(file) = open(name.as_ref()) else { break };
            if Identity::of(&file)? == self.identity {
                newer.reverse();
                return Ok(newer);
            }
            newer.push(file);
        }
        Ok(Vec::new())
    }

    fn read(&mut self, tell: &mut impl FnMut(&str)) -> io::Result<()> {
        let mut chunk = vec![0; LONGEST_LINE];
        loop {
            let read = self.file.read(&mut chunk)?;
            if read == 0 {
                return Ok(());
            }
            self.torn.extend_from_slice(&chunk[..read]);
            let mut start = 0;
            while let Some(length) = self.torn[start..].iter().position(|byte| *byte == b'\n') {
                tell(&String::from_utf8_lossy(&self.torn[start..start + length]));
                start += length + 1;
            }
            self.torn.drain(..start);
            if self.torn.len() > LONGEST_LINE {
                self.torn.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// A log as supervisord writes it.
    struct Log {
        folder: tempfile::TempDir,
    }

    impl Log {
        fn new() -> Self {
            let log = Self {
                folder: tempfile::tempdir().unwrap(),
            };
            log.write("before\n");
            log
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("supervisord.log")
        }

        fn write(&self, text: &str) {
            let mut file = File::options()
                .append(true)
                .create(true)
                .open(self.path())
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn rotate(&self) {
            let numbered = |number: u32| self.folder.path().join(format!("supervisord.log.{number}"));
            for number in (1..20).rev().filter(|number| numbered(*number).exists()) {
                fs::rename(numbered(number), numbered(number + 1)).unwrap();
            }
            fs::rename(self.path(), numbered(1)).unwrap();
        }
    }

    fn lines(file: &mut LogFile) -> Vec<String> {
        let mut lines = Vec::new();
        file.lines(|line| lines.push(line.to_owned())).unwrap();
        lines
    }

    #[test]
    fn a_folder_or_a_pipe_in_its_place_is_an_error() {
        let log = Log::new();
        let mut file = LogFile::open_at_end(&log.path()).unwrap();
        fs::remove_file(log.path()).unwrap();
        fs::create_dir(log.path()).unwrap();
        for _ in 0..2 {
            assert!(LogFile::open_at_end(&log.path()).is_err());
            assert!(file.lines(|_| {}).is_err());
            let _ = fs::remove_dir(log.path());
            let _ = rustix::fs::mkfifoat(rustix::fs::CWD, log.path(), rustix::fs::Mode::RUSR);
        }
    }

    #[test]
    fn a_torn_line_waits_for_its_end() {
        let log = Log::new();
        let mut file = LogFile::open_at_end(&log.path()).unwrap();
        log.write("one\ntw");
        assert_eq!(lines(&mut file), ["one"]);
        assert!(lines(&mut file).is_empty());
        log.write("o\n");
        assert_eq!(lines(&mut file), ["two"]);
    }

    #[test]
    fn a_rotation_loses_and_repeats_nothing() {
        let log = Log::new();
        let mut file = LogFile::open_at_end(&log.path()).unwrap();
        log.write("one\n");
        log.rotate();
        // Between the renaming and the new file there is none.
        assert_eq!(lines(&mut file), ["one"]);
        log.write("two\n");
        assert_eq!(lines(&mut file), ["two"]);
        log.write("three\n");
        log.rotate();
        log.write("four\n");
        log.rotate();
        log.write("five\n");
        log.rotate();
        log.write("six\n");
        assert_eq!(lines(&mut file), ["three", "four", "five", "six"]);
    }

    #[test]
    fn a_truncated_file_is_read_from_its_start() {
        let log = Log::new();
        let mut file = LogFile::open_at_end(&log.path()).unwrap();
        log.write("a longer line\ntorn");
        assert_eq!(lines(&mut file), ["a longer line"]);
        File::create(log.path()).unwrap();
        log.write("new\n");
        assert_eq!(lines(&mut file), ["new"]);
    }

    #[test]
    fn noise_is_bounded() {
        let log = Log::new();
        let mut file = LogFile::open_at_end(&log.path()).unwrap();
        log.write(&"x".repeat(3 * LONGEST_LINE));
        assert!(lines(&mut file).is_empty());
        assert!(file.torn.len() <= LONGEST_LINE);
        log.write("\nline\n");
        assert_eq!(lines(&mut file).last().unwrap(), "line");
    }

    proptest! {
        #[test]
        fn each_line_is_told_once(steps in prop::collection::vec(0..4u8, 1..40)) {
            let log = Log::new();
            let mut file = LogFile::open_at_end(&log.path()).unwrap();
            let (mut written, mut told) = (Vec::new(), Vec::new());
            for step in steps {
                let line = format!("line {}", written.len());
                match step {
                    0 => log.rotate(),
                    1 => {
                        log.write(&line[..3]);
                        told.extend(lines(&mut file));
                        log.write(&format!("{}\n", &line[3..]));
                        written.push(line);
                    }
                    2 => {
                        log.write(&format!("{line}\n"));
                        written.push(line);
                    }
                    _ => told.extend(lines(&mut file)),
                }
                // supervisord opens the new file at once.
                log.write("");
            }
            told.extend(lines(&mut file));
            prop_assert_eq!(told, written);
        }
    }
}
