//! The meters of one source: what each zone used, draws, and how long it was above its limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use exporter::Labels;
use exporter::units::Microjoules;

use crate::energy::{Energy, Raw};
use crate::history::History;
use crate::limits::Limit;
use crate::power;

/// How far above its limit power has to be. The limit itself is set in steps of 1/8 W, and the processor averages
/// with decaying weights where we use equal ones; a package that is held at its limit must not count as above it.
const LIMIT_TOLERANCE: f64 = 1.01;

/// Below this many microjoules a part may seem to use as much as the whole by chance.
const BOGUS_FROM: u64 = 10_000_000;

/// What a zone stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A whole CPU package.
    Package,
    /// A part of a package whose energy the package counts too.
    Part,
    /// Something else, such as memory or the whole platform.
    Other,
}

/// One zone that could be read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The zone's name, unique on this machine.
    pub(crate) zone: Arc<str>,
    /// The name of the zone that this one belongs to, or nothing.
    pub(crate) parent: Arc<str>,
    /// What it stands for.
    pub(crate) role: Role,
    /// What its sensor said.
    pub(crate) raw: Raw,
    /// When, since boot.
    pub(crate) at: Duration,
}

/// The meters by zone name. They outlive their zones, so that totals never go back.
#[derive(Debug, Default)]
pub(crate) struct Meters(BTreeMap<Arc<str>, Meter>);

/// One zone's meter.
#[derive(Debug)]
pub(crate) struct Meter {
    /// `zone` and `parent`.
    pub(crate) labels: Labels<2>,
    /// `zone`.
    pub(crate) zone: Labels<1>,
    parent: Arc<str>,
    role: Role,
    energy: Energy,
    history: History,
    above_limit: Duration,
    has_limit: bool,
    is_bogus: bool,
}

impl Meters {
    /// Takes one sample of all zones; `limits` are the long-term limits in force by zone.
    pub(crate) fn update(&mut self, readings: &[Reading], limits: &BTreeMap<&str, Limit>) {
        for (zone, meter) in &mut self.0 {
            if !readings.iter().any(|reading| reading.zone == *zone) {
                meter.interrupt();
            }
        }
        for reading in readings {
            let meter = self
                .0
                .entry(Arc::clone(&reading.zone))
                .or_insert_with(|| Meter::new(reading));
            meter.advance(reading, limits.get(&*reading.zone).copied());
        }
        self.hide_bogus();
    }

    /// The zones of the last sample.
    pub(crate) fn present(&mut self) -> impl Iterator<Item = (&str, &mut Meter)> {
        let present = self
            .0
            .iter_mut()
            .filter(|(_, meter)| meter.is_present() && !meter.is_bogus);
        present.map(|(zone, meter)| (&**zone, meter))
    }

    /// The power of all packages of the last sample together, in watts; unknown when that of one is.
    pub(crate) fn package_power(&self) -> Option<f64> {
        let mut packages = self
            .0
            .values()
            .filter(|meter| meter.role == Role::Package && meter.is_present())
            .peekable();
        packages.peek()?;
        packages.map(Meter::power).sum()
    }

    /// Some AMD processors have a `core` zone that repeats or exceeds the package; it stays hidden for good.
    fn hide_bogus(&mut self) {
        let is_bogus = |part: &Meter| self.0.get(&part.parent).is_some_and(|whole| part.repeats(whole));
        let found: Vec<_> = self
            .0
            .iter()
            .filter(|(_, meter)| meter.role == Role::Part && !meter.is_bogus && is_bogus(meter))
            .map(|(zone, _)| Arc::clone(zone))
            .collect();
        for zone in found {
            tracing::info!(
                zone = &*zone,
                "the zone is hidden: its counter repeats or exceeds that of its package"
            );
            if let Some(meter) = self.0.get_mut(&zone) {
                meter.is_bogus = true;
            }
        }
    }
}

