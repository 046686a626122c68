//! What devices say, from bytes to events.

mod bounds;
mod console;
mod detection;
mod docs;
mod fuzz;
mod influx;
mod json;
mod mlperf;
mod plotter;
mod round_trip;

use device_exporter::protocol::{Batch, Decoder, Event, Label, Protocol, Reason, Settings};

/// Everything that a device comes to when it says `text`.
fn hear(protocol: Option<Protocol>, text: &[u8]) -> Batch {
    let mut decoder = Decoder::new(Settings {
        protocol,
        probe: false,
    });
    let mut batch = Batch::default();
    decoder.feed(text, &mut batch);
    batch
}

/// Events of a text that is taken whole.
fn events(protocol: Option<Protocol>, text: &str) -> Vec<Event> {
    let batch = hear(protocol, text.as_bytes());
    assert!(batch.rejections.is_empty(), "{:?}", batch.rejections);
    batch.events
}

/// Why something is not taken. Another line goes before it, since the first one may be half a line.
fn reasons(protocol: Option<Protocol>, text: &str) -> Vec<Reason> {
    let text = format!("{{}}\n{text}");
    let batch = hear(protocol, text.as_bytes());
    let skipped = usize::from(protocol.is_some_and(|protocol| protocol != Protocol::Json));
    batch
        .rejections
        .iter()
        .skip(skipped)
        .map(|rejection| rejection.reason)
        .collect()
}

fn label(text: &str) -> Label {
    Label::new(text).expect("a good name")
}

fn reading(name: &str, value: f64) -> Event {
    Event::Reading {
        name: label(name),
        unit: None,
        value,
    }
}

fn temperature(location: &str, celsius: f64) -> Event {
    Event::Temperature {
        location: label(location),
        celsius,
    }
}

fn memory(memory_type: &str, used: Option<f64>, total: Option<f64>) -> Event {
    Event::Memory {
        memory_type: label(memory_type),
        used,
        total,
    }
}
