use std::path::PathBuf;
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::fragments::Live;
use crate::ingestion::{Before, Ingestion};
use crate::snapshot::Snapshot;

fn table(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/brain")
        .join(format!("{name}.lance"))
}

fn path(table: &Path, version: u64) -> PathBuf {
    let name = format!("_versions/{:020}.manifest", u64::MAX - version);
    table.join(name)
}

fn operation_of(name: &str, version: u64) -> Operation {
    let table = table(name);
    read(&table, &path(&table, version))
        .expect("a manifest")
        .operation
}

#[test]
fn operations_of_the_real_library() {
    let events: Vec<Operation> = (1..=7).map(|version| operation_of("events", version)).collect();
    assert_eq!(
        events,
        [
            Operation::Other,
            Operation::Append(Some(20)),
            Operation::Other,
            Operation::Other,
            Operation::Append(Some(5)),
            Operation::Update,
            Operation::Update,
        ]
    );
    let compaction: Vec<Operation> = (8..=10)
        .map(|version| operation_of("compacted", version))
        .collect();
    assert_eq!(
        compaction,
        [Operation::Other, Operation::Rewrite, Operation::Other]
    );
}

#[test]
fn a_transaction_of_its_own_file() {
    let table = table("events");
    let names = exporter::fs::list(&table.join("_transactions")).expect("transactions");
    let name = names
        .iter()
        .find(|name| name.starts_with("1-"))
        .expect("of version 2");
    assert_eq!(operation_in_file(&table, name), Operation::Append(Some(20)));
    assert_eq!(operation_in_file(&table, "0-none.txn"), Operation::Other);
    // The same file by ways that lead out of the folder.
    let absolute = table.join("_transactions").join(name);
    let around = format!("../_transactions/{name}");
    for outside in [absolute.to_str().expect("UTF-8"), &around, "..", ""] {
        assert_eq!(operation_in_file(&table, outside), Operation::Other, "{outside}");
    }
}

#[test]
fn what_takes_too_much_memory_is_refused() {
    let problem = |message: &[u8]| match parse(&framed(message)) {
        Err(Problem::TooLarge(what)) => Some(what),
        parsed => {
            assert!(parsed.is_ok());
            None
        }
    };
    // Fragments (field 2) with nothing in them.
    let fragments = |count| [0x12, 0].repeat(count);
    assert_eq!(problem(&fragments(MOST_FRAGMENTS)), None);
    assert_eq!(
        problem(&fragments(MOST_FRAGMENTS + 1)),
        Some("1 000 000 fragments")
    );
    // One fragment with so many files (its field 2), that is, one field.
    let files = message::Fragment {
        files: vec![message::DataFile::default(); MAX_FIELD / 2],
        ..message::Fragment::default()
    };
    let one = message::Manifest {
        fragments: vec![files],
        ..message::Manifest::default()
    };
    assert_eq!(problem(&one.encode_to_vec()), Some("4 MiB in one field"));
    let segment_list = |count| segments(&[0x0a, 0].repeat(count)).map(|segments| segments.len());
    assert!(matches!(segment_list(MOST_SEGMENTS), Ok(MOST_SEGMENTS)));
    assert!(matches!(
        segment_list(MOST_SEGMENTS + 1),
        Err(Problem::TooLarge("10 000 index segments"))
    ));
    assert!(matches!(
        segments(&vec![0; MAX_SEGMENTS_SIZE + 1]),
        Err(Problem::TooLarge("16 MiB of index segments"))
    ));
}

#[test]
fn rows_of_an_append_are_known_if_those_of_each_fragment_are() {
    let append = |rows: &[u64]| {
        let fragment = |rows: &u64| message::Fragment {
            physical_rows: *rows,
            ..message::Fragment::default()
        };
        let append = Append {
            fragments: rows.iter().map(fragment).collect(),
        };
        let transaction = Transaction {
            append: Some(append.encode_to_vec()),
            ..Transaction::default()
        };
        operation(&transaction.encode_to_vec()).expect("a transaction")
    };
    assert_eq!(append(&[]), Operation::Append(Some(0)));
    assert_eq!(append(&[3, 4]), Operation::Append(Some(7)));
    assert_eq!(append(&[3, 0]), Operation::Append(None));
}

#[test]
fn half_a_manifest_is_torn() {
    let events = table("events");
    let whole = std::fs::read(path(&events, 7)).expect("a manifest");
    for length in 0..whole.len() {
        let torn = parse(&whole[..length]);
        assert!(matches!(torn, Err(Problem::Torn(_))), "{length} bytes");
    }
    assert!(parse(&whole).is_ok());
}

#[test]
fn unknown_reader_features_are_refused() {
    for (flags, expected) in [(1, None), (1 << 12, Some(1 << 12)), (1 << 18 | 3, Some(1 << 18))] {
        let message = message::Manifest {
            reader_feature_flags: flags,
            ..message::Manifest::default()
        };
        let found = match parse(&file(&message)) {
            Err(Problem::Unsupported(flags)) => Some(flags),
            parsed => {
                assert!(parsed.is_ok(), "{flags:#x}");
                None
            }
        };
        assert_eq!(found, expected, "{flags:#x}");
    }
}

fn file(message: &message::Manifest) -> Vec<u8> {
    framed(&message.encode_to_vec())
}

/// A file with this message.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(message);
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(b"\0\0\x02\0LANC");
    bytes
}

/// Everything that is made of a manifest.
fn use_all_of(parsed: Parsed) {
    let manifest = Manifest::from(parsed);
    let mut ingestion = Ingestion::new(Instant::now());
    ingestion.enter(&manifest, Some(Before::new(&manifest)), Instant::now());
    Snapshot::new(manifest);
}

proptest! {
    #[test]
    fn a_garbled_manifest_is_no_reason_to_panic(garbled in prop::collection::vec((0_usize..1011, any::<u8>()), 1..8)) {
        let events = table("events");
        let mut bytes = std::fs::read(path(&events, 7)).expect("a manifest");
        let last = bytes.len() - 1;
        for (at, byte) in garbled {
            bytes[at.min(last)] = byte;
        }
        if let Ok(parsed) = parse(&bytes) {
            use_all_of(parsed);
        }
    }

    #[test]
    fn noise_is_no_reason_to_panic(noise in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse(&noise);
        let _ = operation(&noise);
        // As the content of a file that is well formed otherwise.
        if let Ok(parsed) = parse(&framed(&noise)) {
            use_all_of(parsed);
        }
    }

    #[test]
    fn noise_is_no_index(noise in prop::collection::vec(any::<u8>(), 0..512), rows: u64) {
        let segment = Segment { name: "a".to_owned(), fragment_bitmap: noise, ..Segment::default() };
        let fragment = Live { id: 7, rows: Some(rows) };
        crate::index::indices(&[segment], &[fragment, fragment]);
    }
}