impl Meter {
    fn new(reading: &Reading) -> Self {
        Self {
            labels: power::POWER.labels([&reading.zone, &reading.parent]),
            zone: power::PEAK.labels([&reading.zone]),
            parent: Arc::clone(&reading.parent),
            role: reading.role,
            energy: Energy::new(),
            history: History::default(),
            above_limit: Duration::ZERO,
            has_limit: false,
            is_bogus: false,
        }
    }

    fn advance(&mut self, reading: &Reading, limit: Option<Limit>) {
        self.has_limit = limit.is_some();
        let Some(stretch) = self.energy.advance(reading.at, reading.raw) else {
            self.history.interrupt();
            return;
        };
        let window = limit.and_then(|limit| limit.window).unwrap_or_default();
        self.history.push(stretch, window);
        if let Some(limit) = limit
            && let Some(average) = self.history.average(window)
            && average > limit.power.watts() * LIMIT_TOLERANCE
        {
            self.above_limit += stretch.elapsed;
        }
    }

    fn interrupt(&mut self) {
        self.energy.interrupt();
        self.history.interrupt();
    }

    fn is_present(&self) -> bool {
        self.energy.last().is_some()
    }

    fn repeats(&self, whole: &Self) -> bool {
        let total = self.energy.microjoules();
        let exceeds = total >= BOGUS_FROM && total >= whole.energy.microjoules();
        let same = match (self.energy.last(), whole.energy.last()) {
            (Some((_, part)), Some((_, whole))) => part == whole && part.value() > 0,
            _ => false,
        };
        exceeds || same
    }

    /// Joules since the meter was made; from a counter only.
    pub(crate) fn joules(&self) -> Option<f64> {
        self.is_counter()
            .then(|| Microjoules(self.energy.microjoules()).joules())
    }

    /// Wrap-arounds of the counter.
    pub(crate) fn wraps(&self) -> Option<u64> {
        self.is_counter().then(|| self.energy.wraps())
    }

    /// Watts, averaged over the last sample interval.
    pub(crate) fn power(&self) -> Option<f64> {
        self.history.power()
    }

    /// The highest sample, see [`History::take_peak`].
    pub(crate) fn take_peak(&mut self) -> Option<f64> {
        self.history.take_peak()
    }

    /// For how long the average over the limit's window was above the limit; unknown without a limit.
    pub(crate) fn above_limit(&self) -> Option<Duration> {
        self.has_limit.then_some(self.above_limit)
    }

    fn is_counter(&self) -> bool {
        matches!(self.energy.last(), Some((_, Raw::Energy { .. })))
    }
}

#[cfg(test)]
mod tests {
    use exporter::units::Microwatts;

    use super::*;

    const RANGE: u64 = 262_143_328_850;

    fn reading(second: u64, zone: &str, parent: &str, joules: u64) -> Reading {
        Reading {
            zone: zone.into(),
            parent: parent.into(),
            role: if parent.is_empty() {
                Role::Package
            } else {
                Role::Part
            },
            raw: Raw::Energy {
                microjoules: joules * 1_000_000,
                range: Some(RANGE),
            },
            at: Duration::from_secs(second),
        }
    }

    fn limit(watts: u64, seconds: u64) -> Limit {
        Limit {
            power: Microwatts(watts * 1_000_000),
            window: Some(Duration::from_secs(seconds)),
        }
    }

    /// One reading of a package a second, and the limit at that time.
    fn run(samples: &[(u64, Option<Limit>)]) -> Meters {
        let mut meters = Meters::default();
        for (second, &(joules, limit)) in (0..).zip(samples) {
            let limits: BTreeMap<_, _> = limit.map(|limit| ("package-0", limit)).into_iter().collect();
            meters.update(&[reading(second, "package-0", "", joules)], &limits);
        }
        meters
    }

    fn above(meters: &mut Meters) -> Option<u64> {
        meters
            .present()
            .next()
            .and_then(|(_, meter)| meter.above_limit())
            .map(|above| above.as_secs())
    }

