//! The address of a source: a supervisord, a systemd or a container engine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use supervisor::Endpoint;

/// The socket of the system's message bus.
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";
/// The socket of Docker's engine.
const ENGINE: &str = "/var/run/docker.sock";

/// Who knows the workers, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// `unix:///path` or `http://host:port`
    Supervisord(Endpoint),
    /// `systemd://` or `systemd:///path/of/bus`
    Systemd(PathBuf),
    /// `docker://` or `docker:///path/of/socket`
    Docker(PathBuf),
}

impl Origin {
    /// It starts processes and containers of others: what it says about their starts and ends counts for more than
    /// what an engine says.
    pub(crate) fn starts_others(&self) -> bool {
        !matches!(self, Self::Docker(_))
    }

    /// What is asked there, for messages and thread names.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Supervisord(_) => "supervisord",
            Self::Systemd(_) => "systemd",
            Self::Docker(_) => "docker",
        }
    }
}

impl FromStr for Origin {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("systemd://") {
            return Ok(Self::Systemd(socket(text, path, SYSTEM_BUS)?));
        }
        if let Some(path) = text.strip_prefix("docker://") {
            return Ok(Self::Docker(socket(text, path, ENGINE)?));
        }
        Ok(Self::Supervisord(text.parse().context("url")?))
    }
}

/// The path, or the usual one where none is given.
fn socket(url: &str, path: &str, usual: &str) -> anyhow::Result<PathBuf> {
    if path.is_empty() {
        return Ok(PathBuf::from(usual));
    }
    if !Path::new(path).is_absolute() {
        bail!("url: {url:?} names no socket of this machine; write three slashes and an absolute path");
    }
    Ok(PathBuf::from(path))
}

impl fmt::Display for Origin {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supervisord(endpoint) => endpoint.fmt(f),
            Self::Systemd(path) => write!(f, "systemd://{}", path.display()),
            Self::Docker(path) => write!(f, "docker://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_tells_the_kind_and_nothing_means_the_usual_socket() {
        for (text, expected) in [
            ("systemd://", "systemd:///run/dbus/system_bus_socket"),
            ("systemd:///run/user/1000/bus", "systemd:///run/user/1000/bus"),
            ("docker://", "docker:///var/run/docker.sock"),
            ("unix:///run/supervisor.sock", "unix:///run/supervisor.sock"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), expected);
        }
        for text in ["systemd://bus", "docker://host:2375"] {
            let error = text.parse::<Origin>().unwrap_err().to_string();
            assert!(error.contains("absolute path"), "{error}");
        }
    }
}
