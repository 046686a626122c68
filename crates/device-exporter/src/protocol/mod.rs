//! What devices say on a line: bytes in, [`Event`]s out. Nothing here reads, writes, waits or looks at a clock.
//!
//! A [`Decoder`] belongs to one connection of one device:
//!
//! ```
//! use device_exporter::protocol::{Batch, Decoder, Event, Settings};
//!
//! let mut decoder = Decoder::new(Settings::default());
//! let mut batch = Batch::default();
//! decoder.feed(b"{\"type\":\"metrics\",\"power_mw\":4", &mut batch);
//! decoder.feed(b"12.5}\n", &mut batch);
//! assert_eq!(batch.frames, 1);
//! assert_eq!(batch.events, [Event::Power { milliwatts: 412.5 }]);
//! ```
//!
//! `docs/device-protocol.md` describes every protocol.

mod console;
mod decoder;
mod detect;
mod event;
mod influx;
mod json;
mod label;
mod lines;
mod mlperf;
mod out;
mod plotter;
mod reset;
mod sequence;
mod values;

pub use decoder::Decoder;
pub use event::{Event, Hello, Level, Log, Model, Phases, Quality, QuantizationError, Session, SessionEnd};
pub use label::{Label, Text};
pub use reset::ResetReason;

/// Bytes of the longest line, without its end. A longer one is thrown away up to its end, as [`Reason::TooLong`].
pub const LONGEST_LINE: usize = 4096;

/// Events that one line may yield; what goes beyond is [`Reason::TooMany`].
pub const MOST_EVENTS: usize = 64;

/// A language that devices speak.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// One JSON object per line: Mission Control's own messages, or plain names and numbers.
    Json,
    /// `name:value` pairs, as the Arduino plotter reads them.
    Plotter,
    /// Influx line protocol.
    Influx,
    /// Nothing but ESP-IDF's log. Its lines are understood beside every other protocol, too.
    EspIdf,
    /// Answers of an MLPerf Tiny (EEMBC runner) firmware.
    MlperfTiny,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] = [
        Self::Json,
        Self::Plotter,
        Self::Influx,
        Self::EspIdf,
        Self::MlperfTiny,
    ];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Plotter => "plotter",
            Self::Influx => "influx",
            Self::EspIdf => "esp-idf",
            Self::MlperfTiny => "mlperf-tiny",
        }
    }

    /// The protocol of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == name)
    }
}

/// Why a line, or a value in it, was not taken.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Reason {
    /// The line is longer than [`LONGEST_LINE`].
    TooLong,
    /// Not UTF-8, or with control characters: noise, a wrong baud rate.
    Noise,
    /// Broken within its protocol.
    Malformed,
    /// A number outside of what its unit allows.
    OutOfRange,
    /// NaN or infinite.
    NonFinite,
    /// A line of no known protocol or not of the chosen one, or a message of a type that is not known.
    Unknown,
    /// The end of a line whose beginning came before the port was opened, or a line that a hang-up cut.
    Partial,
    /// More values in one line than [`MOST_EVENTS`].
    TooMany,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::TooLong,
        Self::Noise,
        Self::Malformed,
        Self::OutOfRange,
        Self::NonFinite,
        Self::Unknown,
        Self::Partial,
        Self::TooMany,
    ];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Noise => "noise",
            Self::Malformed => "malformed",
            Self::OutOfRange => "out_of_range",
            Self::NonFinite => "non_finite",
            Self::Unknown => "unknown",
            Self::Partial => "partial",
            Self::TooMany => "too_many",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::TooLong => "the line is too long",
            Self::Noise => "no text; is the baud rate right?",
            Self::Malformed => "the line is broken",
            Self::OutOfRange => "a number is out of its range",
            Self::NonFinite => "a number is not finite",
            Self::Unknown => "the line is of no known protocol",
            Self::Partial => "the line is not whole",
            Self::TooMany => "the line holds too many values",
        }
    }
}

/// Something that was not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// What to count it by.
    pub reason: Reason,
    /// What is wrong with it, with its beginning, for the log. Written only for the first of each reason of a
    /// connection, since a noisy line brings thousands; empty after that.
    pub detail: Text,
}

/// What a piece of input came to. The caller empties and uses it again.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of the wire.
    pub events: Vec<Event>,
    /// In the order of the wire. A line may yield both: one bad value does not take the others with it.
    pub rejections: Vec<Rejection>,
    /// Lines that ended in this piece, taken or not; empty ones do not count.
    pub frames: u64,
}

impl Batch {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.events.clear();
        self.rejections.clear();
        self.frames = 0;
    }
}

/// How to read a device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Pins the protocol; without it each line shows what it is.
    pub protocol: Option<Protocol>,
    /// Whether to ask the device for MLPerf Tiny results; see [`Decoder::to_send`].
    pub probe: bool,
}
