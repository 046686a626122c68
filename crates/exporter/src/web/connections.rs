//! The table of open connections: who waits for whom, since when, and who has to go.
//!
//! The scraper must get in whatever else is connected. So a connection that is not being served has a deadline, and
//! when the table is full the newcomer takes the place of the one that has waited longest.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Answers on their way out at once. Each is held in memory until its client has taken it.
const MAX_WRITING: usize = 16;

/// How long a connection may stay in each phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the connection, or a request's first byte, to the end of its headers.
    pub(crate) head: Duration,
    /// Between two requests of one connection; above the longest usual scrape interval.
    pub(crate) idle: Duration,
    /// From the answer to the moment the client has taken all of it.
    pub(crate) write: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Connected, no byte yet, or in the middle of a request's headers.
    Head,
    /// One request is answered, the next has not begun.
    Idle,
    /// The answer is being made.
    Serving,
    /// The answer is on its way out.
    Writing,
}

/// All connections of a server.
#[derive(Clone)]
pub(crate) struct Connections {
    patience: Patience,
    capacity: usize,
    open: Arc<Mutex<HashMap<u64, Arc<Connection>>>>,
    next: Arc<AtomicU64>,
    changed: Arc<Notify>,
}

/// One connection's entry; it leaves the table when this is dropped.
pub(crate) struct Entry {
    id: u64,
    table: Connections,
    pub(crate) connection: Arc<Connection>,
}

/// What the table knows of one connection.
pub(crate) struct Connection {
    state: Mutex<(Phase, Instant)>,
    close: Notify,
}

impl Connections {
    pub(crate) fn new(capacity: usize, patience: Patience) -> Self {
        Self {
            patience,
            capacity,
            open: Arc::default(),
            next: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// Takes a new connection in. When the table is full one that waits is closed for it; when all are being served
    /// it waits until one has ended.
    pub(crate) async fn admit(&self) -> Entry {
        loop {
            let ended = self.changed.notified();
            if let Some(entry) = self.try_admit() {
                return entry;
            }
            ended.await;
        }
    }

    fn try_admit(&self) -> Option<Entry> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.capacity {
            let victim = longest_waiting(&open)?;
            open.remove(&victim)?.close.notify_one();
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            state: Mutex::new((Phase::Head, Instant::now())),
            close: Notify::new(),
        });
        open.insert(id, Arc::clone(&connection));
        Some(Entry {
            id,
            table: self.clone(),
            connection,
        })
    }

    /// Closes the connection that has waited longest, to free its descriptor. False when none waits.
    pub(crate) fn close_one(&self) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let victim = longest_waiting(&open).and_then(|id| open.remove(&id));
        victim.inspect(|victim| victim.close.notify_one()).is_some()
    }

    /// Closes every connection that has used up its patience.
    pub(crate) fn sweep(&self, now: Instant) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in open.values() {
            let (phase, since) = connection.state();
            let limit = match phase {
                Phase::Head => self.patience.head,
                Phase::Idle => self.patience.idle,
                Phase::Writing => self.patience.write,
                // Bound by the scrape's deadline.
                Phase::Serving => continue,
            };
            if now.saturating_duration_since(since) > limit {
                connection.close.notify_one();
            }
        }
    }

    /// Closes every connection that no answer is due to.
    pub(crate) fn close_waiting(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in open.values() {
            if matches!(connection.state().0, Phase::Head | Phase::Idle) {
                connection.close.notify_one();
            }
        }
    }

    /// Returns when no connection is left.
    pub(crate) async fn drained(&self) {
        loop {
            let ended = self.changed.notified();
            if self
                .open
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_empty()
            {
                return;
            }
            ended.await;
        }
    }
}

/// Those that have not sent a whole request go first, then those between two requests; each the oldest.
fn longest_waiting(open: &HashMap<u64, Arc<Connection>>) -> Option<u64> {
    let oldest = |phase| in_phase(open, phase).min().map(|(_, id)| id);
    oldest(Phase::Head).or_else(|| oldest(Phase::Idle))
}

/// Since when each connection in this phase is in it.
fn in_phase(open: &HashMap<u64, Arc<Connection>>, wanted: Phase) -> impl Iterator<Item = (Instant, u64)> {
    open.iter().filter_map(move |(id, connection)| {
        let (phase, since) = connection.state();
        (phase == wanted).then_some((since, *id))
    })
}

