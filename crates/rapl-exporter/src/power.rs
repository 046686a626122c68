//! Samples the energy counters and power sensors of all zones once a second.
//!
//! Yields `rapl_energy_joules_total`, `rapl_power_watts{zone,parent}`, `rapl_power_peak_watts{zone}`,
//! `rapl_counter_wraps_total{zone}` and `rapl_limit_exceeded_seconds_total{zone}`: of powercap's zones, and of
//! packages that hwmon measures and powercap does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use exporter::{CollectError, Collector, Common, Family, Metric, Sampler, Unit};
use rustix::time::{ClockId, clock_gettime};

use crate::args::Args;
use crate::energy::longest_interval;
use crate::hwmon::Hwmon;
use crate::limits::{Limit, Policy};
use crate::meter::{Meter, Meters};
use crate::powercap::Powercap;
use crate::source::{Absence, Kind, Offer, Reason, Sample};

const ENERGY: Metric<2> = Metric::counter(
    "rapl_energy_joules_total",
    Unit::Joules,
    "Energy used by the zone since this exporter started, wrap-arounds of energy_uj corrected; zones contain each other.",
    ["zone", "parent"],
);
/// Also the label names of every meter.
pub(crate) const POWER: Metric<2> = Metric::gauge(
    "rapl_power_watts",
    Unit::Watts,
    "Power of the zone over the last sample interval; zones contain each other.",
    ["zone", "parent"],
);
/// Also the label name of every meter.
pub(crate) const PEAK: Metric<1> = Metric::gauge(
    "rapl_power_peak_watts",
    Unit::Watts,
    "Highest sample of the zone's power since the last scrape.",
    ["zone"],
);
const WRAPS: Metric<1> = Metric::counter(
    "rapl_counter_wraps_total",
    Unit::None,
    "Wrap-arounds of the zone's energy counter that were corrected.",
    ["zone"],
);
const EXCEEDED: Metric<1> = Metric::counter(
    "rapl_limit_exceeded_seconds_total",
    Unit::Seconds,
    "Time in which power, averaged over the long-term limit's own window, was more than 1 % above that limit; only while the limit is in force.",
    ["zone"],
);

const INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
/// Older samples are not shown.
const MAX_AGE: Duration = Duration::from_secs(5);

/// The collector of power and energy, with its sampler.
#[derive(Clone)]
pub(crate) struct Power {
    shared: Arc<Shared>,
    /// A page waits for so many samples.
    needed: u64,
    _sampler: Arc<Sampler>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    sampled: Condvar,
}

#[derive(Default)]
struct State {
    samples: u64,
    /// When the last sample was taken, since boot.
    at: Duration,
    powercap: Tracked,
    hwmon: Tracked,
}

/// One source's meters, and why it does not deliver the power of all packages.
#[derive(Default)]
struct Tracked {
    meters: Meters,
    problem: Option<Reason>,
}

impl Power {
    /// Starts to sample.
    pub(crate) fn start(powercap: &Arc<Powercap>, args: &Args, common: &Common) -> anyhow::Result<Self> {
        let interval = powercap.smallest_range().map_or(INTERVAL, longest_interval);
        let interval = interval.clamp(SHORTEST_INTERVAL, INTERVAL);
        let shared: Arc<Shared> = Arc::default();
        let mut job = Job {
            powercap: Arc::clone(powercap),
            hwmon: Hwmon::new(&common.sysfs),
            policy: args.policy(),
            sources: args.sources.clone(),
            shared: Arc::clone(&shared),
        };
        let sampler = Sampler::every("power-sampler", interval, move || job.run())
            .context("start the power sampler")?;
        Ok(Self {
            shared,
            // `--once` has no later page that could show the power.
            needed: if common.once { 2 } else { 1 },
            _sampler: Arc::new(sampler),
        })
    }

    /// What powercap and hwmon have.
    pub(crate) fn offers(&self) -> anyhow::Result<[Offer; 2]> {
        self.fresh(|state| {
            [
                state.powercap.offer(Kind::Powercap),
                state.hwmon.offer(Kind::Hwmon),
            ]
        })
    }

