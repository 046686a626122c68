//! Where the services run, as far as their configuration depends on it: what they call each other, this machine, its
//! files and the secrets.

use std::path::{Path, PathBuf};

use crate::inventory::{HostPort, Inventory};
use crate::service::Service;

/// The name by which containers reach the machine they run on.
const HOST: &str = "host.docker.internal";

/// Where containers that look at the machine find its files.
const HOST_ROOT: &str = "/host";

/// What the services run as.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Processes of this machine, under the supervisord that listens on this socket.
    Processes {
        /// The socket.
        supervisord: &'a Path,
    },
    /// Containers of one network.
    Containers {
        /// The ports of this machine that lead to them.
        published: &'a [(u16, Service)],
    },
}

impl Place<'_> {
    /// Where the other services reach one that listens on `port` of this machine.
    pub(crate) fn service(self, inventory: &Inventory, service: Service, port: u16) -> HostPort {
        match self {
            Self::Processes { .. } => inventory.dial(port),
            // It sees the machine's own network interfaces only where it has no network of its own.
            Self::Containers { .. } if service == Service::NodeExporter => HostPort {
                host: HOST.to_owned(),
                port,
            },
            // Among themselves ports are those of the images, whatever is published on this machine.
            Self::Containers { .. } => HostPort {
                host: service.name().to_owned(),
                port: service.default_port().unwrap_or(port),
            },
        }
    }

    /// Where the services reach a program of this machine that `address` names, `localhost:4000` say.
    pub(crate) fn local(self, address: &HostPort) -> HostPort {
        match self {
            Self::Processes { .. } => address.clone(),
            Self::Containers { published } => {
                // A service of the stack itself is published on loopback, where containers do not reach it.
                let own = published.iter().find(|(port, _)| *port == address.port);
                match own.and_then(|(_, service)| Some((service, service.default_port()?))) {
                    Some((service, port)) if *service != Service::NodeExporter => HostPort {
                        host: service.name().to_owned(),
                        port,
                    },
                    _ => HostPort {
                        host: HOST.to_owned(),
                        port: address.port,
                    },
                }
            }
        }
    }

    /// Where the services reach a program anywhere.
    pub(crate) fn reached(self, address: &HostPort) -> HostPort {
        if address.has_own_name() {
            self.local(address)
        } else {
            address.clone()
        }
    }

    /// Where a service that looks at this machine finds one of its files. Links on the way to it are followed here: in a
    /// container they would lead to the container's own files.
    pub(crate) fn file(self, path: &Path) -> PathBuf {
        match self {
            Self::Processes { .. } => path.to_path_buf(),
            Self::Containers { .. } => {
                let real = real(path);
                Path::new(HOST_ROOT).join(real.strip_prefix("/").unwrap_or(&real))
            }
        }
    }

    /// Where a service finds a secret that is in the file `original` and is called `name` in `compose.yaml`.
    pub(crate) fn secret(self, name: &str, original: &Path) -> PathBuf {
        match self {
            Self::Processes { .. } => original.to_path_buf(),
            Self::Containers { .. } => Path::new("/run/secrets").join(name),
        }
    }
}

/// The path without links, as far as it is there.
pub(crate) fn real(path: &Path) -> PathBuf {
    let real = path
        .ancestors()
        .find_map(|there| Some((there, there.canonicalize().ok()?)))
        .and_then(|(there, real)| {
            let rest = path.strip_prefix(there).ok()?;
            // Joined with nothing, it would end with a slash as soon as it is there, and be another text than before.
            let is_all = rest.as_os_str().is_empty();
            Some(if is_all { real } else { real.join(rest) })
        });
    real.unwrap_or_else(|| path.to_path_buf())
}

/// The lowest folder that has all of these in it or is one of them.
pub(crate) fn common_folder(mut folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let first = folders.next()?;
    Some(folders.fold(first, |common, folder| {
        let mut above = common.ancestors();
        let shared = above.find(|above| folder.starts_with(above));
        shared.unwrap_or(Path::new("/")).to_path_buf()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_same_text_before_and_after_it_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("canary");
        let before = real(&path);
        std::fs::create_dir(&path).expect("a folder");
        assert_eq!(before.as_os_str(), real(&path).as_os_str());
    }

    #[test]
    fn the_common_folder_is_the_lowest_above_all() {
        let common = |paths: &[&str]| common_folder(paths.iter().map(PathBuf::from));
        assert_eq!(common(&[]), None);
        assert_eq!(common(&["/srv/brain"]), Some("/srv/brain".into()));
        assert_eq!(common(&["/srv/brain", "/srv/notes/x"]), Some("/srv".into()));
        assert_eq!(common(&["/srv/brain", "/srv/brains"]), Some("/srv".into()));
        assert_eq!(common(&["/srv", "/opt"]), Some("/".into()));
    }
}
