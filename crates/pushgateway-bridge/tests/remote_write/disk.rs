//! A disk that takes no more.

use std::os::unix::fs::PermissionsExt as _;

use exporter::testing::{Running, value};

use crate::lab::eventually;
use crate::receiver::{Answer, Receiver};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushgateway-bridge");

/// Starts the bridge where no file grows beyond 32 KiB, which is half a segment. It scrapes itself.
fn start(folder: &std::path::Path, receiver: &Receiver) -> Running {
    let path = |name: &str| folder.join(name).display().to_string();
    let target = exporter::testing::free_port();
    let config = format!(
        "machine = \"pc\"\n\n[remote_write]\nurl = \"{}\"\n\n[[target]]\njob = \"self\"\n\
         url = \"http://127.0.0.1:{target}/metrics\"\ninterval = \"20ms\"\n",
        receiver.url()
    );
    std::fs::write(folder.join("bridge.toml"), config).expect("written");
    let script = format!("#!/bin/sh\ntrap '' XFSZ\nulimit -f 64\nexec {PROGRAM} \"$@\"\n");
    std::fs::write(folder.join("bridge"), script).expect("written");
    std::fs::set_permissions(folder.join("bridge"), std::fs::Permissions::from_mode(0o755)).expect("set");
    let flags = [
        format!("--config.file={}", path("bridge.toml")),
        format!("--storage.path={}", path("data")),
        format!("--web.listen-address=127.0.0.1:{target}"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Running::start(&path("bridge"), &flags)
}

#[test]
fn samples_arrive_though_the_disk_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::start(|_| Answer::Say("503 Service Unavailable", ""));
    let running = start(folder.path(), &receiver);
    let page = || running.metrics();
    // Each page is about 2 KiB in the spool.
    let scraped = || receiver.with(|state| state.requests.len());
    eventually("the spool is full", || {
        value(&page(), "bridge_spool_bytes").is_some_and(|bytes| bytes > 29_000.0)
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    let before = scraped();
    assert!(before > 0);
    receiver.script(|_| Answer::Store);
    eventually("it catches up", || {
        value(&page(), "bridge_spool_oldest_timestamp_seconds").is_none()
    });
    eventually("and goes on", || {
        let held = receiver.with(|state| {
            let up = state
                .stored
                .keys()
                .find(|series| series.contains("__name__=up,") && series.contains("job=self"));
            up.map_or(0, |up| state.stored[up].len())
        });
        held > 100
    });
    let page = page();
    for reason in ["disk", "size", "age", "corrupt"] {
        let series = format!("bridge_samples_dropped_total{{reason=\"{reason}\"}}");
        assert_eq!(value(&page, &series), Some(0.0), "{reason}");
    }
    assert!(value(&page, "bridge_spool_bytes").is_some_and(|bytes| bytes < 32_769.0));
    // Each sample once.
    receiver.with(|state| {
        for (series, samples) in &mut state.stored {
            let count = samples.len();
            samples.sort_unstable();
            samples.dedup();
            assert_eq!(samples.len(), count, "{series}");
        }
    });
}
