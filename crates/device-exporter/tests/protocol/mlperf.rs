//! The dialogue of an MLPerf Tiny test harness.

use std::time::Duration;

use device_exporter::protocol::{
    Batch, Decoder, Event, Hello, Level, Model, Protocol, Reason, ResetReason, Session, SessionEnd, Settings,
};

use super::{events, label, reasons};

fn session() -> Session {
    Session {
        id: label("infer"),
        model_type: Some(label("keyword_spotting")),
        model_name: Some(label("kws01")),
        test_type: Some(label("mlperf-tiny")),
        ..Session::default()
    }
}

const PROFILE: &str = "m-timestamp-mode-performance\r\nm-init-done\r\nm-ready\r\nm-name-dut-[vendor]\r\nm-ready\r\n\
    m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[kws01]\r\nm-ready\r\n";

#[test]
fn a_measurement_is_a_session_with_its_time() {
    let measured = "m-warmup-start-1\r\nm-warmup-done\r\nm-infer-start-10\r\nm-lap-us-67410227\r\nm-lap-us-68410227\r\n\
        m-infer-done\r\nm-results-[0.004,0.996]\r\nm-ready\r\n";
    let found = events(None, &format!("{PROFILE}{measured}"));
    let firmware = Some(label("ULPMark for tinyML Firmware V0.0.1"));
    assert_eq!(
        found[0],
        Event::Boot {
            reason: ResetReason::Unknown
        }
    );
    assert_eq!(
        found[1],
        Event::Hello(Box::new(Hello {
            firmware,
            ..Hello::default()
        }))
    );
    assert_eq!(found[2], Event::SessionStart(Box::new(session())));
    let Event::SessionEnd(end) = &found[3] else {
        panic!("{found:?}")
    };
    assert_eq!(
        (&end.session, end.ok, end.seconds, end.phases.inference),
        (&session(), true, Some(1.0), Some(1.0))
    );
    assert_eq!(
        found[4..],
        [
            Event::Model(Box::new(Model {
                name: label("kws01"),
                seconds: Some(1.0),
                ..Model::default()
            })),
            Event::Reading {
                name: label("inferences_per_second"),
                unit: Some(label("1/s")),
                value: 10.0
            },
        ]
    );
    // Through the runner's interface board.
    let through = format!("[dut]: {}", measured.trim_end().replace('\n', "\n[dut]: "));
    assert_eq!(
        events(Some(Protocol::MlperfTiny), &format!("{through}\n")).len(),
        4
    );
}

#[test]
fn an_error_ends_a_measurement() {
    let failed = format!(
        "{PROFILE}m-infer-start-10\nm-lap-us-5\ne-[Arena too small]\nm-ready\ne-[Unknown command: x]\n"
    );
    let found = events(None, &failed);
    let Event::SessionEnd(end) = &found[3] else {
        panic!("{found:?}")
    };
    let SessionEnd {
        ok, seconds, error, ..
    } = &**end;
    assert_eq!(
        (*ok, *seconds, error.as_ref().unwrap().as_str()),
        (false, None, "Arena too small")
    );
    let level = |event: &Event| {
        if let Event::Log(log) = event {
            Some(log.level)
        } else {
            None
        }
    };
    assert_eq!(
        found[4..].iter().map(level).collect::<Vec<_>>(),
        [Some(Level::Error); 2]
    );
}

#[test]
fn a_clock_that_ran_over_gives_no_figure() {
    let found = events(
        None,
        "m-infer-start-10\nm-lap-us-4294967290\nm-lap-us-5\nm-infer-done\n",
    );
    let Event::SessionEnd(end) = &found[1] else {
        panic!("{found:?}")
    };
    assert!(end.ok && end.seconds.is_none());
    assert_eq!(found.len(), 2);
}

#[test]
fn broken_answers_are_counted() {
    let protocol = Some(Protocol::MlperfTiny);
    assert_eq!(reasons(protocol, "m-lap-us-x\n"), [Reason::Malformed]);
    assert_eq!(reasons(protocol, "m-infer-start-\n"), [Reason::Malformed]);
    assert_eq!(reasons(protocol, "hello\n"), [Reason::Unknown]);
    assert_eq!(reasons(protocol, "{\"cpu\":1}\n"), [Reason::Unknown]);
}

#[test]
fn nothing_is_sent_unless_it_was_asked_for() {
    let mut decoder = Decoder::new(Settings {
        protocol: Some(Protocol::MlperfTiny),
        probe: false,
    });
    decoder.feed(b"m-ready\n", &mut Batch::default());
    assert_eq!(decoder.to_send(Duration::from_secs(1000)), None);
}

#[test]
fn a_probe_asks_one_thing_after_another_and_waits_for_answers() {
    let mut decoder = Decoder::new(Settings {
        protocol: Some(Protocol::MlperfTiny),
        probe: true,
    });
    let mut batch = Batch::default();
    let at = Duration::from_secs;
    assert_eq!(decoder.to_send(at(100)), Some(b"name%".as_slice()));
    assert_eq!(decoder.to_send(at(101)), None);
    decoder.feed(b"m-name-dut-[v]\r\nm-ready\r\n", &mut batch);
    assert_eq!(decoder.to_send(at(102)), Some(b"profile%".as_slice()));
    decoder.feed(b"m-profile-[1]\r\nm-model-[ic01]\r\nm-ready\r\n", &mut batch);
    assert_eq!(decoder.to_send(at(103)), Some(b"infer 10 1%".as_slice()));
    decoder.feed(
        b"m-infer-start-10\r\nm-lap-us-1\r\nm-lap-us-2\r\nm-infer-done\r\n",
        &mut batch,
    );
    assert_eq!(decoder.to_send(at(110)), None);
    decoder.feed(b"m-ready\r\n", &mut batch);
    assert_eq!(decoder.to_send(at(111)), None);
    assert_eq!(decoder.to_send(at(171)), Some(b"infer 10 1%".as_slice()));
    // No answer: it begins anew, later.
    assert_eq!(decoder.to_send(at(290)), None);
    assert_eq!(decoder.to_send(at(291)), None);
    assert_eq!(decoder.to_send(at(351)), Some(b"name%".as_slice()));
}
