//! What the laptop goes through: it idles, runs inference, draws far more than PL1, recovers, and runs inference again.
//! The burst heats it above 75 °C and is long enough for `PowerLimitExceeded` to fire; what follows is long enough for
//! the alert to resolve before the next round.

use std::time::Duration;

/// What the laptop does at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scene {
    /// Power of the package in milliwatts.
    pub(crate) package: u64,
    /// Share of the time that the CPUs are busy, in thousandths.
    pub(crate) load: u64,
}

const IDLE: Scene = Scene {
    package: 5_000,
    load: 30,
};
const INFERENCE: Scene = Scene {
    package: 22_000,
    load: 550,
};
const BURST: Scene = Scene {
    package: 44_000,
    load: 960,
};
const RECOVERY: Scene = Scene {
    package: 8_000,
    load: 120,
};

/// How long a round is, in seconds.
pub(crate) const ROUND: u64 = 420;

/// The scene at a time since the beginning.
pub(crate) fn at(elapsed: Duration) -> Scene {
    let seconds = elapsed.as_secs();
    let scene = match seconds % ROUND {
        0..20 => IDLE,
        60..220 => BURST,
        220..280 => RECOVERY,
        _ => INFERENCE,
    };
    // No real machine draws a straight line: each second differs by 3 % at most.
    let unrest = 970 + seconds * 37 % 61;
    Scene {
        package: scene.package * unrest / 1000,
        load: scene.load * unrest / 1000,
    }
}
