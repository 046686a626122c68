//! Runs the real program on trees of files that look like machines.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use exporter::testing::{self, Running, value};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rapl-exporter");
/// Names that the public contract fixes.
const CONTRACT: [&str; 2] = ["hw_cpu_load_percent", "rapl_counter_wraps_total"];
/// The largest value of the laptop's counters.
const RANGE: u64 = 262_143_328_850;
const PACKAGE: &str = r#"{zone="package-0",parent=""}"#;
const POWERCAP: &str = "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0";

/// A copy of a fixture that a test may change.
struct Machine(TempDir);

impl Machine {
    fn new(fixture: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let from = fixture_path(fixture).join(".");
        let copied = Command::new("cp").arg("-a").arg(from).arg(folder.path()).status();
        assert!(copied.expect("run cp").success());
        Self(folder)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Replaces a file at once, as the kernel does: the program never sees half of it.
    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.path(path);
        let new = self.path("new");
        std::fs::write(&new, content).expect("write");
        std::fs::rename(new, file).expect("replace");
    }

    fn flags(&self) -> [String; 2] {
        flags(self.0.path())
    }

    fn once(&self, more: &[&str]) -> String {
        let [sysfs, procfs] = self.flags();
        testing::once(PROGRAM, &[&[sysfs.as_str(), procfs.as_str()], more].concat())
    }

    fn start(&self) -> Running {
        let [sysfs, procfs] = self.flags();
        Running::start(PROGRAM, &[&sysfs, &procfs])
    }
}

fn fixture_path(machine: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(machine)
}

fn golden_path(machine: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{machine}.prom"))
}

fn flags(machine: &Path) -> [String; 2] {
    ["sys", "proc"].map(|fs| format!("--path.{fs}fs={}", machine.join(fs).display()))
}

