//! Runs the real program on trees of files that look like machines, with a library that answers as NVIDIA's would.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use exporter::testing::{self, Running, value};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_gpu-exporter");
/// Names that the public contract fixes.
const CONTRACT: [&str; 2] = ["gpu_count", "gpu_expected_count"];
const TWO_GPUS: &str = include_str!("scenarios/two-gpus.toml");

fn test_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// Cargo puts it beside this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let library = test.with_file_name("libfake_nvml.so");
    assert!(library.exists(), "{}: not built", library.display());
    library
}

/// A copy of a fixture with a scenario, both of which a test may change.
struct Machine(TempDir);

impl Machine {
    fn new(fixture: &str, scenario: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let from = test_path("fixtures").join(fixture).join(".");
        let copied = Command::new("cp").arg("-a").arg(from).arg(folder.path()).status();
        assert!(copied.expect("run cp").success());
        let machine = Self(folder);
        machine.write("scenario.toml", scenario);
        machine
    }

    /// Replaces a file at once: the program never sees half of it.
    fn write(&self, path: &str, content: &str) {
        let new = self.0.path().join("new");
        std::fs::write(&new, content).expect("write");
        std::fs::rename(new, self.0.path().join(path)).expect("replace");
    }

    fn flags(&self, library: &Path) -> Vec<String> {
        vec![
            format!("--path.sysfs={}", self.0.path().join("sys").display()),
            format!("--path.procfs={}", self.0.path().join("proc").display()),
            format!("--nvml.library={}", library.display()),
        ]
    }

    fn start(&self, library: &Path, more: &[&str]) -> Running {
        let flags = self.flags(library);
        let mut flags: Vec<&str> = flags
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        if !more.iter().any(|flag| flag.starts_with("--nvml.timeout")) {
            // The most that there is, so that no GPU counts as hung on a busy machine.
            flags.push("--nvml.timeout=9");
        }
        let scenario = self.0.path().join("scenario.toml");
        let scenario = scenario.to_str().expect("a path in UTF-8");
        Running::start_with(PROGRAM, &flags, &[("FAKE_NVML_SCENARIO", scenario)])
    }
}

/// Looks again until there is something, for as long as only a broken program would need.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "never came: {what}");
    }
}

fn check(fixture: &str, scenario: &str, library: &Path) {
    let machine = Machine::new(fixture, scenario);
    let page = machine.start(library, &[]).metrics();
    testing::assert_golden(&page, &test_path("golden").join(format!("{fixture}.prom")));
    testing::lint(&page, &CONTRACT);
}

fn missing() -> &'static Path {
    Path::new("/nonexistent/libnvidia-ml.so.1")
}

#[test]
fn amd_desktop() {
    check("amd-desktop", "", missing());
}

#[test]
fn amd_laptop_whose_second_gpu_sleeps() {
    check("amd-laptop", "", missing());
}

#[test]
fn hybrid_laptop_whose_nvidia_gpu_sleeps() {
    check("hybrid-laptop", "", &library());
}

#[test]
fn no_gpu_at_all() {
    check("none", "", missing());
}

#[test]
fn nvidia_server_with_mig() {
    check("nvidia-server", TWO_GPUS, &library());
}

