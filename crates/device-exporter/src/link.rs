//! One attempt at one port: open it, read until it ends, close it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{interval, sleep, timeout};

use crate::board::{Board, Opened};
use crate::hardware::{self, Hardware};
use crate::identity::SETTLE;
use crate::protocol::{Batch, Decoder, Settings};
use crate::scan::{Found, Key, expected_name};
use crate::session::Clock;
use crate::wire::{OpenError, Trouble, Wire};
use crate::{serial, tcp};

/// Opening may hang in a driver.
const PATIENCE: Duration = Duration::from_secs(5);
/// After each read, so that many small pieces cost one wake-up and no device more than its share: at most
/// 4 KiB in this time, some 800 KB/s. Until then what comes waits in the kernel, which holds the sender back where it can.
const PACE: Duration = Duration::from_millis(5);
const CHUNK: usize = 4096;
/// How often a device that is to be asked something is.
const PROBE: Duration = Duration::from_secs(1);

/// What all connections share. They run on one thread.
pub(crate) struct Shared {
    pub(crate) board: Arc<Mutex<Board>>,
    pub(crate) sysfs: PathBuf,
    scratch: Mutex<Scratch>,
}

struct Scratch {
    bytes: Box<[u8; CHUNK]>,
    batch: Batch,
}

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is not.
    No,
    /// It is opened again with other settings.
    Again,
    /// Nobody is to watch this port any more, or its device under the name that it has.
    Forget,
}

/// An attempt at a port.
pub(crate) struct Attempt {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: Key,
    pub(crate) found: Found,
    /// It came while we watched: its device has just been switched on.
    pub(crate) is_new: bool,
    pub(crate) stop: watch::Receiver<Stop>,
}

/// An open connection on the board. Its end is told there in any case, so that no device stays connected for ever.
struct Held {
    shared: Arc<Shared>,
    link: u64,
    stop: watch::Receiver<Stop>,
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was open for this long.
    Opened(Duration),
    Refused(OpenError),
}

impl Shared {
    pub(crate) fn new(board: Arc<Mutex<Board>>, sysfs: &Path) -> Self {
        let scratch = Scratch {
            bytes: Box::new([0; CHUNK]),
            batch: Batch::default(),
        };
        Self {
            board,
            sysfs: sysfs.to_owned(),
            scratch: Mutex::new(scratch),
        }
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scratch(&self) -> MutexGuard<'_, Scratch> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// Runs it to its end.
    pub(crate) async fn run(mut self) -> Outcome {
        let (wire, hardware) = match self.open().await {
            Ok(opened) => opened,
            Err(refused) => return Outcome::Refused(refused),
        };
        let opened = Opened {
            port: self.key.name(),
            expected: expected_name(&self.found.rule),
            hardware,
            id: self.found.rule.id.clone(),
            platform: self.found.rule.platform.clone(),
            may_reset: matches!(self.key, Key::Serial(_)) && !self.is_new,
        };
        let since = Instant::now();
        let held = Held::new(&self, opened);
        let link = held.link;
        let mut decoder = Decoder::new(Settings {
            protocol: self.found.rule.protocol,
            probe: self.found.rule.probe,
        });
        if let Err(error) = self.read(&wire, link, &mut decoder).await {
            tracing::warn!(port = self.key.name(), %error, "reading ended");
        }
        self.feed(link, |batch| decoder.hang_up(batch));
        // First the port is let go, then the device is gone: whoever looks for it again may find it under the same name.
        wire.close().await;
        drop(held);
        Outcome::Opened(since.elapsed())
    }

    async fn open(&self) -> Result<(Wire, Hardware), OpenError> {
        let (fd, hardware) = match &self.key {
            Key::Tcp(address) => (tcp::open(address).await?, Hardware::named(address)),
            Key::Serial(path) => {
                let (path, place, sysfs) =
                    (path.clone(), self.found.place.clone(), self.shared.sysfs.clone());
                let baud = self.found.rule.baud;
                let mut opening = spawn_blocking(move || {
                    let hardware = hardware::of(&sysfs, &serial::name(&path));
                    let hardware = hardware.unwrap_or_else(|| Hardware::named(&place));
                    serial::open(&path, baud).map(|fd| (fd, hardware))
                });
                let ended = if let Ok(ended) = timeout(PATIENCE, &mut opening).await {
                    ended
                } else {
                    self.hangs();
                    // A second attempt beside this one would hang too.
                    opening.await
                };
                ended.map_err(|panic| self.refused(&panic))??
            }
        };
        let wire = Wire::new(fd).map_err(|error| self.refused(&error))?;
        Ok((wire, hardware))
    }

    fn refused(&self, error: &dyn std::fmt::Display) -> OpenError {
        OpenError {
            trouble: Trouble::Io,
            text: format!("open {}: {error}", self.key.name()),
        }
    }

    fn hangs(&self) {
        let port = self.key.name();
        tracing::warn!(
            port,
            "opening hangs in the kernel for {PATIENCE:?} already; unplug the adapter if it stays so"
        );
        self.shared.board().blocked.insert(port, Trouble::Timeout);
    }

    async fn read(&mut self, wire: &Wire, link: u64, decoder: &mut Decoder) -> std::io::Result<()> {
        let since = Instant::now();
        let mut stop = self.stop.clone();
        let mut probe = interval(PROBE);
        let settle = sleep(SETTLE);
        tokio::pin!(settle);
        let mut is_settled = false;
        loop {
            tokio::select! {
                open = wire.read(|fd| self.take(fd, link, decoder)) => {
                    if !open? {
                        return Ok(());
                    }
                    sleep(PACE).await;
                }
                () = ended(&mut stop) => return Ok(()),
                () = &mut settle, if !is_settled => {
                    is_settled = true;
                    self.shared.board().settle(link, Clock::read());
                }
                _ = probe.tick(), if self.found.rule.probe => {}
            }
            while let Some(bytes) = decoder.to_send(since.elapsed()) {
                wire.send(bytes).await?;
            }
        }
    }

    /// Reads what is there and hands it to the decoder.
    fn take(&self, fd: &OwnedFd, link: u64, decoder: &mut Decoder) -> Result<usize, Errno> {
        let mut scratch = self.shared.scratch();
        let Scratch { bytes, batch } = &mut *scratch;
        let size = rustix::io::read(fd, &mut bytes[..])?;
        decoder.feed(bytes.get(..size).unwrap_or_default(), batch);
        self.deliver(link, batch);
        Ok(size)
    }

    fn feed(&self, link: u64, feed: impl FnOnce(&mut Batch)) {
        let mut scratch = self.shared.scratch();
        feed(&mut scratch.batch);
        self.deliver(link, &mut scratch.batch);
    }

    fn deliver(&self, link: u64, batch: &mut Batch) {
        if batch.frames > 0 || !batch.rejections.is_empty() || !batch.events.is_empty() {
            self.shared.board().take(link, batch, Clock::read());
        }
        batch.clear();
    }
}

impl Held {
    fn new(attempt: &Attempt, opened: Opened) -> Self {
        let mut board = attempt.shared.board();
        board.blocked.remove(&opened.port);
        Self {
            shared: Arc::clone(&attempt.shared),
            link: board.open(opened, Clock::read()),
            stop: attempt.stop.clone(),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let forget = *self.stop.borrow() == Stop::Forget;
        self.shared.board().close(self.link, forget, Clock::read());
    }
}

/// Waits until the connection is to end.
async fn ended(stop: &mut watch::Receiver<Stop>) {
    // An error is the end of the whole program.
    let _ = stop.wait_for(|stop| *stop != Stop::No).await;
}
