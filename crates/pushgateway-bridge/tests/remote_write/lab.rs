//! A bridge's sending half inside the test, and pages for it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exporter::Instruments;
use pushgateway_bridge::clock::Clock;
use pushgateway_bridge::http;
use pushgateway_bridge::remote_write::{BACKLOG_RATE, Order, Remote, Settings};
use pushgateway_bridge::sample::{Kind, Metadata, NAME, Page};
use pushgateway_bridge::spool;
use pushgateway_bridge::tally::Tally;
use tempfile::TempDir;

use crate::wire::Series;

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Milliseconds of Unix time.
pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_millis()).expect("few")
}

/// A spool's folder, and what the bridge that uses it counts.
pub(crate) struct Lab {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<Clock>,
    instruments: Instruments,
    tally: Tally,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let instruments = Instruments::new();
        let tally = Tally::new(&instruments).expect("counts");
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            folder,
            clock: Arc::new(Clock::new()),
            instruments,
            tally,
        }
    }

    pub(crate) fn settings(folder: &Path, url: &str) -> Settings {
        Settings {
            url: url.to_owned(),
            http: http::Settings {
                timeout: Duration::from_secs(10),
                ..http::Settings::default()
            },
            order: Order::Auto,
            backlog_rate: BACKLOG_RATE,
            spool: spool::Settings {
                folder: folder.join("spool"),
                size: 64 << 20,
                age: Duration::from_hours(24),
            },
        }
    }

    pub(crate) fn start(&self, url: &str, change: impl FnOnce(&mut Settings)) -> Remote {
        let mut settings = Self::settings(self.folder.path(), url);
        change(&mut settings);
        Remote::start(settings, Arc::clone(&self.clock), self.tally.clone()).expect("started")
    }

    /// A value of the bridge's own page.
    pub(crate) fn count(&self, series: &str) -> f64 {
        let mut page = Vec::new();
        exporter::encode(&self.instruments.gather(), &mut page);
        exporter::testing::value(&String::from_utf8(page).expect("UTF-8"), series).unwrap_or_default()
    }

    pub(crate) fn dropped(&self, reason: &str) -> f64 {
        self.count(&format!("bridge_samples_dropped_total{{reason=\"{reason}\"}}"))
    }
}

/// A page of so many series at this time; each value tells series and time.
pub(crate) fn page(series: usize, at_ms: i64) -> Page {
    let mut page = Page::new();
    for number in 0..series {
        let text = number.to_string();
        let labels = [(NAME, "lab_value"), ("series", &text), ("machine", "pc")];
        let metadata = Metadata {
            kind: Kind::Gauge,
            help: "A value.",
            unit: "",
        };
        page.push(labels, value(number, at_ms), at_ms, metadata)
            .expect("taken");
    }
    page
}

fn value(series: usize, at_ms: i64) -> f64 {
    at_ms as f64 + series as f64 / 1000.0
}

/// What has to be stored after pages of these times.
pub(crate) fn expected(series: usize, times: &[i64]) -> Series {
    (0..series)
        .map(|number| {
            let samples = times.iter().map(|at| (*at, value(number, *at).to_bits()));
            (
                format!("__name__=lab_value,machine=pc,series={number}"),
                samples.collect(),
            )
        })
        .collect()
}

/// In the order of their times, as a database holds them.
pub(crate) fn sorted(mut series: Series) -> Series {
    for samples in series.values_mut() {
        samples.sort_unstable();
    }
    series
}
