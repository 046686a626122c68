//! The model behind `source="simulated"`: package power computed from load and temperature, for machines without
//! any power sensor. Its value is an illustration, not a measurement.

/// Leakage grows by about so much per degree.
const LEAKAGE_PER_DEGREE: f64 = 0.004;
/// Temperature at which the model's idle and full power hold, in degrees Celsius.
const REFERENCE_TEMPERATURE: f64 = 50.0;
/// Temperatures beyond this range do not move the power any further.
const TEMPERATURES: (f64, f64) = (20.0, 100.0);
/// Without a load it is guessed from the temperature: idle at the first, full load at the second.
const GUESS_LOAD: (f64, f64) = (35.0, 95.0);

/// The power of a package when idle and under full load, in watts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Model {
    pub(crate) idle: f64,
    pub(crate) max: f64,
}

impl Model {
    /// Watts at this load (percent) and temperature (degrees Celsius); unknown when neither is known.
    ///
    /// Between idle and full load power follows `2u - u^1.4` of the load `u`, the curve that servers were found to
    /// follow (Fan, Weber, Barroso: Power provisioning for a warehouse-sized computer, ISCA 2007): the first busy
    /// cores cost more than the last. The sum is scaled by the temperature's leakage and never leaves idle to full.
    pub(crate) fn watts(self, load: Option<f64>, temperature: Option<f64>) -> Option<f64> {
        let guess = |celsius: f64| (celsius - GUESS_LOAD.0) / (GUESS_LOAD.1 - GUESS_LOAD.0);
        let load = load
            .map(|percent| percent / 100.0)
            .or(temperature.map(guess))?
            .clamp(0.0, 1.0);
        let share = 2.0 * load - load.powf(1.4);
        let degrees = temperature.map_or(0.0, |celsius| {
            celsius.clamp(TEMPERATURES.0, TEMPERATURES.1) - REFERENCE_TEMPERATURE
        });
        let watts = (self.idle + (self.max - self.idle) * share) * (1.0 + LEAKAGE_PER_DEGREE * degrees);
        // More digits would look like a measurement.
        Some(((watts * 10.0).round() / 10.0).clamp(self.idle, self.max))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MODEL: Model = Model {
        idle: 10.0,
        max: 65.0,
    };

    #[test]
    fn unknown_stays_unknown() {
        assert_eq!(MODEL.watts(None, None), None);
    }

    #[test]
    fn idle_and_full_load_are_the_flags() {
        assert_eq!(MODEL.watts(Some(0.0), None), Some(10.0));
        assert_eq!(MODEL.watts(Some(100.0), None), Some(65.0));
        assert_eq!(
            MODEL.watts(None, Some(35.0)),
            Some(10.0),
            "idle by its temperature"
        );
    }

    #[test]
    fn half_load_at_70_degrees() {
        // 10 + 55 * (1 - 0.5^1.4) = 44.158 W, and 8 % more leakage.
        assert_eq!(MODEL.watts(Some(50.0), Some(70.0)), Some(47.7));
    }

    proptest! {
        #[test]
        fn power_is_bounded_and_grows_with_load_and_temperature(
            load in 0.0f64..100.0, more in 0.0f64..100.0, celsius in -50.0f64..150.0, warmer in 0.0f64..50.0,
        ) {
            let at = |load: f64, celsius| MODEL.watts(Some(load.min(100.0)), Some(celsius)).expect("known");
            let watts = at(load, celsius);
            prop_assert!((10.0..=65.0).contains(&watts));
            prop_assert!(at(load + more, celsius) >= watts);
            prop_assert!(at(load, celsius + warmer) >= watts);
        }
    }
}
