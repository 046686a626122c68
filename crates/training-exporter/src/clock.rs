//! Points in time as the page shows them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in seconds; 0 before 1970.
pub(crate) fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
