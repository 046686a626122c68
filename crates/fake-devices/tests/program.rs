//! The program as its user starts it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

fn start(folder: &std::path::Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_fake-devices"))
        .arg("--folder")
        .arg(folder)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

#[test]
fn it_plugs_boards_in_and_takes_them_away_when_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    // Left by a run that was killed.
    let first = folder.path().join("usb-Espressif_ESP32-S3_0001");
    std::os::unix::fs::symlink("/dev/pts/999999", &first).unwrap();
    let mut child = start(
        folder.path(),
        &["--boards", "esp32,stm32:plotterx2,riscv:influx", "--calm"],
    );
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines: Vec<String> = out.lines().take(4).map(Result::unwrap).collect();
    assert!(lines[0].starts_with("esp32-0001 on "));
    assert!(lines[3].ends_with("usb-1a86_USB_Serial_0004"));
    let port = BufReader::new(std::fs::File::open(&first).unwrap());
    assert!(
        port.lines()
            .map_while(Result::ok)
            .any(|line| line.starts_with("rst:0x1 (POWERON)"))
    );
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_wrong_wish_is_refused_with_what_could_be_written() {
    let folder = tempfile::tempdir().unwrap();
    for (wish, hint) in [
        ("esp33", "write esp32, stm32 or riscv"),
        ("esp32:jso", "write json, plotter, influx, esp-idf or mlperf-tiny"),
        ("esp32x99999", "99999 is not between 1 and 4096"),
    ] {
        let output = start(folder.path(), &["--boards", wish])
            .wait_with_output()
            .unwrap();
        assert!(!output.status.success());
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(hint),
            "{output:?}"
        );
    }
}