#[test]
fn a_gpu_that_falls_off_the_bus_is_down_until_it_is_back() {
    let scenario = TWO_GPUS.replacen("[[gpu]]", "[[gpu]]\nlost = [3, 5]", 1);
    let scenario = scenario.replace("{ look = 1, code = 31 }", "{ look = 3, code = 79 }");
    let machine = Machine::new("nvidia-server", &scenario);
    let exporter = machine.start(&library(), &[]);
    for look in 1..=6 {
        let page = exporter.metrics();
        let is_lost = (3..=5).contains(&look);
        let up = if is_lost { 0.0 } else { 1.0 };
        assert_eq!(value(&page, r#"gpu_up{gpu_id="0"}"#), Some(up), "look {look}");
        assert_eq!(value(&page, "gpu_count"), Some(1.0 + up));
        assert_eq!(value(&page, "gpu_expected_count"), Some(2.0));
        assert_eq!(
            value(&page, r#"gpu_temperature_celsius{gpu_id="0"}"#).is_none(),
            is_lost
        );
        assert_eq!(
            value(&page, r#"gpu_energy_joules_total{gpu_id="0"}"#),
            Some(1234.567)
        );
        assert_eq!(
            value(&page, r#"gpu_temperature_celsius{gpu_id="1"}"#),
            Some(40.0),
            "its neighbour"
        );
        assert_eq!(value(&page, r#"gpu_nvml_up{reason="ok"}"#), Some(1.0));
        let reported = if look >= 3 { 1.0 } else { 0.0 };
        assert_eq!(
            value(&page, r#"gpu_xid_errors_total{gpu_id="0",xid="79"}"#),
            Some(reported),
            "look {look}: what it reported when it was lost, once"
        );
    }
}

#[test]
fn a_driver_that_comes_goes_and_is_replaced_needs_no_restart() {
    let without = |fault: &str| format!("fault = \"{fault}\"\n{TWO_GPUS}");
    let machine = Machine::new("none", &without("driver_not_loaded"));
    let exporter = machine.start(&library(), &[]);
    let page = exporter.metrics();
    assert_eq!(
        value(&page, r#"gpu_nvml_up{reason="driver_not_loaded"}"#),
        Some(0.0)
    );
    assert_eq!(
        value(&page, r#"gpu_exporter_collector_success{collector="gpu"}"#),
        Some(1.0),
        "a machine without GPUs looks the same"
    );

    machine.write("scenario.toml", TWO_GPUS);
    let page = exporter.metrics();
    assert_eq!(value(&page, r#"gpu_nvml_up{reason="ok"}"#), Some(1.0));
    assert_eq!(
        value(&page, r#"gpu_energy_joules_total{gpu_id="0"}"#),
        Some(1234.567)
    );

    machine.write("scenario.toml", &without("version_mismatch"));
    let page = exporter.metrics();
    assert_eq!(
        value(&page, r#"gpu_nvml_up{reason="version_mismatch"}"#),
        Some(0.0)
    );
    assert_eq!(value(&page, r#"gpu_up{gpu_id="0"}"#), Some(0.0));
    assert_eq!(
        value(&page, r#"gpu_exporter_collector_success{collector="gpu"}"#),
        Some(0.0)
    );

    let reloaded = TWO_GPUS.replace("energy_millijoules = 1234567", "energy_millijoules = 1000");
    machine.write("scenario.toml", &reloaded);
    let page = exporter.metrics();
    assert_eq!(value(&page, r#"gpu_up{gpu_id="0"}"#), Some(1.0));
    assert_eq!(
        value(&page, r#"gpu_energy_joules_total{gpu_id="0"}"#),
        Some(1235.567)
    );
}

#[test]
fn gpus_on_the_bus_without_their_library_are_down() {
    let machine = Machine::new("nvidia-server", "");
    let page = machine.start(missing(), &[]).metrics();
    assert_eq!(
        value(&page, r#"gpu_nvml_up{reason="library_missing"}"#),
        Some(0.0)
    );
    assert_eq!(value(&page, r#"gpu_up{gpu_id="1"}"#), Some(0.0));
    assert_eq!(value(&page, "gpu_expected_count"), Some(2.0));
    assert_eq!(
        value(&page, r#"gpu_exporter_collector_success{collector="gpu"}"#),
        Some(0.0)
    );
}

#[test]
fn a_library_that_is_broken_is_a_problem_and_one_that_is_not_there_is_none() {
    let machine = Machine::new("none", "");
    machine.write("text.so", "no library\n");
    let cases = [
        (machine.0.path().join("text.so"), "failed", 0.0),
        (machine.0.path().join("sys"), "failed", 0.0),
        (machine.0.path().join("absent.so"), "library_missing", 1.0),
        ("libnone-of-this-name.so.1".into(), "library_missing", 1.0),
    ];
    for (library, reason, success) in cases {
        let page = machine.start(&library, &[]).metrics();
        let up = format!("gpu_nvml_up{{reason=\"{reason}\"}}");
        assert_eq!(value(&page, &up), Some(0.0), "{library:?}\n{page}");
        assert_eq!(
            value(&page, r#"gpu_exporter_collector_success{collector="gpu"}"#),
            Some(success),
            "{library:?}"
        );
    }
}

#[test]
fn a_call_that_hangs_costs_its_own_gpu_only_until_it_returns() {
    let scenario = TWO_GPUS.replacen("[[gpu]]", "[[gpu]]\nhangs = true", 1);
    let machine = Machine::new("nvidia-server", &scenario);
    let exporter = machine.start(&library(), &["--nvml.timeout=0.2"]);
    let up = |page: &str, gpu: u32| value(page, &format!("gpu_up{{gpu_id=\"{gpu}\"}}"));
    // On a busy machine the other one may need more than its time, so as many looks as it takes.
    let page = eventually("the neighbour's figures", || {
        let page = exporter.metrics();
        assert_ne!(up(&page, 0), Some(1.0), "it hangs");
        Some(page).filter(|page| up(page, 1) == Some(1.0))
    });
    assert_eq!(up(&page, 0), Some(0.0));
    assert_eq!(value(&page, r#"gpu_temperature_celsius{gpu_id="1"}"#), Some(40.0));
    assert_eq!(
        value(&page, r#"gpu_exporter_collector_success{collector="gpu"}"#),
        Some(0.0)
    );
    machine.write("scenario.toml", TWO_GPUS);
    eventually("the GPU's return", || {
        Some(exporter.metrics()).filter(|page| up(page, 0) == Some(1.0))
    });
}

#[test]
fn a_call_that_hangs_does_not_hold_up_the_end() {
    let scenario = TWO_GPUS.replace("[[gpu]]", "[[gpu]]\nhangs = true");
    let machine = Machine::new("nvidia-server", &scenario);
    let mut exporter = machine.start(&library(), &["--nvml.timeout=0.2"]);
    assert_eq!(value(&exporter.metrics(), "gpu_count"), Some(0.0));
    exporter.signal(testing::Signal::TERM);
    assert_eq!(exporter.wait(), Some(0));
}

#[test]
fn a_sleeping_gpu_is_not_asked() {
    let scenario = TWO_GPUS.replacen("[[gpu]]", "[[gpu]]\nhangs = true", 1);
    let machine = Machine::new("nvidia-server", &scenario);
    let status = "sys/bus/pci/devices/0000:01:00.0/power/runtime_status";
    machine.write(status, "suspended\n");
    machine.write(&status.replace("runtime_status", "control"), "auto\n");
    let exporter = machine.start(&library(), &[]);
    let page = exporter.metrics();
    assert_eq!(value(&page, r#"gpu_suspended{gpu_id="0"}"#), Some(1.0));
    assert_eq!(value(&page, r#"gpu_suspended{gpu_id="1"}"#), Some(0.0));
    assert_eq!(
        value(&page, r#"gpu_up{gpu_id="0"}"#),
        Some(1.0),
        "asking would hang"
    );
    assert_eq!(value(&page, "gpu_count"), Some(2.0));
}

#[test]
fn an_idle_gpu_that_may_sleep_is_left_alone_and_one_that_works_is_not() {
    // Both do something at each second look.
    let idle = "utilization = [0, 50]";
    let scenario = TWO_GPUS
        .replace("utilization = 97", idle)
        .replace("encoder = 0\ndecoder = 12\n", "");
    let machine = Machine::new("nvidia-server", &scenario);
    let control = "sys/bus/pci/devices/0000:01:00.0/power/control";
    let busy = |page: &str| value(page, r#"gpu_utilization_percent{gpu_id="0"}"#);
    let age = |page: &str| value(page, r#"gpu_reading_age_seconds{gpu_id="0"}"#);

    let exporter = machine.start(&library(), &[]);
    assert_eq!(busy(&exporter.metrics()), Some(0.0));
    assert_eq!(busy(&exporter.metrics()), Some(50.0), "it never sleeps");
    drop(exporter);

    machine.write(control, "auto\n");
    let exporter = machine.start(&library(), &["--gpu.rest=600"]);
    assert_eq!(
        (busy(&exporter.metrics()), age(&exporter.metrics()).is_some()),
        (Some(0.0), true)
    );
    let page = exporter.metrics();
    assert_eq!(busy(&page), Some(0.0), "it is not asked");
    assert!(age(&page).is_some_and(|age| age > 0.0));
    assert_eq!(value(&page, r#"gpu_reading_age_seconds{gpu_id="1"}"#), Some(0.0));
    assert_eq!(value(&page, r#"gpu_up{gpu_id="0"}"#), Some(1.0));
    assert_eq!(value(&page, r#"gpu_xid_errors_total{gpu_id="0",xid="79"}"#), None);
}

#[test]
fn all_gpus_that_rest_need_no_library() {
    let scenario = TWO_GPUS
        .replace("utilization = 97", "utilization = 0")
        .replace("decoder = 12\n", "");
    let machine = Machine::new("nvidia-server", &scenario);
    for bus in ["01", "41"] {
        machine.write(
            &format!("sys/bus/pci/devices/0000:{bus}:00.0/power/control"),
            "auto\n",
        );
    }
    let exporter = machine.start(&library(), &["--gpu.rest=600"]);
    let first = exporter.metrics();
    let is_loaded = || {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", exporter.pid())).expect("its maps");
        maps.contains("libfake_nvml.so")
    };
    eventually("the library's end", || (!is_loaded()).then_some(()));
    let second = exporter.metrics();
    assert!(!is_loaded());
    for series in [
        r#"gpu_nvml_up{reason="ok"}"#,
        r#"gpu_energy_joules_total{gpu_id="0"}"#,
        r#"gpu_process_memory_bytes{gpu_id="0",process="python3",unit="vllm.service"}"#,
    ] {
        assert!(value(&first, series).is_some(), "{series}");
        assert_eq!(value(&first, series), value(&second, series), "{series}");
    }
}

#[test]
fn a_machine_without_gpus_is_healthy_and_says_why() {
    let machine = Machine::new("none", "");
    let exporter = machine.start(missing(), &[]);
    assert_eq!(
        value(&exporter.metrics(), r#"gpu_nvml_up{reason="library_missing"}"#),
        Some(0.0)
    );
    let address = format!("--web.listen-address={}", exporter.address());
    let health = Command::new(PROGRAM).args(["--healthcheck", &address]).status();
    assert!(health.expect("run the program").success());
}

/// As somebody who owns nothing, on files that nobody may write; the page is that of the tree's owner.
#[test]
fn no_rights_are_needed() {
    let machine = Machine::new("nvidia-server", TWO_GPUS);
    for (from, to) in [(Path::new(PROGRAM), "program"), (&library(), "library.so")] {
        std::fs::copy(from, machine.0.path().join(to)).expect("copy to where everybody may read it");
    }
    let read_only = Command::new("chmod")
        .args(["-R", "a-w,a+rX"])
        .arg(machine.0.path())
        .status();
    assert!(read_only.expect("run chmod").success());
    let program = machine.0.path().join("program");
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--bounding-set=-all",
            ])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    let output = command
        .arg("--once")
        .args(machine.flags(&machine.0.path().join("library.so")))
        .env("FAKE_NVML_SCENARIO", machine.0.path().join("scenario.toml"))
        .output()
        .expect("run the program");
    let writable = Command::new("chmod")
        .args(["-R", "u+w"])
        .arg(machine.0.path())
        .status();
    assert!(writable.expect("run chmod").success());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let page = String::from_utf8(output.stdout).expect("UTF-8");
    testing::assert_golden(&page, &test_path("golden/nvidia-server.prom"));
}

#[test]
fn errors_and_processes_come_and_go() {
    let scenario = TWO_GPUS.replace(
        "{ look = 1, code = 31 }",
        "{ look = 2, code = 79 }, { look = 2, code = 79 }",
    );
    let machine = Machine::new("nvidia-server", &scenario);
    let exporter = machine.start(&library(), &[]);
    let xid = r#"gpu_xid_errors_total{gpu_id="0",xid="79"}"#;
    let ollama = r#"gpu_process_memory_bytes{gpu_id="0",process="ollama",unit="docker-0123456789ab"}"#;
    let page = exporter.metrics();
    assert_eq!(value(&page, xid), Some(0.0));
    assert_eq!(value(&page, ollama), Some(1_073_741_824.0));
    machine.write(
        "scenario.toml",
        &scenario.replace("    { pid = 4244, bytes = 1073741824 },\n", ""),
    );
    let page = exporter.metrics();
    assert_eq!(value(&page, xid), Some(2.0));
    assert_eq!(value(&page, ollama), None);
    assert_eq!(value(&exporter.metrics(), xid), Some(2.0), "each counts once");
}

#[test]
fn without_sysfs_gpus_are_found_by_number() {
    let machine = Machine::new("none", TWO_GPUS);
    let page = machine.start(&library(), &[]).metrics();
    assert_eq!(value(&page, r#"gpu_up{gpu_id="1"}"#), Some(1.0));
    let info = r#"gpu_info{gpu_id="0",uuid="GPU-00000000-0000-0000-0000-000000000001",name="Fake RTX 3090",vendor="nvidia",driver_version="570.86.15",pci_bus_id="0000:01:00.0"}"#;
    assert_eq!(value(&page, info), Some(1.0));
}
