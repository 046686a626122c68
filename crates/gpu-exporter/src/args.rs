//! The exporter's own flags.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;

/// Flags beside those that every exporter has.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The NVML library, a name that the dynamic linker finds or a path
    #[arg(
        long = "nvml.library",
        value_name = "FILE",
        default_value = "libnvidia-ml.so.1"
    )]
    pub(crate) library: PathBuf,

    /// How long a GPU may take to answer before it counts as down, in seconds
    #[arg(long = "nvml.timeout", value_name = "SECONDS", default_value_t = 2.0)]
    timeout: f64,

    /// How long a GPU that may sleep is left alone after it was found idle, in seconds; 0 for never
    #[arg(long = "gpu.rest", value_name = "SECONDS", default_value_t = 60.0)]
    rest: f64,

    /// How many GPUs this machine must have; 0 for as many as were ever seen
    #[arg(long = "gpu.expected", value_name = "COUNT", default_value_t = 0)]
    pub(crate) expected: usize,
}

impl Args {
    /// How long a GPU may take.
    pub(crate) fn timeout(&self) -> anyhow::Result<Duration> {
        let seconds = self.timeout;
        ensure!(
            (0.01..=60.0).contains(&seconds),
            "--nvml.timeout {seconds}: must be from 0.01 to 60 seconds"
        );
        Ok(Duration::from_secs_f64(seconds))
    }

    /// How long an idle GPU is left alone.
    pub(crate) fn rest(&self) -> anyhow::Result<Duration> {
        let seconds = self.rest;
        ensure!(
            (0.0..=600.0).contains(&seconds),
            "--gpu.rest {seconds}: must be from 0 to 600 seconds"
        );
        Ok(Duration::from_secs_f64(seconds))
    }
}
