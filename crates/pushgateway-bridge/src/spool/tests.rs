//! What the spool keeps over crashes, damage and limits.

use std::collections::BTreeSet;
use std::path::Path;

use exporter::Instruments;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::tally::Loss;

const HOUR: Duration = Duration::from_hours(1);

fn tally() -> (Tally, Instruments) {
    let instruments = Instruments::new();
    (Tally::new(&instruments).expect("counts"), instruments)
}

fn dropped(instruments: &Instruments, reason: Loss) -> f64 {
    let mut page = Vec::new();
    exporter::encode(&instruments.gather(), &mut page);
    let page = String::from_utf8(page).expect("UTF-8");
    let series = format!("bridge_samples_dropped_total{{reason=\"{}\"}}", reason.label());
    exporter::testing::value(&page, &series).expect("a counter")
}

fn settings(folder: &Path, size: u64, age: Duration) -> Settings {
    Settings {
        folder: folder.to_owned(),
        size,
        age,
    }
}

fn open(folder: &Path) -> (Spool, Instruments) {
    let (tally, instruments) = tally();
    let spool = Spool::open(settings(folder, 64 << 20, HOUR), tally).expect("opened");
    (spool, instruments)
}

/// Distinct for each number, and without any order in it.
fn payload(seq: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seq + 1);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

fn append(spool: &Spool, seq: u64, length: usize) {
    spool
        .append(1000, 3, 1000, &payload(seq, length))
        .expect("appended");
}

/// All that waits, by number.
fn waiting(spool: &Spool) -> Vec<(u64, Vec<u8>)> {
    let (mut reader, mut from, mut all) = (Reader::default(), 0, Vec::new());
    while let Some(entry) = spool.read(&mut reader, from, u64::MAX) {
        from = entry.seq + 1;
        all.push((entry.seq, entry.payload));
    }
    all
}

fn numbers(spool: &Spool) -> Vec<u64> {
    waiting(spool).into_iter().map(|(seq, _)| seq).collect()
}

fn only_segment(folder: &TempDir) -> std::path::PathBuf {
    let firsts = Segment::list(folder.path()).expect("listed");
    assert_eq!(firsts.len(), 1, "{firsts:?}");
    Segment::new(firsts[0]).path(folder.path())
}

#[test]
fn what_waits_outlives_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let (spool, _) = open(folder.path());
        (0..10).for_each(|seq| append(&spool, seq, 100));
        spool.finish_page().expect("synced");
        spool.done(0, 3);
        spool.done(5, 7);
    }
    let (spool, _) = open(folder.path());
    let expected: Vec<_> = [3, 4, 7, 8, 9].map(|seq| (seq, payload(seq, 100))).to_vec();
    assert_eq!(waiting(&spool), expected);
    append(&spool, 10, 100);
    assert_eq!(numbers(&spool), [3, 4, 7, 8, 9, 10]);
}

#[test]
fn a_second_program_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = open(folder.path());
    let error = Spool::open(settings(folder.path(), 64 << 20, HOUR), tally().0).err();
    assert!(error.is_some_and(|error| error.to_string().contains("another program")));
}

#[test]
fn a_tail_torn_at_any_byte_costs_the_last_record_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let ends: Vec<u64> = {
        let (spool, _) = open(folder.path());
        (0..4)
            .map(|seq| {
                append(&spool, seq, 40);
                spool.holding().bytes
            })
            .collect()
    };
    let file = only_segment(&folder);
    let whole = std::fs::read(&file).expect("read");
    for length in 0..=whole.len() {
        std::fs::write(&file, &whole[..length]).expect("torn");
        let (spool, _) = open(folder.path());
        let left = ends.iter().filter(|end| **end <= length as u64).count() as u64;
        assert_eq!(numbers(&spool), (0..left).collect::<Vec<_>>(), "torn at {length}");
        // And what comes next can be read.
        append(&spool, left, 40);
        let expected: Vec<_> = (0..=left).map(|seq| (seq, payload(seq, 40))).collect();
        assert_eq!(waiting(&spool), expected, "torn at {length}");
    }
}

