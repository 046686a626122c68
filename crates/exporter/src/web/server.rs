//! Accepts connections and serves requests until told to stop.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::answer::Site;
use super::connections::{Connections, Entry, Patience, Watched};

/// What one server takes upon itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Open connections.
    pub(crate) connections: usize,
    /// Bytes of one request's head.
    pub(crate) head_size: usize,
    /// Headers of one request.
    pub(crate) headers: usize,
    pub(crate) patience: Patience,
    /// How long running scrapes may go on after the signal to stop.
    pub(crate) drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head_size: 16 * 1024,
            headers: 64,
            patience: Patience {
                head: Duration::from_secs(5),
                idle: Duration::from_secs(150),
                write: Duration::from_secs(30),
            },
            drain: Duration::from_secs(4),
        }
    }
}

/// Connections that may wait to be accepted; with the usual 128 a burst of them makes a scrape wait a second for its
/// second try.
const BACKLOG: i32 = 1024;
/// After the signal to stop a request may still be on its way for this long.
const ARRIVING: Duration = Duration::from_millis(100);

/// A server on its listeners.
pub(crate) struct Server {
    listeners: Vec<TcpListener>,
    site: Arc<Site>,
    limits: Limits,
    connections: Connections,
}

/// Opens a listener for each address: `host:port`, or `:port` for all interfaces.
pub(crate) fn bind(addresses: &[String]) -> anyhow::Result<Vec<TcpListener>> {
    addresses.iter().map(|address| bind_one(address)).collect()
}

fn bind_one(address: &str) -> anyhow::Result<TcpListener> {
    let context = || format!("listen on {address} (--web.listen-address)");
    // The second is for machines without IPv6.
    let hosts: &[&str] = if address.starts_with(':') {
        &["[::]", "0.0.0.0"]
    } else {
        &[""]
    };
    let mut candidates: Vec<SocketAddr> = Vec::new();
    for host in hosts {
        candidates.extend(
            format!("{host}{address}")
                .to_socket_addrs()
                .with_context(context)?,
        );
    }
    let listener = std::net::TcpListener::bind(candidates.as_slice()).with_context(context)?;
    rustix::net::listen(&listener, BACKLOG)
        .map_err(io::Error::from)
        .with_context(context)?;
    listener.set_nonblocking(true).with_context(context)?;
    TcpListener::from_std(listener).with_context(context)
}

impl Server {
    pub(crate) fn new(listeners: Vec<TcpListener>, site: Arc<Site>, limits: Limits) -> Self {
        let connections = Connections::new(limits.connections, limits.patience);
        Self {
            listeners,
            site,
            limits,
            connections,
        }
    }

    /// Serves until `stop` turns true, then lets running requests finish for a bounded time.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let accepting: Vec<_> = self
            .listeners
            .into_iter()
            .map(|listener| {
                let acceptor = Acceptor {
                    site: Arc::clone(&self.site),
                    limits: self.limits,
                    connections: self.connections.clone(),
                    stop: stop.clone(),
                };
                tokio::spawn(acceptor.run(listener))
            })
            .collect();
        let sweeper = tokio::spawn(sweep(self.connections.clone(), self.limits.patience));
        told_to_stop(&mut stop).await;
        for task in accepting {
            task.abort();
        }
        self.site.shutting_down();
        let drained = async {
            if timeout(ARRIVING, self.connections.drained()).await.is_err() {
                self.connections.close_waiting();
                self.connections.drained().await;
            }
        };
        if timeout(self.limits.drain, drained).await.is_err() {
            tracing::warn!("requests were still running at the end of the grace period");
        }
        sweeper.abort();
    }
}

async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a reason to stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn sweep(connections: Connections, patience: Patience) {
    let mut ticks = interval((patience.head / 5).max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        connections.sweep(Instant::now());
    }
}

struct Acceptor {
    site: Arc<Site>,
    limits: Limits,
    connections: Connections,
    stop: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut pause = Duration::ZERO;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    pause = Duration::ZERO;
                    let entry = self.connections.admit().await;
                    tokio::spawn(serve(
                        stream,
                        peer,
                        entry,
                        Arc::clone(&self.site),
                        self.limits,
                        self.stop.clone(),
                    ));
                    // The newcomer's request is looked at before the next one can push it out.
                    tokio::task::yield_now().await;
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    let freed = self.connections.close_one();
                    if pause.is_zero() {
                        tracing::warn!(%error, freed, "cannot accept connections; trying again until it works");
                    }
                    pause = (pause * 2).clamp(Duration::from_millis(10), Duration::from_secs(1));
                    sleep(pause).await;
                }
            }
        }
    }
}

/// Errors of one connection that ended before it was accepted; the listener itself is fine (accept(2)).
fn is_the_clients(error: &io::Error) -> bool {
    let of_one_connection = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::PROTO,
        Errno::PERM,
        Errno::NETDOWN,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| of_one_connection.iter().any(|errno| errno.raw_os_error() == code))
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    entry: Entry,
    site: Arc<Site>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let connection = Arc::clone(&entry.connection);
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&connection)));
    let service = service_fn(|request| {
        connection.serving();
        let (site, entry) = (Arc::clone(&site), &entry);
        async move {
            let response = site.answer(&request).await;
            entry.answered();
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let mut http = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // The table closes a slow head much earlier; this holds even if it were stuck.
            .header_read_timeout(limits.patience.idle + limits.patience.head)
            .max_buf_size(limits.head_size)
            .max_headers(limits.headers)
            .serve_connection(io, service)
    );
    let ended = tokio::select! {
        ended = http.as_mut() => ended,
        () = entry.connection.closed() => Ok(()),
        () = told_to_stop(&mut stop) => {
            http.as_mut().graceful_shutdown();
            tokio::select! {
                ended = http => ended,
                () = entry.connection.closed() => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended early");
    }
}
