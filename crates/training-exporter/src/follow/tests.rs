use std::fs::{self, OpenOptions};
use std::io::Write as _;

use proptest::prelude::*;

use super::tail::{CHUNK, MAX_LINE, MAX_PIECE};
use super::*;

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            path: folder.path().join("log"),
            _folder: folder,
        }
    }

    fn append(&self, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .expect("open");
        file.write_all(bytes.as_ref()).expect("write");
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }
}

/// The lines that are new; `<restarted>` and `<too long>` for what is none.
fn lines(tail: &mut Tail) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let progress = tail
            .lines(u64::MAX, &mut |line| lines.push(shown(line)))
            .expect("readable");
        match progress {
            Progress::Current => return lines,
            Progress::Restarted => lines.push("<restarted>".to_owned()),
            Progress::More => {}
        }
    }
}

fn followed(follower: &mut Follower) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let progress = follower
            .look(|tail| tail.lines(u64::MAX, &mut |line| lines.push(shown(line))))
            .expect("readable");
        match progress {
            Progress::Current => return lines,
            Progress::Restarted => lines.push("<restarted>".to_owned()),
            Progress::More => {}
        }
    }
}

fn shown(line: Line<'_>) -> String {
    match line {
        Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
        Line::TooLong => "<too long>".to_owned(),
    }
}

#[test]
fn each_line_comes_once_and_when_it_is_whole() {
    let place = Place::new();
    place.append("one\ntwo\r\nth");
    let mut tail = Tail::open(&place.path).expect("open");
    assert_eq!(lines(&mut tail), ["one", "two"]);
    assert_eq!(lines(&mut tail), [""; 0]);
    place.append("ree");
    assert_eq!(lines(&mut tail), [""; 0]);
    place.append("\n\nfive");
    assert_eq!(lines(&mut tail), ["three", ""]);
    assert_eq!(tail.offset(), 16);
}

#[test]
fn a_file_that_was_cut_begins_anew() {
    let place = Place::new();
    place.append("one\ntwo\n");
    let mut tail = Tail::open(&place.path).expect("open");
    lines(&mut tail);
    fs::write(&place.path, "three\n").expect("write");
    assert_eq!(lines(&mut tail), ["<restarted>", "three"]);
    // Longer than before.
    fs::write(&place.path, "four\nfive\nsix\n").expect("write");
    assert_eq!(lines(&mut tail), ["<restarted>", "four", "five", "six"]);
    fs::write(&place.path, "").expect("write");
    assert_eq!(lines(&mut tail), ["<restarted>"]);
}

#[test]
fn a_line_without_end_is_passed_over() {
    let place = Place::new();
    place.append("one\n");
    place.append(vec![b'x'; 5 * MAX_LINE]);
    let mut tail = Tail::open(&place.path).expect("open");
    assert_eq!(lines(&mut tail), ["one", "<too long>"]);
    place.append(vec![0; MAX_LINE]);
    assert_eq!(lines(&mut tail), [""; 0]);
    let position = tail.position();
    place.append("xx\ntwo\n");
    assert_eq!(lines(&mut tail), ["two"]);
    let mut resumed = Tail::resume(&place.path, &position)
        .expect("open")
        .expect("the same file");
    assert_eq!(lines(&mut resumed), ["two"]);
}

#[test]
fn the_longest_line_is_read_and_a_longer_one_is_not() {
    let place = Place::new();
    place.append(vec![b'x'; MAX_LINE]);
    place.append("\n");
    place.append(vec![b'y'; MAX_LINE + 1]);
    place.append("\nend\n");
    let mut tail = Tail::open(&place.path).expect("open");
    let read = lines(&mut tail);
    assert_eq!(
        read.iter().map(String::len).collect::<Vec<_>>(),
        [MAX_LINE, 10, 3]
    );
    assert_eq!(&read[1..], ["<too long>", "end"]);
}

#[test]
fn a_budget_is_kept_and_the_rest_comes_next() {
    let place = Place::new();
    let line = format!("{}\n", "x".repeat(999));
    place.append(line.repeat(1000));
    let mut tail = Tail::open(&place.path).expect("open");
    let mut count = 0;
    let mut looks = 0;
    while tail.lines(100_000, &mut |_| count += 1).expect("readable") == Progress::More {
        looks += 1;
        assert!(tail.offset() <= looks * 100_000 + looks * CHUNK as u64);
    }
    assert_eq!(count, 1000);
    assert!(looks >= 5, "{looks}");
}

#[test]
fn what_is_never_taken_is_an_error() {
    let place = Place::new();
    place.append(vec![b'x'; MAX_PIECE]);
    let mut tail = Tail::open(&place.path).expect("open");
    let error = tail.bytes(u64::MAX, &mut |_| 0).expect_err("too long");
    assert!(
        error.to_string().contains("at byte 0 is something longer than"),
        "{error}"
    );
}