#[test]
fn a_number_that_is_done_is_never_given_again() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let (spool, _) = open(folder.path());
        (0..5).for_each(|seq| append(&spool, seq, 40));
        spool.done(0, 5);
    }
    // The list reached the disk and the records did not.
    std::fs::write(only_segment(&folder), b"").expect("emptied");
    let (spool, _) = open(folder.path());
    append(&spool, 5, 40);
    assert_eq!(numbers(&spool), [5]);
}

#[test]
fn a_list_that_cannot_be_read_means_that_all_is_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let (spool, _) = open(folder.path());
        (0..5).for_each(|seq| append(&spool, seq, 40));
        spool.done(0, 3);
    }
    std::fs::write(folder.path().join(done::FILE), b"{\"ackn").expect("torn");
    let (spool, _) = open(folder.path());
    assert_eq!(numbers(&spool), [0, 1, 2, 3, 4]);
}

#[test]
fn finished_segments_leave_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, _) = open(folder.path());
    (0..40).for_each(|seq| append(&spool, seq, 60_000));
    let full = spool.holding().bytes;
    spool.done(0, 40);
    assert!(
        full > 2_000_000 && spool.holding().bytes < full / 4,
        "{:?}",
        spool.holding()
    );
    assert_eq!(numbers(&spool), Vec::<u64>::new());
}

#[test]
fn records_may_be_larger_than_what_is_read_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, _) = open(folder.path());
    let expected: Vec<_> = [700_000, 10, 300_000, 1_500_000, 10]
        .into_iter()
        .zip(0..)
        .map(|(length, seq)| {
            append(&spool, seq, length);
            (seq, payload(seq, length))
        })
        .collect();
    assert!(waiting(&spool) == expected);
}

#[test]
fn beyond_the_size_the_oldest_are_dropped_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tally, instruments) = tally();
    let spool = Spool::open(settings(folder.path(), LEAST_SIZE, HOUR), tally).expect("opened");
    (0..100).for_each(|seq| append(&spool, seq, 30_000));
    let left = numbers(&spool);
    assert!(spool.holding().bytes <= LEAST_SIZE, "{:?}", spool.holding());
    assert_eq!(left.last(), Some(&99));
    assert!(left.len() > 25, "{left:?}");
    assert!((dropped(&instruments, Loss::Size) - 3.0 * (100 - left.len()) as f64).abs() < 0.5);
}

#[test]
fn beyond_the_age_the_oldest_are_dropped_and_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tally, instruments) = tally();
    let spool = Spool::open(settings(folder.path(), 64 << 20, HOUR), tally).expect("opened");
    let minute = |minutes: i64| minutes * 60_000;
    for at in 0..150 {
        spool
            .append(minute(at), 3, minute(at), &payload(1, 10))
            .expect("appended");
    }
    assert_eq!(
        numbers(&spool).len(),
        150,
        "not before somebody is sure of the time"
    );
    spool.drop_old(minute(149));
    let left = numbers(&spool);
    // A segment goes when its last record is too old, and spans a sixteenth of the age.
    assert!(left.len() >= 60 && left.len() <= 66, "{left:?}");
    assert!((dropped(&instruments, Loss::Age) - 3.0 * (150 - left.len()) as f64).abs() < 0.5);
}

#[test]
fn a_file_that_vanished_costs_its_records_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, instruments) = open(folder.path());
    (0..40).for_each(|seq| append(&spool, seq, 60_000));
    let firsts = Segment::list(folder.path()).expect("listed");
    std::fs::remove_file(Segment::new(firsts[1]).path(folder.path())).expect("removed");
    let expected: Vec<u64> = (0..40)
        .filter(|seq| !(firsts[1]..firsts[2]).contains(seq))
        .collect();
    assert_eq!(numbers(&spool), expected);
    assert!(dropped(&instruments, Loss::Corrupt) > 0.0);
}

#[test]
fn a_folder_that_vanished_comes_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = folder.path().join("spool");
    let (spool, instruments) = open(&inside);
    (0..3).for_each(|seq| append(&spool, seq, 100));
    std::fs::remove_dir_all(&inside).expect("removed");
    (3..6).for_each(|seq| append(&spool, seq, 100));
    assert_eq!(numbers(&spool), [3, 4, 5]);
    assert!(dropped(&instruments, Loss::Corrupt) > 0.0);
    spool.done(3, 5);
    drop(spool);
    assert_eq!(numbers(&open(&inside).0), [5]);
}

