//! What an exporter is made of: collectors, functions from the world to families.

use crate::family::Family;

/// Reads one thing and returns what it says, as values. It owns no metric objects and keeps no page.
///
/// The library runs each collector on a thread of its own, never twice at once, isolates its panics, holds it to the
/// scrape's deadline, and reports its health as `<exporter>_collector_success{collector}`.
pub trait Collector: Send + Sync + 'static {
    /// The collector's name on the page; a word such as `powercap`.
    fn name(&self) -> &'static str;

    /// Reads the source. It may block; when it misses the deadline only its own families are missing.
    fn collect(&self) -> Result<Vec<Family>, CollectError>;
}

/// Why a collector yields nothing. `?` on any error makes it [`CollectError::Failed`].
#[derive(Debug)]
pub enum CollectError {
    /// What it would read is not there on this machine; that is no fault.
    Absent(String),
    /// It is there and could not be read.
    Failed(anyhow::Error),
    /// Part of it could not be read. The families of the rest go onto the page, and the collector counts as failed.
    Partly(Vec<Family>, anyhow::Error),
}

impl CollectError {
    /// The source is not there, with the reason for the debug log.
    pub fn absent(reason: impl Into<String>) -> Self {
        Self::Absent(reason.into())
    }
}

impl<E: Into<anyhow::Error>> From<E> for CollectError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