/// Looks again until there is something, for as long as only a broken program would need.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "never came: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// The samples that do not differ from run to run, without their values.
fn series(page: &str) -> BTreeSet<String> {
    let stable = testing::stable(page);
    let samples = stable.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

fn check(machine: &str) {
    let [sysfs, procfs] = flags(&fixture_path(machine));
    let page = testing::once(PROGRAM, &[&sysfs, &procfs]);
    testing::assert_golden(&page, &golden_path(machine));
    testing::lint(&page, &CONTRACT);
}

#[test]
fn intel_laptop() {
    check("intel-laptop");
}

#[test]
fn two_socket_server() {
    check("two-socket-server");
}

#[test]
fn amd_desktop() {
    check("amd-desktop");
}

#[test]
fn amd_hwmon() {
    check("amd-hwmon");
}

#[test]
fn arm_board() {
    check("arm-board");
}

#[test]
fn raspberry_pi() {
    check("raspberry-pi");
}

#[test]
fn vm() {
    check("vm");
}

/// Everyone but root gets EACCES, which is what the kernel answers; so a root's test becomes somebody else.
#[test]
fn energy_that_only_root_may_read() {
    let machine = Machine::new("permission-denied");
    let everyone = |path: &Path, mode: &str| {
        assert!(
            Command::new("chmod")
                .arg(mode)
                .arg(path)
                .status()
                .expect("run chmod")
                .success()
        );
    };
    everyone(machine.0.path(), "755");
    for zone in [POWERCAP.to_owned(), format!("{POWERCAP}/intel-rapl:0:0")] {
        let mode = if rustix::process::geteuid().is_root() {
            "400"
        } else {
            "000"
        };
        everyone(&machine.path(&format!("{zone}/energy_uj")), mode);
    }
    let program = machine.path("rapl-exporter");
    std::fs::copy(PROGRAM, &program).expect("copy the program to where everyone may run it");
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    let output = command
        .arg("--once")
        .args(machine.flags())
        .output()
        .expect("run the program");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(
        log.contains("CAP_DAC_READ_SEARCH") && log.contains("energy_uj"),
        "{log}"
    );
    let page = String::from_utf8(output.stdout).expect("UTF-8");
    testing::assert_golden(&page, &golden_path("permission-denied"));
    testing::lint(&page, &CONTRACT);
}

#[test]
fn a_counter_that_wraps_between_two_readings() {
    let machine = Machine::new("intel-laptop");
    let energy = format!("{POWERCAP}/energy_uj");
    machine.write(&energy, (RANGE - 5_000_000).to_string());
    let running = machine.start();
    let joules = |page: &str| value(page, &format!("rapl_energy_joules_total{PACKAGE}"));
    eventually("a first sample", || joules(&running.metrics()));
    machine.write(&energy, "10000000");
    let page = eventually("a second sample", || {
        Some(running.metrics()).filter(|page| joules(page).is_some_and(|joules| joules > 0.0))
    });
    assert_eq!(
        joules(&page),
        Some(15.000_001),
        "up to the range, one step to 0, and on"
    );
    assert_eq!(
        value(&page, r#"rapl_counter_wraps_total{zone="package-0"}"#),
        Some(1.0)
    );
    assert_eq!(
        value(&page, r#"rapl_counter_wraps_total{zone="psys"}"#),
        Some(0.0)
    );
    let peak = value(&page, r#"rapl_power_peak_watts{zone="package-0"}"#).expect("a peak");
    assert!(peak > 0.0 && peak < 5000.0, "{peak}");
}

#[test]
fn zones_that_go_away_and_come_back() {
    let machine = Machine::new("intel-laptop");
    let running = machine.start();
    let core = r#"rapl_energy_joules_total{zone="package-0-core",parent="package-0"}"#;
    let package = format!("rapl_energy_joules_total{PACKAGE}");
    let energy = format!("{POWERCAP}/energy_uj");
    let link = |zone: &str| machine.path(&format!("sys/class/powercap/{zone}"));
    let take_away = |zone: &str| std::fs::rename(link(zone), machine.path(zone)).expect("take away");
    let bring_back = |zone: &str| std::fs::rename(machine.path(zone), link(zone)).expect("bring back");

    eventually("a sample", || value(&running.metrics(), core));
    machine.write(&energy, "134561226840\n");
    take_away("intel-rapl:0:0");
    let page = eventually("one zone to go", || {
        Some(running.metrics()).filter(|page| value(page, core).is_none())
    });
    assert!(value(&page, &package).is_some(), "the others stay");

    machine.write(&energy, "134571226840\n");
    eventually("energy", || {
        value(&running.metrics(), &package).filter(|joules| (joules - 10.0).abs() < 1e-9)
    });
    take_away("intel-rapl-mmio:0");
    take_away("intel-rapl:0");
    let simulated = r#"rapl_source_info{source="simulated"}"#;
    let page = eventually("the package to go", || {
        Some(running.metrics()).filter(|page| value(page, simulated) == Some(1.0))
    });
    assert_eq!(value(&page, &package), None);
    assert_eq!(
        value(&page, r#"rapl_source_info{source="powercap"}"#),
        None,
        "exactly one source"
    );

    bring_back("intel-rapl:0");
    bring_back("intel-rapl:0:0");
    let page = eventually("both to come back", || {
        Some(running.metrics()).filter(|page| value(page, core).is_some() && value(page, &package).is_some())
    });
    assert_eq!(value(&page, &package), Some(10.0), "the total goes on");
}

#[test]
fn a_torn_file_costs_only_itself() {
    let machine = Machine::new("intel-laptop");
    let before = series(&machine.once(&[]));
    let core = format!("{POWERCAP}/intel-rapl:0:0");
    machine.write(&format!("{core}/energy_uj"), "8123011x");
    machine.write(&format!("{core}/enabled"), "");
    machine.write(&format!("{POWERCAP}/intel-rapl:0:1/max_energy_range_uj"), "-1");
    machine.write(
        &format!("{POWERCAP}/constraint_2_power_limit_uw"),
        "99999999999999999999999",
    );
    machine.write(
        &format!("{POWERCAP}/constraint_1_name"),
        [0xff, 0x00, b'\n', b'a'],
    );
    machine.write(
        "sys/devices/virtual/powercap/intel-rapl-mmio/intel-rapl-mmio:0/name",
        "",
    );
    machine.write("sys/devices/platform/coretemp.0/hwmon/hwmon3/temp1_input", "-");
    machine.write(
        "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count",
        "many",
    );
    machine.write("proc/stat", "cpu  12 13 fourteen");
    let page = machine.once(&[]);
    let after = series(&page);
    let lost: Vec<&str> = before.difference(&after).map(String::as_str).collect();
    assert_eq!(
        lost,
        [
            r#"rapl_counter_wraps_total{zone="package-0-core"}"#,
            r#"rapl_energy_joules_total{zone="package-0-core",parent="package-0"}"#,
            r#"rapl_power_limit_watts{zone="package-0",constraint="peak_power"}"#,
            r#"rapl_power_limit_watts{zone="package-0",constraint="short_term"}"#,
            r#"rapl_power_limit_watts{zone="package-0-mmio",constraint="long_term"}"#,
            r#"rapl_power_limit_watts{zone="package-0-mmio",constraint="short_term"}"#,
            r#"rapl_power_limit_window_seconds{zone="package-0",constraint="short_term"}"#,
            r#"rapl_power_limit_window_seconds{zone="package-0-mmio",constraint="long_term"}"#,
            r#"rapl_power_limit_window_seconds{zone="package-0-mmio",constraint="short_term"}"#,
            r#"rapl_power_peak_watts{zone="package-0-core"}"#,
            r#"rapl_power_watts{zone="package-0-core",parent="package-0"}"#,
            r#"rapl_zone_enabled{zone="package-0-core"}"#,
            r#"rapl_zone_enabled{zone="package-0-mmio"}"#,
            "val_pl2_limit_watts",
        ]
    );
    assert_eq!(
        value(&page, "hw_temp_package_celsius"),
        Some(63.0),
        "the hottest core stands in"
    );
    assert_eq!(
        value(&page, "val_pl1_limit_watts"),
        Some(28.0),
        "without the twin's lower limit"
    );
    assert_eq!(
        value(&page, r#"rapl_cpu_throttle_events_total{scope="core"}"#),
        Some(19.0)
    );
    assert_eq!(
        value(&page, r#"rapl_exporter_collector_success{collector="load"}"#),
        Some(0.0)
    );
}

#[test]
fn a_package_that_cannot_be_read_is_a_gap_and_not_a_simulation() {
    let machine = Machine::new("two-socket-server");
    machine.write(
        "sys/devices/virtual/powercap/intel-rapl/intel-rapl:1/energy_uj",
        "garbage",
    );
    let page = machine.once(&[]);
    assert_eq!(
        value(&page, "val_package_power_watts"),
        None,
        "one package of two is no sum"
    );
    assert_eq!(value(&page, r#"rapl_source_info{source="powercap"}"#), Some(1.0));
    assert_eq!(
        value(
            &page,
            r#"rapl_source_available{source="powercap",reason="unreadable"}"#
        ),
        Some(0.0)
    );
    assert_eq!(value(&page, &format!("rapl_power_watts{PACKAGE}")), Some(0.0));
    assert_eq!(value(&page, "val_pl1_limit_watts"), Some(330.0));
}

#[test]
fn a_package_without_a_limit_leaves_no_sum_of_limits() {
    let machine = Machine::new("two-socket-server");
    machine.write(
        "sys/devices/virtual/powercap/intel-rapl/intel-rapl:1/constraint_0_power_limit_uw",
        "0",
    );
    let page = machine.once(&[]);
    assert_eq!(value(&page, "val_pl1_limit_watts"), None);
    assert_eq!(value(&page, "val_pl2_limit_watts"), Some(396.0));
    assert_eq!(
        value(&page, r#"rapl_limit_exceeded_seconds_total{zone="package-0"}"#),
        Some(0.0)
    );
    assert_eq!(
        value(&page, r#"rapl_limit_exceeded_seconds_total{zone="package-1"}"#),
        None
    );
}

#[test]
fn power_above_the_limit_is_counted_while_the_limit_is_in_force() {
    let machine = Machine::new("intel-laptop");
    let mmio = "sys/devices/virtual/powercap/intel-rapl-mmio/intel-rapl-mmio:0";
    machine.write(&format!("{mmio}/constraint_0_time_window_us"), "1000");
    let running = machine.start();
    let above = |page: &str| value(page, r#"rapl_limit_exceeded_seconds_total{zone="package-0"}"#);
    let mut microjoules = 134_561_226_840_u64;
    eventually("power above 20 W", || {
        // 1 kW, far above the limit and not too much to be true.
        microjoules += 20_000_000;
        machine.write(&format!("{POWERCAP}/energy_uj"), microjoules.to_string());
        above(&running.metrics()).filter(|seconds| *seconds > 0.0)
    });
    machine.write(&format!("{mmio}/constraint_0_power_limit_uw"), "0");
    machine.write(&format!("{POWERCAP}/enabled"), "0");
    let page = eventually("no limit in force", || {
        Some(running.metrics()).filter(|page| above(page).is_none())
    });
    assert_eq!(
        value(&page, "val_pl1_limit_watts"),
        Some(28.0),
        "set all the same"
    );
    assert_eq!(value(&page, r#"rapl_zone_enabled{zone="package-0"}"#), Some(0.0));
    let locked = machine.once(&["--powercap.limits-locked"]);
    assert_eq!(above(&locked), Some(0.0), "locked by the firmware");
    assert_eq!(value(&locked, "val_pl1_limit_watts"), Some(28.0));

    machine.write(&format!("{POWERCAP}/enabled"), "yes");
    assert_eq!(above(&machine.once(&[])), None, "not known to be in force");
    std::fs::remove_file(machine.path(&format!("{POWERCAP}/enabled"))).expect("remove");
    assert_eq!(above(&machine.once(&[])), Some(0.0), "cannot be disabled");
}

#[test]
fn load_is_that_of_the_last_second_and_drives_the_simulation() {
    let machine = Machine::new("vm");
    let running = machine.start();
    let (mut busy, mut idle) = (1422, 151_294);
    let page = eventually("a load", || {
        busy += 3;
        idle += 7;
        machine.write(
            "proc/stat",
            format!("cpu  {busy} 0 1299 {idle} 152 0 15 71 0 0\n"),
        );
        Some(running.metrics()).filter(|page| value(page, "hw_cpu_load_percent").is_some())
    });
    assert_eq!(value(&page, "hw_cpu_load_percent"), Some(30.0));
    let watts = value(&page, "val_package_power_watts").expect("a simulated power");
    let model = 10.0 + 55.0 * (2.0 * 0.3 - 0.3_f64.powf(1.4));
    assert!((watts - model).abs() <= 0.05, "{watts} and {model}");
    assert_eq!(value(&page, r#"rapl_source_info{source="simulated"}"#), Some(1.0));
    assert!(!page.contains("rapl_power_watts") && !page.contains("rapl_energy_joules_total"));
}

#[test]
fn zones_that_a_container_engine_hides() {
    let machine = Machine::new("amd-desktop");
    std::fs::remove_dir_all(machine.path("sys/devices/virtual/powercap")).expect("remove");
    let page = machine.once(&[]);
    assert_eq!(
        value(
            &page,
            r#"rapl_source_available{source="powercap",reason="masked"}"#
        ),
        Some(0.0)
    );
    assert_eq!(value(&page, r#"rapl_source_info{source="simulated"}"#), Some(1.0));
}

#[test]
fn a_source_that_the_flags_leave_out_is_not_used() {
    let page = Machine::new("raspberry-pi").once(&["--power.sources=powercap"]);
    assert_eq!(value(&page, r#"rapl_source_info{source="powercap"}"#), Some(1.0));
    assert_eq!(
        value(
            &page,
            r#"rapl_source_available{source="simulated",reason="disabled"}"#
        ),
        Some(0.0)
    );
    assert_eq!(value(&page, "val_package_power_watts"), None);
    let page = Machine::new("intel-laptop").once(&["--power.sources=simulated", "--simulated.max-watts=30"]);
    let watts = value(&page, "val_package_power_watts").expect("a simulated power");
    assert!((10.0..=30.0).contains(&watts), "{watts}");
    assert!(!page.contains("rapl_power_watts"));
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let output = Command::new(PROGRAM)
        .args(["--once", "--simulated.idle-watts=70"])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        log.contains("--simulated.idle-watts 70 and --simulated.max-watts 65"),
        "{log}"
    );
}

#[test]
fn the_readme_lists_what_the_pages_show() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut shown = BTreeSet::new();
    for golden in std::fs::read_dir(root.join("tests/golden")).expect("the golden pages") {
        let page = std::fs::read_to_string(golden.expect("a page").path()).expect("text");
        let names = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        shown.extend(
            names
                .filter(|name| !name.contains("_exporter_"))
                .map(str::to_owned),
        );
    }
    // Needs a second reading of /proc/stat that differs from the first.
    shown.insert("hw_cpu_load_percent".to_owned());
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let listed: BTreeSet<String> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .filter(|name| !name.starts_with("--"))
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, shown);
}

#[test]
fn half_open_connections_do_not_disturb_a_scrape() {
    testing::withstands_half_open_connections(&Machine::new("intel-laptop").start());
}
