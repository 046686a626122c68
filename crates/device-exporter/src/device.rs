//! One device: what it said last, what it did in all, and what its messages mean.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use crate::allowance::Allowance;
use crate::counts::{Counts, ModelKey, ModelTotals};
use crate::hardware::Hardware;
use crate::logs::{self, Line, Logs};
use crate::protocol::{Batch, Event, Hello, Label, Level, Log, ResetReason, Text};
use crate::session::{Clock, Finished, RESTARTED, Sessions};
use crate::spans::Spans;
use crate::totals::{MOST_OF_ONE, Totals};
use crate::values::{Limits, Series, Values};

/// A board that our opening reset has said so by then.
const BOOT: Duration = Duration::from_secs(5);

/// What is known of one device.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) platform: Label,
    /// The platform is the device's own word, not the configuration's.
    pub(crate) said_platform: bool,
    pub(crate) firmware: Option<Label>,
    /// Where it is, or was last.
    pub(crate) port: String,
    /// The same as the configuration has it, if it names this one.
    pub(crate) expected: Option<String>,
    pub(crate) hardware: Hardware,
    pub(crate) connected: bool,
    /// When it was connected, or when that ended.
    pub(crate) since: Instant,
    pub(crate) last_seen: Option<SystemTime>,
    pub(crate) counts: Counts,
    pub(crate) values: Values,
    pub(crate) models: HashMap<ModelKey, ModelTotals>,
    pub(crate) sessions: Sessions,
    /// Combinations of labels that it may still add to the totals of all devices.
    pub(crate) combinations: usize,
    allowance: Allowance,
}

/// How a port was opened, for what its device says right after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) at: Instant,
    /// It was there before and is a serial port: a boot now is our doing. One that was just plugged in boots anyway.
    pub(crate) may_reset: bool,
}

/// What taking a message needs besides the device.
pub(crate) struct Context<'a> {
    /// The device's name on the page.
    pub(crate) id: &'a str,
    pub(crate) clock: Clock,
    pub(crate) limits: &'a Limits,
    /// Series that may still be made, over all devices.
    pub(crate) room: &'a mut usize,
    pub(crate) opening: &'a mut Opening,
    pub(crate) totals: &'a mut Totals,
    pub(crate) logs: &'a Logs,
    pub(crate) spans: &'a Spans,
}

impl Device {
    pub(crate) fn new(platform: Option<Label>, port: String, hardware: Hardware, now: Instant) -> Self {
        Self {
            platform: platform.unwrap_or_default(),
            said_platform: false,
            firmware: None,
            port,
            expected: None,
            hardware,
            connected: false,
            since: now,
            last_seen: None,
            counts: Counts::default(),
            values: Values::default(),
            models: HashMap::new(),
            sessions: Sessions::default(),
            combinations: MOST_OF_ONE,
            allowance: logs::allowance(now),
        }
    }

    /// Takes what a piece of input came to, except for who the device says it is.
    pub(crate) fn take(&mut self, batch: &mut Batch, context: &mut Context<'_>) {
        self.counts.frames += batch.frames;
        if !batch.events.is_empty() {
            self.last_seen = Some(context.clock.time);
        }
        for rejection in batch.rejections.drain(..) {
            if let Some(count) = self.counts.rejected.get_mut(rejection.reason as usize) {
                *count += 1;
            }
            // Only the first of each reason on a connection has a text.
            if !rejection.detail.is_empty() {
                let reason = rejection.reason.as_str();
                let text = format!(
                    "{reason} input, counted from now on without a word: {}",
                    rejection.detail
                );
                self.log(Level::Warning, None, Text::new(&text), context);
            }
        }
        for event in batch.events.drain(..) {
            self.apply(event, context);
        }
    }

    fn apply(&mut self, event: Event, context: &mut Context<'_>) {
        match event {
            Event::Hello(hello) => self.introduce(&hello),
            Event::Cpu { percent } => self.set(Series::Cpu, percent, context),
            Event::Power { milliwatts } => self.set(Series::Power, milliwatts, context),
            Event::Temperature { location, celsius } => {
                self.set(Series::Temperature { location }, celsius, context);
            }
            Event::Memory {
                memory_type,
                used,
                total,
            } => {
                if let Some(used) = used {
                    let memory_type = memory_type.clone();
                    self.set(Series::MemoryUsed { memory_type }, used, context);
                }
                if let Some(total) = total {
                    self.set(Series::MemoryTotal { memory_type }, total, context);
                }
            }
            Event::Reading { name, unit, value } => {
                self.set(Series::Reading { name, unit }, value, context);
            }
            Event::SessionStart(session) => {
                let is_counted = context
                    .totals
                    .expect(&session, &self.platform, &mut self.combinations);
                self.counts.series_dropped += u64::from(!is_counted);
                if let Some(name) = &session.model_name {
                    let quantization = session.quantization.clone();
                    self.model(name, quantization, context);
                }
                self.log(Level::Info, None, Text::new("profiling session started"), context);
                let over = self.sessions.start(*session, context.clock);
                self.finish(over, context);
            }
            Event::SessionEnd(end) => {
                let over = self.sessions.end(*end, context.clock);
                self.finish(over, context);
            }
            Event::Model(model) => self.take_model(*model, context),
            Event::Quality(quality) => self.take_quality(*quality, context),
            Event::Log(log) => self.take_log(*log, context),
            Event::Boot { reason } => self.boot(reason, context),
            Event::Panic { text } => {
                self.counts.panics += 1;
                // The boot that follows is its doing.
                context.opening.may_reset = false;
                self.log(Level::Error, Label::new("panic"), text, context);
            }
            Event::Lost { frames } => self.counts.lost = self.counts.lost.saturating_add(frames),
        }
    }

