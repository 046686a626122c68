//! What could not be read, counted by source and reason.

use exporter::{CounterVec, InstrumentError, Instruments, Metric, Unit};

const READ_ERRORS: Metric<2> = Metric::counter(
    "training_read_errors_total",
    Unit::None,
    "What a trainer wrote and could not be read, once per file version, line or record, by source and reason.",
    ["source", "reason"],
);

/// The counters of all sources. Cloning gives another handle on the same ones.
#[derive(Clone)]
pub(crate) struct ReadErrors(CounterVec<2>);

/// The counters of one source: `metrics`, `orchestra`, `huggingface`, `tensorboard`, `jsonl`, `csv` or `canary`.
#[derive(Clone)]
pub(crate) struct SourceErrors {
    source: &'static str,
    counters: CounterVec<2>,
}

impl ReadErrors {
    pub(crate) fn new(instruments: &Instruments) -> Result<Self, InstrumentError> {
        instruments.counter_vec(&READ_ERRORS).map(Self)
    }

    /// The counters of a source. Those of the named reasons are on the page from now on, so that the first error is
    /// seen as an increase.
    pub(crate) fn of(&self, source: &'static str, reasons: &[&str]) -> SourceErrors {
        for reason in reasons {
            self.0.with([source, reason]);
        }
        SourceErrors {
            source,
            counters: self.0.clone(),
        }
    }
}

impl SourceErrors {
    /// Counts one error.
    pub(crate) fn count(&self, reason: &str) {
        self.counters.with([self.source, reason]).inc();
    }
}
