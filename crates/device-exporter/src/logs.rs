//! The devices' own log lines, and what happens to them, on the way into our structured log.
//!
//! Writing the log may block, and reading devices must not. So lines go through a bounded queue to a thread of their own;
//! what does not fit, or is more than one device may say, is dropped and counted.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use crate::protocol::{Label, Level, Text};

const QUEUE: usize = 1024;
/// Lines that a device may say at once, and per second in the long run.
const BURST: f64 = 50.0;
const PER_SECOND: f64 = 10.0;

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

/// How much one device may still say.
#[derive(Debug)]
pub(crate) struct Allowance {
    lines: f64,
    at: Instant,
}

impl Allowance {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            lines: BURST,
            at: now,
        }
    }

    /// Whether one more line may pass.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.lines = (self.lines + passed * PER_SECOND).min(BURST);
        self.at = now;
        let may_pass = self.lines >= 1.0;
        if may_pass {
            self.lines -= 1.0;
        }
        may_pass
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_device_that_talks_too_much_is_cut_off_and_heard_again() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert_eq!((0..1000).filter(|_| allowance.take(start)).count(), 50);
        let later = start + Duration::from_secs(2);
        assert_eq!((0..1000).filter(|_| allowance.take(later)).count(), 20);
    }
}
