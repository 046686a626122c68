use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use exporter::Instruments;
use proptest::prelude::*;

use super::super::listing::MAX_FILES;
use super::*;
use crate::errors::ReadErrors;

/// A folder with a log `calls.jsonl`, and somebody who writes it.
struct Writer {
    folder: tempfile::TempDir,
    lines: usize,
    /// Each file is written at a time of its own, in seconds.
    clock: u64,
}

impl Writer {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            lines: 0,
            clock: 1_700_000_000,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append_to(&mut self, name: &str, count: usize) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .expect("open");
        for _ in 0..count {
            writeln!(file, "line {}", self.lines).expect("write");
            self.lines += 1;
        }
        self.touch(&file);
    }

    fn append(&mut self, count: usize) {
        self.append_to("calls.jsonl", count);
    }

    fn touch(&mut self, file: &File) {
        self.clock += 1;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock))
            .expect("set the time");
    }

    /// `.1` becomes `.2` and so on; the log becomes `.1`.
    fn rotate(&mut self) {
        self.make_room();
        let _ = fs::rename(self.path("calls.jsonl"), self.path("calls.jsonl.1"));
    }

    /// The log is copied to `.1` and cut.
    fn copy_and_cut(&mut self) {
        self.make_room();
        let log = self.path("calls.jsonl");
        if fs::copy(&log, self.path("calls.jsonl.1")).is_ok() {
            let copy = OpenOptions::new().append(true).open(self.path("calls.jsonl.1"));
            self.touch(&copy.expect("open"));
            let log = OpenOptions::new().write(true).open(log).expect("open");
            log.set_len(0).expect("cut");
            self.touch(&log);
        }
    }

    fn make_room(&self) {
        for i in (1..50).rev() {
            let to = self.path(&format!("calls.jsonl.{}", i + 1));
            let _ = fs::rename(self.path(&format!("calls.jsonl.{i}")), to);
        }
    }

    fn reader(&self, kept: Vec<Kept>) -> Files {
        let errors = ReadErrors::new(&Instruments::new()).expect("new");
        let mut files = Files::new(kept, errors.of("orchestra", &[]));
        files.apply(vec![self.path("*.jsonl").display().to_string()]);
        files
    }
}

/// Reads all that is new.
fn look(files: &mut Files, lines: &mut Vec<String>) {
    // As if the time for a new listing had come.
    let is_first = files.listed.is_none();
    if !is_first {
        files.listed = Instant::now().checked_sub(LISTED_FOR);
    }
    files.find();
    let mut take = |_: &Path, line: Line<'_>| match line {
        Line::Whole(line) => lines.push(String::from_utf8_lossy(line).into_owned()),
        Line::TooLong => panic!("no line is that long"),
    };
    while files.read(1 << 20, &mut take) {}
}

/// Every line once, in whatever order.
fn assert_all_once(mut lines: Vec<String>, count: usize) {
    lines.sort_by_key(|line| line["line ".len()..].parse::<usize>().expect("a number"));
    let all: Vec<String> = (0..count).map(|i| format!("line {i}")).collect();
    assert_eq!(lines, all);
}

#[test]
fn a_renamed_file_is_read_to_its_end() {
    let mut writer = Writer::new();
    let mut lines = Vec::new();
    writer.append(2);
    let mut files = writer.reader(Vec::new());
    look(&mut files, &mut lines);
    writer.append(1);
    writer.rotate();
    writer.append(1);
    // Somebody was not told.
    writer.append_to("calls.jsonl.1", 1);
    look(&mut files, &mut lines);
    writer.append_to("calls.jsonl.1", 1);
    look(&mut files, &mut lines);
    assert_all_once(lines, 6);
}

#[test]
fn a_file_that_came_and_was_rotated_between_two_looks_is_read() {
    let mut writer = Writer::new();
    let mut lines = Vec::new();
    writer.append(1);
    let mut files = writer.reader(Vec::new());
    look(&mut files, &mut lines);
    for _ in 0..3 {
        writer.append(2);
        writer.rotate();
    }
    writer.append(1);
    look(&mut files, &mut lines);
    assert_all_once(lines, 8);
}

#[test]
fn what_was_there_before_the_first_start_is_read_but_not_what_was_rotated_before() {
    let mut writer = Writer::new();
    writer.append(3);
    writer.rotate();
    let before = writer.lines;
    writer.append(2);
    let mut lines = Vec::new();
    look(&mut writer.reader(Vec::new()), &mut lines);
    assert_eq!(lines, [format!("line {before}"), format!("line {}", before + 1)]);
}

