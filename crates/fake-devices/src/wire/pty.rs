//! A pseudo-terminal with a stable name, as udev gives it to a USB adapter.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

/// The board's side. Dropping it hangs the other side up, as unplugging does.
#[derive(Debug)]
pub(crate) struct Pty {
    board: OwnedFd,
    link: PathBuf,
}

impl Pty {
    /// A new one, with `folder/name` pointing to it.
    pub(crate) fn new(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let board = open().context("open a pseudo-terminal")?;
        let port = rustix::pty::ptsname(&board, Vec::new()).context("name a pseudo-terminal")?;
        let port = port
            .to_str()
            .context("the name of a pseudo-terminal is no text")?;
        // Opened once and closed again, it can tell from now on whether somebody has it open.
        drop(rustix::fs::open(
            port,
            OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
            Mode::empty(),
        )?);
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let link = folder.join(name);
        replace_link(port, &link).with_context(|| format!("link {} to {port}", link.display()))?;
        Ok(Self { board, link })
    }

    pub(super) fn has_reader(&self) -> bool {
        let mut fds = [PollFd::new(&self.board, PollFlags::OUT)];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        rustix::event::poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().contains(PollFlags::HUP)
    }

    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.board, bytes)?)
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.board, buffer)?)
    }
}

fn open() -> io::Result<OwnedFd> {
    let board = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&board)?;
    rustix::pty::unlockpt(&board)?;
    // A serial line neither echoes nor changes line ends.
    let mut settings = rustix::termios::tcgetattr(&board)?;
    settings.make_raw();
    rustix::termios::tcsetattr(&board, OptionalActions::Now, &settings)?;
    rustix::fs::fcntl_setfl(&board, OFlags::NONBLOCK)?;
    Ok(board)
}

/// One that an earlier run left points to a terminal that may be anybody's by now. A file that is no link stays.
fn replace_link(port: &str, link: &Path) -> io::Result<()> {
    if link.is_symlink() {
        fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(port, link)
}

impl Drop for Pty {
    fn drop(&mut self) {
        // As with udev, the name goes with the device; without it there is nothing to do.
        let _ = fs::remove_file(&self.link);
    }
}
