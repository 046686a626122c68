//! A disk that fills up under the stack.

use std::path::PathBuf;
use std::process::Command;

use crate::lab::{Lab, SERVICES};

/// A small disk of its own in place of `.mission`, with a stack on it.
struct SmallDisk {
    lab: Lab,
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(lab: Lab) -> Self {
        let folder = lab.path(".mission");
        std::fs::create_dir(&folder).expect("a folder");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"])
            .arg(&folder);
        assert!(mount.status().expect("run mount").success());
        Self { lab, folder }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.lab.run(&["down"]);
        let status = Command::new("umount").arg(&self.folder).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_full_disk_is_said_and_what_runs_goes_on() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root can mount a small disk; what a full one does was not looked at");
        return;
    }
    let disk = SmallDisk::mount(Lab::new());
    let lab = &disk.lab;
    lab.up();
    let before = lab.pids();
    assert_eq!(before.len(), SERVICES.len());
    let rendered = lab.read(".mission/run/prometheus/targets/rapl-exporter.json");

    let rest = std::fs::File::create(disk.folder.join("rest")).expect("create");
    let error = std::io::copy(&mut std::io::repeat(0), &mut &rest).expect_err("the disk has an end");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    drop(rest);
    lab.edit("mission.toml", |text| text.replace("\"bench\"", "\"desk\""));
    let ran = lab.run(&["up"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    let folder = disk.folder.display().to_string();
    assert!(
        ran.stderr.contains(&format!("missionctl: write {folder}/"))
            && ran.stderr.contains("the disk is full: free some space"),
        "{}",
        ran.stderr
    );
    assert_eq!(lab.pids(), before);
    assert_eq!(
        lab.read(".mission/run/prometheus/targets/rapl-exporter.json"),
        rendered
    );

    std::fs::remove_file(disk.folder.join("rest")).expect("remove");
    lab.up();
    assert_eq!(lab.pids(), before);
}
