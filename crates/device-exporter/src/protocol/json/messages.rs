//! Messages other than `metrics`.

use serde::Deserialize;

use super::super::out::{Limits, Out, Refusal};
use super::super::{
    Event, Hello, Label, Level, Log, Model, Phases, Quality, QuantizationError, Reason, ResetReason, Session,
    SessionEnd, Text,
};
use super::scalar::{Name, Number, Pairs, label};

#[derive(Deserialize)]
struct HelloMessage<'a> {
    #[serde(borrow)]
    id: Option<Name<'a>>,
    #[serde(borrow)]
    platform: Option<Name<'a>>,
    #[serde(borrow)]
    firmware: Option<Name<'a>>,
    #[serde(borrow)]
    reset: Option<Name<'a>>,
}

pub(super) fn hello(line: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
    let message: HelloMessage<'_> = serde_json::from_str(line)?;
    let hello = Hello {
        id: label(message.id.as_ref(), "id", out),
        platform: label(message.platform.as_ref(), "platform", out),
        firmware: label(message.firmware.as_ref(), "firmware", out),
    };
    out.push(Event::Hello(Box::new(hello)));
    // Without it the device only introduces itself again.
    if let Some(reset) = message.reset {
        out.push(Event::Boot {
            reason: ResetReason::from_name(&reset),
        });
    }
    Ok(())
}

#[derive(Deserialize)]
struct SessionMessage<'a> {
    #[serde(borrow)]
    session: Option<Name<'a>>,
    #[serde(borrow)]
    platform: Option<Name<'a>>,
    #[serde(borrow)]
    model_type: Option<Name<'a>>,
    #[serde(borrow)]
    quantization: Option<Name<'a>>,
    #[serde(borrow)]
    model_name: Option<Name<'a>>,
    #[serde(borrow)]
    test_type: Option<Name<'a>>,
    ok: Option<bool>,
    #[serde(default)]
    seconds: Number,
    #[serde(default)]
    phases: PhasesMessage,
    #[serde(borrow)]
    error: Option<Name<'a>>,
}

#[derive(Default, Deserialize)]
struct PhasesMessage {
    #[serde(default)]
    connection: Number,
    #[serde(default)]
    model_loading: Number,
    #[serde(default)]
    inference: Number,
}

impl SessionMessage<'_> {
    fn session(&self, out: &mut Out<'_>) -> Result<Session, Refusal> {
        Ok(Session {
            id: required(self.session.as_ref(), "session is missing or no name")?,
            platform: label(self.platform.as_ref(), "platform", out),
            model_type: label(self.model_type.as_ref(), "model_type", out),
            quantization: label(self.quantization.as_ref(), "quantization", out),
            model_name: label(self.model_name.as_ref(), "model_name", out),
            test_type: label(self.test_type.as_ref(), "test_type", out),
        })
    }
}

pub(super) fn session_start(line: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
    let message: SessionMessage<'_> = serde_json::from_str(line)?;
    let session = message.session(out)?;
    out.push(Event::SessionStart(Box::new(session)));
    Ok(())
}

pub(super) fn session_end(line: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
    let message: SessionMessage<'_> = serde_json::from_str(line)?;
    let session = message.session(out)?;
    let ok = message.ok.ok_or(Refusal::new(
        Reason::Malformed,
        "ok is missing; it must be true or false",
    ))?;
    let phases = Phases {
        connection: seconds(message.phases.connection, "connection", out),
        model_loading: seconds(message.phases.model_loading, "model_loading", out),
        inference: seconds(message.phases.inference, "inference", out),
    };
    let seconds = seconds(message.seconds, "seconds", out);
    let error = message.error.map(|error| Text::new(&error));
    out.push(Event::SessionEnd(Box::new(SessionEnd {
        session,
        ok,
        seconds,
        phases,
        error,
    })));
    Ok(())
}

#[derive(Deserialize)]
struct ModelMessage<'a> {
    #[serde(borrow)]
    model_name: Option<Name<'a>>,
    #[serde(borrow)]
    quantization: Option<Name<'a>>,
    #[serde(default)]
    tokens: Number,
    #[serde(default)]
    seconds: Number,
    #[serde(default)]
    tokens_per_second: Number,
    #[serde(default)]
    energy_joules: Number,
    #[serde(borrow, default)]
    memory_kb: Pairs<'a>,
    #[serde(borrow, default)]
    latency_p95_ms: Pairs<'a>,
}

