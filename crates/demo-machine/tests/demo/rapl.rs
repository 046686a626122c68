//! The laptop, as rapl-exporter sees it.

use std::path::Path;

use exporter::testing;

use crate::lab::{Running, eventually, once};

fn page(folder: &Path) -> String {
    let flags = [
        format!("--path.sysfs={}", demo_machine::sysfs(folder).display()),
        format!("--path.procfs={}", demo_machine::procfs(folder).display()),
    ];
    once("rapl-exporter", &flags, &[])
}

fn counter(folder: &Path) -> u64 {
    let path = demo_machine::sysfs(folder).join("class/powercap/intel-rapl:0/energy_uj");
    let text = std::fs::read_to_string(path).expect("the counter");
    text.trim().parse().expect("a number")
}

#[test]
fn rapl_exporter_reads_moving_and_plausible_values() {
    let folder = tempfile::tempdir().expect("a folder");
    demo_machine::prepare(folder.path()).expect("prepare");
    let laptop = Running::start(folder.path());
    let page = eventually("every value is there", || {
        let page = page(folder.path());
        let has_load = testing::value(&page, "hw_cpu_load_percent").is_some();
        (has_load && page.contains("\nrapl_power_watts{")).then_some(page)
    });
    let between = |series: &str, least: f64, most: f64| {
        let value = crate::lab::value(&page, series);
        assert!((least..=most).contains(&value), "{series} {value}");
        value
    };
    let watts = |zone: &str, parent: &str| {
        let series = format!("rapl_power_watts{{zone=\"{zone}\",parent=\"{parent}\"}}");
        between(&series, 0.1, 80.0)
    };
    let package = watts("package-0", "");
    let parts = watts("package-0-core", "package-0") + watts("package-0-uncore", "package-0");
    assert!(parts < package && package < watts("psys", ""), "{page}");
    between("val_pl1_limit_watts", 28.0, 28.0);
    between("val_pl2_limit_watts", 64.0, 64.0);
    between("hw_temp_package_celsius", 30.0, 95.0);
    between("hw_cpu_load_percent", 0.0, 100.0);
    between("rapl_source_info{source=\"powercap\"}", 1.0, 1.0);

    let before = counter(folder.path());
    eventually("energy moves", || {
        (counter(folder.path()) != before).then_some(())
    });

    // One that is started again goes on where the other ended, or the exporter would see a wrap that was none.
    drop(laptop);
    let ended = counter(folder.path());
    let _laptop = Running::start(folder.path());
    let resumed = eventually("it moves again", || {
        Some(counter(folder.path())).filter(|counter| *counter != ended)
    });
    // 60 W for the longest time that a test waits.
    assert!((resumed + 16_000_000_000 - ended) % 16_000_000_000 < 60 * 90 * 1_000_000);
}
