//! What is written as the documentation says is read as what it was.

use device_exporter::protocol::{
    Event, Hello, Label, Level, Log, Model, Phases, Protocol, Quality, QuantizationError, Session,
    SessionEnd, Text,
};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{events, hear};

fn label() -> impl Strategy<Value = Label> {
    "[a-zA-Z0-9äß€\"\\\\/_. -]{1,15}".prop_filter_map("not blank", |text| Label::new(&text))
}

fn text() -> impl Strategy<Value = Text> {
    "[ -~é€]{0,80}".prop_map(|text| Text::new(&text))
}

/// Numbers with three decimals: what more digits come to depends on the last bit that who writes and who reads them keep.
fn decimal(least: i64, most: i64) -> impl Strategy<Value = f64> {
    (least * 1000..=most * 1000).prop_map(|thousandths| thousandths as f64 / 1000.0)
}

fn pairs(most: i64) -> impl Strategy<Value = Vec<(Label, f64)>> {
    prop::collection::vec((label(), decimal(0, most)), 0..4).prop_map(|mut pairs| {
        // An object has each name once.
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs
    })
}

fn seconds() -> impl Strategy<Value = Option<f64>> {
    option::of(decimal(0, 1_000_000))
}

fn session() -> impl Strategy<Value = Session> {
    let of = || option::of(label());
    (label(), of(), of(), of(), of(), of()).prop_map(
        |(id, platform, model_type, quantization, model_name, test_type)| Session {
            id,
            platform,
            model_type,
            quantization,
            model_name,
            test_type,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let hello = (option::of(label()), option::of(label()), option::of(label())).prop_map(
        |(id, platform, firmware)| {
            Event::Hello(Box::new(Hello {
                id,
                platform,
                firmware,
            }))
        },
    );
    let end = (
        session(),
        any::<bool>(),
        seconds(),
        [seconds(), seconds(), seconds()],
        option::of(text()),
    )
        .prop_map(
            |(session, ok, seconds, [connection, model_loading, inference], error)| {
                let phases = Phases {
                    connection,
                    model_loading,
                    inference,
                };
                Event::SessionEnd(Box::new(SessionEnd {
                    session,
                    ok,
                    seconds,
                    phases,
                    error,
                }))
            },
        );
    let model = (
        label(),
        option::of(label()),
        option::of(0..1_u64 << 53),
        seconds(),
        pairs(1_000_000),
        pairs(80_000_000),
    )
        .prop_map(
            |(name, quantization, tokens, seconds, memory_kb, latency_p95_ms)| {
                let (speed, energy) = (Some(3.25), seconds);
                Event::Model(Box::new(Model {
                    name,
                    quantization,
                    tokens,
                    seconds,
                    tokens_per_second: speed,
                    energy_joules: energy,
                    memory_kb,
                    latency_p95_ms,
                }))
            },
        );
    let errors = prop::collection::vec((label(), label(), decimal(0, 1)), 0..4);
    let quality = (label(), pairs(1), errors).prop_map(|(model_name, accuracy, errors)| {
        let error = |(bits, method, rate)| QuantizationError { bits, method, rate };
        let quantization_errors = errors.into_iter().map(error).collect();
        Event::Quality(Box::new(Quality {
            model_name,
            accuracy,
            quantization_errors,
        }))
    });
    let log = (
        prop::sample::select(Level::ALL.to_vec()),
        option::of(label()),
        text(),
    )
        .prop_map(|(level, tag, text)| Event::Log(Box::new(Log { level, tag, text })));
    let metrics = prop_oneof![
        decimal(0, 100).prop_map(|percent| Event::Cpu { percent }),
        decimal(0, 1_000_000).prop_map(|milliwatts| Event::Power { milliwatts }),
        (label(), decimal(-273, 1000))
            .prop_map(|(location, celsius)| Event::Temperature { location, celsius }),
        (label(), decimal(0, 1 << 40), option::of(decimal(0, 1 << 40))).prop_map(
            |(memory_type, used, total)| Event::Memory {
                memory_type,
                used: Some(used),
                total
            }
        ),
        (label(), option::of(label()), decimal(-1 << 40, 1 << 40))
            .prop_map(|(name, unit, value)| Event::Reading { name, unit, value }),
    ];
    let start = session().prop_map(|session| Event::SessionStart(Box::new(session)));
    prop_oneof![hello, start, end, model, quality, log, metrics]
}

fn object(pairs: &[(Label, f64)]) -> Value {
    Value::Object(
        pairs
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value)))
            .collect(),
    )
}

fn name(label: Option<&Label>) -> Value {
    json!(label.map(Label::as_str))
}

fn session_message(kind: &str, session: &Session) -> Value {
    json!({
        "type": kind, "session": session.id.as_str(), "platform": name(session.platform.as_ref()),
        "model_type": name(session.model_type.as_ref()), "quantization": name(session.quantization.as_ref()),
        "model_name": name(session.model_name.as_ref()), "test_type": name(session.test_type.as_ref()),
    })
}

