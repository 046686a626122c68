//! Structured logs on standard error: JSON objects with always the same fields, or text on a terminal.
//!
//! JSON: `timestamp` (RFC 3339, UTC), `level`, `service`, `request_id`, `message`, `duration_ms`, `error`, the last four
//! null where they do not apply, then the event's own fields.

use std::fmt::{self, Debug};
use std::io::{IsTerminal as _, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Level {
    /// Only what needs somebody.
    Error,
    /// And what may.
    Warn,
    /// And what happens.
    Info,
    /// And each request and each absent source.
    Debug,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Installs the logger for the whole process. A second call changes nothing.
pub fn init(service: &'static str, level: Level, format: Format) {
    let filter = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !terminal,
    };
    let text = || {
        tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(terminal)
            .with_target(false)
    };
    // A logger that is already there (in a test) stays.
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(json.then_some(JsonLines { service }))
        .with((!json).then(text))
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(error = text, place, "panic");
    }));
}

struct JsonLines {
    service: &'static str,
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = json_line(self.service, event);
        // When nobody reads the log any more there is no place left to say so.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

fn json_line(service: &str, event: &Event<'_>) -> String {
    let mut timestamp = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let mut fields = Map::new();
    event.record(&mut Fields(&mut fields));
    let mut line = Map::new();
    line.insert("timestamp".into(), timestamp.into());
    line.insert("level".into(), event.metadata().level().as_str().into());
    line.insert("service".into(), service.into());
    for name in ["request_id", "message", "duration_ms", "error"] {
        line.insert(name.into(), fields.remove(name).unwrap_or(Value::Null));
    }
    for (name, value) in fields {
        line.entry(name).or_insert(value);
    }
    format!("{}\n", Value::Object(line))
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}"));
    }
}
