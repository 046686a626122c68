//! Programs that are not there.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::Ran;

#[test]
fn a_program_that_cannot_be_had_is_named_with_everything_that_was_tried() {
    let cache = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_missionctl"))
        .args(["tools"])
        .env("PATH", "/nowhere")
        .env("MISSION_CACHE", cache.path())
        .env("MISSION_OFFLINE", "1")
        .output()
        .expect("run missionctl");
    let ran = Ran::of(output);
    assert_eq!(ran.code, 1);
    for program in [
        "prometheus",
        "promtool",
        "alertmanager",
        "amtool",
        "node_exporter",
        "pushgateway",
    ] {
        let line = ran
            .stderr
            .lines()
            .find(|line| line.trim().starts_with(&format!("{program}: ")))
            .expect(program);
        for tried in ["not on the PATH", "upstream: ", "distribution: "] {
            assert!(line.contains(tried), "{line}");
        }
    }
    assert!(
        ran.stderr.contains("apt-get install prometheus"),
        "{}",
        ran.stderr
    );
    assert!(!cache.path().join("bin/prometheus").exists());
}

#[test]
fn a_download_that_is_not_what_was_pinned_is_thrown_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("path");
    std::fs::create_dir_all(&path).expect("a folder");
    // Writes something else to the file behind --output.
    let curl =
        "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = --output ] && echo garbage > \"$2\"; shift; done\n";
    write_program(&path.join("curl"), curl);
    let output = Command::new(env!("CARGO_BIN_EXE_missionctl"))
        .args(["tools"])
        .env("PATH", &path)
        .env("MISSION_CACHE", folder.path().join("cache"))
        .env_remove("MISSION_OFFLINE")
        .output()
        .expect("run missionctl");
    let ran = Ran::of(output);
    assert_eq!(ran.code, 1);
    let line = ran
        .stderr
        .lines()
        .find(|line| line.trim().starts_with("pushgateway: "))
        .expect("a line");
    assert!(
        line.contains("it was thrown away") && line.contains("apt-get is not installed"),
        "{line}"
    );
    let left = std::fs::read_dir(folder.path().join("cache/upstream"))
        .expect("a folder")
        .count();
    assert_eq!(left, 0);
    assert!(!folder.path().join("cache/bin").exists());
}

fn write_program(at: &Path, text: &str) {
    std::fs::write(at, text).expect("write");
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).expect("change the mode");
}

#[test]
fn what_lies_in_the_cache_is_found_and_debian_names_get_a_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("path");
    let cache = folder.path().join("cache");
    std::fs::create_dir_all(cache.join("bin")).expect("a folder");
    std::fs::create_dir_all(&path).expect("a folder");
    let program = |at: PathBuf| write_program(&at, "#!/bin/sh\necho \"it, version 1.2.3 (branch: x)\"\n");
    for name in [
        "prometheus",
        "promtool",
        "amtool",
        "prometheus-alertmanager",
        "prometheus-node-exporter",
    ] {
        program(path.join(name));
    }
    for name in [
        "pushgateway",
        "supervisord",
        "grafana",
        "blackbox_exporter",
        "postgres_exporter",
        "victoria-metrics",
        "loki",
        "alloy",
    ] {
        program(cache.join("bin").join(name));
    }
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_missionctl"));
        command
            .args(words)
            .env("PATH", format!("{}:/usr/bin:/bin", path.display()));
        Ran::of(
            command
                .env("MISSION_CACHE", &cache)
                .env("MISSION_OFFLINE", "1")
                .output()
                .expect("run missionctl"),
        )
    };
    let ran = run(&["tools", "--path"]);
    assert_eq!(
        (ran.code, ran.stdout.trim()),
        (0, cache.join("bin").to_str().expect("UTF-8")),
        "{}",
        ran.stderr
    );
    assert!(cache.join("bin/alertmanager").exists() && cache.join("bin/node_exporter").exists());

    // A program that was fetched is not displaced by one that is on this PATH only.
    std::fs::remove_file(cache.join("bin/alertmanager")).expect("remove");
    program(cache.join("bin/alertmanager"));
    assert_eq!(run(&["tools"]).code, 0);
    assert!(!cache.join("bin/alertmanager").is_symlink());

    // A link that was made for another PATH is not taken for a program that was fetched.
    let elsewhere = folder.path().join("elsewhere/promtool");
    std::fs::create_dir_all(elsewhere.parent().expect("a folder")).expect("a folder");
    program(elsewhere.clone());
    std::os::unix::fs::symlink(&elsewhere, cache.join("bin/promtool")).expect("link");
    std::fs::rename(path.join("promtool"), path.join("promtool.away")).expect("rename");
    let ran = run(&["tools"]);
    assert!(ran.code != 0 && ran.stderr.contains("promtool"), "{}", ran.stderr);
    std::fs::rename(path.join("promtool.away"), path.join("promtool")).expect("rename");

    let ran = run(&["tools"]);
    let lines: Vec<&str> = ran.stdout.lines().skip(1).collect();
    assert_eq!(lines.len(), 13, "{}", ran.stdout);
    assert!(lines.iter().all(|line| line.contains("1.2.3")), "{}", ran.stdout);
}
