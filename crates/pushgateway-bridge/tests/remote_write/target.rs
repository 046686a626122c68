//! A target whose pages are numbered, and which knows how many it served.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::lab::{eventually, now_ms};
use crate::wire::Series;

/// Between two pages, by the times that their samples carry.
pub(crate) const STEP_MS: i64 = 15_000;
/// An hour of scrapes.
pub(crate) const HOUR: i64 = 240;

/// It serves from a thread of its own, for as long as the test runs.
pub(crate) struct Target {
    pub(crate) port: u16,
    series: usize,
    begin_ms: i64,
    served: Arc<AtomicI64>,
}

impl Target {
    pub(crate) fn start(series: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let begin_ms = now_ms() - 2 * HOUR * STEP_MS;
        let served = Arc::new(AtomicI64::new(0));
        let count = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One at a time, so that each number is served once.
                let number = count.load(Ordering::SeqCst);
                if serve(&stream, &page(series, number, begin_ms)).is_some() {
                    count.store(number + 1, Ordering::SeqCst);
                }
            }
        });
        Self {
            port,
            series,
            begin_ms,
            served,
        }
    }

    /// How many pages were served.
    pub(crate) fn served(&self) -> i64 {
        self.served.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_for(&self, more: i64) {
        let until = self.served() + more;
        eventually("the target is scraped", || self.served() >= until);
    }

    /// The numbers of the pages that the first series has samples of.
    pub(crate) fn numbers(&self, series: &Series) -> Vec<i64> {
        let samples = series.values().next().map_or(&[][..], Vec::as_slice);
        samples
            .iter()
            .map(|(time, _)| (time - self.begin_ms) / STEP_MS)
            .collect()
    }

    /// Every sample is one that was served, and is there once.
    pub(crate) fn check(&self, all: &Series) {
        assert_eq!(all.len(), self.series);
        for (labels, samples) in all {
            let number = labels
                .split(',')
                .find_map(|label| label.strip_prefix("series="))
                .expect("a label");
            let series: i64 = number.parse().expect("a number");
            for (time, bits) in samples {
                let number = (time - self.begin_ms) / STEP_MS;
                assert_eq!(*time, self.begin_ms + number * STEP_MS, "{labels}");
                assert_eq!(
                    f64::from_bits(*bits).to_bits(),
                    (value(number, series) as f64).to_bits(),
                    "{labels}"
                );
            }
            assert!(
                samples.windows(2).all(|two| two[0].0 < two[1].0),
                "{labels}: twice"
            );
        }
    }
}

/// Tells page and series.
fn value(number: i64, series: i64) -> i64 {
    number * 1_000_000 + series
}

fn page(series: usize, number: i64, begin_ms: i64) -> String {
    let time = begin_ms + number * STEP_MS;
    let mut page = String::from("# HELP lab_value A value.\n# TYPE lab_value gauge\n");
    for series in 0..i64::try_from(series).expect("few") {
        let _ = writeln!(
            page,
            "lab_value{{series=\"{series}\"}} {} {time}",
            value(number, series)
        );
    }
    page
}

fn serve(stream: &TcpStream, body: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    while reader.read_line(&mut line).ok().filter(|read| *read > 0)? > 2 {
        line.clear();
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close";
    let mut stream = stream;
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
}