/// What one step of a life does.
#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    Done(u64, u64),
    Restart,
    /// A loss of power: the last so many bytes of the last segment did not reach the disk.
    Tear(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1_usize..40_000).prop_map(Act::Append),
        2 => (0_u64..60, 1_u64..6).prop_map(|(start, count)| Act::Done(start, count)),
        1 => Just(Act::Restart),
        1 => (1_u64..60_000).prop_map(Act::Tear),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_lost_and_nothing_comes_again(acts in proptest::collection::vec(act(), 1..60)) {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut spool, _) = open(folder.path());
        let (mut lengths, mut there, mut next) = (std::collections::BTreeMap::new(), BTreeSet::new(), 0);
        for act in acts {
            match act {
                Act::Append(length) => {
                    append(&spool, next, length);
                    lengths.insert(next, length);
                    there.insert(next);
                    next += 1;
                }
                Act::Done(start, count) => {
                    let (start, end) = (start.min(next), (start + count).min(next));
                    spool.done(start, end);
                    there.retain(|seq| !(start..end).contains(seq));
                }
                Act::Restart => {
                    drop(spool);
                    spool = open(folder.path()).0;
                }
                Act::Tear(bytes) => {
                    drop(spool);
                    let last = Segment::list(folder.path()).expect("listed").last().copied();
                    if let Some(last) = last {
                        let path = Segment::new(last).path(folder.path());
                        let meta = std::fs::metadata(&path).expect("a file");
                        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
                        let mut left = meta.len().saturating_sub(bytes);
                        file.set_len(left).expect("torn");
                        // Whole records from the front are all that is left of this segment.
                        let mut seq = last;
                        while let Some(length) = lengths.get(&seq) {
                            let record = (record::HEAD + length) as u64;
                            if record > left {
                                break;
                            }
                            left -= record;
                            seq += 1;
                        }
                        there.retain(|there| *there < seq);
                    }
                    spool = open(folder.path()).0;
                    next = spool.holding().next;
                    lengths.retain(|seq, _| there.contains(seq) || *seq < next);
                }
            }
            let expected: Vec<_> = there.iter().map(|seq| (*seq, payload(*seq, lengths[seq]))).collect();
            prop_assert_eq!(waiting(&spool), expected);
            prop_assert_eq!(spool.holding().next, next);
        }
    }

    #[test]
    fn damage_costs_what_it_hits(at in 0_usize..1000, garbage in proptest::collection::vec(any::<u8>(), 1..60)) {
        let folder = tempfile::tempdir().expect("a folder");
        let ends: Vec<usize> = {
            let (spool, _) = open(folder.path());
            (0..10).map(|seq| {
                append(&spool, seq, 60);
                usize::try_from(spool.holding().bytes).expect("few")
            }).collect()
        };
        let file = only_segment(&folder);
        let whole = std::fs::read(&file).expect("read");
        let mut bytes = whole.clone();
        let end = bytes.len().min(at + garbage.len());
        for (byte, new) in bytes[at.min(whole.len())..end].iter_mut().zip(&garbage) {
            *byte = *new;
        }
        std::fs::write(&file, &bytes).expect("damaged");
        let is_hit = |seq: usize| {
            let start = if seq == 0 { 0 } else { ends[seq - 1] };
            whole[start..ends[seq]] != bytes[start..ends[seq]]
        };
        let expected: Vec<_> = (0..10).filter(|seq| !is_hit(*seq)).map(|seq| (seq as u64, payload(seq as u64, 60))).collect();
        let (spool, instruments) = open(folder.path());
        prop_assert_eq!(waiting(&spool), expected.clone());
        let last = expected.last().map_or(0, |(seq, _)| *seq + 1);
        let inside = (0..last).filter(|seq| is_hit(usize::try_from(*seq).expect("few"))).count();
        let counted = dropped(&instruments, Loss::Corrupt);
        prop_assert!(counted >= inside as f64 && counted <= 3.0 * inside as f64, "{counted} for {inside}");
    }
}
