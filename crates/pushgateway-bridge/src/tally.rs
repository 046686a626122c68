//! What the deliveries count: pushes by outcome, their durations, samples that were given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use exporter::{Counter, CounterVec, Family, Histogram, InstrumentError, Instruments, Metric, Unit};

const PUSHES: Metric<1> = Metric::counter(
    "bridge_push_total",
    Unit::None,
    "Requests to the receiver by outcome: success, rejected (the data was refused), unavailable (to be sent again).",
    ["outcome"],
);
const DURATION: Metric<0> = Metric::histogram(
    "bridge_push_duration_seconds",
    Unit::Seconds,
    "How long requests to the receiver took, the answer included.",
    [],
);
const LAST_PUSH: Metric<0> = Metric::gauge(
    "bridge_last_push_timestamp_seconds",
    Unit::Seconds,
    "When the receiver last accepted a request; absent before the first one.",
    [],
);
const DROPPED: Metric<1> = Metric::counter(
    "bridge_samples_dropped_total",
    Unit::None,
    "Samples that will not arrive, by reason.",
    ["reason"],
);

/// Up to a request that hangs until its timeout.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// How a request to the receiver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver accepted it.
    Success,
    /// The receiver refused what was in it.
    Rejected,
    /// It did not get through, and is sent again.
    Unavailable,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Success, Self::Rejected, Self::Unavailable];

    const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Why samples will not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The spool was full and they were the oldest.
    Size,
    /// They waited longer than the spool keeps them.
    Age,
    /// The disk took no more.
    Disk,
    /// A record of the spool did not match its checksum.
    Corrupt,
    /// They are older than what the receiver takes.
    TooOld,
    /// The receiver has newer samples of their series and no out-of-order window.
    OutOfOrder,
    /// Their series has another value at this time, on the page or at the receiver.
    Duplicate,
    /// They are stamped further ahead than the spool keeps them.
    Future,
    /// The receiver refused their series or value.
    Rejected,
    /// A Pushgateway has their family as another type, from another group.
    Conflict,
    /// The Pushgateway was away, and the next page has newer values.
    Superseded,
}

impl Loss {
    const ALL: [Self; 11] = [
        Self::Size,
        Self::Age,
        Self::Disk,
        Self::Corrupt,
        Self::TooOld,
        Self::OutOfOrder,
        Self::Duplicate,
        Self::Future,
        Self::Rejected,
        Self::Conflict,
        Self::Superseded,
    ];

    /// The value of the label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Age => "age",
            Self::Disk => "disk",
            Self::Corrupt => "corrupt",
            Self::TooOld => "too_old",
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate",
            Self::Future => "future",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Superseded => "superseded",
        }
    }
}

/// A handle on the counts; cloning gives another one on the same counts.
#[derive(Clone)]
pub struct Tally {
    pushes: CounterVec<1>,
    duration: Histogram,
    dropped: CounterVec<1>,
    /// Milliseconds of Unix time; 0 before the first one.
    last_push_ms: Arc<AtomicI64>,
}

impl Tally {
    /// Counts that stand on the page of these instruments, with 0 from the start.
    pub fn new(instruments: &Instruments) -> Result<Self, InstrumentError> {
        let tally = Self {
            pushes: instruments.counter_vec(&PUSHES)?,
            duration: instruments.histogram(&DURATION, &BUCKETS)?,
            dropped: instruments.counter_vec(&DROPPED)?,
            last_push_ms: Arc::default(),
        };
        for outcome in Outcome::ALL {
            tally.pushes.with([outcome.label()]);
        }
        for reason in Loss::ALL {
            tally.lost(reason);
        }
        Ok(tally)
    }

    /// A request ended, at this time.
    pub fn pushed(&self, outcome: Outcome, took: Duration, now_ms: i64) {
        self.pushes.with([outcome.label()]).inc();
        self.duration.observe(took.as_secs_f64());
        if outcome == Outcome::Success {
            self.last_push_ms.fetch_max(now_ms, Ordering::Relaxed);
        }
    }

    /// Samples will not arrive.
    pub fn dropped(&self, reason: Loss, samples: usize) {
        self.lost(reason).add(samples as f64);
    }

    fn lost(&self, reason: Loss) -> Counter {
        self.dropped.with([reason.label()])
    }

    /// `bridge_last_push_timestamp_seconds`.
    pub fn last_push(&self) -> Family {
        let at = Some(self.last_push_ms.load(Ordering::Relaxed)).filter(|at| *at > 0);
        LAST_PUSH.maybe(at.map(|at| at as f64 / 1000.0))
    }
}
