//! How the exporters are led to the made-up machine of `[stack] demo = true`, which `crates/demo-machine` keeps going.

use std::path::{Path, PathBuf};

pub(crate) use demo_machine::{
    brain, canary, canary_results, devices, gpus, metrics, orchestra, prepare, runs,
};

/// The flags that let an exporter look at the made-up machine instead of this one.
pub(crate) fn paths(folder: &Path) -> Vec<String> {
    vec![
        format!("--path.sysfs={}", demo_machine::sysfs(folder).display()),
        format!("--path.procfs={}", demo_machine::procfs(folder).display()),
    ]
}

/// The library that answers in NVML's place: where cargo puts what programs depend on, else beside the exporter.
pub(crate) fn nvml(exporter: &Path) -> PathBuf {
    const NAME: &str = "libfake_nvml.so";
    let built = exporter.with_file_name("deps").join(NAME);
    if built.exists() {
        return built;
    }
    exporter.with_file_name(NAME)
}

/// Name and file of each made-up database; the name is also that of the pack to ask it.
pub(crate) fn databases(folder: &Path) -> [(&'static str, PathBuf); 3] {
    [
        ("litellm", demo_machine::usage(folder)),
        ("signal-queue", demo_machine::queue(folder)),
        ("business", demo_machine::business(folder)),
    ]
}
