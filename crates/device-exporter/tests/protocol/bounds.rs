//! Noise, floods and halves: counted, bounded, over with the line.

use device_exporter::protocol::{
    Batch, Decoder, Event, LONGEST_LINE, Label, MOST_EVENTS, Reason, Settings, Text,
};

use super::hear;

fn rejected(batch: &Batch) -> Vec<Reason> {
    batch
        .rejections
        .iter()
        .map(|rejection| rejection.reason)
        .collect()
}

const CPU: Event = Event::Cpu { percent: 1.0 };

#[test]
fn a_megabyte_without_a_line_end_is_one_line_too_long() {
    let mut decoder = Decoder::new(Settings::default());
    let mut batch = Batch::default();
    for _ in 0..1024 {
        decoder.feed(&[b'{'; 1024], &mut batch);
    }
    decoder.feed(b"\n{\"cpu\":1}\n", &mut batch);
    assert_eq!(rejected(&batch), [Reason::TooLong]);
    assert_eq!((batch.events, batch.frames), (vec![CPU], 2));
}

#[test]
fn noise_is_noise() {
    let batch = hear(
        None,
        b"{\"cpu\":1}\n\xff\xfe\x80x\n\0\0\0\na\x07b\n\0\0{\"cpu\":1}\0\n",
    );
    assert_eq!(rejected(&batch), [Reason::Noise; 3]);
    assert_eq!(batch.events, [CPU, CPU]);
    assert!(
        !batch.rejections[0].detail.is_empty(),
        "the first one is described"
    );
    assert!(batch.rejections[1].detail.is_empty(), "the others are not");
}

#[test]
fn the_first_line_may_be_half_a_line() {
    for half in ["\"cpu\":1}", "u:1", "\u{fffd}", "x value=1"] {
        let batch = hear(None, format!("{half}\n{{\"cpu\":1}}\n").as_bytes());
        assert_eq!(rejected(&batch), [Reason::Partial], "{half}");
        assert_eq!(batch.events, [CPU]);
    }
}

#[test]
fn a_line_that_a_hang_up_cuts_is_counted() {
    let mut decoder = Decoder::new(Settings::default());
    let mut batch = Batch::default();
    decoder.feed(b"{\"cpu\":1}\n{\"cp", &mut batch);
    decoder.hang_up(&mut batch);
    assert_eq!(rejected(&batch), [Reason::Partial]);
    decoder.hang_up(&mut batch);
    assert_eq!((batch.rejections.len(), batch.frames), (1, 2));
}

#[test]
fn a_line_yields_only_so_much() {
    let many: Vec<String> = (0..300).map(|index| format!("\"r{index}\":1")).collect();
    let batch = hear(None, format!("{{{}}}\n", many.join(",")).as_bytes());
    assert_eq!(batch.events.len(), MOST_EVENTS);
    assert_eq!(rejected(&batch), [Reason::TooMany]);
    let batch = hear(
        None,
        format!(
            "{{\"type\":\"model\",\"model_name\":\"m\",\"memory_kb\":{{{}}}}}\n",
            many.join(",")
        )
        .as_bytes(),
    );
    let [Event::Model(model)] = &batch.events[..] else {
        panic!("{:?}", batch.events)
    };
    assert_eq!(model.memory_kb.len(), MOST_EVENTS);
    assert_eq!(rejected(&batch), [Reason::TooMany]);
}

#[test]
fn deep_nesting_ends_at_once() {
    let deep = format!("{{\"x\":{}}}\n", "[".repeat(LONGEST_LINE - 10));
    assert_eq!(rejected(&hear(None, deep.as_bytes())), [Reason::Partial]);
}

#[test]
fn names_and_texts_are_safe_to_keep() {
    assert_eq!(Label::new("  "), None);
    assert_eq!(Label::new(&"x".repeat(65)), None);
    assert_eq!(Label::new(&"x".repeat(64)).unwrap().len(), 64);
    assert_eq!(Label::new(" a\tb\u{85} ").unwrap().as_str(), "a_b");
    assert_eq!(Label::default().as_str(), "unknown");
    let text = Text::new(&format!("a\r\nb{}", "é".repeat(600)));
    assert!(text.starts_with("a  bé") && text.len() <= Text::MOST);
}

#[test]
fn blank_lines_are_nothing() {
    let batch = hear(None, b"\n\r\n   \n\t\n");
    assert_eq!((batch.frames, batch.rejections.len()), (0, 0));
}
