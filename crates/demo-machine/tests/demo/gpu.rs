//! The GPUs, as gpu-exporter sees them through the library that answers in NVML's place.

use std::path::PathBuf;

use crate::lab::{Lab, count, once, value};

/// Cargo puts it beside this test, since the crate depends on it.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let library = test.with_file_name("libfake_nvml.so");
    assert!(library.is_file(), "{} is not built", library.display());
    library
}

fn page(lab: &Lab) -> String {
    let flags = [
        format!("--path.sysfs={}", demo_machine::sysfs(lab.path()).display()),
        format!("--path.procfs={}", demo_machine::procfs(lab.path()).display()),
        format!("--nvml.library={}", library().display()),
    ];
    let scenario = demo_machine::gpus(lab.path());
    once("gpu-exporter", &flags, &[("FAKE_NVML_SCENARIO", scenario)])
}

/// Series of both GPUs.
fn both(name: &str) -> [String; 2] {
    ["0", "1"].map(|id| format!("{name}{{gpu_id=\"{id}\"}}"))
}

#[test]
fn gpu_exporter_sees_work_heat_and_throttling_come_and_go() {
    let mut lab = Lab::ago(420);
    let new = page(&lab);
    assert_eq!(count(&new, "gpu_count"), 2);
    assert_eq!(count(&new, "gpu_nvml_up{reason=\"ok\"}"), 1);
    lab.advance(15);
    let idle = page(&lab);
    lab.advance(165);
    let burst = page(&lab);
    for series in both("gpu_up") {
        assert_eq!(count(&idle, &series), 1);
    }
    for name in [
        "gpu_utilization_percent",
        "gpu_memory_used_bytes",
        "gpu_temperature_celsius",
        "gpu_power_usage_watts",
        "gpu_energy_joules_total",
        "gpu_sm_clock_hertz",
    ] {
        for series in both(name) {
            let (before, after) = (value(&idle, &series), value(&burst, &series));
            assert!(after > before, "{series}: {before}, then {after}");
        }
    }
    let on = |page: &str, name: &str, more: &str| value(page, &format!("{name}{{gpu_id=\"0\",{more}}}"));
    let power_cap = "reason=\"sw_power_cap\"";
    assert!(on(&idle, "gpu_throttle_active", power_cap) < 0.5);
    assert!(on(&burst, "gpu_throttle_active", power_cap) > 0.5);
    assert_eq!(count(&burst, "gpu_power_usage_watts{gpu_id=\"0\"}"), 350);
    let held = on(&burst, "gpu_throttled_seconds_total", "reason=\"power\"");
    assert!((60.0..=125.0).contains(&held), "{held}");
    assert!(
        burst.contains(r#"name="NVIDIA GeForce RTX 3090",vendor="nvidia""#),
        "{burst}"
    );
    let received = "direction=\"receive\"";
    assert!(on(&burst, "gpu_pcie_bytes_total", received) > on(&idle, "gpu_pcie_bytes_total", received));
    // The units of processes come from the made-up procfs.
    for holder in [
        r#"gpu_process_memory_bytes{gpu_id="0",process="ollama",unit="ollama.service"}"#,
        r#"gpu_process_memory_bytes{gpu_id="1",process="VLLM::EngineCor",unit="docker-7c1de30f5ab2"}"#,
    ] {
        assert!(value(&burst, holder) > 1e10, "{holder}");
    }

    let energy = |page: &str| value(page, "gpu_energy_joules_total{gpu_id=\"1\"}");
    let lab = lab.restart();
    let resumed = page(&lab);
    assert!(energy(&resumed) >= energy(&burst), "counters do not go back");
    assert!(energy(&resumed) - energy(&burst) < 1.0);
}
