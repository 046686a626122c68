//! `name:value` lines.

use device_exporter::protocol::{Event, Protocol, Reason};

use super::{hear, memory, reading, reasons, temperature};

/// Events after the first line, which may be half a line.
fn plotter(text: &str) -> Vec<Event> {
    let batch = hear(Some(Protocol::Plotter), format!("first:1\n{text}\n").as_bytes());
    let reasons: Vec<Reason> = batch
        .rejections
        .iter()
        .map(|rejection| rejection.reason)
        .collect();
    assert_eq!(reasons, [Reason::Partial]);
    batch.events
}

#[test]
fn pairs_are_values() {
    assert_eq!(
        plotter("a:1,b:-2.5,c:1e3"),
        [reading("a", 1.0), reading("b", -2.5), reading("c", 1000.0)]
    );
    assert_eq!(
        plotter("a:1\tb:2 c:3"),
        [reading("a", 1.0), reading("b", 2.0), reading("c", 3.0)]
    );
    assert_eq!(plotter("a: 1, b: 2,"), [reading("a", 1.0), reading("b", 2.0)]);
    assert_eq!(plotter("Größe[°]:7"), [reading("Größe[°]", 7.0)]);
}

#[test]
fn known_names_are_known_here_too() {
    assert_eq!(
        plotter("cpu:41,power_mw:7,temperature:20,temperature_die:48,memory_sram_used:5,memory_sram_total:9"),
        [
            Event::Cpu { percent: 41.0 },
            Event::Power { milliwatts: 7.0 },
            temperature("board", 20.0),
            temperature("die", 48.0),
            memory("sram", Some(5.0), None),
            memory("sram", None, Some(9.0)),
        ]
    );
}

#[test]
fn what_arduino_prints_for_no_number_is_none() {
    let batch = hear(Some(Protocol::Plotter), b"first:1\na:nan,b:2,c:ovf\n");
    assert_eq!(batch.events, [reading("b", 2.0)]);
    assert_eq!(batch.rejections[1].reason, Reason::NonFinite);
}

#[test]
fn text_is_not_a_value() {
    for (text, reason) in [
        ("hello", Reason::Unknown),
        ("1,2,3", Reason::Unknown),
        ("a:b", Reason::Malformed),
        ("a:", Reason::Malformed),
        (":1", Reason::Malformed),
        ("free heap:1", Reason::Malformed),
        ("a:1,b", Reason::Malformed),
        ("a:0x12", Reason::Malformed),
        ("a:infinity", Reason::Malformed),
        ("12:30:45", Reason::Malformed),
        ("https://a:80", Reason::Malformed),
        ("temperature_:3", Reason::Malformed),
    ] {
        assert_eq!(
            reasons(Some(Protocol::Plotter), &format!("{text}\n")),
            [reason],
            "{text}"
        );
    }
}
