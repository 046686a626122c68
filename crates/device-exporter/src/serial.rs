//! Opens serial ports so that the board at the other end does not notice.
//!
//! The kernel raises DTR and RTS together when a port is opened, which the reset circuit of ESP32 boards takes for
//! "nothing": one line without the other is what resets. So nobody touches them here, and HUPCL is cleared, so that they
//! also stay up when the port is closed. What some boards do nevertheless is counted by their boot messages.
//!
//! Needs read and write access to the port: membership in the group `dialout` (Debian) or `uucp` (Arch).

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, ioctl_tiocexcl, tcflush,
    tcgetattr, tcsetattr,
};

use crate::driver::Drivers;
use crate::wire::{OpenError, Trouble};

/// Opens the port for us alone and sets it to raw bytes at this rate, eight bits, no parity, no flow control.
pub(crate) fn open(path: &Path, baud: u32) -> Result<OwnedFd, OpenError> {
    let fail = |action: &'static str| move |error: io::Error| refused(path, action, &error);
    if path.exists() && !Drivers::read().have(path) {
        return Err(OpenError {
            trouble: Trouble::NoDevice,
            text: format!(
                "{} is no serial port; name one such as /dev/ttyUSB0",
                path.display()
            ),
        });
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(fail("open"))?;
    let port = OwnedFd::from(file);
    // Root is let in in spite of TIOCEXCL, so well-behaved programs look at the lock too.
    flock(&port, FlockOperation::NonBlockingLockExclusive)
        .map_err(io::Error::from)
        .map_err(fail("lock"))?;
    ioctl_tiocexcl(&port)
        .map_err(io::Error::from)
        .map_err(fail("lock"))?;
    configure(&port, baud)
        .map_err(io::Error::from)
        .map_err(fail("configure"))?;
    Ok(port)
}

fn configure(port: &OwnedFd, baud: u32) -> Result<(), Errno> {
    let mut modes = tcgetattr(port)?;
    raw(&mut modes);
    modes.set_speed(baud)?;
    tcsetattr(port, OptionalActions::Now, &modes)
}

fn raw(modes: &mut Termios) {
    modes.make_raw();
    modes.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    modes
        .control_modes
        .remove(ControlModes::HUPCL | ControlModes::CRTSCTS | ControlModes::CSTOPB | ControlModes::PARENB);
    // With 0 a read that finds nothing could not be told from an unplugged adapter.
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
}

/// Throws away what was not sent, since a close would wait half a minute for it.
pub(crate) fn discard_output(port: &OwnedFd) {
    // A port that was pulled out has nothing left to throw away.
    let _ = tcflush(port, QueueSelector::OFlush);
}

fn refused(path: &Path, action: &'static str, error: &io::Error) -> OpenError {
    let trouble = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::BUSY | Errno::WOULDBLOCK) => Trouble::Busy,
        Some(Errno::ACCESS | Errno::PERM) => Trouble::Permission,
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Trouble::Gone,
        // A port that the driver made without hardware behind it.
        Some(Errno::IO | Errno::NOTTY) => Trouble::NoDevice,
        _ => Trouble::Io,
    };
    let text = match trouble {
        Trouble::Busy => "another program has it open; it is tried again until that one is done".to_owned(),
        Trouble::Permission => {
            format!("{error}; let this user into the port's group (dialout on Debian, uucp on Arch)")
        }
        _ => error.to_string(),
    };
    OpenError {
        trouble,
        text: format!("{action} {}: {text}", path.display()),
    }
}

/// A port's name: the path without `/dev/`.
pub(crate) fn name(path: &Path) -> String {
    let name: PathBuf = path.strip_prefix("/dev").unwrap_or(path).into();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

    use super::*;

    pub(crate) fn pty() -> (OwnedFd, PathBuf) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pty");
        unlockpt(&master).expect("unlock");
        let name = ptsname(&master, Vec::new()).expect("a name");
        let name = name.into_string().expect("UTF-8");
        (master, name.into())
    }

    #[test]
    fn a_port_is_raw_and_stays_up_after_a_close() {
        let (_master, path) = pty();
        let port = open(&path, 460_800).expect("open");
        let modes = tcgetattr(&port).expect("modes");
        assert_eq!(modes.input_speed(), 460_800);
        assert!(
            !modes
                .control_modes
                .intersects(ControlModes::HUPCL | ControlModes::CRTSCTS)
        );
        assert!(
            modes
                .control_modes
                .contains(ControlModes::CLOCAL | ControlModes::CREAD)
        );
        assert_eq!(modes.special_codes[SpecialCodeIndex::VMIN], 1);
        let read = rustix::io::read(&port, &mut [0; 8]);
        assert_eq!(read, Err(Errno::AGAIN), "silence is not the end");
    }

    #[test]
    fn a_second_reader_is_told_that_the_port_is_taken() {
        let (_master, path) = pty();
        let _first = open(&path, 115_200).expect("open");
        let refused = open(&path, 115_200).expect_err("taken");
        assert_eq!(refused.trouble, Trouble::Busy);
        assert!(
            refused.text.contains("another program has it open"),
            "{}",
            refused.text
        );
    }

    #[test]
    fn what_is_no_port_is_refused_with_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in [Path::new("/dev/null"), Path::new("/dev/ptmx"), folder.path()] {
            let refused = open(path, 115_200).expect_err("no port");
            assert_eq!(refused.trouble, Trouble::NoDevice);
            let expected = format!("{} is no serial port; ", path.display());
            assert!(refused.text.starts_with(&expected), "{}", refused.text);
        }
        let refused = open(Path::new("/dev/ttyNOWHERE"), 115_200).expect_err("not there");
        assert_eq!(refused.trouble, Trouble::Gone);
        assert!(
            refused.text.starts_with("open /dev/ttyNOWHERE: "),
            "{}",
            refused.text
        );
    }

    #[test]
    fn a_name_is_the_path_below_dev() {
        assert_eq!(name(Path::new("/dev/ttyUSB0")), "ttyUSB0");
        assert_eq!(name(Path::new("/dev/pts/3")), "pts/3");
        assert_eq!(name(Path::new("/srv/tty")), "/srv/tty");
    }
}
