//! A real Prometheus.

use std::process::{Child, Command, Stdio};

use exporter::testing::free_port;
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::{eventually, now_ms};
use crate::wire::Series;

/// A Prometheus that takes remote write; its data outlive a stop.
pub(crate) struct Prometheus {
    pub(crate) port: u16,
    folder: TempDir,
    child: Option<Child>,
}

impl Prometheus {
    /// Not started yet. `window` is how far out of order it takes samples.
    pub(crate) fn new(window: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = window.map_or_else(String::new, |window| {
            format!("storage:\n  tsdb:\n    out_of_order_time_window: {window}\n")
        });
        let config = format!("global:\n  scrape_interval: 15s\n{storage}");
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("written");
        Self {
            port: free_port(),
            folder,
            child: None,
        }
    }

    pub(crate) fn start(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
            .args([
                "--web.enable-remote-write-receiver",
                "--storage.tsdb.retention.time=10y",
                "--log.level=error",
            ])
            .stdout(Stdio::null())
            // It logs every sample that it refuses.
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}; `make test` puts it on the PATH"));
        self.child = Some(child);
        eventually("prometheus is ready", || {
            ureq::get(format!("http://127.0.0.1:{}/-/ready", self.port))
                .call()
                .is_ok()
        });
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }

    /// All samples of the series that match, stale markers left out as Prometheus does.
    pub(crate) fn samples(&self, selector: &str) -> Series {
        let mut series = Series::new();
        // Later, so that samples ahead of the clock show too.
        for result in self.query(&format!("{selector}[30d]"), now_ms() + 3_600_000) {
            let labels = result["metric"].as_object().expect("labels");
            let mut labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().expect("text")))
                .collect();
            labels.sort();
            let samples = result["values"].as_array().expect("values").iter().map(|pair| {
                let time = pair[0].as_f64().expect("a time");
                let value: f64 = pair[1].as_str().expect("text").parse().expect("a number");
                (milliseconds(time), value.to_bits())
            });
            series.insert(labels.join(","), samples.collect());
        }
        series
    }

    /// What a query yields at a time.
    pub(crate) fn query(&self, query: &str, at_ms: i64) -> Vec<Value> {
        let time = (at_ms as f64 / 1000.0).to_string();
        let text = ureq::get(format!("http://127.0.0.1:{}/api/v1/query", self.port))
            .query("query", query)
            .query("time", &time)
            .call()
            .unwrap_or_else(|error| panic!("{query}: {error}"))
            .body_mut()
            .with_config()
            .limit(256 << 20)
            .read_to_string()
            .expect("an answer");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        answer["data"]["result"].as_array().expect("a result").clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "times are far below 2^53")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
