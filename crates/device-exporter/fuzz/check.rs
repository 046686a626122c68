// What holds for every input of the decoder. The fuzz target and the ordinary tests run this same function.

use device_exporter::protocol::{Batch, Decoder, Event, Label, MOST_EVENTS, Protocol, Settings, Text};

/// The first byte chooses the protocol, the second the size of the pieces; the rest is what a device says.
pub(super) fn check(input: &[u8]) {
    let [protocol, size, said @ ..] = input else {
        return;
    };
    let protocol = Protocol::ALL.get(usize::from(*protocol) % 8).copied();
    let settings = Settings {
        protocol,
        probe: false,
    };

    let whole = decode(settings, said.chunks(usize::MAX));
    let pieces = decode(settings, said.chunks(usize::from(*size).max(1)));
    assert_eq!(
        whole.events, pieces.events,
        "how the bytes are cut changes nothing"
    );
    assert_eq!(whole.rejections, pieces.rejections);
    assert_eq!(whole.frames, pieces.frames);

    let ends = said.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() as u64;
    assert!(whole.frames <= ends + 1, "a line is counted once");
    assert!(whole.frames > 0 || whole.rejections.is_empty());
    let most = usize::try_from(whole.frames)
        .unwrap_or(usize::MAX)
        .saturating_mul(MOST_EVENTS + 1);
    assert!(whole.events.len() <= most);
    whole.events.iter().for_each(check_event);
}

fn decode<'a>(settings: Settings, pieces: impl Iterator<Item = &'a [u8]>) -> Batch {
    let mut decoder = Decoder::new(settings);
    let mut batch = Batch::default();
    for piece in pieces {
        decoder.feed(piece, &mut batch);
    }
    decoder.hang_up(&mut batch);
    batch
}

/// Numbers are finite and names can be kept.
fn check_event(event: &Event) {
    match event {
        Event::Cpu { percent } => assert!((0.0..=100.0).contains(percent)),
        Event::Memory {
            memory_type,
            used,
            total,
        } => {
            check_label(memory_type);
            assert!(used.is_some() || total.is_some());
            assert!(
                used.iter()
                    .chain(total)
                    .all(|bytes| bytes.is_finite() && *bytes >= 0.0)
            );
        }
        Event::Power { milliwatts } => assert!(milliwatts.is_finite() && *milliwatts >= 0.0),
        Event::Temperature { location, celsius } => {
            check_label(location);
            assert!(celsius.is_finite() && *celsius >= -273.15);
        }
        Event::Reading { name, unit, value } => {
            check_label(name);
            unit.iter().for_each(check_label);
            assert!(value.is_finite());
        }
        Event::Model(model) => {
            check_label(&model.name);
            let pairs = model.memory_kb.iter().chain(&model.latency_p95_ms);
            pairs.for_each(|(name, value)| {
                check_label(name);
                assert!(value.is_finite());
            });
            let numbers = [model.seconds, model.tokens_per_second, model.energy_joules];
            assert!(numbers.iter().flatten().all(|number| number.is_finite()));
        }
        Event::Quality(quality) => {
            assert!(
                quality
                    .accuracy
                    .iter()
                    .all(|(_, score)| (0.0..=1.0).contains(score))
            );
            assert!(
                quality
                    .quantization_errors
                    .iter()
                    .all(|error| (0.0..=1.0).contains(&error.rate))
            );
        }
        Event::Log(log) => check_text(&log.text),
        Event::Panic { text } => check_text(text),
        Event::Lost { frames } => assert!(*frames > 0),
        Event::Hello(_) | Event::SessionStart(_) | Event::SessionEnd(_) | Event::Boot { .. } => {}
    }
}

fn check_label(label: &Label) {
    assert!(!label.is_empty() && label.len() <= Label::MOST && !label.chars().any(char::is_control));
}

fn check_text(text: &Text) {
    assert!(text.len() <= Text::MOST && !text.chars().any(char::is_control));
}
