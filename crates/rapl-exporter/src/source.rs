//! Where the package power comes from, and why not from elsewhere.
//!
//! Yields `val_package_power_watts`, `rapl_source_info{source}` and `rapl_source_available{source,reason}`.

use std::cell::LazyCell;

use clap::ValueEnum;
use exporter::fs::ReadError;
use exporter::{CollectError, Collector, Family, Metric, Unit};

use crate::load::Load;
use crate::meter::Reading;
use crate::power::Power;
use crate::simulation::Model;
use crate::temperature::Temperature;

const PACKAGE_POWER: Metric<0> = Metric::contract(
    exporter::Kind::Gauge,
    "val_package_power_watts",
    "Power of all CPU packages together over the last sample interval; rapl_source_info says where it comes from.",
    [],
);
const INFO: Metric<1> = Metric::gauge(
    "rapl_source_info",
    Unit::None,
    "The source of val_package_power_watts: powercap and hwmon are measured, simulated is computed; always 1.",
    ["source"],
);
const AVAILABLE: Metric<2> = Metric::gauge(
    "rapl_source_available",
    Unit::None,
    "Whether the source can deliver package power (1), and why not (0).",
    ["source", "reason"],
);

/// A source of package power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The RAPL energy counters of powercap.
    Powercap,
    /// Power and energy sensors of hwmon.
    Hwmon,
    /// The model of [`Model`].
    Simulated,
}

impl Kind {
    /// Its label value.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Powercap => "powercap",
            Self::Hwmon => "hwmon",
            Self::Simulated => "simulated",
        }
    }
}

/// Why a source delivers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The flags leave it out.
    Disabled,
    /// The machine does not have it, or its driver is not loaded.
    Missing,
    /// Its folders are listed and empty: hidden by the container engine.
    Masked,
    /// This process may not read it.
    Permission,
    /// It is there and counts no package's energy.
    NoEnergyCounter,
    /// It is there and could not be read this time.
    Unreadable,
    /// Neither load nor temperature is known.
    NoInput,
}

impl Reason {
    /// Its label value.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Missing => "missing",
            Self::Masked => "masked",
            Self::Permission => "permission",
            Self::NoEnergyCounter => "no_energy_counter",
            Self::Unreadable => "unreadable",
            Self::NoInput => "no_input",
        }
    }

    /// Why the folder of a source could not be listed.
    pub(crate) fn of_folder(error: &ReadError) -> Self {
        if error.is_missing() {
            Self::Missing
        } else {
            Self::of_counter(error)
        }
    }

    /// Why a counter or sensor could not be read.
    pub(crate) fn of_counter(error: &ReadError) -> Self {
        match error {
            error if error.is_permission_denied() => Self::Permission,
            error if error.is_missing() => Self::NoEnergyCounter,
            _ => Self::Unreadable,
        }
    }
}

/// Why there is nothing to read, and in more words for the log.
pub(crate) type Absence = (Reason, String);

/// What one source said at one time.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    /// The zones that could be read.
    pub(crate) readings: Vec<Reading>,
    /// Why not all packages could be read.
    pub(crate) problem: Option<Absence>,
}

impl Sample {
    /// Nothing, for this reason.
    pub(crate) fn unavailable(absence: Absence) -> Self {
        Self {
            readings: Vec::new(),
            problem: Some(absence),
        }
    }

    /// Adds a zone.
    pub(crate) fn add(&mut self, reading: Reading) {
        self.readings.push(reading);
    }

    /// Notes that a package could not be read; the first one's reason is kept.
    pub(crate) fn fail(&mut self, error: &ReadError) {
        self.problem
            .get_or_insert_with(|| (Reason::of_counter(error), error.to_string()));
    }
}

/// The collector of the package power.
pub(crate) struct Source {
    power: Power,
    load: Load,
    temperature: Temperature,
    model: Model,
    order: Vec<Kind>,
}

/// What a source has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) kind: Kind,
    /// The power of all packages together; that of the model is computed when it is chosen.
    pub(crate) watts: Option<f64>,
    /// Why there is none.
    pub(crate) problem: Option<Reason>,
}

impl Source {
    /// Takes the power from the first source in `order` that has it.
    pub(crate) fn new(
        power: Power,
        load: Load,
        temperature: Temperature,
        model: Model,
        order: Vec<Kind>,
    ) -> Self {
        Self {
            power,
            load,
            temperature,
            model,
            order,
        }
    }

