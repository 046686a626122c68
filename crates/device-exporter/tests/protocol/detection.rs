//! Which protocol a device speaks, when nobody said so.

use device_exporter::protocol::{Batch, Decoder, Event, Protocol, Reason, Settings};

use super::{events, hear, reading};

fn rejected(batch: &Batch) -> Vec<Reason> {
    batch
        .rejections
        .iter()
        .map(|rejection| rejection.reason)
        .collect()
}

fn protocol_of(text: &str) -> Option<Protocol> {
    let mut decoder = Decoder::new(Settings::default());
    decoder.feed(text.as_bytes(), &mut Batch::default());
    decoder.protocol()
}

#[test]
fn a_few_lines_show_what_a_device_speaks() {
    assert_eq!(protocol_of(""), None);
    assert_eq!(protocol_of("{\"cpu\":1}\n"), Some(Protocol::Json));
    assert_eq!(protocol_of("m-ready\n"), Some(Protocol::MlperfTiny));
    assert_eq!(protocol_of("I (1) a: b\n"), Some(Protocol::EspIdf));
    assert_eq!(protocol_of("a:1\nb:2\nc:3\n"), None);
    assert_eq!(protocol_of("a:1\nb:2\nc:3\nd:4\n"), Some(Protocol::Plotter));
    assert_eq!(
        protocol_of("I (1) a: b\nx value=1\nx value=1\nx value=1\n"),
        Some(Protocol::Influx)
    );
    assert_eq!(protocol_of("hello\nworld\n12\n"), None);
}

#[test]
fn the_lines_that_show_it_are_not_lost() {
    let batch = hear(None, b"half:1\na:1\na:2\na:3\na:4\n");
    assert_eq!(
        batch.events,
        [
            reading("a", 1.0),
            reading("a", 2.0),
            reading("a", 3.0),
            reading("a", 4.0)
        ]
    );
    assert_eq!(rejected(&batch), [Reason::Partial]);
    assert_eq!(batch.frames, 5);
}

#[test]
fn log_lines_and_messages_share_a_wire() {
    let text = "I (10) main: up\n{\"cpu\":1}\nW (11) main: hot\n{\"cpu\":2}\nrst:0x1 (POWERON),boot:0x8 (X)\nI (1) boot: x\n{\"cpu\":3}\n";
    for protocol in [None, Some(Protocol::Json)] {
        assert_eq!(events(protocol, text).len(), 7);
    }
    assert_eq!(protocol_of(text), Some(Protocol::Json));
    let batch = hear(Some(Protocol::EspIdf), text.as_bytes());
    assert_eq!((batch.events.len(), batch.rejections.len()), (4, 3));
}

#[test]
fn a_remark_that_looks_like_a_value_is_none() {
    let text = "{\"cpu\":1}\nfree:1234\n{\"cpu\":2}\nfree:1235\nfree:1236\nfree:1237\n{\"cpu\":3}\n";
    let batch = hear(None, text.as_bytes());
    assert!(
        batch
            .events
            .iter()
            .all(|event| matches!(event, Event::Cpu { .. })),
        "{:?}",
        batch.events
    );
    assert_eq!(rejected(&batch), [Reason::Unknown; 4]);
    // Nor is text in which a value stands now and then.
    let text = "starting\na:1\nwaiting\na:2\na:3\nwaiting\n".repeat(10);
    let batch = hear(None, text.as_bytes());
    assert_eq!(batch.events, []);
    assert_eq!(batch.rejections.len() as u64, batch.frames);
}

#[test]
fn a_device_with_another_firmware_is_found_out() {
    let mut text = String::from("{\"cpu\":1}\n");
    text.push_str(&"a:1\n".repeat(10));
    let batch = hear(None, text.as_bytes());
    assert_eq!(batch.events.len(), 11);
    assert_eq!(rejected(&batch), []);
    // And back: a message is unmistakable.
    text.push_str("{\"cpu\":1}\n");
    assert_eq!(protocol_of(&text), Some(Protocol::Json));
}

#[test]
fn what_is_pinned_stays() {
    let mut decoder = Decoder::new(Settings {
        protocol: Some(Protocol::Influx),
        probe: false,
    });
    let mut batch = Batch::default();
    decoder.feed(b"x value=1\n{\"cpu\":1}\n", &mut batch);
    decoder.feed("a:1\n".repeat(100).as_bytes(), &mut batch);
    assert_eq!(decoder.protocol(), Some(Protocol::Influx));
    assert_eq!(batch.events, []);
    assert_eq!(batch.rejections.len(), 102);
    decoder.feed(b"x value=1\n", &mut batch);
    assert_eq!(batch.events, [reading("x", 1.0)]);
}

#[test]
fn a_line_end_before_the_first_line_makes_it_whole() {
    let batch = hear(None, b"\r\na:1\na:2\na:3\n");
    assert_eq!(
        batch.events,
        [reading("a", 1.0), reading("a", 2.0), reading("a", 3.0)]
    );
    assert_eq!(rejected(&batch), []);
}

#[test]
fn of_many_held_values_the_latest_are_kept() {
    let line = |value: u32| {
        let pairs: Vec<String> = (0..40).map(|index| format!("r{index}:{value}")).collect();
        format!("{}\n", pairs.join(","))
    };
    let batch = hear(None, format!("\n{}{}{}", line(1), line(2), line(3)).as_bytes());
    assert_eq!(batch.events.len(), device_exporter::protocol::MOST_EVENTS);
    assert_eq!(batch.events.last(), Some(&reading("r39", 3.0)));
}
