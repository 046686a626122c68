//! The container engine: found, spoken to, and its errors in words that say what to do.

use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context;
use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use tokio::runtime::Runtime;

use crate::text;

/// Docker 20.10, the engine of Debian 12.
const OLDEST: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 41,
};
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// Of an engine that works.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// A stop waits for the service: Prometheus may write for a minute.
const CALL_LIMIT_SECONDS: u64 = 180;

/// An engine that answers.
pub(crate) struct Engine {
    runtime: Runtime,
    docker: Docker,
    version: String,
}

/// Why no engine can be used, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// Nothing is there.
    #[error(
        "no container engine answers at {host}: {reason}; install and start one (Debian: docker.io), or name it in DOCKER_HOST"
    )]
    Absent {
        /// Its address.
        host: String,
        /// Why it does not answer.
        reason: String,
    },
    /// The user may not speak to it.
    #[error(
        "the container engine at {host} does not let this user in; join its group (sudo usermod -aG docker $USER, then log in again)"
    )]
    Denied {
        /// Its address.
        host: String,
    },
    /// It lacks what is used here.
    #[error(
        "the container engine at {host} is too old: it speaks API {found}, and {OLDEST} is needed (Docker 20.10 or newer)"
    )]
    TooOld {
        /// Its address.
        host: String,
        /// The newest version that it speaks.
        found: String,
    },
    /// Its address cannot be one.
    #[error(
        "DOCKER_HOST={host} is no address of an engine: write unix:///path/of/docker.sock or tcp://host:port"
    )]
    NoAddress {
        /// As it was given.
        host: String,
    },
    /// It answers with something else than it should.
    #[error("the container engine at {host} does not answer as one: {reason}")]
    Strange {
        /// Its address.
        host: String,
        /// What it said.
        reason: String,
    },
}

impl Engine {
    /// The engine that `DOCKER_HOST` names, or the one of this machine.
    pub(crate) fn connect() -> anyhow::Result<Result<Self, Unusable>> {
        let named = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let host = named.unwrap_or_else(|| DEFAULT_HOST.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .context("start the runtime")?;
        if let Some(unusable) = host.strip_prefix("unix://").and_then(|path| closed(&host, path)) {
            return Ok(Err(unusable));
        }
        // The connector wants a runtime that it can put its timers on.
        let guard = runtime.enter();
        let docker = if host.starts_with("unix://") {
            Docker::connect_with_unix(&host, CALL_LIMIT_SECONDS, API_DEFAULT_VERSION)
        } else {
            Docker::connect_with_http(&host, CALL_LIMIT_SECONDS, API_DEFAULT_VERSION)
        };
        drop(guard);
        let is_address = ["unix://", "tcp://", "http://"]
            .iter()
            .any(|scheme| host.starts_with(scheme));
        let Some(docker) = docker.ok().filter(|_| is_address) else {
            return Ok(Err(Unusable::NoAddress { host }));
        };
        Ok(match runtime.block_on(greet(docker, &host)) {
            Ok((docker, version)) => Ok(Self {
                runtime,
                docker,
                version,
            }),
            Err(unusable) => Err(unusable),
        })
    }

    /// Its version, `28.2.2` say.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The client.
    pub(crate) const fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Waits for calls of the client.
    pub(crate) fn wait<T>(&self, calls: impl Future<Output = T>) -> T {
        self.runtime.block_on(calls)
    }
}

/// What is wrong with a socket before anything is said.
fn closed(host: &str, path: &str) -> Option<Unusable> {
    let error = UnixStream::connect(path).err()?;
    let host = host.to_owned();
    Some(match error.kind() {
        ErrorKind::PermissionDenied => Unusable::Denied { host },
        ErrorKind::NotFound => Unusable::Absent {
            host,
            reason: "there is no such socket".to_owned(),
        },
        _ => Unusable::Absent {
            host,
            reason: text::io_reason(&error),
        },
    })
}

async fn greet(docker: Docker, host: &str) -> Result<(Docker, String), Unusable> {
    let host = host.to_owned();
    let answer = tokio::time::timeout(GREETING_LIMIT, async {
        let docker = docker.negotiate_version().await?;
        let version = docker.version().await?;
        Ok::<_, Error>((docker, version))
    });
    let (docker, version) = match answer.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(refused(host, &error)),
        Err(_) => {
            return Err(Unusable::Absent {
                host,
                reason: format!("no answer within {} s", GREETING_LIMIT.as_secs()),
            });
        }
    };
    let found = version.api_version.unwrap_or_default();
    if !is_new_enough(&found) {
        return Err(Unusable::TooOld { host, found });
    }
    Ok((docker, version.version.unwrap_or_default()))
}

