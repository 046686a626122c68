//! One JSON object per line: Mission Control's own messages, told apart by `type`, or plain names and numbers.

mod finite;
mod messages;
mod metrics;
mod scalar;

use serde::Deserialize;
use serde::de::DeserializeSeed as _;

use super::out::{Limits, Out, Refusal};
use super::sequence::Sequence;
use super::{Event, Label, Reason};
use metrics::Metrics;
use scalar::{Name, Number};

/// What every message may have.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Name<'a>>,
    #[serde(default)]
    seq: Number,
}

/// Reads a line; an error says that it is none of this kind.
pub(super) fn read(line: &str, sequence: &mut Sequence, out: &mut Out<'_>) -> Result<(), Refusal> {
    match serde_json::from_str::<Envelope<'_>>(line) {
        Ok(envelope) => message(line, &envelope, sequence, out),
        Err(error) => {
            // NaN is no JSON, but what a sensor without a value looks like when it is printed.
            let line = finite::without_non_finite(line).ok_or(error)?;
            message(&line, &serde_json::from_str(&line)?, sequence, out)?;
            out.reject(Reason::NonFinite, || format!("a number is not finite: {line}"));
            Ok(())
        }
    }
}

fn message(
    line: &str,
    envelope: &Envelope<'_>,
    sequence: &mut Sequence,
    out: &mut Out<'_>,
) -> Result<(), Refusal> {
    let kind = envelope.kind.as_deref();
    if kind == Some("hello") {
        sequence.restart();
    }
    if let Some(seq) = envelope
        .seq
        .get("seq", out)
        .and_then(|seq| out.number("seq", seq, Limits::COUNT))
    {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked by its limits"
        )]
        let frames = sequence.next(seq as u64);
        if frames > 0 {
            out.push(Event::Lost { frames });
        }
    }
    match kind {
        None | Some("metrics") => {
            let mut reader = serde_json::Deserializer::from_str(line);
            Ok(Metrics(out).deserialize(&mut reader)?)
        }
        Some("hello") => messages::hello(line, out),
        Some("session_start") => messages::session_start(line, out),
        Some("session_end") => messages::session_end(line, out),
        Some("model") => messages::model(line, out),
        Some("quality") => messages::quality(line, out),
        Some("log") => messages::log(line, out),
        Some(_) => Err(Refusal::new(
            Reason::Unknown,
            "the type of the message is not known",
        )),
    }
}
