//! The exporter's own process, from `/proc/self`: the `process_*` metrics that Prometheus clients share.
//!
//! Always the real `/proc`: under `--path.procfs` another process could have this one's number.
//! The fields of `stat` are those of proc(5).

use std::path::Path;
use std::sync::OnceLock;

use crate::family::Family;
use crate::fs;
use crate::metric::{Metric, Unit};

const CPU: Metric<0> = Metric::counter(
    "process_cpu_seconds_total",
    Unit::Seconds,
    "User and system CPU time of this process.",
    [],
);
const START: Metric<0> = Metric::gauge(
    "process_start_time_seconds",
    Unit::Seconds,
    "When this process started, Unix time.",
    [],
);
const RESIDENT: Metric<0> = Metric::gauge(
    "process_resident_memory_bytes",
    Unit::Bytes,
    "Resident memory of this process.",
    [],
);
const VIRTUAL: Metric<0> = Metric::gauge(
    "process_virtual_memory_bytes",
    Unit::Bytes,
    "Virtual memory of this process.",
    [],
);
const OPEN_FDS: Metric<0> = Metric::gauge("process_open_fds", Unit::None, "Open file descriptors.", []);
const MAX_FDS: Metric<0> = Metric::gauge(
    "process_max_fds",
    Unit::None,
    "Most file descriptors allowed.",
    [],
);
const THREADS: Metric<0> = Metric::gauge("process_threads", Unit::None, "Threads of this process.", []);

pub(crate) fn families() -> Vec<Family> {
    let stat = fs::read_text(Path::new("/proc/self/stat")).ok();
    let stat = stat.as_deref().and_then(Stat::parse);
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let page_size = rustix::param::page_size() as f64;
    let max_fds = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // One of the entries is the descriptor that reads the folder.
    let open_fds = std::fs::read_dir("/proc/self/fd")
        .ok()
        .map(|entries| entries.count().saturating_sub(1));
    vec![
        CPU.maybe(stat.as_ref().map(|stat| stat.cpu_ticks as f64 / ticks)),
        START.maybe(
            stat.as_ref()
                .zip(boot_time())
                .map(|(stat, boot)| boot + stat.start_ticks as f64 / ticks),
        ),
        RESIDENT.maybe(stat.as_ref().map(|stat| stat.resident_pages as f64 * page_size)),
        VIRTUAL.maybe(stat.as_ref().map(|stat| stat.virtual_bytes as f64)),
        THREADS.maybe(stat.as_ref().map(|stat| stat.threads as f64)),
        OPEN_FDS.maybe(open_fds.map(|count| count as f64)),
        MAX_FDS.maybe(max_fds.map(|count| count as f64)),
    ]
}

struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// The name in field 2 may hold blanks and brackets; everything behind its last bracket is plain.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // `rest` begins with field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the machine started, Unix time. Read once: on machines with many cores the file is slow to make, and a clock
/// that is set later must not move the start of this process.
fn boot_time() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = fs::read_text(Path::new("/proc/stat")).ok()?;
        stat.lines()
            .find_map(|line| line.strip_prefix("btime "))?
            .trim()
            .parse()
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 4200 1048576 64 0";
        let stat = Stat::parse(stat).expect("a stat line");
        assert_eq!((stat.cpu_ticks, stat.threads, stat.start_ticks), (300, 3, 4200));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (1_048_576, 64));
        assert!(Stat::parse("torn").is_none());
    }

    #[test]
    fn this_process_is_described_whole() {
        let families = families();
        assert!(families.iter().all(|family| !family.is_empty()), "{families:?}");
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970");
        let start = families
            .iter()
            .find(|f| f.name() == START.name())
            .and_then(|f| f.get(""))
            .expect("a start");
        assert!((now.as_secs_f64() - start).abs() < 3600.0, "started at {start}");
    }
}