pub(super) fn model(line: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
    let message: ModelMessage<'_> = serde_json::from_str(line)?;
    let name = required(message.model_name.as_ref(), "model_name is missing or no name")?;
    let tokens = number(message.tokens, "tokens", Limits::COUNT, out);
    let seconds = seconds(message.seconds, "seconds", out);
    let said = number(message.tokens_per_second, "tokens_per_second", Limits::COUNT, out);
    let tokens_per_second = said.or_else(|| Some(tokens? / seconds.filter(|seconds| *seconds > 0.0)?));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked by its limits"
    )]
    let model = Model {
        name,
        quantization: label(message.quantization.as_ref(), "quantization", out),
        tokens: tokens.map(|tokens| tokens as u64),
        seconds,
        tokens_per_second,
        energy_joules: number(message.energy_joules, "energy_joules", Limits::COUNT, out),
        memory_kb: pairs(&message.memory_kb, "memory_kb", Limits::COUNT, out),
        latency_p95_ms: pairs(
            &message.latency_p95_ms,
            "latency_p95_ms",
            Limits::MILLISECONDS,
            out,
        ),
    };
    out.push(Event::Model(Box::new(model)));
    Ok(())
}

#[derive(Deserialize)]
struct QualityMessage<'a> {
    #[serde(borrow)]
    model_name: Option<Name<'a>>,
    #[serde(borrow, default)]
    accuracy: Pairs<'a>,
    #[serde(borrow, default)]
    quantization_errors: Vec<ErrorMessage<'a>>,
}

#[derive(Deserialize)]
struct ErrorMessage<'a> {
    #[serde(borrow)]
    bits: Name<'a>,
    #[serde(borrow)]
    method: Name<'a>,
    rate: Number,
}

pub(super) fn quality(line: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
    let message: QualityMessage<'_> = serde_json::from_str(line)?;
    let model_name = required(message.model_name.as_ref(), "model_name is missing or no name")?;
    let accuracy = pairs(&message.accuracy, "accuracy", Limits::RATIO, out);
    let mut quantization_errors = Vec::new();
    for error in message.quantization_errors.iter().take(super::super::MOST_EVENTS) {
        let rate = number(error.rate, "rate", Limits::RATIO, out);
        let (bits, method) = (error.bits.label("bits", out), error.method.label("method", out));
        if let (Some(rate), Some(bits), Some(method)) = (rate, bits, method) {
            quantization_errors.push(QuantizationError { bits, method, rate });
        }
    }
    out.push(Event::Quality(Box::new(Quality {
        model_name,
        accuracy,
        quantization_errors,
    })));
    Ok(())
}

#[derive(Deserialize)]
struct LogMessage<'a> {
    #[serde(borrow)]
    level: Name<'a>,
    #[serde(borrow)]
    tag: Option<Name<'a>>,
    #[serde(borrow)]
    text: Name<'a>,
}

pub(super) fn log(line: &str, out: &mut Out<'_>) -> Result<(), Refusal> {
    let message: LogMessage<'_> = serde_json::from_str(line)?;
    let level =
        Level::from_name(&message.level).ok_or(Refusal::new(Reason::Malformed, "the level is not known"))?;
    let tag = label(message.tag.as_ref(), "tag", out);
    out.push(Event::Log(Box::new(Log {
        level,
        tag,
        text: Text::new(&message.text),
    })));
    Ok(())
}

fn required(name: Option<&Name<'_>>, why: &'static str) -> Result<Label, Refusal> {
    name.and_then(|name| Label::new(name))
        .ok_or(Refusal::new(Reason::Malformed, why))
}

fn number(number: Number, name: &str, limits: Limits, out: &mut Out<'_>) -> Option<f64> {
    let value = number.get(name, out)?;
    out.number(name, value, limits)
}

fn seconds(seconds: Number, name: &str, out: &mut Out<'_>) -> Option<f64> {
    number(seconds, name, Limits::SECONDS, out)
}

/// Good numbers by good names; a line's limit of values holds for each object.
fn pairs(pairs: &Pairs<'_>, what: &str, limits: Limits, out: &mut Out<'_>) -> Vec<(Label, f64)> {
    let most = super::super::MOST_EVENTS;
    if pairs.0.len() > most {
        out.reject(Reason::TooMany, || format!("{what} has more than {most} values"));
    }
    let mut good = Vec::with_capacity(pairs.0.len().min(most));
    for (name, value) in pairs.0.iter().take(most) {
        if let (Some(value), Some(name)) = (number(*value, what, limits, out), name.label(what, out)) {
            good.push((name, value));
        }
    }
    good
}
