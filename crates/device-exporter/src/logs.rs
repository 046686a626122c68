//! The devices' own log lines, and what happens to them, on the way into our structured log.
//!
//! Writing the log may block, and reading devices must not. So lines go through a bounded queue to a thread of their own;
//! what does not fit, or is more than one device may say, is dropped and counted.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use crate::allowance::Allowance;
use crate::protocol::{Label, Level, Text};

const QUEUE: usize = 1024;
/// Lines that a device may say at once, and per second in the long run.
const BURST: f64 = 50.0;
const PER_SECOND: f64 = 10.0;

/// How much one device may say.
pub(crate) fn allowance(now: Instant) -> Allowance {
    Allowance::new(BURST, PER_SECOND, now)
}

/// A line with what it is about.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) device_id: String,
    pub(crate) platform: Label,
    pub(crate) model_name: Option<Label>,
    pub(crate) tag: Option<Label>,
    pub(crate) text: Text,
}

/// Where lines go.
#[derive(Clone, Debug)]
pub(crate) struct Logs(SyncSender<Line>);

impl Logs {
    /// Starts the thread that writes. It ends when the last handle is gone.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, lines) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("device-log".to_owned())
            .spawn(move || write(&lines))?;
        Ok(Self(sender))
    }

    /// Whether there was room for the line.
    pub(crate) fn send(&self, line: Line) -> bool {
        self.0.try_send(line).is_ok()
    }
}

fn write(lines: &Receiver<Line>) {
    for line in lines {
        let Line {
            level,
            device_id,
            platform,
            model_name,
            tag,
            text,
        } = &line;
        let (platform, text) = (platform.as_str(), text.as_str());
        let (model_name, tag) = (model_name.as_deref(), tag.as_deref());
        match level {
            Level::Error => tracing::error!(device_id, platform, model_name, tag, "{text}"),
            Level::Warning => tracing::warn!(device_id, platform, model_name, tag, "{text}"),
            Level::Info => tracing::info!(device_id, platform, model_name, tag, "{text}"),
            Level::Debug | Level::Verbose => tracing::debug!(device_id, platform, model_name, tag, "{text}"),
        }
    }
}
