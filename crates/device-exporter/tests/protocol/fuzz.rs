//! The fuzz target's function on stable Rust: the seed corpus, and what comes of it by the same few changes each time.

#[path = "../../fuzz/check.rs"]
mod check;

use std::fs;
use std::path::Path;

use check::check;
use device_exporter::protocol::{Batch, Decoder, Settings};
use proptest::prelude::*;

/// Changed inputs per run.
const INPUTS: usize = 100_000;

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/decoder");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the corpus is there")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).expect("a file of the corpus"))
        .collect()
}

/// A generator with a fixed seed: a failure comes again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).expect("64-bit") % end.max(1)
    }

    /// Changes a few bytes, or moves, repeats and mixes pieces.
    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        const TELLING: &[u8] = b"\n\r\0{}[]\",:;= \\-.0eE\x1b\x80\xff%im(";
        for _ in 0..=self.below(4) {
            let at = self.below(input.len());
            let other = &corpus[self.below(corpus.len())];
            match self.below(6) {
                0 if at < input.len() => input[at] = TELLING[self.below(TELLING.len())],
                1 if at < input.len() => input[at] ^= 1 << self.below(8),
                2 => input.truncate(at.max(2)),
                3 => input.insert(at, TELLING[self.below(TELLING.len())]),
                4 => {
                    let from = self.below(other.len());
                    let piece = &other[from..(from + self.below(60)).min(other.len())];
                    input.splice(at..at, piece.iter().copied());
                }
                _ => {
                    let piece = input[at..(at + self.below(30)).min(input.len())].to_vec();
                    input.splice(at..at, piece);
                }
            }
        }
    }
}

#[test]
fn the_corpus_is_read_as_it_is_and_changed() {
    let corpus = corpus();
    assert!(corpus.len() >= 10);
    for input in &corpus {
        check(input);
    }
    let mut random = Random(0x5eed);
    for round in 0..INPUTS {
        let mut input = corpus[round % corpus.len()].clone();
        random.change(&mut input, &corpus);
        check(&input);
    }
}

#[test]
fn the_corpus_knows_every_protocol() {
    let heard: std::collections::BTreeSet<_> = corpus()
        .iter()
        .filter_map(|input| {
            let mut decoder = Decoder::new(Settings::default());
            decoder.feed(input.get(2..)?, &mut Batch::default());
            decoder.protocol()
        })
        .collect();
    assert_eq!(heard.len(), device_exporter::protocol::Protocol::ALL.len());
}

proptest! {
    #[test]
    fn arbitrary_bytes_end_nothing(input in prop::collection::vec(any::<u8>(), 0..2000)) {
        check(&input);
    }

    #[test]
    fn arbitrary_text_ends_nothing(head in any::<[u8; 2]>(), text in "[ -~\n\r\u{1b}é]{0,600}") {
        check(&[&head, text.as_bytes()].concat());
    }
}
