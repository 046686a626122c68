//! Takes pushes of local jobs as a Pushgateway does, and brings them on.
//!
//! | method and path | does | answers |
//! |---|---|---|
//! | `PUT /metrics/job/<job>{/<label>/<value>}` | replaces the group | 200 |
//! | `POST`, the same path | replaces families of the same names | 200 |
//! | `DELETE`, the same path | removes the group | 202 |
//! | `GET /-/healthy`, `/-/ready` | | 200 |
//!
//! Bodies are in the text format 0.0.4, gzipped or not. What is malformed or has timestamps is answered with 400.

mod path;
mod push;
mod server;
mod store;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use exporter::Sampler;
use tokio::net::TcpListener;

use self::push::identity;
use self::store::{Group, Store};
use crate::delivery::Source;
use crate::sample::{self, Metadata, NAME, Page};
use crate::scrape::{Context, Format};

/// How often groups are brought to a receiver that wants each point in time, and looked at for one that does not.
const INTERVAL: Duration = Duration::from_secs(15);
/// How soon a new push is brought on.
const SOON: Duration = Duration::from_secs(1);

/// The running intake. Dropping it ends the bringing; the listener ends with the runtime.
pub(crate) struct Intake {
    _bringing: Sampler,
}

/// The groups of local jobs, and where they go.
struct Jobs {
    store: Store,
    machine: String,
    context: Context,
    round: Mutex<Round>,
    /// Held while a group goes to the receiver or is removed there: it must not arrive after its end.
    at_receiver: Mutex<()>,
}

/// When all groups were brought last.
struct Round {
    epoch: u64,
    next: Instant,
}

impl Intake {
    /// Takes up what was pushed before, listens, inside the Tokio runtime, and brings groups on.
    pub(crate) fn start(
        address: &str,
        folder: &Path,
        machine: &str,
        context: Context,
    ) -> anyhow::Result<Self> {
        let jobs = Arc::new(Jobs {
            store: Store::open(folder)?,
            machine: machine.to_owned(),
            context,
            round: Mutex::new(Round {
                epoch: 0,
                next: Instant::now(),
            }),
            at_receiver: Mutex::default(),
        });
        let listener = listener(address).with_context(|| format!("--intake.listen-address: {address}"))?;
        tracing::info!(address = %listener.local_addr()?, "taking pushes of local jobs");
        tokio::spawn(server::serve(listener, Arc::clone(&jobs)));
        let bringing = Sampler::every("intake", SOON, move || jobs.bring()).context("start a thread")?;
        Ok(Self { _bringing: bringing })
    }
}

/// `:port` is all interfaces, as with `--web.listen-address`.
fn listener(address: &str) -> std::io::Result<TcpListener> {
    let listener = match address.strip_prefix(':') {
        Some(port) => std::net::TcpListener::bind(format!("[::]:{port}"))
            .or_else(|_| std::net::TcpListener::bind(format!("0.0.0.0:{port}"))),
        None => std::net::TcpListener::bind(address),
    }?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

impl Jobs {
    /// Brings every group that the receiver lacks.
    fn bring(&self) {
        let epoch = self.context.delivery.epoch();
        let all = self.is_all_due(epoch);
        for group in self.store.groups(all) {
            let _one = self.one_at_the_receiver();
            if !self.store.has(&group.labels) {
                // It was deleted since the round began.
                continue;
            }
            let source = self.source(&group.labels);
            let page = self.page(&group, &source, epoch.is_none());
            if self.context.delivery.page(&source, page)
                && let Err(error) = self.store.brought(&group.labels, group.pushed, epoch.is_some())
            {
                tracing::warn!(%error, "a delivery cannot be noted; it is made again after a restart");
            }
        }
    }

    /// A receiver of points in time wants all in every round, one that keeps them when it may have lost them.
    fn is_all_due(&self, epoch: Option<u64>) -> bool {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = match epoch {
            Some(epoch) => std::mem::replace(&mut round.epoch, epoch) != epoch,
            None => now >= round.next,
        };
        if is_due {
            round.next = now + INTERVAL;
        }
        is_due
    }

    /// Removes a group here and at the receiver.
    fn delete(&self, labels: &store::Labels) -> std::io::Result<()> {
        let _one = self.one_at_the_receiver();
        if self.store.delete(labels)? {
            self.context.delivery.end(&self.source(labels));
        }
        Ok(())
    }

    fn one_at_the_receiver(&self) -> MutexGuard<'_, ()> {
        self.at_receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(&self, labels: &[(String, String)]) -> Source {
        let mut labels: Vec<_> = labels
            .iter()
            .filter(|(name, _)| name != "machine")
            .cloned()
            .collect();
        labels.push(("machine".to_owned(), self.machine.clone()));
        labels.sort();
        Source {
            labels,
            is_lasting: true,
        }
    }

    /// The group's series, stamped now, with the time of its push unless the receiver says that itself.
    fn page(&self, group: &Group, source: &Source, with_times: bool) -> Page {
        let text: String = group.families.values().map(String::as_str).collect();
        let stamp = self.context.clock.stamp();
        let read = identity(source.labels.clone()).read(text.as_bytes(), Format::Text, stamp, usize::MAX);
        // It was read when it was pushed.
        let mut page = read.unwrap_or_default().page;
        let times = [
            ("push_time_seconds", group.pushed),
            ("push_failure_time_seconds", group.failed),
        ];
        let times = times.into_iter().filter(|_| with_times);
        for (name, at) in times.filter_map(|(name, at)| Some((name, at?))) {
            let labels = source
                .labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let metadata = Metadata {
                kind: sample::Kind::Gauge,
                ..Metadata::default()
            };
            if let Err(error) = page.push(labels.chain([(NAME, name)]), at, stamp, metadata) {
                tracing::warn!(%error, "the time of a push is left out");
            }
        }
        page
    }
}

/// Unix time in seconds.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests;
