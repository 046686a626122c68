//! The whole page of the runs that real trainers wrote, as `--once` prints it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use exporter::testing::{assert_golden, lint};

use crate::lab::{Lab, set_times};

#[test]
fn what_real_trainers_wrote() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lab = Lab::new();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(home.join("tests/fixtures/runs/folders/."))
        .arg(lab.run(""))
        .status();
    assert!(copied.expect("run cp").success());
    // Where a trainer does not say when it wrote, the time of the file does.
    set_times(
        &lab.run(""),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_381_600),
    );
    lab.configure("runs = [\"runs\"]\nexpire = \"10000d\"\n");
    let page = lab.once();
    assert_golden(&page, &home.join("tests/golden/runs.prom"));
    lint(&page, &[]);
}
