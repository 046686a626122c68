//! Mission Control's JSON lines.

use device_exporter::protocol::{
    Event, Hello, Level, Log, Model, Phases, Quality, QuantizationError, Reason, ResetReason, Session,
    SessionEnd, Text,
};

use super::{events, hear, label, memory, reading, reasons, temperature};

fn json(text: &str) -> Vec<Event> {
    events(None, &format!("{text}\n"))
}

#[test]
fn a_device_says_who_it_is_and_why_it_starts() {
    let hello = r#"{"type":"hello","id":"bench-7","platform":"esp32","firmware":"2.3.1","reset":"brownout"}"#;
    let who = Hello {
        id: Some(label("bench-7")),
        platform: Some(label("esp32")),
        firmware: Some(label("2.3.1")),
    };
    assert_eq!(
        json(hello),
        [
            Event::Hello(Box::new(who)),
            Event::Boot {
                reason: ResetReason::Brownout
            }
        ]
    );
    // A number for an id, and a reason of its own.
    let hello = r#"{"type":"hello","id":7,"reset":"because"}"#;
    let who = Hello {
        id: Some(label("7")),
        ..Hello::default()
    };
    assert_eq!(
        json(hello),
        [
            Event::Hello(Box::new(who)),
            Event::Boot {
                reason: ResetReason::Unknown
            }
        ]
    );
    // An introduction on the way is no start.
    assert_eq!(json(r#"{"type":"hello"}"#), [Event::Hello(Box::default())]);
}

#[test]
fn metrics_are_what_the_contract_names_and_all_else_is_a_reading() {
    let text = r#"{"type":"metrics","seq":17,"cpu":41.5,"power_mw":412.5,"temperature":{"die":48.25,"board":-3},
        "memory":{"sram":{"used":300000,"total":524288},"psram":{"free":1000,"total":8388608},"rtc":{"used":12}},
        "readings":{"battery":{"value":3.71,"unit":"volts"},"rssi":-61},"fan":true}"#;
    assert_eq!(
        json(&text.replace('\n', " ")),
        [
            Event::Cpu { percent: 41.5 },
            Event::Power { milliwatts: 412.5 },
            temperature("die", 48.25),
            temperature("board", -3.0),
            memory("sram", Some(300_000.0), Some(524_288.0)),
            memory("psram", Some(8_387_608.0), Some(8_388_608.0)),
            memory("rtc", Some(12.0), None),
            Event::Reading {
                name: label("battery"),
                unit: Some(label("volts")),
                value: 3.71
            },
            reading("rssi", -61.0),
            reading("fan", 1.0),
        ]
    );
}

#[test]
fn an_object_without_a_type_is_metrics() {
    assert_eq!(
        json(
            r#"{"temperature":21.5,"humidity":40,"cpu":3,"heap":{"min":5,"name":"x"},"sensor":"bme280","list":[1]}"#
        ),
        [
            temperature("board", 21.5),
            reading("humidity", 40.0),
            Event::Cpu { percent: 3.0 },
            reading("heap_min", 5.0)
        ]
    );
    assert_eq!(
        json(r#"{"memory":{"used":1,"total":2}}"#),
        [memory("ram", Some(1.0), Some(2.0))]
    );
    assert_eq!(json("{}"), []);
}

#[test]
fn what_is_null_is_absent() {
    let text =
        r#"{"cpu":null,"power_mw":7,"temperature":null,"memory":null,"readings":null,"x":{"value":null}}"#;
    assert_eq!(json(text), [Event::Power { milliwatts: 7.0 }]);
    assert_eq!(json(r#"{"memory":{"sram":null,"psram":{"used":null}}}"#), []);
}

#[test]
fn a_session_has_a_start_and_an_end() {
    let start = r#"{"type":"session_start","session":"s-1","model_type":"llama","model_name":"stories260K",
        "quantization":"int8","test_type":"latency","platform":"esp32-s3"}"#;
    let session = Session {
        id: label("s-1"),
        platform: Some(label("esp32-s3")),
        model_type: Some(label("llama")),
        quantization: Some(label("int8")),
        model_name: Some(label("stories260K")),
        test_type: Some(label("latency")),
    };
    assert_eq!(
        json(&start.replace('\n', "")),
        [Event::SessionStart(Box::new(session))]
    );

    let end = r#"{"type":"session_end","session":12,"ok":false,"seconds":14.2,"error":"out\nof memory",
        "phases":{"connection":0.2,"inference":12}}"#;
    let end_event = SessionEnd {
        session: Session {
            id: label("12"),
            ..Session::default()
        },
        ok: false,
        seconds: Some(14.2),
        phases: Phases {
            connection: Some(0.2),
            model_loading: None,
            inference: Some(12.0),
        },
        error: Some(Text::new("out of memory")),
    };
    assert_eq!(
        json(&end.replace('\n', "")),
        [Event::SessionEnd(Box::new(end_event))]
    );
}

#[test]
fn a_models_speed_is_said_or_follows() {
    let text = r#"{"type":"model","model_name":"m","quantization":"int4","tokens":128,"seconds":4,"energy_joules":2.5,
        "memory_kb":{"weights":1024,"activations":220.5},"latency_p95_ms":{"16":41,"128":300}}"#;
    let model = Model {
        name: label("m"),
        quantization: Some(label("int4")),
        tokens: Some(128),
        seconds: Some(4.0),
        tokens_per_second: Some(32.0),
        energy_joules: Some(2.5),
        memory_kb: vec![(label("weights"), 1024.0), (label("activations"), 220.5)],
        latency_p95_ms: vec![(label("16"), 41.0), (label("128"), 300.0)],
    };
    assert_eq!(json(&text.replace('\n', "")), [Event::Model(Box::new(model))]);
    let speed = |text: &str| match &json(text)[..] {
        [Event::Model(model)] => model.tokens_per_second,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        speed(r#"{"type":"model","model_name":"m","tokens":3,"seconds":0}"#),
        None
    );
    assert_eq!(
        speed(r#"{"type":"model","model_name":"m","tokens":3,"seconds":1,"tokens_per_second":9}"#),
        Some(9.0)
    );
}

#[test]
fn quality_has_accuracy_and_the_price_of_quantization() {
    let text = r#"{"type":"quality","model_name":"m","accuracy":{"tinystories":0.81},
        "quantization_errors":[{"bits":4,"method":"gptq","rate":0.02}]}"#;
    let quality = Quality {
        model_name: label("m"),
        accuracy: vec![(label("tinystories"), 0.81)],
        quantization_errors: vec![QuantizationError {
            bits: label("4"),
            method: label("gptq"),
            rate: 0.02,
        }],
    };
    assert_eq!(json(&text.replace('\n', "")), [Event::Quality(Box::new(quality))]);
}

#[test]
fn a_log_line_has_a_level_a_tag_and_a_text() {
    let log = Log {
        level: Level::Warning,
        tag: Some(label("net")),
        text: Text::new("slow \u{1b}"),
    };
    assert_eq!(log.text.as_str(), "slow");
    let text = r#"{"type":"log","level":"WARN","tag":"net","text":"slow \u001b"}"#;
    assert_eq!(json(text), [Event::Log(Box::new(log))]);
    assert_eq!(
        reasons(None, "{\"type\":\"log\",\"level\":\"loud\",\"text\":\"x\"}\n"),
        [Reason::Malformed]
    );
}

#[test]
fn a_bad_value_does_not_take_the_others_with_it() {
    let mixed = b"{}\n{\"cpu\":101,\"power_mw\":5,\"temperature\":{\"die\":-300,\"board\":20},\"\":1}\n";
    let batch = hear(None, mixed);
    assert_eq!(
        batch.events,
        [Event::Power { milliwatts: 5.0 }, temperature("board", 20.0)]
    );
    let found: Vec<(Reason, &str)> = batch
        .rejections
        .iter()
        .map(|r| (r.reason, r.detail.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (Reason::OutOfRange, "cpu is 101, and must be from 0 to 100"),
            (Reason::Malformed, "name \"\" is empty or longer than 64 bytes"),
        ]
    );
}

#[test]
fn what_is_no_number_is_none() {
    let batch = hear(
        None,
        b"{}\n{\"cpu\":NaN,\"power_mw\":5,\"x\":-Infinity,\"NaN\":2}\n",
    );
    assert_eq!(
        batch.events,
        [Event::Power { milliwatts: 5.0 }, reading("NaN", 2.0)]
    );
    assert_eq!(batch.rejections[0].reason, Reason::NonFinite);
    assert_eq!(batch.rejections.len(), 1);
    assert_eq!(reasons(None, "{\"x\":1e999}\n"), [Reason::OutOfRange]);
    // Two of them would make a counter infinite.
    let energy = "{\"type\":\"model\",\"model_name\":\"m\",\"energy_joules\":1e308}\n";
    assert_eq!(reasons(None, energy), [Reason::OutOfRange]);
    assert_eq!(
        reasons(None, "{\"memory\":{\"used\":\"12\"}}\n"),
        [Reason::Malformed]
    );
}

#[test]
fn broken_messages_are_counted_by_what_is_wrong() {
    for (text, reason) in [
        ("{\"cpu\":4", Reason::Malformed),
        ("{\"type\":\"metrics\",}", Reason::Malformed),
        ("{\"cpu\":1} {\"cpu\":2}", Reason::Malformed),
        ("{\"type\":\"party\"}", Reason::Unknown),
        ("{\"type\":[]}", Reason::Malformed),
        ("{\"type\":\"session_start\"}", Reason::Malformed),
        ("{\"type\":\"session_start\",\"session\":\"\"}", Reason::Malformed),
        ("{\"type\":\"session_end\",\"session\":\"s\"}", Reason::Malformed),
        ("{\"type\":\"model\",\"tokens\":4}", Reason::Malformed),
        (
            "{\"type\":\"quality\",\"accuracy\":{\"x\":0.5}}",
            Reason::Malformed,
        ),
        (
            "{\"type\":\"quality\",\"model_name\":\"m\",\"accuracy\":{\"x\":1.5}}",
            Reason::OutOfRange,
        ),
        (
            "{\"type\":\"model\",\"model_name\":\"m\",\"tokens\":-1}",
            Reason::OutOfRange,
        ),
    ] {
        assert_eq!(reasons(None, &format!("{text}\n")), [reason], "{text}");
    }
}

#[test]
fn lost_frames_are_counted_by_their_numbers() {
    let lost = |text: &str| -> Vec<u64> {
        let lost = |event: &Event| {
            if let Event::Lost { frames } = event {
                Some(*frames)
            } else {
                None
            }
        };
        events(None, text).iter().filter_map(lost).collect()
    };
    assert_eq!(
        lost(
            "{\"seq\":1}\n{\"seq\":2}\n{\"seq\":5}\n{\"type\":\"log\",\"level\":\"info\",\"text\":\"\",\"seq\":7}\n"
        ),
        [2, 1]
    );
    // A counter that begins anew, runs over or is set is no loss.
    assert_eq!(
        lost("{\"seq\":100}\n{\"seq\":1}\n{\"seq\":2}\n{\"seq\":90000000}\n{\"seq\":90000000}\n"),
        [0_u64; 0]
    );
    assert_eq!(
        lost("{\"seq\":10}\n{\"type\":\"hello\",\"seq\":50}\n{\"seq\":52}\n"),
        [1]
    );
    assert_eq!(
        lost("{\"seq\":10}\nrst:0x1 (POWERON),boot:0x8 (X)\n{\"seq\":50}\n"),
        [0_u64; 0]
    );
    assert_eq!(reasons(None, "{\"seq\":-1}\n"), [Reason::OutOfRange]);
    assert_eq!(reasons(None, "{\"seq\":\"x\"}\n"), [Reason::Malformed]);
}
