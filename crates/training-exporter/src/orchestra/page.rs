//! The families of the orchestra's events.

use exporter::{Family, Metric, NameError, Unit};

use super::totals::{LATENCY_BUCKETS, Totals};

const REQUESTS: Metric<2> = Metric::counter(
    "llm_orchestra_requests_total",
    Unit::None,
    "Calls of each model by outcome.",
    ["model", "outcome"],
);
const LATENCY: Metric<1> = Metric::histogram(
    "llm_orchestra_latency_seconds",
    Unit::Seconds,
    "How long calls took, whatever their outcome.",
    ["model"],
);
const ROTATIONS: Metric<0> = Metric::counter(
    "llm_orchestra_rotations_total",
    Unit::None,
    "How often another model took over.",
    [],
);
const CACHE: Metric<1> = Metric::counter(
    "llm_orchestra_cache_requests_total",
    Unit::None,
    "Questions to the cache: hit or miss.",
    ["result"],
);
const CONCURRENT: Metric<0> = Metric::gauge(
    "llm_orchestra_concurrent_executions",
    Unit::None,
    "Executions that have begun and not ended.",
    [],
);

/// What was counted, and how many executions are under way.
pub(super) fn families(totals: &Totals, concurrent: Option<usize>) -> Result<Vec<Family>, NameError> {
    let requests = totals.models.iter().flat_map(|(model, calls)| {
        let of_model = move |(outcome, count): (_, &u64)| ([model, outcome], *count as f64);
        calls.outcomes.iter().map(of_model)
    });
    let no_numbers: [([&str; 1], f64); 0] = [];
    let mut latency = LATENCY.family(no_numbers);
    for (model, calls) in totals
        .models
        .iter()
        .filter(|(_, calls)| !calls.latency.is_empty())
    {
        calls
            .latency
            .push(&mut latency, &[("model", model)], &LATENCY_BUCKETS)?;
    }
    Ok(vec![
        REQUESTS.family(requests),
        latency,
        ROTATIONS.value(totals.rotations as f64),
        CACHE.family([
            (["hit"], totals.cache_hits as f64),
            (["miss"], totals.cache_misses as f64),
        ]),
        CONCURRENT.maybe(concurrent.map(|count| count as f64)),
    ])
}