/// A message as docs/device-protocol.md describes it; None for what has none.
fn message(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Hello(hello) => json!({
            "type": "hello", "id": name(hello.id.as_ref()), "platform": name(hello.platform.as_ref()),
            "firmware": name(hello.firmware.as_ref()),
        }),
        Event::Cpu { percent } => json!({"type": "metrics", "cpu": percent}),
        Event::Power { milliwatts } => json!({"type": "metrics", "power_mw": milliwatts}),
        Event::Temperature { location, celsius } => {
            json!({"type": "metrics", "temperature": object(&[(location.clone(), *celsius)])})
        }
        Event::Memory {
            memory_type,
            used,
            total,
        } => {
            let figures = json!({"used": used, "total": total});
            json!({"type": "metrics", "memory": Map::from_iter([(memory_type.to_string(), figures)])})
        }
        Event::Reading {
            name: reading,
            unit,
            value,
        } => {
            let reading = (
                reading.to_string(),
                json!({"value": value, "unit": name(unit.as_ref())}),
            );
            json!({"type": "metrics", "readings": Map::from_iter([reading])})
        }
        Event::SessionStart(session) => session_message("session_start", session),
        Event::SessionEnd(end) => {
            let mut message = session_message("session_end", &end.session);
            message["ok"] = json!(end.ok);
            message["seconds"] = json!(end.seconds);
            message["phases"] = json!({
                "connection": end.phases.connection, "model_loading": end.phases.model_loading,
                "inference": end.phases.inference,
            });
            message["error"] = json!(end.error.as_ref().map(Text::as_str));
            message
        }
        Event::Model(model) => json!({
            "type": "model", "model_name": model.name.as_str(), "quantization": name(model.quantization.as_ref()),
            "tokens": model.tokens, "seconds": model.seconds, "tokens_per_second": model.tokens_per_second,
            "energy_joules": model.energy_joules, "memory_kb": object(&model.memory_kb),
            "latency_p95_ms": object(&model.latency_p95_ms),
        }),
        Event::Quality(quality) => {
            let error = |error: &QuantizationError| json!({"bits": error.bits.as_str(), "method": error.method.as_str(), "rate": error.rate});
            json!({
                "type": "quality", "model_name": quality.model_name.as_str(), "accuracy": object(&quality.accuracy),
                "quantization_errors": quality.quantization_errors.iter().map(error).collect::<Vec<_>>(),
            })
        }
        Event::Log(log) => json!({
            "type": "log", "level": log.level.as_str(), "tag": name(log.tag.as_ref()), "text": log.text.as_str(),
        }),
        Event::Boot { .. } | Event::Panic { .. } | Event::Lost { .. } => return None,
    })
}

/// Names that are known mean something else than a reading.
fn is_reading(name: &str) -> bool {
    !["cpu", "power_mw", "temperature"].contains(&name)
        && !name.starts_with("temperature_")
        && !name.starts_with("memory_")
        && !["used", "free", "total", "value", "unit"].contains(&name)
}

proptest! {
    #[test]
    fn messages_are_read_as_they_were_meant(event in event()) {
        let line = format!("{}\n", message(&event).unwrap());
        prop_assert_eq!(events(Some(Protocol::Json), &line), [event]);
    }

    #[test]
    fn plotter_lines_are_read_as_they_were_meant(
        pairs in prop::collection::vec(("[a-zA-Z_][a-zA-Z0-9_.-]{0,20}", any::<f64>()), 1..10),
        separator in prop::sample::select(vec![",", ", ", "\t", " "]),
    ) {
        prop_assume!(pairs.iter().all(|(name, value)| value.is_finite() && is_reading(name)));
        let line: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}:{value:e}")).collect();
        let batch = hear(Some(Protocol::Plotter), format!("first:1\n{}\n", line.join(separator)).as_bytes());
        let expected: Vec<Event> = pairs.iter().map(|(name, value)| super::reading(name, *value)).collect();
        prop_assert_eq!(batch.events, expected);
    }

    #[test]
    fn points_are_read_as_they_were_meant(
        measurement in "[a-zA-Z][a-zA-Z0-9_, =]{0,20}",
        fields in prop::collection::vec(("[a-zA-Z][a-zA-Z0-9_, =]{0,8}", any::<f64>()), 1..8),
        time in option::of(any::<i64>()),
    ) {
        let finite = fields.iter().all(|(name, value)| value.is_finite() && is_reading(name.trim()));
        prop_assume!(finite && !measurement.ends_with(' ') && fields.iter().all(|(name, _)| !name.ends_with(' ')));
        let escape = |text: &str| text.replace(',', "\\,").replace(' ', "\\ ").replace('=', "\\=");
        let line: Vec<String> = fields.iter().map(|(name, value)| format!("{}={value:e}", escape(name))).collect();
        let time = time.map(|time| format!(" {time}")).unwrap_or_default();
        let line = format!("first value=1\n{} {}{time}\n", escape(&measurement), line.join(","));
        let batch = hear(Some(Protocol::Influx), line.as_bytes());
        let expected: Vec<Event> =
            fields.iter().map(|(name, value)| super::reading(&format!("{measurement}_{name}"), *value)).collect();
        prop_assert_eq!(batch.events, expected);
    }
}
