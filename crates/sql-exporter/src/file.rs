//! An SQLite file, looked at before it is opened: opening it must neither block nor write.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::failure::{Failure, IDLE_WAL, Kind};

/// The part of the header that says how the file is written: <https://www.sqlite.org/fileformat.html>.
const MODE: std::ops::Range<usize> = 18..20;
const WAL: [u8; 2] = [2, 2];

/// Whether the file can be opened.
///
/// One in WAL mode has two files beside it while a program has it open. SQLite makes them where they are missing, even to
/// read, if it may write to the folder. To read the file alone instead would not notice who begins to write to it.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let no_file = |error: std::io::Error| Failure::new(Kind::Connection, format!("the file: {error}"));
    // Its files are beside what a link leads to.
    let path = fs::canonicalize(path).map_err(no_file)?;
    if !path.metadata().map_err(no_file)?.is_file() {
        return Err(Failure::new(Kind::Connection, "it is no regular file"));
    }
    let mut header = Vec::new();
    let file = File::open(&path).map_err(no_file)?;
    file.take(MODE.end as u64)
        .read_to_end(&mut header)
        .map_err(no_file)?;
    let beside = |suffix| {
        let mut name = OsString::from(&path);
        name.push(suffix);
        Path::new(&name).exists()
    };
    let is_wal = header.get(MODE).is_some_and(|mode| mode == WAL);
    if is_wal && !(beside("-wal") && beside("-shm")) {
        return Err(Failure::new(Kind::Permission, IDLE_WAL));
    }
    Ok(())
}

/// The name under which SQLite opens it without writing to its shared memory either.
pub(crate) fn name(path: &Path) -> String {
    let mut name = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            name.push(char::from(*byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    name + "?readonly_shm=1"
}