    #[test]
    fn time_above_the_limit_uses_the_window_of_the_limit() {
        let burst = |window| {
            let limit = Some(limit(20, window));
            run(&[
                (0, limit),
                (10, limit),
                (20, limit),
                (50, limit),
                (55, limit),
                (56, limit),
            ])
        };
        assert_eq!(above(&mut burst(0)), Some(1), "30 W in one sample");
        assert_eq!(
            above(&mut burst(2)),
            Some(0),
            "(10 + 30) / 2 is 20 W, which is not above"
        );
        assert_eq!(above(&mut burst(60)), Some(0), "the window has not passed yet");
    }

    #[test]
    fn the_limit_may_change_and_go_away() {
        let fifty = Some(limit(50, 1));
        let mut meters = run(&[
            (0, fifty),
            (40, fifty),
            (80, Some(limit(30, 1))),
            (120, Some(limit(0, 1))),
        ]);
        assert_eq!(above(&mut meters), Some(2), "above 30 W and above 0 W");
        assert_eq!(above(&mut run(&[(0, fifty), (40, fifty), (80, None)])), None);
    }

    #[test]
    fn a_package_held_at_its_limit_is_not_above_it() {
        let limit = Some(limit(200, 1));
        assert_eq!(
            above(&mut run(&[(0, limit), (201, limit), (402, limit)])),
            Some(0)
        );
        assert_eq!(
            above(&mut run(&[(0, limit), (203, limit), (406, limit)])),
            Some(2)
        );
    }

    #[test]
    fn a_zone_that_was_away_goes_on_from_its_total() {
        let mut meters = run(&[(0, None), (10, None)]);
        meters.update(&[], &BTreeMap::new());
        assert_eq!((meters.present().count(), meters.package_power()), (0, None));
        meters.update(&[reading(3, "package-0", "", 70)], &BTreeMap::new());
        assert_eq!(
            meters.package_power(),
            None,
            "what it used in between is not known"
        );
        meters.update(&[reading(4, "package-0", "", 75)], &BTreeMap::new());
        let (_, meter) = meters.present().next().expect("it is back");
        assert_eq!(
            (meter.joules(), meter.power(), meter.wraps()),
            (Some(15.0), Some(5.0), Some(0))
        );
    }

    #[test]
    fn packages_are_summed_only_when_all_are_known() {
        let mut meters = run(&[(0, None), (10, None)]);
        let both = |second, a, b| {
            [
                reading(second, "package-0", "", a),
                reading(second, "package-1", "", b),
            ]
        };
        meters.update(&both(2, 20, 500), &BTreeMap::new());
        assert_eq!(meters.package_power(), None);
        meters.update(&both(3, 30, 525), &BTreeMap::new());
        assert_eq!(meters.package_power(), Some(35.0));
    }

    #[test]
    fn a_core_zone_is_hidden_when_it_cannot_be_true() {
        let zones = |second: u64, core: u64| {
            [
                reading(second, "package-0", "", 1000 + 50 * second),
                reading(second, "package-0-core", "package-0", core),
            ]
        };
        let visible = |core: fn(u64) -> u64| {
            let mut meters = Meters::default();
            for second in 0..5 {
                meters.update(&zones(second, core(second)), &BTreeMap::new());
            }
            meters.present().count()
        };
        assert_eq!(visible(|second| 400 + 40 * second), 2, "a real core zone");
        assert_eq!(
            visible(|second| 1000 + 50 * second),
            1,
            "the package's own counter again"
        );
        assert_eq!(visible(|second| 7 + 60 * second), 1, "more than the package");
        assert_eq!(visible(|_| 0), 2, "a counter that stands still");
    }

    #[test]
    fn a_power_sensor_yields_no_energy_counter() {
        let mut meters = Meters::default();
        for second in 0..3 {
            let raw = Raw::Power {
                microwatts: 12_000_000,
            };
            let sensor = Reading {
                raw,
                ..reading(second, "package-0", "", 0)
            };
            meters.update(&[sensor], &BTreeMap::from([("package-0", limit(10, 1))]));
        }
        assert_eq!(above(&mut meters), Some(2));
        let (_, meter) = meters.present().next().expect("present");
        assert_eq!(
            (meter.joules(), meter.wraps(), meter.power()),
            (None, None, Some(12.0))
        );
    }
}
