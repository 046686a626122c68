//! What stands between those that bring pages (targets, local jobs) and those that take them (spool, Pushgateway).

use std::time::Instant;

use exporter::Family;

use crate::sample::Page;

/// What tells those that bring pages from each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// `job` and `machine` among them, sorted by name.
    pub(crate) labels: Vec<(String, String)>,
    /// Whether what it brought stays in a Pushgateway while the bridge is away: a local job's results, not a target's
    /// values.
    pub(crate) is_lasting: bool,
}

/// Brings pages to the receiver. Pages of one source come one after the other, those of several at once.
pub(crate) trait Delivery: Send + Sync {
    /// Takes a page, which replaces the source's earlier one: what this one lacks has ended. False when it was not taken
    /// and has to come again.
    fn page(&self, source: &Source, page: Page) -> bool;

    /// The source is gone, and all its series with it.
    fn end(&self, source: &Source);

    /// A page that was taken need not come again while this number stays; `None` when each is a point in time and has to.
    fn epoch(&self) -> Option<u64>;

    /// What it shows on the bridge's page.
    fn families(&self) -> Vec<Family>;

    /// Brings away what can be until then. No source does anything any more.
    fn stop(&self, deadline: Instant);
}

/// Takes everything to nowhere: for `--once`, which shows how the targets are.
pub(crate) struct Nowhere;

impl Delivery for Nowhere {
    fn page(&self, _: &Source, _: Page) -> bool {
        true
    }

    fn end(&self, _: &Source) {}

    fn epoch(&self) -> Option<u64> {
        None
    }

    fn families(&self) -> Vec<Family> {
        Vec::new()
    }

    fn stop(&self, _: Instant) {}
}
