//! What the bridge takes of the machine.

use std::fmt::Write as _;

use exporter::testing::{self, Running};

use crate::BRIDGE;
use crate::programs::{Program, Target, wait_for};

/// A page with this many series of five labels.
fn page(series: usize) -> String {
    let mut page = "# TYPE requests_total counter\n".to_owned();
    for i in 0..series {
        let _ = writeln!(
            page,
            "requests_total{{code=\"200\",handler=\"/api/v1/items\",method=\"get\",shard=\"{i}\"}} {i}.5"
        );
    }
    page
}

#[test]
fn a_hundred_thousand_series_take_memory_for_one_page_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let prometheus = Program::prometheus(folder.path(), "");
    let large = page(50_000);
    let targets: Vec<_> = (0..2).map(|_| Target::serve(&large)).collect();
    let config = folder.path().join("bridge.toml");
    let mut text = format!(
        "machine = \"pc\"\n[remote_write]\nurl = \"http://127.0.0.1:{}/api/v1/write\"\n",
        prometheus.port
    );
    for (i, target) in targets.iter().enumerate() {
        text += &target.entry(&format!("job{i}")).replace("200ms", "5s");
    }
    std::fs::write(&config, text).expect("write the configuration");
    let flags = [
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", folder.path().join("data").display()),
    ];
    let bridge = Running::start(BRIDGE, &flags.each_ref().map(String::as_str));
    wait_for("all series", || {
        let found = prometheus.query("count(requests_total) == 100000");
        (found.len() == 1).then_some(())
    });
    for _ in 0..1000 {
        bridge.metrics();
    }
    let used = testing::resident_kib(bridge.pid());
    println!("{used} KiB with 100 000 series");
    // The page of each target is 4 MB of text; what is compared with the next one takes about as much.
    assert!(used < 96 * 1024, "{used} KiB");
}
