//! An open connection to one device, serial or TCP: bytes as they come, and the end told from silence.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::serial;

/// Sending and closing may hang in a driver.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a port that was found, or is configured, cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// Another program has it.
    Busy,
    /// This user may not.
    Permission,
    /// It went away meanwhile.
    Gone,
    /// No hardware behind it, or no serial port.
    NoDevice,
    /// It did not come about in time.
    Timeout,
    /// Nobody listens there.
    Refused,
    /// Anything else.
    Io,
}

impl Trouble {
    /// The value of the label `reason`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Permission => "permission",
            Self::Gone => "gone",
            Self::NoDevice => "no_device",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Io => "io",
        }
    }
}

/// A port that could not be opened: what happened, to what, and what to do.
#[derive(Debug)]
pub(crate) struct OpenError {
    pub(crate) trouble: Trouble,
    pub(crate) text: String,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An open connection.
pub(crate) struct Wire {
    fd: AsyncFd<OwnedFd>,
}

impl Wire {
    /// `fd` does not block.
    #[expect(
        deprecated,
        reason = "what the new way asks for in an unsafe contract, that the descriptor stays open, an OwnedFd keeps"
    )]
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            fd: AsyncFd::new(fd)?,
        })
    }

    /// Waits for bytes and hands them to `take`, which is not called with none. `Ok(false)` is the end: unplugged, or
    /// closed by the other side.
    pub(crate) async fn read(
        &self,
        mut take: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> io::Result<bool> {
        loop {
            let mut ready = self.fd.readable().await?;
            match ready.try_io(|fd| take(fd.get_ref()).map_err(io::Error::from)) {
                // A hung-up port is always ready and always empty; whoever takes that for silence spins for ever.
                Ok(Ok(0)) => return Ok(false),
                Ok(Ok(_)) => return Ok(true),
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                // The other end of a pty is closed.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => return Ok(false),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }

    /// Sends all of it, or gives up: a device that takes nothing must not be waited for.
    pub(crate) async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        let all = async {
            while !bytes.is_empty() {
                let mut ready = self.fd.writable().await?;
                match ready.try_io(|fd| rustix::io::write(fd.get_ref(), bytes).map_err(io::Error::from)) {
                    Ok(Ok(sent)) => bytes = bytes.get(sent..).unwrap_or_default(),
                    Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                    Ok(Err(error)) => return Err(error),
                    Err(_would_block) => {}
                }
            }
            Ok(())
        };
        timeout(PATIENCE, all)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Closes the connection and waits for that: as long as a port is open, the kernel gives the device another name
    /// when it is plugged in again.
    pub(crate) async fn close(self) {
        let fd = self.fd.into_inner();
        let closing = spawn_blocking(move || {
            serial::discard_output(&fd);
            drop(fd);
        });
        // One that hangs in its driver ends when the driver lets go.
        let _ = timeout(PATIENCE, closing).await;
    }
}
