//! Delivery by remote write: every page goes to the spool, with stale markers for what the source's earlier page had and
//! this one has not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use exporter::{Family, Metric, Unit};

use crate::clock::Clock;
use crate::delivery::{Delivery, Source};
use crate::remote_write::{Remote, Settings};
use crate::sample::Page;
use crate::tally::Tally;

const SPOOL_BYTES: Metric<0> = Metric::gauge(
    "bridge_spool_bytes",
    Unit::Bytes,
    "Size of the spool on the disk.",
    [],
);
const SPOOL_OLDEST: Metric<0> = Metric::gauge(
    "bridge_spool_oldest_timestamp_seconds",
    Unit::Seconds,
    "When the oldest samples that wait in the spool were put there, Unix time; absent when none wait.",
    [],
);

/// A spool, and what each source had last.
pub(crate) struct Written {
    remote: Remote,
    clock: Arc<Clock>,
    /// The last page of each source; `None` once it is over.
    earlier: Mutex<Option<BTreeMap<Source, Page>>>,
}

impl Written {
    /// Opens the spool and begins to send what waits in it.
    pub(crate) fn start(settings: Settings, clock: Arc<Clock>, tally: Tally) -> anyhow::Result<Self> {
        Ok(Self {
            remote: Remote::start(settings, Arc::clone(&clock), tally)?,
            clock,
            earlier: Mutex::new(Some(BTreeMap::new())),
        })
    }

    fn earlier(&self) -> MutexGuard<'_, Option<BTreeMap<Source, Page>>> {
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a page, which follows on this one.
    fn write(&self, page: &mut Page, earlier: &Page) {
        if let Err(error) = page.end_missing(earlier, self.clock.stamp()) {
            tracing::warn!(%error, "series that ended are not marked");
        }
        self.remote.accept(page);
    }
}

impl Delivery for Written {
    fn page(&self, source: &Source, mut page: Page) -> bool {
        let earlier = match &mut *self.earlier() {
            Some(pages) => pages.remove(source).unwrap_or_default(),
            None => return false,
        };
        self.write(&mut page, &earlier);
        drop(earlier);
        page.shrink();
        if let Some(pages) = &mut *self.earlier() {
            pages.insert(source.clone(), page);
        }
        true
    }

    fn end(&self, source: &Source) {
        let earlier = self.earlier().as_mut().and_then(|pages| pages.remove(source));
        if let Some(earlier) = earlier {
            self.write(&mut Page::new(), &earlier);
        }
    }

    fn epoch(&self) -> Option<u64> {
        None
    }

    fn families(&self) -> Vec<Family> {
        let holding = self.remote.holding();
        vec![
            SPOOL_BYTES.value(holding.bytes as f64),
            SPOOL_OLDEST.maybe(holding.oldest_ms.map(|ms| ms as f64 / 1000.0)),
        ]
    }

    fn stop(&self, deadline: Instant) {
        let pages = self.earlier().take();
        for earlier in pages.into_iter().flatten().map(|(_, page)| page) {
            self.write(&mut Page::new(), &earlier);
        }
        self.remote
            .stop(deadline.saturating_duration_since(Instant::now()));
    }
}
