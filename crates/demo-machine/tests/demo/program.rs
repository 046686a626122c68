//! The program by itself.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use demo_machine::Machine;

use crate::lab::{Lab, Running, bytes, eventually};

#[test]
fn it_takes_a_folder_and_says_what_it_is() {
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_demo-machine"))
            .args(words)
            .output();
        let output = output.expect("run demo-machine");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, help) = run(&["--help"]);
    assert!(
        code == Some(0) && help.contains("Usage: demo-machine <FOLDER>"),
        "{help}"
    );
    let (code, version) = run(&["--version"]);
    assert!(
        code == Some(0) && version.starts_with("demo-machine "),
        "{version}"
    );
    assert_eq!(run(&[]).0, Some(2));
}

#[test]
fn it_ends_at_sigterm_and_lets_no_other_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut running = Running::start(folder.path());
    let queue = demo_machine::queue(folder.path());
    eventually("everything is there", || queue.exists().then_some(()));

    let other = Command::new(env!("CARGO_BIN_EXE_demo-machine"))
        .arg(folder.path())
        .output();
    let other = other.expect("run another");
    assert_eq!(other.status.code(), Some(1));
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(
        said.starts_with("demo-machine: another demo-machine runs in"),
        "{said}"
    );

    let pid = running.0.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.expect("run kill").success());
    eventually("it ends", || running.0.try_wait().expect("wait"));
}

/// Ends in the middle of whatever it does, again and again.
#[test]
fn killed_again_and_again_it_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let energy = || {
        let text = fs::read_to_string(demo_machine::gpus(folder.path())).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("energy_millijoules = "));
        line.map_or(0, |number| number.parse::<u64>().expect("a number"))
    };
    let mut last = 0;
    for _ in 0..5 {
        let running = Running::start(folder.path());
        last = eventually("energy moves", || Some(energy()).filter(|energy| *energy > last));
        drop(running);
    }
    let mut machine = Machine::resume(folder.path()).expect("resume");
    let news = machine.advance(Duration::from_secs(1), SystemTime::now());
    assert!(news.is_empty(), "{news:?}");
    assert!(energy() > last);
}

#[test]
fn what_cannot_be_written_is_said_once_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut machine = Machine::resume(folder.path()).expect("resume");
    let mut advance = || machine.advance(Duration::from_secs(1), SystemTime::now());
    assert!(advance().is_empty());
    // Where the file was is a folder, which not even root can write as one.
    let gpus = demo_machine::gpus(folder.path());
    fs::remove_file(&gpus).expect("remove");
    fs::create_dir_all(gpus.join("in the way")).expect("a folder");
    let news = advance();
    assert_eq!(news.len(), 1, "{news:?}");
    assert!(
        news[0].starts_with("GPUs stand still: write ") && news[0].contains("gpus.toml"),
        "{news:?}"
    );
    let counter = || fs::read_to_string(demo_machine::procfs(folder.path()).join("stat")).expect("CPU time");
    let before = counter();
    assert!(advance().is_empty());
    assert_ne!(counter(), before, "the rest goes on");
    fs::remove_dir_all(&gpus).expect("remove");
    let news: Vec<String> = (0..100).flat_map(|_| advance()).collect();
    assert_eq!(news, ["GPUs move again"]);
    assert!(gpus.is_file());
}

#[test]
fn rounds_pass_and_the_folder_stays_small() {
    let mut lab = Lab::ago(3 * 420);
    let mut most = 0;
    for _ in 0..3 * 7 {
        lab.advance(60);
        most = most.max(bytes(lab.path()));
    }
    assert!(most < 20 << 20, "{most} bytes");
}
