//! The boards, as device-exporter sees them.

use std::fs;

use exporter::testing;

use crate::lab::{Running, beside, eventually};

#[test]
fn device_exporter_sees_boards_of_all_kinds() {
    let folder = tempfile::tempdir().expect("a folder");
    let _machine = Running::start(folder.path());
    let configuration = folder.path().join("devices.toml");
    let ports = demo_machine::devices(folder.path());
    fs::write(
        &configuration,
        format!("[[device]]\nport = \"{}/*\"\n", ports.display()),
    )
    .expect("write");
    let flags = [
        format!("--config.file={}", configuration.display()),
        format!("--storage.path={}", folder.path().join("state").display()),
    ];
    let program = beside("device-exporter");
    let exporter = testing::Running::start(program.to_str().expect("UTF-8"), &[&flags[0], &flags[1]]);
    for platform in ["esp32", "stm32", "riscv"] {
        eventually(platform, || {
            let page = exporter.metrics();
            let is_connected = |line: &&str| {
                line.starts_with("device_connection_status{")
                    && line.contains(&format!("platform=\"{platform}\""))
                    && line.ends_with(" 1")
            };
            let has_tokens = page.lines().any(|line| {
                line.starts_with("model_tokens_total{") && line.contains(platform) && !line.ends_with(" 0")
            });
            (page.lines().any(|line| is_connected(&line)) && has_tokens).then_some(())
        });
    }
}
