//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "Results go to standard output, progress and complaints to standard error.

Exit codes:
  0  done; everything is healthy
  1  something is not: a service, a channel, a program that is missing
  2  the command line or mission.toml is wrong, or the project is another user's; nothing was touched
  3  the stack does not run

Environment:
  MISSION_CACHE    where fetched programs are kept (default: ${XDG_CACHE_HOME:-~/.cache}/mission-control)
  MISSION_OFFLINE  when set, nothing is downloaded
  DOCKER_HOST      the container engine (default: unix:///var/run/docker.sock)";

/// Brings the Mission Control stack up, checks it and takes it down.
#[derive(Debug, Parser)]
#[command(name = "missionctl", version, about, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Folder of mission.toml; otherwise the nearest one above the working directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a commented mission.toml from what is found on this machine.
    Init,
    /// Render the configuration of every service into .mission/run and check it, starting nothing.
    Render,
    /// Check mission.toml, its secrets, the ports and the addresses, starting nothing.
    Check,
    /// Start the stack, or bring a running one to what mission.toml says, and wait until it is healthy and scraped.
    Up(Up),
    /// Show services, targets and firing alerts.
    Status(Status),
    /// Show the last lines of the logs.
    Logs(Logs),
    /// Stop everything; data stays.
    Down,
    /// Work with alerts.
    Alerts {
        #[command(subcommand)]
        command: Alerts,
    },
    /// Work with the canary set of a training.
    Canary {
        #[command(subcommand)]
        command: Canary,
    },
    /// Build the container images of our programs where their sources have changed, and show their names.
    Images(Images),
    /// Make sure that the programs of others are there, and show which ones are used.
    Tools(Tools),
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// How long to wait for the services to be healthy, and as long again for Prometheus to scrape them, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Start nothing when the image of a service can neither be found, pulled nor built.
    #[arg(long)]
    pub(crate) strict: bool,
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Go on with what is written from now.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// One service; otherwise all.
    pub(crate) service: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alerts {
    /// Send a test alert through Alertmanager and follow it to every configured channel.
    Test(AlertsTest),
}

#[derive(Debug, Args)]
pub(crate) struct AlertsTest {
    /// Severity of the test alert.
    #[arg(long, value_enum)]
    pub(crate) severity: Severity,
    /// How long to wait for each delivery, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// Severities of the alert contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Severity {
    /// Answered within 15 minutes.
    Critical,
    /// Answered within 30 minutes.
    High,
    /// Answered within an hour.
    Warning,
    /// Answered within a day.
    Info,
}

impl Severity {
    /// Value of the label `severity`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Canary {
    /// Show how it does, why, and what to do; exits with 0 only when it passes.
    Status(CanaryStatus),
    /// Make the last result the baseline that later ones are compared with.
    AcceptBaseline(AcceptBaseline),
}

#[derive(Debug, Args)]
pub(crate) struct CanaryStatus {
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AcceptBaseline {
    /// Why it is good; kept beside the baseline.
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
    /// Who accepts it; otherwise the user who runs this.
    #[arg(long, value_name = "NAME")]
    pub(crate) who: Option<String>,
    /// Accept a result that is stale, of too few samples, or older than the newest checkpoint.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Network of the builds, such as `host`, which reaches a package registry as this machine does; by default
    /// `BUILD_NETWORK` of [stack.variables].
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Tools {
    /// Print only the folder to put on the PATH.
    #[arg(long)]
    pub(crate) path: bool,
}
