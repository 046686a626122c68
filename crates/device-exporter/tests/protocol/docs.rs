//! The examples of the documentation are what the decoder reads.

use std::fs;
use std::path::Path;

use device_exporter::protocol::{Protocol, Reason};

use super::{events, hear};

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/device-protocol.md");
    fs::read_to_string(page).expect("the page is there")
}

/// The code blocks of docs/device-protocol.md that begin so.
fn blocks(language: &str) -> Vec<String> {
    let page = page();
    let blocks = page.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .map(|text| format!("{text}\n"))
        .collect()
}

#[test]
fn messages_are_read_without_a_rest() {
    let blocks = blocks("json");
    assert_eq!(blocks.len(), 6);
    for block in blocks {
        for line in block.lines() {
            assert!(!events(None, &format!("{line}\n")).is_empty(), "{line}");
        }
    }
}

#[test]
fn lines_of_the_other_protocols_are_read() {
    let blocks = blocks("");
    let others: [(&str, Protocol, usize); 2] = [
        (&blocks[0], Protocol::Plotter, 3),
        (&blocks[1], Protocol::Influx, 6),
    ];
    for (block, protocol, values) in others {
        let batch = hear(Some(protocol), format!("first line\n{block}").as_bytes());
        assert_eq!(
            (batch.events.len(), batch.rejections.len()),
            (values, 1),
            "{:?}",
            batch.events
        );
    }
}

#[test]
fn every_reason_is_explained() {
    let page = page();
    for reason in Reason::ALL {
        assert!(page.contains(&format!("| `{}` |", reason.as_str())), "{reason:?}");
    }
    for reason in device_exporter::protocol::ResetReason::ALL {
        assert!(page.contains(&format!("`{}`", reason.as_str())), "{reason:?}");
    }
}