    /// Looks at the last sample, and waits for it just after the start.
    fn fresh<T>(&self, look: impl FnOnce(&mut State) -> T) -> anyhow::Result<T> {
        let Shared { state, sampled } = &*self.shared;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = sampled
            .wait_timeout_while(state, MAX_AGE, |state| state.samples < self.needed)
            .unwrap_or_else(PoisonError::into_inner);
        let age = since_boot().saturating_sub(state.at);
        if age > MAX_AGE {
            return Err(anyhow!("the power sampler has not run for {MAX_AGE:?}"));
        }
        Ok(look(&mut state))
    }
}

impl Collector for Power {
    fn name(&self) -> &'static str {
        "power"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        Ok(self.fresh(|state| {
            let measured: BTreeSet<String> = state
                .powercap
                .meters
                .present()
                .map(|(zone, _)| zone.to_owned())
                .collect();
            let others = state
                .hwmon
                .meters
                .present()
                .filter(|(zone, _)| !measured.contains(*zone));
            let meters = state.powercap.meters.present().chain(others);
            families(&mut meters.map(|(_, meter)| meter).collect::<Vec<_>>())
        })?)
    }
}

fn families(meters: &mut [&mut Meter]) -> Vec<Family> {
    let peaks: Vec<_> = meters.iter_mut().map(|meter| meter.take_peak()).collect();
    let meters = || meters.iter();
    vec![
        ENERGY.family(meters().filter_map(|m| Some((&m.labels, m.joules()?)))),
        POWER.family(meters().filter_map(|m| Some((&m.labels, m.power()?)))),
        PEAK.family(meters().zip(peaks).filter_map(|(m, peak)| Some((&m.zone, peak?)))),
        WRAPS.family(meters().filter_map(|m| Some((&m.zone, m.wraps()? as f64)))),
        EXCEEDED.family(meters().filter_map(|m| Some((&m.zone, m.above_limit()?.as_secs_f64())))),
    ]
}

/// What the sampler does every time.
struct Job {
    powercap: Arc<Powercap>,
    hwmon: Hwmon,
    policy: Policy,
    sources: Vec<Kind>,
    shared: Arc<Shared>,
}

impl Job {
    fn run(&mut self) {
        let powercap = sample(&self.sources, Kind::Powercap, || self.powercap.sample());
        let hwmon = sample(&self.sources, Kind::Hwmon, || self.hwmon.sample());
        let zones = self.powercap.zones().unwrap_or_default();
        let limits = self.policy.long_term(&zones);
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.samples += 1;
        state.at = since_boot();
        state.powercap.update(Kind::Powercap, &powercap, &limits);
        state.hwmon.update(Kind::Hwmon, &hwmon, &limits);
        self.shared.sampled.notify_all();
    }
}

fn sample(enabled: &[Kind], source: Kind, read: impl FnOnce() -> Sample) -> Sample {
    if enabled.contains(&source) {
        read()
    } else {
        Sample::unavailable((
            Reason::Disabled,
            format!("--power.sources leaves {} out", source.word()),
        ))
    }
}

impl Tracked {
    fn offer(&self, kind: Kind) -> Offer {
        let watts = self.meters.package_power().filter(|_| self.problem.is_none());
        Offer {
            kind,
            watts,
            problem: self.problem,
        }
    }

    fn update(&mut self, source: Kind, sample: &Sample, limits: &BTreeMap<&str, Limit>) {
        self.meters.update(&sample.readings, limits);
        let reason = sample.problem.as_ref().map(|(reason, _)| *reason);
        if reason != self.problem {
            report(source, sample.problem.as_ref());
        }
        self.problem = reason;
    }
}

/// Logs that a source came or went, and what can be done about it.
fn report(source: Kind, problem: Option<&Absence>) {
    let source = source.word();
    match problem {
        None => tracing::info!(source, "the source delivers package power"),
        Some((Reason::Permission, error)) => tracing::warn!(
            source,
            error,
            "not allowed to read energy: give the service CAP_DAC_READ_SEARCH or its group read access, see docs/rapl.md"
        ),
        Some((Reason::Masked, error)) => tracing::warn!(
            source,
            error,
            "the container engine hides the zones: mount the host's /sys elsewhere and name it with --path.sysfs"
        ),
        Some((Reason::Unreadable, error)) => tracing::warn!(source, error, "package power could not be read"),
        Some((reason, error)) => tracing::info!(
            source,
            reason = reason.word(),
            error,
            "the source is not available"
        ),
    }
}

/// Monotonic, and it goes on while the machine sleeps: the energy counters do too.
pub(crate) fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
