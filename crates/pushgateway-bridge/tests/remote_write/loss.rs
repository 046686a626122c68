//! The program itself, its receiver down for an hour and both killed without warning: every sample arrives, once.
//!
//! The target's samples carry times of their own, 15 s apart, so that the hour takes seconds.

use std::collections::BTreeSet;

use exporter::testing::{Running, Signal};

use crate::lab::{eventually, now_ms};
use crate::prometheus::Prometheus;
use crate::target::{HOUR, Target};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushgateway-bridge");
const SERIES: usize = 10;

/// The bridge with its spool, and which pages may be lost: those that were under way when it was killed.
struct Bridge {
    folder: tempfile::TempDir,
    running: Option<Running>,
    lost: BTreeSet<i64>,
}

impl Bridge {
    fn new(target: &Target, prometheus: &Prometheus) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "machine = \"pc\"\n\n[remote_write]\nurl = \"{}\"\n\n[[target]]\njob = \"lab\"\n\
             url = \"http://127.0.0.1:{}/metrics\"\ninterval = \"100ms\"\n",
            prometheus.url(),
            target.port
        );
        std::fs::write(folder.path().join("bridge.toml"), config).expect("written");
        Self {
            folder,
            running: None,
            lost: BTreeSet::new(),
        }
    }

    fn start(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let flags = [
            format!("--config.file={}", path("bridge.toml")),
            format!("--storage.path={}", path("data")),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.running = Some(Running::start(PROGRAM, &flags));
    }

    /// Kills it without warning.
    fn kill(&mut self, target: &Target) {
        self.end(Signal::KILL, target);
    }

    fn stop(&mut self, target: &Target) {
        assert_eq!(self.end(Signal::TERM, target), Some(0));
    }

    /// Of the page that was served last nobody knows whether it got to the disk, and the next one may be asked for.
    fn end(&mut self, signal: Signal, target: &Target) -> Option<i32> {
        let mut running = self.running.take().expect("started");
        running.signal(signal);
        let code = running.wait();
        self.lost.extend([target.served() - 1, target.served()]);
        code
    }
}

/// Pages that did not arrive though they were not under way when the bridge ended, and how many scrapes failed: on a busy
/// machine the target may answer too late, which `up` says.
fn missing(target: &Target, prometheus: &Prometheus, bridge: &Bridge, served: i64) -> (Vec<i64>, usize) {
    let there: BTreeSet<i64> = target
        .numbers(&prometheus.samples("lab_value"))
        .into_iter()
        .collect();
    let is_missing = |number: &i64| !there.contains(number) && !bridge.lost.contains(number);
    let up = prometheus.samples("up{job=\"lab\"}");
    let failed = up
        .values()
        .flatten()
        .filter(|(_, bits)| f64::from_bits(*bits) < 0.5)
        .count();
    ((0..served).filter(is_missing).collect(), failed)
}

#[test]
fn an_hour_without_receiver_and_kills_on_both_sides_lose_nothing() {
    let target = Target::start(SERIES);
    let mut prometheus = Prometheus::new(Some("1d"));
    prometheus.start();
    let mut bridge = Bridge::new(&target, &prometheus);
    bridge.start();
    eventually("samples arrive", || !prometheus.samples("lab_value").is_empty());
    target.wait_for(10);

    prometheus.kill();
    let (outage, mut kills) = (target.served(), 0);
    while target.served() < outage + HOUR {
        target.wait_for(37);
        bridge.kill(&target);
        bridge.start();
        kills += 1;
    }
    prometheus.start();
    // In the middle of catching up.
    eventually("the backlog arrives", || {
        target.numbers(&prometheus.samples("lab_value")).len() > 20
    });
    bridge.kill(&target);
    bridge.start();
    target.wait_for(5);
    prometheus.kill();
    prometheus.start();
    target.wait_for(5);
    bridge.stop(&target);
    let served = target.served();

    // The rest waits for the next start, which scrapes on.
    bridge.start();
    let mut gaps = (Vec::new(), 0);
    eventually("nothing is missing", || {
        let now = missing(&target, &prometheus, &bridge, served);
        if now != gaps {
            println!("missing: {:?}, of which {} scrapes failed", now.0, now.1);
            gaps = now;
        }
        gaps.0.len() <= gaps.1
    });
    bridge.stop(&target);

    let samples = prometheus.samples("lab_value");
    target.check(&samples);
    let failed = missing(&target, &prometheus, &bridge, served).1;
    let lost = (0..served)
        .filter(|number| !target.numbers(&samples).contains(number))
        .count();
    println!(
        "{served} scrapes, {kills} kills in the outage and one after it, {lost} scrapes under way were lost"
    );
    assert!(
        lost <= kills + 2 + failed,
        "{lost} scrapes are missing after {kills} kills"
    );
    assert!(
        prometheus.query("up{job=\"lab\"}", now_ms()).is_empty(),
        "a clean stop ends the series"
    );
}
