//! Encodes the same 10 000 samples with our encoder and with the stock one of the `prometheus` crate, in turn, and
//! prints nanoseconds per sample and the ratio; the stock encoder's `gather` is part of its time, the making of our
//! families is shown beside. Ratios of one run count; absolute times depend on the machine.

use std::hint::black_box;
use std::time::{Duration, Instant};

use exporter::{Metric, Unit, encode};
use prometheus::{Encoder as _, GaugeVec, Opts, Registry, TextEncoder};

const FAMILIES: u32 = 100;
const SERIES: u32 = 100;
const ROUNDS: usize = 100;

fn main() {
    let value = |row: u32| f64::from(row) * 1.37;
    let labels = |row: u32| {
        [
            format!("zone-{row}"),
            "package-0".to_owned(),
            "intel-rapl".to_owned(),
        ]
    };

    let registry = Registry::new();
    let mut collected = Vec::new();
    for family in 0..FAMILIES {
        let name: &'static str = format!("bench_power_{family}_watts").leak();
        let metric = Metric::gauge(name, Unit::Watts, "A power.", ["zone", "parent", "driver"]);
        let rows: Vec<_> = (0..SERIES)
            .map(|row| (metric.labels(labels(row)), value(row)))
            .collect();
        collected.push((metric, rows));
        let gauges = GaugeVec::new(Opts::new(name, "A power."), &["zone", "parent", "driver"]).expect("new");
        for row in 0..SERIES {
            gauges.with_label_values(&labels(row)).set(value(row));
        }
        registry.register(Box::new(gauges)).expect("register");
    }

    let mut page = Vec::with_capacity(4 << 20);
    let mut collect = Duration::MAX;
    let mut ours = Duration::MAX;
    let mut stock = Duration::MAX;
    for _ in 0..ROUNDS {
        // What a scrape does: make the families from cached labels and new values, then write them.
        let mut families = Vec::new();
        collect = collect.min(time(|| {
            families.extend(collected.iter().map(|(metric, rows)| {
                metric.family(rows.iter().map(|(labels, value)| (labels, black_box(*value))))
            }));
        }));
        ours = ours.min(time(|| {
            page.clear();
            encode(&families, &mut page);
        }));
        let size = page.len();
        stock = stock.min(time(|| {
            page.clear();
            TextEncoder::new()
                .encode(&registry.gather(), &mut page)
                .expect("encode");
        }));
        assert_eq!(page.len(), size, "both write the same page");
    }
    let per_sample = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(FAMILIES * SERIES);
    println!(
        "encode, {} samples with known labels, {} bytes",
        FAMILIES * SERIES,
        page.len()
    );
    println!("  families    {:7.1} ns/sample", per_sample(collect));
    println!("  exporter    {:7.1} ns/sample", per_sample(ours));
    println!("  prometheus  {:7.1} ns/sample", per_sample(stock));
    println!("  ratio       {:7.2}", ours.as_secs_f64() / stock.as_secs_f64());
}

fn time(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}
