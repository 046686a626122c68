//! Runs the real program on manifests as large as it reads: what compose.yaml gives its container has to be enough.

use exporter::testing::{Running, value};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lancedb-exporter");
/// As in compose.yaml.
const MEMORY_MIB: u64 = 256;

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A field of a message that is text or a message itself.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], varint(content.len()).as_slice(), content].concat()
}

/// A field of a message that is a number.
fn number(field: u8, value: usize) -> Vec<u8> {
    [&[field << 3], varint(value).as_slice()].concat()
}

/// An entry of a manifest that lists a fragment of 100 rows in one file.
fn fragment(id: usize) -> Vec<u8> {
    let name = format!("{id:0>60}.lance");
    let file = field(1, name.as_bytes());
    field(2, &[number(1, id), field(2, &file), number(4, 100)].concat())
}

fn fragments(count: usize) -> Vec<u8> {
    (0..count).flat_map(fragment).collect()
}

/// Fragments, or files of a fragment, with nothing in them.
fn empty(count: usize) -> Vec<u8> {
    field(2, &[]).repeat(count)
}

/// A file with the manifest of this version, in which these entries are.
fn file(version: usize, entries: &[u8]) -> Vec<u8> {
    let message = [number(3, version).as_slice(), entries].concat();
    let length = u32::try_from(message.len()).expect("below 4 GiB");
    let footer = b"\0\0\0\0\0\0\0\0\0\0\x02\0LANC";
    [&length.to_le_bytes(), message.as_slice(), footer].concat()
}

/// How many fragments the page shows in the end, and the most memory that the program had, in MiB, while it read these
/// manifests one after the other.
fn peak(manifests: &[Vec<u8>]) -> (Option<f64>, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let table = folder.path().join("large.lance");
    std::fs::create_dir_all(table.join("_versions")).expect("create");
    let running = Running::start(PROGRAM, &[&format!("--lancedb.path={}", folder.path().display())]);
    let mut fragments = None;
    for (version, entries) in (1..).zip(manifests) {
        std::fs::write(table.join("new"), file(version, entries)).expect("write");
        let path = table.join(format!("_versions/{version}.manifest"));
        std::fs::rename(table.join("new"), path).expect("commit");
        fragments = loop {
            let page = running.metrics();
            let on_page = |series: &str| value(&page, &format!("brain_lancedb_{series}"));
            let refused = r#"manifests_unreadable_total{table="large",reason="unsupported"}"#;
            // A slow machine may take longer to read it than a scrape waits.
            if on_page(r#"version{table="large"}"#) == Some(version as f64) || on_page(refused) == Some(1.0) {
                break on_page(r#"fragments{table="large"}"#);
            }
        };
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .expect("a number");
    (fragments, kib / 1024)
}

#[test]
fn memory_is_bounded_whatever_is_in_a_manifest() {
    let of_files = field(2, &empty((2 << 20) - 8));
    for (what, manifests, expected) in [
        (
            "700 000 fragments, twice",
            vec![fragments(700_000), fragments(700_001)],
            Some(700_001.0),
        ),
        ("32 M empty fragments", vec![empty((32 << 20) - 16)], None),
        ("3 fragments of 2 M files", vec![of_files.repeat(3)], Some(3.0)),
    ] {
        let (fragments, mib) = peak(&manifests);
        println!("{what}: {mib} MiB");
        assert_eq!(fragments, expected, "{what}");
        assert!(mib < MEMORY_MIB, "{what}: {mib} MiB");
    }
}
