//! Reads `<procfs>/stat` once a second; everyone may.
//!
//! Yields `hw_cpu_load_percent`, how busy all CPUs together were over the last second.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use exporter::{CollectError, Collector, Family, Kind, Metric, Sampler};

const LOAD: Metric<0> = Metric::contract(
    Kind::Gauge,
    "hw_cpu_load_percent",
    "Share of time that the CPUs were busy over the last second, 0 to 100, from /proc/stat; waiting for I/O is idle.",
    [],
);

/// By then `--once` has two readings.
pub(crate) const WARM_UP: Duration = Duration::from_millis(1250);

const INTERVAL: Duration = Duration::from_secs(1);
/// An older value is not shown.
const MAX_AGE: Duration = Duration::from_secs(5);

/// Clock ticks since boot, all CPUs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    idle: u64,
}

/// The last sample: when, and its load, unknown after only one reading.
type Last = Option<(Instant, anyhow::Result<Option<f64>>)>;

/// The collector of the load, with its sampler.
#[derive(Clone)]
pub(crate) struct Load {
    last: Arc<Mutex<Last>>,
    _sampler: Arc<Sampler>,
}

impl Load {
    /// Starts to sample.
    pub(crate) fn start(procfs: &Path) -> anyhow::Result<Self> {
        let file = procfs.join("stat");
        let last: Arc<Mutex<Last>> = Arc::default();
        let shared = Arc::clone(&last);
        let mut before: Option<Ticks> = None;
        let sampler = Sampler::every("load-sampler", INTERVAL, move || {
            let ticks = read(&file);
            let earlier = std::mem::replace(&mut before, ticks.as_ref().ok().copied());
            let load = ticks.map(|ticks| earlier.and_then(|earlier| ticks.load_since(earlier)));
            *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), load));
        })
        .context("start the load sampler")?;
        Ok(Self {
            last,
            _sampler: Arc::new(sampler),
        })
    }

    /// The load in percent; an error when `/proc/stat` could not be read.
    pub(crate) fn percent(&self) -> anyhow::Result<Option<f64>> {
        match &*self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((at, Ok(load))) if at.elapsed() <= MAX_AGE => Ok(*load),
            Some((at, Err(error))) if at.elapsed() <= MAX_AGE => Err(anyhow!("{error:#}")),
            Some(_) => Err(anyhow!("the load sampler has not run for {MAX_AGE:?}")),
            None => Ok(None),
        }
    }
}

impl Collector for Load {
    fn name(&self) -> &'static str {
        "load"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        Ok(vec![LOAD.maybe(self.percent()?)])
    }
}

fn read(file: &Path) -> anyhow::Result<Ticks> {
    let text = exporter::fs::read_text(file)?;
    Ticks::parse(&text)
        .with_context(|| format!("read {}: no line `cpu` with at least 4 numbers", file.display()))
}

impl Ticks {
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = line
            .split_ascii_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let sum = |of: &[u64]| of.iter().fold(0u64, |sum, &ticks| sum.saturating_add(ticks));
        let (first, rest) = ticks.split_at_checked(4)?;
        // user nice system idle, then iowait irq softirq steal. What follows, guest and guest_nice, is already
        // part of user and nice. Stolen time is busy: something wanted to run.
        let (iowait, interrupts) = rest.split_at(rest.len().min(1));
        Some(Self {
            busy: sum(&first[..3]).saturating_add(sum(&interrupts[..interrupts.len().min(3)])),
            idle: first[3].saturating_add(sum(iowait)),
        })
    }

    /// Percent of the time since then; unknown when the clock has not ticked. The kernel's idle and iowait may go
    /// back a little.
    fn load_since(self, earlier: Self) -> Option<f64> {
        let busy = self.busy.saturating_sub(earlier.busy);
        let total = busy.saturating_add(self.idle.saturating_sub(earlier.idle));
        // Rounding must not lead above the whole.
        (total > 0).then(|| (100.0 * busy as f64 / total as f64).min(100.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn guests_count_once_and_waiting_for_io_is_idle() {
        let stat = "cpu  100 20 30 1000 500 4 6 40 90 10\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n";
        assert_eq!(
            Ticks::parse(stat),
            Some(Ticks {
                busy: 200,
                idle: 1500
            })
        );
        assert_eq!(
            Ticks::parse("cpu 1 2 3 4"),
            Some(Ticks { busy: 6, idle: 4 }),
            "an old kernel"
        );
    }

    #[test]
    fn load_is_the_busy_share() {
        let from = Ticks {
            busy: 200,
            idle: 1500,
        };
        assert_eq!(
            Ticks {
                busy: 230,
                idle: 1570
            }
            .load_since(from),
            Some(30.0)
        );
        assert_eq!(
            Ticks {
                busy: 230,
                idle: 1400
            }
            .load_since(from),
            Some(100.0),
            "idle went back"
        );
        assert_eq!(from.load_since(from), None);
        let from = Ticks { busy: 0, idle: 0 };
        let all = Ticks {
            busy: 8_191_381_438_184_443_492,
            idle: 0,
        };
        assert_eq!(all.load_since(from), Some(100.0), "rounded");
    }

    #[test]
    fn what_is_no_stat_file_is_unknown() {
        for text in [
            "",
            "cpu",
            "cpu ",
            "cpu 1 2 3",
            "cpu 1 2 x 4",
            "cpu0 1 2 3 4",
            "cpu -1 2 3 4",
        ] {
            assert_eq!(Ticks::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_and_ticks_are_survived(text: String, numbers: Vec<u64>, later: Vec<u64>) {
            Ticks::parse(&text);
            let line = |numbers: &[u64]| {
                numbers.iter().fold("cpu ".to_owned(), |line, number| format!("{line} {number}"))
            };
            if let (Some(from), Some(to)) = (Ticks::parse(&line(&numbers)), Ticks::parse(&line(&later))) {
                prop_assert!(to.load_since(from).is_none_or(|load| (0.0..=100.0).contains(&load)));
            }
        }
    }
}
