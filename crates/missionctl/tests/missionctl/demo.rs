//! The made-up laptop, as rapl-exporter sees it.

use std::path::Path;
use std::process::{Child, Command};

use crate::lab::{Lab, SERVICES, beside, eventually, is_alive};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("kill");
        self.0.wait().expect("wait");
    }
}

fn start(folder: &Path) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_missionctl"));
    Running(
        command
            .arg("demo-machine")
            .arg(folder)
            .spawn()
            .expect("run missionctl"),
    )
}

/// The page of the real rapl-exporter on the laptop.
fn page(folder: &Path) -> String {
    let output = Command::new(beside("rapl-exporter"))
        .arg("--once")
        .arg(format!("--path.sysfs={}", folder.join("sys").display()))
        .arg(format!("--path.procfs={}", folder.join("proc").display()))
        .output()
        .expect("run rapl-exporter");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn value(page: &str, series: &str) -> Option<f64> {
    page.lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

fn counter(folder: &Path) -> u64 {
    let path = folder.join("sys/class/powercap/intel-rapl:0/energy_uj");
    let text = std::fs::read_to_string(path).expect("the counter");
    text.trim().parse().expect("a number")
}

#[test]
fn rapl_exporter_reads_moving_and_plausible_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let laptop = start(folder.path());
    eventually("the laptop is there", || {
        folder.path().join("proc/stat").exists().then_some(())
    });
    let page = eventually("every value is there", || {
        let page = page(folder.path());
        (value(&page, "hw_cpu_load_percent ").is_some() && page.contains("\nrapl_power_watts{"))
            .then_some(page)
    });
    let between = |series: &str, least: f64, most: f64| {
        let value = value(&page, series).unwrap_or_else(|| panic!("no {series} in\n{page}"));
        assert!((least..=most).contains(&value), "{series}{value}");
        value
    };
    let watts = |zone: &str, parent: &str| {
        between(
            &format!("rapl_power_watts{{zone=\"{zone}\",parent=\"{parent}\"}} "),
            0.1,
            80.0,
        )
    };
    let package = watts("package-0", "");
    let parts = watts("package-0-core", "package-0") + watts("package-0-uncore", "package-0");
    assert!(parts < package && package < watts("psys", ""), "{page}");
    between("val_pl1_limit_watts ", 28.0, 28.0);
    between("val_pl2_limit_watts ", 64.0, 64.0);
    between("hw_temp_package_celsius ", 30.0, 95.0);
    between("hw_cpu_load_percent ", 0.0, 100.0);
    between("rapl_source_info{source=\"powercap\"} ", 1.0, 1.0);

    let before = counter(folder.path());
    eventually("energy moves", || {
        (counter(folder.path()) != before).then_some(())
    });

    // One that is started again goes on where the other ended, or the exporter would see a wrap that was none.
    drop(laptop);
    let ended = counter(folder.path());
    let _laptop = start(folder.path());
    let resumed = eventually("it moves again", || {
        Some(counter(folder.path())).filter(|counter| *counter != ended)
    });
    // 60 W for the longest time that a test waits.
    assert!((resumed + 16_000_000_000 - ended) % 16_000_000_000 < 60 * 90 * 1_000_000);
}

#[test]
fn demo_puts_the_laptop_in_place_of_this_machine() {
    let lab = Lab::new();
    lab.edit("mission.toml", |text| {
        text.replace("[stack]\n", "[stack]\ndemo = true\n")
            .replace("\"bench\"", "\"demo\"")
    });
    let ran = lab.up();
    let line = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("demo-machine "))
        .expect("a line of the laptop");
    assert!(line.contains("healthy"), "{line}");
    assert!(ran.stdout.contains("of demo are made up"), "{}", ran.stdout);
    let limit = eventually("the laptop's limit arrives", || {
        lab.query("val_pl1_limit_watts").pop()
    });
    assert_eq!((limit.0["machine"].as_str(), limit.1), (Some("demo"), 28.0));

    let before = lab.pids();
    assert_eq!(before.len(), SERVICES.len() + 1);
    let again = lab.up();
    assert!(
        again.stderr.contains("nothing had to be changed"),
        "{}",
        again.stderr
    );
    let status = lab.status();
    assert_eq!(status["healthy"], true, "{status:#}");
    let services = status["services"].as_array().expect("services");
    let laptop = services.iter().find(|service| service["name"] == "demo-machine");
    assert!(laptop.expect("the laptop")["address"].is_null());

    // Without it, the exporter is back on the real machine.
    lab.edit("mission.toml", |text| text.replace("demo = true\n", ""));
    lab.up();
    assert!(!is_alive(before["demo-machine"]));
    assert_ne!(lab.pids()["rapl-exporter"], before["rapl-exporter"]);
}

#[test]
fn the_example_is_good() {
    let lab = Lab::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo/mission.toml");
    let text = std::fs::read_to_string(example).expect("the example");
    assert!(
        text.contains("demo = true") && text.contains("name = \"demo\""),
        "{text}"
    );
    // Its own ports may be taken where the test runs.
    let (head, rest) = text.split_once("[stack.ports]").expect("ports of its own");
    let (_, tail) = rest.split_once("\n\n").expect("a table behind the ports");
    lab.write("mission.toml", &format!("{head}{}\n{tail}", lab.ports_table()));
    let ran = lab.run(&["check"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}
