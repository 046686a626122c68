//! How warm the chip gets.

use std::time::Duration;

use crate::chip::Figures;

/// Degrees Celsius of the room.
const ROOM: f64 = 24.0;
/// Seconds in which the chip gets to about two thirds of where it is going.
const INERTIA: f64 = 25.0;

/// Temperature of a chip.
#[derive(Debug)]
pub(super) struct Heat {
    celsius: f64,
    room: f64,
    kelvin_per_mw: f64,
    at: Duration,
}

impl Heat {
    pub(super) fn new(figures: &Figures) -> Self {
        Self {
            celsius: ROOM,
            room: ROOM,
            kelvin_per_mw: figures.kelvin_per_mw,
            at: Duration::ZERO,
        }
    }

    /// Degrees Celsius after drawing so much power, in milliwatts, since the last time.
    pub(super) fn step(&mut self, now: Duration, power: f64) -> f64 {
        let seconds = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        let goal = self.room + power * self.kelvin_per_mw;
        self.celsius += (goal - self.celsius) * (1.0 - (-seconds / INERTIA).exp());
        self.celsius
    }

    /// The surroundings become so much hotter than the room.
    pub(super) fn around(&mut self, celsius: f64) {
        self.room = ROOM + celsius;
    }
}
