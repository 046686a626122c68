//! The exporter's own flags.

use anyhow::ensure;

use crate::limits::Policy;
use crate::simulation::Model;
use crate::source::Kind;

/// Flags beside those that every exporter has.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Where the package power may come from, best first; the first that is available is used
    #[arg(
        long = "power.sources",
        value_delimiter = ',',
        default_value = "powercap,hwmon,simulated"
    )]
    pub(crate) sources: Vec<Kind>,

    /// Count time above the limits of zones that read as disabled, too: the kernel shows limits that the firmware
    /// has locked as disabled
    #[arg(long = "powercap.limits-locked")]
    limits_locked: bool,

    /// Simulated power of an idle package in watts
    #[arg(long = "simulated.idle-watts", value_name = "WATTS", default_value_t = 10.0)]
    idle_watts: f64,

    /// Simulated power of a package under full load in watts; its TDP is a good guess
    #[arg(long = "simulated.max-watts", value_name = "WATTS", default_value_t = 65.0)]
    max_watts: f64,
}

impl Args {
    /// How limits are judged.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            is_locked: self.limits_locked,
        }
    }

    /// The model of the simulated source.
    pub(crate) fn model(&self) -> anyhow::Result<Model> {
        let (idle, max) = (self.idle_watts, self.max_watts);
        ensure!(
            idle >= 0.0 && idle < max && max <= 5000.0,
            "--simulated.idle-watts {idle} and --simulated.max-watts {max}: must be 0 <= idle < max <= 5000"
        );
        Ok(Model { idle, max })
    }
}