    /// Whether the model has what it computes power from.
    fn simulated(&self, has_input: impl FnOnce() -> bool) -> Offer {
        let kind = Kind::Simulated;
        let problem = if !self.order.contains(&kind) {
            Some(Reason::Disabled)
        } else if has_input() {
            None
        } else {
            Some(Reason::NoInput)
        };
        Offer {
            kind,
            watts: None,
            problem,
        }
    }
}

impl Collector for Source {
    fn name(&self) -> &'static str {
        "source"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        // Their own collectors report what is wrong with them.
        let load = self.load.percent().ok().flatten();
        let temperature = LazyCell::new(|| self.temperature.read().ok());
        let [powercap, hwmon] = self.power.offers()?;
        let simulated = self.simulated(|| load.is_some() || temperature.is_some());
        let offers = [powercap, hwmon, simulated];
        let chosen = choose(&self.order, &offers);
        let watts = chosen.and_then(|offer| match (offer.kind, offer.problem) {
            (Kind::Simulated, None) => self.model.watts(load, *temperature),
            _ => offer.watts,
        });
        Ok(vec![
            PACKAGE_POWER.maybe(watts),
            INFO.family(chosen.map(|offer| ([offer.kind.word()], 1.0))),
            AVAILABLE.family(offers.map(|offer| {
                let reason = offer.problem.map_or("ok", Reason::word);
                (
                    [offer.kind.word(), reason],
                    f64::from(u8::from(offer.problem.is_none())),
                )
            })),
        ])
    }
}

/// The first source in this order that is there. One that could not be read this time keeps its place: a gap is
/// better than a value of another kind. When there is none, the last one stands for it, without a value.
fn choose(order: &[Kind], offers: &[Offer]) -> Option<Offer> {
    let offer = |kind: &Kind| offers.iter().find(|offer| offer.kind == *kind).copied();
    let is_there = |offer: &Offer| matches!(offer.problem, None | Some(Reason::Unreadable));
    let mut in_order = order.iter().filter_map(offer);
    in_order.clone().find(is_there).or_else(|| in_order.next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Kind; 3] = [Kind::Powercap, Kind::Hwmon, Kind::Simulated];

    fn chosen(order: &[Kind], reasons: [Option<Reason>; 3]) -> Option<Kind> {
        let offer = |(kind, problem)| Offer {
            kind,
            watts: None,
            problem,
        };
        let offers: Vec<Offer> = ALL.into_iter().zip(reasons).map(offer).collect();
        choose(order, &offers).map(|offer| offer.kind)
    }

    #[test]
    fn the_first_source_that_is_there_is_used() {
        let (missing, denied) = (Some(Reason::Missing), Some(Reason::Permission));
        assert_eq!(chosen(&ALL, [None, None, None]), Some(Kind::Powercap));
        assert_eq!(chosen(&ALL, [denied, None, None]), Some(Kind::Hwmon));
        assert_eq!(chosen(&ALL, [denied, missing, None]), Some(Kind::Simulated));
        assert_eq!(
            chosen(&ALL, [missing, missing, Some(Reason::NoInput)]),
            Some(Kind::Simulated)
        );
        assert_eq!(
            chosen(&[Kind::Hwmon, Kind::Powercap], [None, None, None]),
            Some(Kind::Hwmon)
        );
        assert_eq!(
            chosen(&[Kind::Powercap], [missing, None, None]),
            Some(Kind::Powercap)
        );
    }

    #[test]
    fn a_failed_read_does_not_turn_a_measurement_into_a_simulation() {
        assert_eq!(
            chosen(&ALL, [Some(Reason::Unreadable), Some(Reason::Missing), None]),
            Some(Kind::Powercap)
        );
    }

    #[test]
    fn files_that_cannot_be_read_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("energy_uj");
        let reason = || exporter::fs::read_u64(&file).map_err(|error| Reason::of_counter(&error));
        assert_eq!(reason(), Err(Reason::NoEnergyCounter));
        std::fs::write(&file, "torn").expect("write");
        assert_eq!(reason(), Err(Reason::Unreadable));
        std::fs::write(&file, "12").expect("write");
        assert_eq!(reason(), Ok(12));
        let error = exporter::fs::list(&folder.path().join("powercap")).expect_err("missing");
        assert_eq!(Reason::of_folder(&error), Reason::Missing);
    }
}
