//! By remote write to a real Prometheus: the same series as if it scraped the targets itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use exporter::testing::{Running, Signal};

use crate::BRIDGE;
use crate::programs::{Program, Target, wait_for};

const WINDOW: &str = "storage: {tsdb: {out_of_order_time_window: 1h}}\n";

struct Bench {
    folder: tempfile::TempDir,
    config: PathBuf,
    prometheus: Program,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            config: folder.path().join("bridge.toml"),
            prometheus: Program::prometheus(folder.path(), WINDOW),
            folder,
        }
    }

    fn configure(&self, targets: &str) {
        let text = format!(
            "machine = \"pc\"\n[remote_write]\nurl = \"http://127.0.0.1:{}/api/v1/write\"\n{targets}",
            self.prometheus.port
        );
        std::fs::write(&self.config, text).expect("write the configuration");
    }

    fn start(&self, targets: &str) -> Running {
        self.configure(targets);
        let flags = [
            format!("--config.file={}", self.config.display()),
            format!("--storage.path={}", self.folder.path().join("data").display()),
        ];
        Running::start(BRIDGE, &flags.each_ref().map(String::as_str))
    }

    /// How many series a query finds now.
    fn count(&self, query: &str) -> usize {
        self.prometheus.query(query).len()
    }
}

#[test]
fn series_are_those_of_a_scrape_and_end_when_they_vanish() {
    let bench = Bench::new();
    let target = Target::serve("# TYPE a gauge\na{job=\"x\"} 1\nb NaN\nc 3\n");
    let mut bridge = bench.start(&target.entry("node"));
    let labels = "instance=\"pc\",job=\"node\",machine=\"pc\"";
    for query in [
        format!("a{{exported_job=\"x\",{labels}}} == 1"),
        format!("b{{{labels}}}"),
        format!("up{{{labels}}} == 1"),
        format!("scrape_samples_scraped{{{labels}}} == 3"),
        format!("scrape_duration_seconds{{{labels}}} > 0"),
        // What the alert PushStale looks at.
        "last_over_time(bridge_last_push_timestamp_seconds{job=\"pushgateway-bridge\",machine=\"pc\"}[1d])"
            .to_owned(),
        "bridge_target_up{target=\"node/pc\"} == 1".to_owned(),
        "bridge_spool_bytes > 0".to_owned(),
    ] {
        wait_for(&query, || (bench.count(&query) == 1).then_some(()));
    }
    // Without a marker it would be there for five minutes.
    target.show(200, "text/plain", "c 3\n");
    wait_for("the end of what vanished", || {
        (bench.count(&format!("{{{labels},__name__=~\"a|b\"}}")) == 0).then_some(())
    });
    assert_eq!(bench.count(&format!("c{{{labels}}}")), 1);
    target.show(500, "text/plain", "");
    wait_for("only `up` and its like", || {
        let down = bench.count(&format!("up{{{labels}}} == 0")) == 1;
        (down && bench.count(&format!("c{{{labels}}}")) == 0).then_some(())
    });
    target.show(200, "text/plain", "c 3\n");
    wait_for("the target is back", || {
        (bench.count(&format!("c{{{labels}}}")) == 1).then_some(())
    });
    target.show(200, "text/plain\r\nContent-Encoding: gzip", "c 3\n");
    wait_for("what was packed unasked is refused", || {
        (bench.count(&format!("up{{{labels}}} == 0")) == 1).then_some(())
    });
    target.show(200, "text/plain", "c 3\n");
    wait_for("the target is back again", || {
        (bench.count(&format!("c{{{labels}}}")) == 1).then_some(())
    });
    bridge.signal(Signal::TERM);
    assert_eq!(bridge.wait(), Some(0));
    assert_eq!(bench.count("{machine=\"pc\"}"), 0);
}

#[test]
fn a_target_that_is_taken_out_ends_and_the_others_go_on() {
    let bench = Bench::new();
    let (node, gpu) = (Target::serve("a 1\n"), Target::serve("b 1\n"));
    let bridge = bench.start(&(node.entry("node") + &gpu.entry("gpu")));
    wait_for("both", || (bench.count("a or b") == 2).then_some(()));
    bench.configure(&node.entry("node"));
    bridge.signal(Signal::HUP);
    wait_for("the end of one", || {
        (bench.count("{job=\"gpu\"}") == 0).then_some(())
    });
    assert_eq!(bench.count("a"), 1);
}

#[test]
fn stopping_takes_less_than_five_seconds_with_a_receiver_that_is_away() {
    let mut bench = Bench::new();
    let target = Target::serve("a 1\n");
    let mut bridge = bench.start(&target.entry("node"));
    wait_for("the target", || (bench.count("a") == 1).then_some(()));
    bench.prometheus.stop();
    wait_for("a failed push", || {
        let failed = "bridge_push_total{outcome=\"unavailable\"}";
        (exporter::testing::value(&bridge.metrics(), failed) > Some(0.0)).then_some(())
    });
    let started = Instant::now();
    bridge.signal(Signal::TERM);
    assert_eq!(bridge.wait(), Some(0));
    // Far above the five seconds that are promised: the machine may be busy.
    assert!(started.elapsed() < Duration::from_mins(1));
}

#[test]
fn a_reload_that_waits_for_a_slow_target_does_not_hold_up_the_end() {
    let bench = Bench::new();
    let target = Target::serve("a 1\n");
    // It takes connections, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let slow = |job: &str| {
        let port = silent.local_addr().expect("an address").port();
        format!(
            "[[target]]\njob = \"{job}\"\nurl = \"http://127.0.0.1:{port}/\"\ninterval = \"1h\"\ntimeout = \"1h\"\n"
        )
    };
    let mut bridge = bench.start(&(target.entry("node") + &slow("slow")));
    wait_for("the target", || (bench.count("a") == 1).then_some(()));
    bench.configure(&(target.entry("node") + &slow("other")));
    bridge.signal(Signal::HUP);
    std::thread::sleep(Duration::from_millis(500));
    bridge.signal(Signal::TERM);
    assert_eq!(bridge.wait(), Some(0));
    // The last things were brought away in time.
    assert_eq!(bench.count("{machine=\"pc\"}"), 0);
}
