//! Where the reader of one line puts what it finds.

use std::fmt;

use super::{Batch, Event, Label, MOST_EVENTS, Reason, Rejection, Text};

/// Which reasons of a connection were described already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Described(u16);

impl Described {
    /// Whether this is the first time.
    fn first(&mut self, reason: Reason) -> bool {
        let bit = 1 << reason as u16;
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}

/// Why a line as a whole is not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Reason,
    Text(&'static str),
    Json(serde_json::Error),
}

impl Refusal {
    pub(super) fn new(reason: Reason, why: &'static str) -> Self {
        Self {
            reason,
            why: Why::Text(why),
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            why: Why::Reason,
        }
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        // What serde_json says of a number such as 1e999; it has no kind of its own.
        let reason = if error.to_string().starts_with("number out of range") {
            Reason::OutOfRange
        } else {
            Reason::Malformed
        };
        Self {
            reason,
            why: Why::Json(error),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Reason => f.write_str(self.reason.describe()),
            Why::Text(text) => f.write_str(text),
            Why::Json(error) => write!(f, "{error}"),
        }
    }
}

/// What one line yields, limited to [`MOST_EVENTS`] events.
#[derive(Debug)]
pub(super) struct Out<'a> {
    batch: &'a mut Batch,
    described: &'a mut Described,
    /// Where in the batch this line begins.
    events: usize,
    rejections: usize,
}

impl<'a> Out<'a> {
    pub(super) fn new(batch: &'a mut Batch, described: &'a mut Described) -> Self {
        let (events, rejections) = (batch.events.len(), batch.rejections.len());
        Self {
            batch,
            described,
            events,
            rejections,
        }
    }

    pub(super) fn push(&mut self, event: Event) {
        match (self.batch.events.len() - self.events).cmp(&MOST_EVENTS) {
            std::cmp::Ordering::Less => self.batch.events.push(event),
            _ => self.reject(Reason::TooMany, || {
                format!("more than {MOST_EVENTS} values in one line")
            }),
        }
    }

    /// Counts a line or a value as not taken; a line counts one reason once.
    pub(super) fn reject(&mut self, reason: Reason, detail: impl FnOnce() -> String) {
        let of_this_line = self.batch.rejections.get(self.rejections..).unwrap_or_default();
        if of_this_line.iter().any(|rejection| rejection.reason == reason) {
            return;
        }
        let detail = if self.described.first(reason) {
            Text::new(&detail())
        } else {
            Text::default()
        };
        self.batch.rejections.push(Rejection { reason, detail });
    }

    /// Counts lines that were held back and turned out to be of no protocol.
    pub(super) fn reject_held(&mut self, lines: u8) {
        for _ in 0..lines {
            self.batch.rejections.push(Rejection {
                reason: Reason::Unknown,
                detail: Text::default(),
            });
        }
    }

    /// Forgets what the line has yielded so far: it turned out to be broken.
    pub(super) fn undo(&mut self) {
        self.batch.events.truncate(self.events);
        self.batch.rejections.truncate(self.rejections);
    }

    /// Takes the line's events away, to be held back.
    pub(super) fn take_events(&mut self) -> impl Iterator<Item = Event> {
        self.batch.events.drain(self.events..)
    }

    /// A number, if it is finite and within its limits.
    pub(super) fn number(&mut self, name: &str, value: f64, limits: Limits) -> Option<f64> {
        if !value.is_finite() {
            self.reject(Reason::NonFinite, || format!("{name} is {value}"));
            return None;
        }
        if value < limits.least || value > limits.most {
            self.reject(Reason::OutOfRange, || {
                format!(
                    "{name} is {value}, and must be from {} to {}",
                    limits.least, limits.most
                )
            });
            return None;
        }
        Some(value)
    }

    /// A name, if it can be a label.
    pub(super) fn label(&mut self, what: &str, text: &str) -> Option<Label> {
        let label = Label::new(text);
        if label.is_none() {
            self.reject(Reason::Malformed, || {
                format!("{what} {text:?} is empty or longer than {} bytes", Label::MOST)
            });
        }
        label
    }
}

/// What a number may be, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    least: f64,
    most: f64,
}

/// Counts and sizes above this are not exact in a 64-bit floating-point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl Limits {
    /// Any finite number.
    pub(super) const ANY: Self = Self {
        least: f64::MIN,
        most: f64::MAX,
    };
    /// Percent of the whole chip.
    pub(super) const PERCENT: Self = Self {
        least: 0.0,
        most: 100.0,
    };
    /// A share.
    pub(super) const RATIO: Self = Self {
        least: 0.0,
        most: 1.0,
    };
    /// Milliwatts: up to a kilowatt.
    pub(super) const MILLIWATTS: Self = Self {
        least: 0.0,
        most: 1e6,
    };
    /// Degrees Celsius: from absolute zero to what no chip survives.
    pub(super) const CELSIUS: Self = Self {
        least: -273.15,
        most: 1000.0,
    };
    /// Bytes, tokens and other amounts: sums of them stay finite.
    pub(super) const COUNT: Self = Self {
        least: 0.0,
        most: EXACT,
    };
    /// Seconds: up to a year.
    pub(super) const SECONDS: Self = Self {
        least: 0.0,
        most: 366.0 * 86400.0,
    };
    /// Milliseconds: up to a day.
    pub(super) const MILLISECONDS: Self = Self {
        least: 0.0,
        most: 86_400_000.0,
    };
}