fn refused(host: String, error: &Error) -> Unusable {
    match error {
        Error::HyperLegacyError { .. } | Error::IOError { .. } => Unusable::Absent {
            host,
            reason: reason(error),
        },
        _ => Unusable::Strange {
            host,
            reason: reason(error),
        },
    }
}

fn is_new_enough(version: &str) -> bool {
    let numbers: Vec<usize> = version
        .split('.')
        .filter_map(|number| number.parse().ok())
        .collect();
    matches!(numbers[..], [major, minor, ..] if (major, minor) >= (OLDEST.major_version, OLDEST.minor_version))
}

/// What an engine says, without what every sentence of its client begins with.
pub(crate) fn reason(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::RequestTimeoutError => "the engine did not answer in time".to_owned(),
        other => other.to_string(),
    }
}

/// Whether the engine says that it knows nothing of that name.
pub(crate) const fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Whether the engine says that it is so already: started, stopped, being removed.
pub(crate) const fn is_so_already(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 304 | 409,
            ..
        }
    )
}

/// What to do about something that an engine said, where that is known.
pub(crate) fn advice(said: &str) -> Option<&'static str> {
    let said = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["no space left on device", "disk quota exceeded"]) {
        Some(
            "the disk of the container engine is full: docker system df shows by what; free some and run it again",
        )
    } else if has(&["port is already allocated", "address already in use"]) {
        Some("another program has that port; stop it or move the service in [stack.ports]")
    } else if has(&["pool overlaps", "overlaps with"]) {
        Some(
            "another network has these addresses: set MISSION_SUBNET and MISSION_GATEWAY in [stack.variables]",
        )
    } else if has(&[
        "bind source path does not exist",
        "error while creating mount source path",
    ]) {
        Some(
            "the engine does not see the files of this machine; it must run here, and the folder must be readable for it",
        )
    } else if has(&["permission denied", "operation not permitted"]) {
        Some("the engine may not do this; is it a rootless one, or held by AppArmor or SELinux?")
    } else if has(&[
        "no such host",
        "i/o timeout",
        "connection refused",
        "network is unreachable",
        "temporary failure in name resolution",
        "lookup ",
    ]) {
        Some(
            "no registry was reached: is this machine offline? docs/images.md says how to make images without one",
        )
    } else if has(&["toomanyrequests", "rate limit"]) {
        Some("the registry allows no more pulls for now: wait, or docker login and docker pull it by hand")
    } else if has(&["unauthorized", "pull access denied", "no basic auth credentials"]) {
        Some("it is not public, or there is no such image: docker login, then docker pull it by hand")
    } else if has(&["could not select device driver", "unknown or invalid runtime"]) {
        Some("the engine cannot hand over GPUs: install nvidia-container-toolkit")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for good in ["1.41", "1.50", "2.0", "1.100"] {
            assert!(is_new_enough(good), "{good}");
        }
        for bad in ["1.40", "1.9", "0.99", "", "one"] {
            assert!(!is_new_enough(bad), "{bad}");
        }
    }

    #[test]
    fn what_engines_say_leads_to_advice() {
        let full = "write /var/lib/docker/tmp/x: no space left on device";
        assert!(advice(full).is_some_and(|advice| advice.contains("disk")));
        let taken = "driver failed programming external connectivity: Bind for 127.0.0.1:9090 failed: port is already allocated";
        assert!(advice(taken).is_some_and(|advice| advice.contains("[stack.ports]")));
        assert_eq!(advice("all is well"), None);
    }
}