impl Entry {
    /// The answer is made. When too many are on their way out, the client that has taken longest loses its own.
    pub(crate) fn answered(&self) {
        self.connection.enter(Phase::Writing);
        let mut open = self.table.open.lock().unwrap_or_else(PoisonError::into_inner);
        if in_phase(&open, Phase::Writing).count() > MAX_WRITING
            && let Some((_, slowest)) = in_phase(&open, Phase::Writing).min()
            && let Some(slowest) = open.remove(&slowest)
        {
            slowest.close.notify_one();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
        self.table.changed.notify_waiters();
    }
}

impl Connection {
    fn state(&self) -> (Phase, Instant) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (phase, Instant::now());
    }

    /// The request's headers are complete.
    pub(crate) fn serving(&self) {
        self.enter(Phase::Serving);
    }

    /// Returns when the table wants the connection closed.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }
}

/// A stream that tells the table when a request begins and when an answer has been sent.
pub(crate) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before && self.connection.state().0 == Phase::Idle {
            self.connection.enter(Phase::Head);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        // hyper flushes the stream once its own buffer, which holds the whole answer, is empty.
        if flushed.is_ready() && self.connection.state().0 == Phase::Writing {
            self.connection.enter(Phase::Idle);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(5),
        idle: Duration::from_secs(100),
        write: Duration::from_secs(30),
    };

    fn is_closed(entry: &Entry) -> bool {
        let closed = std::pin::pin!(entry.connection.closed());
        closed
            .poll(&mut Context::from_waker(std::task::Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_full_table_makes_room_by_the_least_useful_connection() {
        let table = Connections::new(3, PATIENCE);
        let [served, idle, half_open] = [(); 3].map(|()| table.try_admit().expect("room"));
        served.connection.serving();
        idle.connection.enter(Phase::Idle);
        let _newcomer = table.try_admit().expect("in the place of the half-open one");
        assert!(is_closed(&half_open) && !is_closed(&idle) && !is_closed(&served));
    }

    #[test]
    fn nobody_who_is_being_served_is_closed() {
        let table = Connections::new(1, PATIENCE);
        let served = table.try_admit().expect("room");
        served.connection.serving();
        assert!(table.try_admit().is_none());
        assert!(!table.close_one());
        drop(served);
        assert!(table.try_admit().is_some());
    }

    #[test]
    fn the_slowest_reader_makes_room_for_the_next_answer() {
        let table = Connections::new(64, PATIENCE);
        let readers: Vec<_> = (0..=MAX_WRITING)
            .map(|_| table.try_admit().expect("room"))
            .collect();
        readers[..MAX_WRITING].iter().for_each(Entry::answered);
        assert!(!readers.iter().any(is_closed));
        readers[MAX_WRITING].answered();
        let closed: Vec<_> = readers.iter().map(is_closed).collect();
        assert!(closed[0] && !closed[1..].contains(&true), "{closed:?}");
    }

    #[test]
    fn at_the_end_only_those_that_wait_are_closed() {
        let table = Connections::new(9, PATIENCE);
        let closed = [Phase::Head, Phase::Idle, Phase::Serving, Phase::Writing].map(|phase| {
            let entry = table.try_admit().expect("room");
            entry.connection.enter(phase);
            table.close_waiting();
            is_closed(&entry)
        });
        assert_eq!(closed, [true, true, false, false]);
    }

    #[test]
    fn patience_ends_by_phase() {
        let table = Connections::new(9, PATIENCE);
        let entries = [Phase::Head, Phase::Idle, Phase::Serving, Phase::Writing].map(|phase| {
            let entry = table.try_admit().expect("room");
            entry.connection.enter(phase);
            entry
        });
        let closed_after = |seconds| {
            table.sweep(Instant::now() + Duration::from_secs(seconds));
            entries.each_ref().map(is_closed)
        };
        assert_eq!(closed_after(4), [false; 4]);
        assert_eq!(closed_after(6), [true, false, false, false]);
        assert_eq!(closed_after(31), [true, false, false, true]);
        assert_eq!(closed_after(101), [true, true, false, true]);
    }
}