#[test]
fn numbers_of_file_systems_may_change() {
    let mut writer = Writer::new();
    let mut lines = Vec::new();
    writer.append(3);
    let mut files = writer.reader(Vec::new());
    look(&mut files, &mut lines);
    // The same file, elsewhere: as after a move to another disk.
    let copy = writer.path("copy");
    fs::copy(writer.path("calls.jsonl"), &copy).expect("copy");
    fs::rename(copy, writer.path("calls.jsonl")).expect("rename");
    writer.append(2);
    let mut files = writer.reader(files.positions());
    look(&mut files, &mut lines);
    assert_all_once(lines, 5);
}

#[test]
fn a_folder_that_is_away_for_a_while_is_read_on() {
    let mut writer = Writer::new();
    let mut lines = Vec::new();
    writer.append(3);
    let mut files = writer.reader(Vec::new());
    look(&mut files, &mut lines);
    let aside = writer.path("aside");
    fs::create_dir(&aside).expect("a folder");
    fs::rename(writer.path("calls.jsonl"), aside.join("calls")).expect("rename");
    look(&mut files, &mut lines);
    for watched in &mut files.watched {
        watched.retired = Instant::now().checked_sub(RETIRED_FOR);
    }
    look(&mut files, &mut lines);
    assert!(files.watched.is_empty());
    fs::rename(aside.join("calls"), writer.path("calls.jsonl")).expect("rename");
    writer.append(1);
    look(&mut files, &mut lines);
    assert_all_once(lines, 4);
}

#[test]
fn files_beyond_the_cap_are_said_and_come_up_later() {
    let mut writer = Writer::new();
    for i in 0..MAX_FILES + 2 {
        writer.append_to(&format!("{i:03}.jsonl"), 1);
    }
    let mut lines = Vec::new();
    let mut files = writer.reader(Vec::new());
    look(&mut files, &mut lines);
    assert_eq!(lines.len(), MAX_FILES);
    let trouble = files.trouble().expect("trouble");
    assert!(
        trouble.ends_with("no more than 100 files are read, and there are 2 more"),
        "{trouble}"
    );
    for i in 0..2 {
        fs::remove_file(writer.path(&format!("{i:03}.jsonl"))).expect("remove");
    }
    look(&mut files, &mut lines);
    assert_eq!(files.trouble(), None);
    assert_all_once(lines, MAX_FILES + 2);
}

#[test]
fn what_is_no_file_is_said_as_long_as_it_is_there() {
    let writer = Writer::new();
    let pipe = writer.path("pipe.jsonl");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
    let mut files = writer.reader(Vec::new());
    look(&mut files, &mut Vec::new());
    let expected = format!("read {}: it is no regular file", pipe.display());
    assert_eq!(files.trouble(), Some(expected));
    fs::remove_file(&pipe).expect("remove");
    look(&mut files, &mut Vec::new());
    assert_eq!(files.trouble(), None);
}

#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Rotate,
    CopyAndCut,
    Look,
    /// Go on from what was written down at the last look.
    Kill,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1..5_usize).prop_map(Act::Append),
        2 => Just(Act::Rotate),
        1 => Just(Act::CopyAndCut),
        2 => Just(Act::Look),
        2 => Just(Act::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Whatever happens to the files, and whenever the program is killed, each line counts once.
    #[test]
    fn every_line_comes_once(acts in prop::collection::vec(act(), 0..40)) {
        let mut writer = Writer::new();
        let mut files = writer.reader(Vec::new());
        // What is counted, and what of it is on disk, with the positions.
        let mut counted = Vec::new();
        let mut kept = (Vec::new(), Vec::new());
        // A copy can only be told by what was read of it.
        writer.append(1);
        look(&mut files, &mut counted);
        for act in acts {
            match act {
                Act::Append(count) => writer.append(count),
                Act::Rotate => writer.rotate(),
                Act::CopyAndCut => {
                    writer.append(1);
                    look(&mut files, &mut counted);
                    writer.append(1);
                    writer.copy_and_cut();
                    writer.append(1);
                }
                Act::Look => {
                    look(&mut files, &mut counted);
                    kept = (counted.clone(), files.positions());
                }
                Act::Kill if !kept.1.is_empty() => {
                    counted.clone_from(&kept.0);
                    files = writer.reader(kept.1.clone());
                }
                Act::Kill => {}
            }
        }
        look(&mut files, &mut counted);
        assert_all_once(counted, writer.lines);
    }
}