#[test]
fn a_position_is_only_good_for_what_it_was_made_of() {
    let place = Place::new();
    place.append("one\ntwo\nth");
    let mut tail = Tail::open(&place.path).expect("open");
    lines(&mut tail);
    let position = tail.position();
    let json = serde_json::to_string(&position).expect("JSON");
    let position: Position = serde_json::from_str(&json).expect("a position");
    place.append("ree\n");
    let mut resumed = Tail::resume(&place.path, &position)
        .expect("open")
        .expect("the same");
    assert_eq!(lines(&mut resumed), ["three"]);
    // A copy is as good.
    let copy = place.beside("copy");
    fs::copy(&place.path, &copy).expect("copy");
    let mut resumed = Tail::resume(&copy, &position).expect("open").expect("a copy");
    assert_eq!(lines(&mut resumed), ["three"]);
    // The same file with something else in it is not.
    for other in ["ONE\nTWO\nTHREE\n", "one\n", ""] {
        fs::write(&place.path, other).expect("write");
        assert!(
            Tail::resume(&place.path, &position).expect("open").is_none(),
            "{other}"
        );
    }
}

#[test]
fn a_position_at_the_beginning_is_good_for_its_file_only() {
    let place = Place::new();
    place.append("half");
    let mut tail = Tail::open(&place.path).expect("open");
    lines(&mut tail);
    let position = tail.position();
    assert!(Tail::resume(&place.path, &position).expect("open").is_some());
    let other = place.beside("other");
    fs::write(&other, "half\n").expect("write");
    assert!(Tail::resume(&other, &position).expect("open").is_none());
}

#[test]
fn a_follower_reads_the_old_file_to_its_end_and_then_the_new_one() {
    let place = Place::new();
    let mut follower = Follower::new(place.path.clone(), None);
    let missing = follower
        .look(|tail| tail.lines(1, &mut |_| {}))
        .expect_err("no file");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    place.append("one\n");
    assert_eq!(followed(&mut follower), ["one"]);
    place.append("two\n");
    fs::rename(&place.path, place.beside("log.1")).expect("rename");
    place.append("three\n");
    assert_eq!(followed(&mut follower), ["two", "<restarted>", "three"]);
    follower.close();
    place.append("four\n");
    assert_eq!(followed(&mut follower), ["four"]);
    // Another one takes the name while the file is closed.
    follower.close();
    fs::remove_file(&place.path).expect("remove");
    place.append("five\n");
    assert_eq!(followed(&mut follower), ["<restarted>", "five"]);
    let position = follower.position();
    place.append("six\n");
    let mut later = Follower::new(place.path.clone(), position);
    assert_eq!(followed(&mut later), ["six"]);
}

#[test]
fn only_regular_files_are_followed() {
    let place = Place::new();
    fs::create_dir(&place.path).expect("a folder");
    let error = Tail::open(&place.path).expect_err("a folder");
    assert_eq!(error.to_string(), "it is no regular file");
}

#[derive(Clone, Debug)]
enum Act {
    Append(Vec<u8>),
    Rotate,
    Cut,
    Look,
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(b'\r'), any::<u8>()], 0..40).prop_map(Act::Append),
        2 => Just(Act::Look),
        1 => Just(Act::Restart),
        1 => Just(Act::Rotate),
        1 => Just(Act::Cut),
    ]
}

proptest! {
    /// Whatever a writer does, looked at before each rotation, every line of it comes once and in order.
    #[test]
    fn every_line_comes_once(acts in prop::collection::vec(act(), 0..30)) {
        let place = Place::new();
        place.append("");
        let mut follower = Follower::new(place.path.clone(), None);
        let mut written: Vec<u8> = Vec::new();
        let mut expected: Vec<String> = Vec::new();
        let mut seen = Vec::new();
        let mut number = 0;
        let whole = |written: &[u8]| -> Vec<String> {
            let end = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let lines = written[..end].split_inclusive(|byte| *byte == b'\n');
            lines
                .map(|line| {
                    let line = &line[..line.len() - 1];
                    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
                })
                .collect()
        };
        for act in acts {
            match act {
                Act::Append(bytes) => {
                    place.append(&bytes);
                    written.extend(bytes);
                }
                Act::Look => seen.extend(followed(&mut follower)),
                Act::Restart => {
                    seen.extend(followed(&mut follower));
                    follower = Follower::new(place.path.clone(), follower.position());
                }
                Act::Rotate | Act::Cut => {
                    seen.extend(followed(&mut follower));
                    expected.extend(whole(&written));
                    written = format!("file {number}\n").into_bytes();
                    number += 1;
                    if matches!(act, Act::Rotate) {
                        fs::rename(&place.path, place.beside(&format!("log.{number}"))).expect("rename");
                    }
                    fs::write(&place.path, &written).expect("write");
                }
            }
        }
        seen.extend(followed(&mut follower));
        expected.extend(whole(&written));
        seen.retain(|line| line != "<restarted>");
        prop_assert_eq!(seen, expected);
    }

    /// Any bytes as a position are a position or none.
    #[test]
    fn any_position_is_good_or_not(offset: u64, inode: u64, device: u64) {
        let place = Place::new();
        place.append("one\ntwo\n");
        let json = serde_json::json!({
            "device": device, "inode": inode, "offset": offset, "context": 7, "skipping": false,
        });
        let position: Position = serde_json::from_value(json).expect("a position");
        if let Ok(Some(mut tail)) = Tail::resume(&place.path, &position) {
            lines(&mut tail);
        }
    }
}
