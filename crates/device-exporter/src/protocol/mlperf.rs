//! What a firmware with the MLPerf Tiny test harness (EEMBC runner, 115200 8N1) answers, and what to ask it.
//!
//! Answers are `m-…` lines, errors are `e-[…]`; `m-ready` ends an answer. A measurement is `m-infer-start-<n>`,
//! `m-lap-us-<t>` before and after the n inferences, `m-infer-done`, and the model's answer in `m-results-[…]`. Through
//! the runner's interface board every line begins with `[dut]: `.

use std::time::Duration;

use super::out::{Limits, Out};
use super::{Event, Hello, Label, Level, Log, Model, Phases, Reason, ResetReason, Session, SessionEnd, Text};

/// How the reference models are called, and what they do.
const MODEL_TYPES: [(&str, Label); 5] = [
    ("ad", Label::fixed("anomaly_detection")),
    ("ic", Label::fixed("image_classification")),
    ("kws", Label::fixed("keyword_spotting")),
    ("sww", Label::fixed("streaming_wakeword")),
    ("vww", Label::fixed("visual_wake_words")),
];

/// The dialogue so far.
#[derive(Debug, Default)]
pub(super) struct Mlperf {
    model: Option<Label>,
    /// Inferences of the running measurement.
    running: Option<u64>,
    /// Device time before them, in microseconds.
    began: Option<u64>,
    /// What they took, in seconds.
    took: Option<f64>,
    /// The device is ready for a command since the last time somebody asked.
    ready: bool,
}

impl Mlperf {
    /// Whether a line is one of these, without taking it.
    pub(super) fn claims(line: &str) -> bool {
        let line = line.strip_prefix("[dut]: ").unwrap_or(line);
        line.starts_with("m-") || (line.starts_with("e-[") && line.ends_with(']'))
    }

    /// Reads a line; an error says that it is none of this kind.
    pub(super) fn read(&mut self, line: &str, out: &mut Out<'_>) -> Result<(), Reason> {
        let line = line.strip_prefix("[dut]: ").unwrap_or(line);
        if let Some(error) = line.strip_prefix("e-[").and_then(|rest| rest.strip_suffix(']')) {
            self.failed(error, out);
            return Ok(());
        }
        let answer = line.strip_prefix("m-").ok_or(Reason::Unknown)?;
        if answer == "ready" {
            self.ready = true;
        } else if answer == "init-done" {
            *self = Self::default();
            out.push(Event::Boot {
                reason: ResetReason::Unknown,
            });
        } else if answer == "infer-done" {
            self.done(out);
        } else if let Some(count) = answer.strip_prefix("infer-start-") {
            self.start(count.parse().map_err(|_| Reason::Malformed)?, out);
        } else if let Some(time) = answer.strip_prefix("lap-us-") {
            self.lap(time.parse().map_err(|_| Reason::Malformed)?);
        } else if let Some(firmware) = bracketed(answer, "profile-") {
            let firmware = out.label("firmware", firmware);
            out.push(Event::Hello(Box::new(Hello {
                firmware,
                ..Hello::default()
            })));
        } else if let Some(model) = bracketed(answer, "model-") {
            self.model = out.label("model", model);
        }
        Ok(())
    }

    fn start(&mut self, count: u64, out: &mut Out<'_>) {
        self.running = Some(count);
        self.began = None;
        self.took = None;
        out.push(Event::SessionStart(Box::new(self.session())));
    }

    fn lap(&mut self, time: u64) {
        match self.began {
            None => self.began = Some(time),
            // Device time wraps after 71 minutes: then there is no figure.
            Some(began) => self.took = time.checked_sub(began).map(|micros| micros as f64 / 1e6),
        }
    }

    fn done(&mut self, out: &mut Out<'_>) {
        let Some(count) = self.running.take() else { return };
        let session = self.session();
        let took = self
            .took
            .take()
            .and_then(|took| out.number("lap", took, Limits::SECONDS));
        let phases = Phases {
            inference: took,
            ..Phases::default()
        };
        out.push(Event::SessionEnd(Box::new(SessionEnd {
            session,
            ok: true,
            seconds: took,
            phases,
            error: None,
        })));
        let Some(seconds) = took.filter(|seconds| *seconds > 0.0) else {
            return;
        };
        let name = self.model.clone().unwrap_or_default();
        out.push(Event::Model(Box::new(Model {
            name,
            seconds: Some(seconds),
            ..Model::default()
        })));
        out.push(Event::Reading {
            name: Label::fixed("inferences_per_second"),
            unit: Some(Label::fixed("1/s")),
            value: count as f64 / seconds,
        });
    }

    fn failed(&mut self, error: &str, out: &mut Out<'_>) {
        let text = Text::new(error);
        if self.running.take().is_some() {
            let (session, error) = (self.session(), Some(text.clone()));
            let end = SessionEnd {
                session,
                ok: false,
                seconds: None,
                phases: Phases::default(),
                error,
            };
            out.push(Event::SessionEnd(Box::new(end)));
        }
        out.push(Event::Log(Box::new(Log {
            level: Level::Error,
            tag: Some(Label::fixed("mlperf-tiny")),
            text,
        })));
    }

    fn session(&self) -> Session {
        let model_type = self.model.as_ref().and_then(|model| {
            let letters = model.trim_end_matches(|c: char| c.is_ascii_digit());
            MODEL_TYPES
                .iter()
                .find(|(short, _)| *short == letters)
                .map(|(_, long)| long.clone())
        });
        Session {
            id: Label::fixed("infer"),
            model_type,
            model_name: self.model.clone(),
            test_type: Some(Label::fixed("mlperf-tiny")),
            ..Session::default()
        }
    }
}

/// The text between brackets after a beginning.
fn bracketed<'a>(answer: &'a str, beginning: &str) -> Option<&'a str> {
    answer
        .strip_prefix(beginning)?
        .strip_prefix('[')?
        .strip_suffix(']')
}

/// Asks for the device's name, its profile, and then for a measurement once in a while.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// The command that the device is busy with, and since when.
    asked: Option<(Command, Duration)>,
    next: Command,
    /// Not before.
    due: Duration,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Command {
    #[default]
    Name,
    Profile,
    Infer,
}

impl Command {
    /// Commands end with `%` and no line end.
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Name => b"name%",
            Self::Profile => b"profile%",
            // Ten inferences after one to warm up, on whatever the input buffer holds.
            Self::Infer => b"infer 10 1%",
        }
    }

    /// How long an answer may take.
    fn patience(self) -> Duration {
        Duration::from_secs(if self == Self::Infer { 120 } else { 5 })
    }
}

/// Time between measurements, and between attempts with a device that does not answer.
const PAUSE: Duration = Duration::from_mins(1);

impl Probe {
    /// The bytes to send now, if any.
    pub(super) fn next(&mut self, dialogue: &mut Mlperf, now: Duration) -> Option<&'static [u8]> {
        let ready = std::mem::take(&mut dialogue.ready);
        match self.asked {
            Some((command, _)) if ready => {
                self.asked = None;
                (self.next, self.due) = match command {
                    Command::Name => (Command::Profile, now),
                    Command::Profile => (Command::Infer, now),
                    Command::Infer => (Command::Infer, now + PAUSE),
                };
            }
            Some((command, since)) if now.saturating_sub(since) >= command.patience() => {
                self.asked = None;
                (self.next, self.due) = (Command::Name, now + PAUSE);
            }
            _ => {}
        }
        if self.asked.is_some() || now < self.due {
            return None;
        }
        self.asked = Some((self.next, now));
        Some(self.next.bytes())
    }
}