    /// Counts a start, by its reason or as caused by opening the port.
    fn boot(&mut self, reason: ResetReason, context: &mut Context<'_>) {
        let is_soon = !context.clock.is_beyond(context.opening.at, BOOT);
        if is_soon && context.opening.may_reset && is_by_pin(reason) {
            self.counts.opened += 1;
        } else if let Some(count) = self.counts.resets.get_mut(reason as usize) {
            *count += 1;
        }
        // The next one is not ours.
        context.opening.may_reset = false;
        self.abandon(RESTARTED, context);
    }

    /// Takes over what the device says about itself.
    fn introduce(&mut self, hello: &Hello) {
        if let Some(platform) = &hello.platform {
            self.platform = platform.clone();
            self.said_platform = true;
        }
        if let Some(firmware) = &hello.firmware {
            self.firmware = Some(firmware.clone());
        }
    }

    pub(crate) fn set(&mut self, series: Series, value: f64, context: &mut Context<'_>) {
        let (now, most) = (context.clock.now, context.limits.most);
        let is_taken = self.values.set(series, value, now, most, context.room);
        self.counts.series_dropped += u64::from(!is_taken);
    }

    /// How many series it has that devices name.
    pub(crate) fn series(&self) -> usize {
        self.values.len() + self.models.len() * ModelTotals::SERIES
    }

    fn take_log(&mut self, log: Log, context: &Context<'_>) {
        if let Some(count) = self.counts.logs.get_mut(log.level as usize) {
            *count += 1;
        }
        self.log(log.level, log.tag, log.text, context);
    }

    fn log(&mut self, level: Level, tag: Option<Label>, text: Text, context: &Context<'_>) {
        let line = || Line {
            level,
            device_id: context.id.to_owned(),
            platform: self.platform.clone(),
            model_name: self.sessions.model_name().cloned(),
            tag,
            text,
        };
        let is_written = self.allowance.take(context.clock.now) && context.logs.send(line());
        self.counts.logs_dropped += u64::from(!is_written);
    }

    /// No session of this device comes to its end any more.
    pub(crate) fn abandon(&mut self, reason: &str, context: &mut Context<'_>) {
        let over = self.sessions.abandon(reason);
        self.finish(over, context);
    }

    /// Counts sessions that are over, and hands them on as spans.
    pub(crate) fn finish(&mut self, over: impl IntoIterator<Item = Finished>, context: &mut Context<'_>) {
        for finished in over {
            let is_counted = context
                .totals
                .finish(&finished, &self.platform, &mut self.combinations);
            self.counts.series_dropped += u64::from(!is_counted);
            let (level, text) = match &finished.error {
                None => (Level::Info, Text::new("profiling session ended")),
                Some(error) => (
                    Level::Error,
                    Text::new(&format!("profiling session failed: {error}")),
                ),
            };
            self.log(level, None, text, context);
            context.spans.send(&finished, context.id, self);
        }
    }

    /// Goes on as this one, which was connected until now under another name: what it did is added, what it said last
    /// holds. Yields the sessions that this ends.
    #[must_use]
    pub(crate) fn absorb(&mut self, other: Self, limits: &Limits) -> Vec<Finished> {
        if other.said_platform || !self.said_platform {
            self.platform = other.platform;
            self.said_platform = other.said_platform;
        }
        self.firmware = other.firmware.or(self.firmware.take());
        self.port = other.port;
        self.expected = other.expected;
        self.hardware = other.hardware;
        self.last_seen = other.last_seen.or(self.last_seen);
        self.counts.add(&other.counts);
        self.values = other.values;
        self.combinations = self.combinations.min(other.combinations);
        for (key, totals) in other.models {
            if self.models.len() >= limits.most && !self.models.contains_key(&key) {
                self.counts.series_dropped += 1;
                continue;
            }
            let sum = self.models.entry(key).or_default();
            sum.tokens = sum.tokens.saturating_add(totals.tokens);
            sum.seconds += totals.seconds;
            sum.joules += totals.joules;
        }
        self.sessions.go_on(other.sessions, other.counts.has_started())
    }
}

/// What a chip says when its reset pin was pulled, as the line RTS does on many boards: an ESP32 takes it for power.
fn is_by_pin(reason: ResetReason) -> bool {
    use ResetReason::{External, PowerOn, Unknown, Usb};
    matches!(reason, PowerOn | External | Usb | Unknown)
}
