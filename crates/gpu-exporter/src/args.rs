//! The exporter's own flags.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

/// The library as the driver's packages install it.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// Flags beside those that every exporter has.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The NVML library, a name that the dynamic linker finds or a path
    #[arg(long = "nvml.library", value_name = "FILE", default_value = LIBRARY)]
    library: OsString,

    /// How long a GPU may take to answer before it counts as down, in seconds, at most 9; the scrape timeout must be longer
    /// by more than 0.5 s, or one GPU that hangs costs the figures of all
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
    /// The NVML library. An environment variable that is set and empty says nothing.
    pub(crate) fn library(&self) -> &Path {
        let named = (!self.library.is_empty()).then_some(self.library.as_os_str());
        Path::new(named.unwrap_or(OsStr::new(LIBRARY)))
    }

    /// How long a GPU may take.
    pub(crate) fn timeout(&self) -> anyhow::Result<Duration> {
        let seconds = self.timeout;
        ensure!(
            (0.01..=9.0).contains(&seconds),
            "--nvml.timeout {seconds}: must be from 0.01 to 9 seconds, as a scrape usually waits for 10"
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn args(flags: &[&str]) -> Args {
        let words = ["gpu-exporter"].iter().chain(flags);
        Cli::try_parse_from(words).expect("good flags").args
    }

    #[test]
    fn an_empty_name_of_the_library_is_none() {
        for (flags, library) in [
            (&[][..], LIBRARY),
            (&["--nvml.library="], LIBRARY),
            (&["--nvml.library=./libfake.so"], "./libfake.so"),
        ] {
            assert_eq!(args(flags).library(), Path::new(library), "{flags:?}");
        }
    }

    #[test]
    fn a_gpu_gets_less_time_than_a_scrape_has() {
        let timeout = |flag| args(&[flag]).timeout();
        assert_eq!(timeout("--nvml.timeout=9").ok(), Some(Duration::from_secs(9)));
        for flag in ["--nvml.timeout=9.5", "--nvml.timeout=0", "--nvml.timeout=NaN"] {
            assert!(timeout(flag).is_err(), "{flag}");
        }
    }
}
