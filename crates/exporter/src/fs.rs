//! Readers for `/sys`, `/proc` and other small files, whose errors name the path.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Larger files are not what these readers are for; a runaway one must not fill the memory.
const MAX_SIZE: u64 = 1024 * 1024;

/// A file that could not be read, or whose content is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("read {}: {problem}", path.display())]
pub struct ReadError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0}")]
    Io(io::Error),
    #[error("`{0}` is not {1}")]
    Content(String, &'static str),
    #[error("larger than 1 MiB")]
    TooLarge,
}

impl ReadError {
    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// It does not exist (any more).
    pub fn is_missing(&self) -> bool {
        // ENODEV: the device behind a sysfs file went away while the file was open.
        self.io().is_some_and(|e| {
            e.kind() == io::ErrorKind::NotFound
                || e.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
        })
    }

    /// It exists and this process may not read it.
    pub fn is_permission_denied(&self) -> bool {
        self.io()
            .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    fn io(&self) -> Option<&io::Error> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            Problem::Content(..) | Problem::TooLarge => None,
        }
    }
}

/// Opens a file to read. A named pipe in its place is opened too, instead of waiting for somebody who writes to it.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The file's text without white space at its ends. What is not UTF-8 is replaced.
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    let fail = |problem| ReadError {
        path: path.into(),
        problem,
    };
    let mut bytes = Vec::new();
    let read = open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(fail(Problem::Io(error))),
        Ok(size) if size as u64 > MAX_SIZE => Err(fail(Problem::TooLarge)),
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).trim().to_owned()),
    }
}

/// The whole number that the file holds.
pub fn read_u64(path: &Path) -> Result<u64, ReadError> {
    read_number(path, "a whole number of at least 0")
}

/// The whole number that the file holds, which may be negative.
pub fn read_i64(path: &Path) -> Result<i64, ReadError> {
    read_number(path, "a whole number")
}

/// The kernel hands a number over in one read, so one is enough; a text that fills the buffer is no number.
fn read_number<T: FromStr>(path: &Path, what: &'static str) -> Result<T, ReadError> {
    let fail = |problem| ReadError {
        path: path.into(),
        problem,
    };
    let mut buffer = [0; 64];
    let size = open(path).and_then(|mut file| read_once(&mut file, &mut buffer));
    let text = String::from_utf8_lossy(&buffer[..size.map_err(|error| fail(Problem::Io(error)))?]);
    let text = text.trim();
    text.parse()
        .map_err(|_| fail(Problem::Content(text.chars().take(40).collect(), what)))
}

fn read_once(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The names in the folder, sorted.
pub fn list(path: &Path) -> Result<Vec<String>, ReadError> {
    let names: io::Result<Vec<String>> = std::fs::read_dir(path).and_then(|entries| {
        entries
            .map(|e| Ok(e?.file_name().to_string_lossy().into_owned()))
            .collect()
    });
    let mut names = names.map_err(|error| ReadError {
        path: path.into(),
        problem: Problem::Io(error),
    })?;
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_and_where() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("energy_uj");
        let error = read_u64(&missing).expect_err("missing");
        assert!(error.is_missing() && !error.is_permission_denied());
        assert_eq!(
            error.to_string(),
            format!(
                "read {}: No such file or directory (os error 2)",
                missing.display()
            )
        );

        std::fs::write(&missing, "12x\n").expect("write");
        let error = read_u64(&missing).expect_err("not a number");
        assert!(
            error
                .to_string()
                .ends_with("`12x` is not a whole number of at least 0"),
            "{error}"
        );

        std::fs::write(&missing, "-12\n").expect("write");
        assert_eq!(read_i64(&missing).expect("a number"), -12);

        std::fs::write(&missing, vec![b'1'; 2 << 20]).expect("write");
        assert!(
            read_text(&missing)
                .expect_err("too large")
                .to_string()
                .ends_with("larger than 1 MiB")
        );
    }

    #[test]
    fn a_pipe_in_place_of_a_file_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("energy_uj");
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        )
        .expect("a pipe");
        let error = read_u64(&pipe).expect_err("nobody writes");
        assert!(error.to_string().contains("energy_uj: "), "{error}");
        assert_eq!(read_text(&pipe).expect("nothing"), "");
    }

    #[test]
    fn a_folder_is_listed_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b", "a", "c"] {
            std::fs::write(folder.path().join(name), "").expect("write");
        }
        assert_eq!(list(folder.path()).expect("names"), ["a", "b", "c"]);
        assert!(
            list(&folder.path().join("none"))
                .expect_err("missing")
                .is_missing()
        );
    }
}
