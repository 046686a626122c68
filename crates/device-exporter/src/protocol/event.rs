//! What devices say, as values: what every protocol is turned into.

use super::label::{Label, Text};
use super::reset::ResetReason;

/// One thing that a device said.
///
/// Numbers are finite and within the limits of `docs/device-protocol.md`; labels are bounded and printable.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The device named itself.
    Hello(Box<Hello>),
    /// Load of the whole chip, in percent: 0 to 100.
    Cpu {
        /// Percent.
        percent: f64,
    },
    /// A memory; at least one of the two figures is there.
    Memory {
        /// Which memory: `sram`, `psram`, `flash`, `heap`, …
        memory_type: Label,
        /// Bytes in use.
        used: Option<f64>,
        /// Bytes in all.
        total: Option<f64>,
    },
    /// Electric power that the device draws.
    Power {
        /// Milliwatts.
        milliwatts: f64,
    },
    /// A temperature.
    Temperature {
        /// Where it is measured: `die`, `board`, `battery`, …
        location: Label,
        /// Degrees Celsius.
        celsius: f64,
    },
    /// A value with a name of the firmware's own.
    Reading {
        /// As the device calls it.
        name: Label,
        /// As the device calls it, if it says so.
        unit: Option<Label>,
        /// The value.
        value: f64,
    },
    /// A profiling session began.
    SessionStart(Box<Session>),
    /// A profiling session ended.
    SessionEnd(Box<SessionEnd>),
    /// What running a model took.
    Model(Box<Model>),
    /// How good a model's answers are.
    Quality(Box<Quality>),
    /// A line of the device's log.
    Log(Box<Log>),
    /// The device started.
    Boot {
        /// Why.
        reason: ResetReason,
    },
    /// The firmware crashed.
    Panic {
        /// The first line of what it printed about it.
        text: Text,
    },
    /// The device's sequence numbers show that frames did not arrive.
    Lost {
        /// How many, above 0.
        frames: u64,
    },
}

/// Who a device says it is. What is absent was not said and leaves what is known from before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hello {
    /// Its own id, which stays the same on every port.
    pub id: Option<Label>,
    /// `esp32`, `stm32`, `riscv`, …
    pub platform: Option<Label>,
    /// Version of the firmware.
    pub firmware: Option<Label>,
}

/// What a profiling session works on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// Tells sessions of one device apart; a start and its end carry the same.
    pub id: Label,
    /// Instead of the device's own platform.
    pub platform: Option<Label>,
    /// Family of the model: `llama`, `tinyml`, …
    pub model_type: Option<Label>,
    /// `int4`, `int8`, `f32`, …
    pub quantization: Option<Label>,
    /// The model.
    pub model_name: Option<Label>,
    /// What is measured: `throughput`, `latency`, …
    pub test_type: Option<Label>,
}

/// How a profiling session ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionEnd {
    /// As at its start; what only one of the two says holds for both.
    pub session: Session,
    /// Whether it reached its end without an error.
    pub ok: bool,
    /// Seconds it took by the device's clock; without it, count from the start's arrival.
    pub seconds: Option<f64>,
    /// Parts of it, one after another.
    pub phases: Phases,
    /// What went wrong.
    pub error: Option<Text>,
}

/// Seconds that the parts of a session took, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases {
    /// Until host and device had found each other.
    pub connection: Option<f64>,
    /// Until the model was in memory.
    pub model_loading: Option<f64>,
    /// The measured work itself.
    pub inference: Option<f64>,
}

/// What running a model took since the last such message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// The model.
    pub name: Label,
    /// `int4`, `int8`, `f32`, …
    pub quantization: Option<Label>,
    /// Tokens made.
    pub tokens: Option<u64>,
    /// Seconds of inference.
    pub seconds: Option<f64>,
    /// Tokens per second: as said, else tokens over seconds.
    pub tokens_per_second: Option<f64>,
    /// Joules drawn for it.
    pub energy_joules: Option<f64>,
    /// Memory in units of 1,024 bytes, by kind: `weights`, `activations`, …
    pub memory_kb: Vec<(Label, f64)>,
    /// 95th percentile of the latency in milliseconds, by length of the input in tokens.
    pub latency_p95_ms: Vec<(Label, f64)>,
}

/// How good a model's answers are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// The model.
    pub model_name: Label,
    /// Accuracy from 0 to 1, by data set.
    pub accuracy: Vec<(Label, f64)>,
    /// What quantization costs.
    pub quantization_errors: Vec<QuantizationError>,
}

/// Share of answers, 0 to 1, that quantization makes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizationError {
    /// Bits per weight.
    pub bits: Label,
    /// `gptq`, `awq`, `round-to-nearest`, …
    pub method: Label,
    /// From 0 to 1.
    pub rate: f64,
}

/// A line of a device's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// How bad it is.
    pub level: Level,
    /// Which part of the firmware says so.
    pub tag: Option<Label>,
    /// What it says.
    pub text: Text,
}

/// Level of a device's log line.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// `E` of ESP-IDF; also `fatal` and `critical`.
    Error,
    /// `W`
    Warning,
    /// `I`
    Info,
    /// `D`
    Debug,
    /// `V` of ESP-IDF; also `trace`.
    Verbose,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warning, Self::Info, Self::Debug, Self::Verbose];

    /// The value of the label `level`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Verbose => "verbose",
        }
    }

    /// By name, as loggers write it, in either case.
    pub fn from_name(name: &str) -> Option<Self> {
        const NAMES: [(&str, Level); 13] = [
            ("error", Level::Error),
            ("err", Level::Error),
            ("fatal", Level::Error),
            ("critical", Level::Error),
            ("warning", Level::Warning),
            ("warn", Level::Warning),
            ("info", Level::Info),
            ("notice", Level::Info),
            ("debug", Level::Debug),
            ("verbose", Level::Verbose),
            ("trace", Level::Verbose),
            ("e", Level::Error),
            ("w", Level::Warning),
        ];
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, level)| *level)
    }
}
