//! Small files of `<procfs>`, read with as few system calls as possible: a page of a thousand workers
//! needs some thousands of them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};

/// The folder, open.
pub(crate) struct Procfs {
    path: PathBuf,
    folder: File,
}

/// Longer than any of the lines that are read here.
pub(crate) type Buffer = [u8; 1024];

impl Procfs {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            folder: File::open(path)?,
        })
    }

    /// The numbers of all processes.
    pub(crate) fn pids(&self) -> io::Result<impl Iterator<Item = u32> + use<>> {
        let entries = fs::read_dir(&self.path)?;
        Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
    }

    /// The first line of a process's file.
    pub(crate) fn line<'a>(&self, pid: u32, file: &str, buffer: &'a mut Buffer) -> io::Result<&'a [u8]> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&self.folder, format!("{pid}/{file}"), flags, Mode::empty())?;
        // procfs gives a short file in one piece.
        let length = rustix::io::read(&file, &mut buffer[..])?;
        Ok(&buffer[..length])
    }

    /// How many files a process has open.
    pub(crate) fn open_files(&self, pid: u32) -> io::Result<u64> {
        let folder = format!("{pid}/fd");
        // Since Linux 6.2 the size of the folder is the number of its entries.
        match u64::try_from(statat(&self.folder, &folder, AtFlags::empty())?.st_size) {
            Ok(count @ 1..) => Ok(count),
            _ => Ok(fs::read_dir(self.path.join(folder))?.count() as u64),
        }
    }
}
