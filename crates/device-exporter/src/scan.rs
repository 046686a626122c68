//! Which ports there are now: what the configuration's patterns match.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::board::Expected;
use crate::config::{Port, Rule, Settings};
use crate::driver::Drivers;
use crate::serial;

/// What tells ports apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The node itself, whatever link led to it.
    Serial(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// A port that is there.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The rule that holds for it.
    pub(crate) rule: Arc<Rule>,
    /// What that rule calls it, or the link that its pattern matched, which names the place better than the node does.
    pub(crate) place: String,
}

/// The ports that are there, each with the first rule that names it; those that name one port go before patterns. TCP
/// servers always are.
pub(crate) fn ports(settings: &Settings) -> BTreeMap<Key, Found> {
    let drivers = Drivers::read();
    let rules = || settings.rules.iter();
    let named = rules().filter(|rule| rule.port.is_one());
    let mut found = BTreeMap::new();
    for rule in named.chain(rules().filter(|rule| !rule.port.is_one())) {
        let shared = Arc::new(rule.clone());
        let mut find = |key, place| {
            let rule = Arc::clone(&shared);
            found.entry(key).or_insert(Found { rule, place });
        };
        match &rule.port {
            Port::Tcp(address) => find(Key::Tcp(address.clone()), address.clone()),
            Port::Serial(path) if rule.port.is_one() => {
                let path = Path::new(path);
                // A link to nowhere is the moment between a device's departure and the end of its link.
                if let Ok(node) = path.canonicalize() {
                    find(Key::Serial(node), serial::name(path));
                }
            }
            Port::Serial(pattern) => {
                for path in matching(pattern) {
                    let node = path.canonicalize().ok().filter(|node| drivers.have(node));
                    if let Some(node) = node {
                        find(Key::Serial(node), serial::name(&path));
                    }
                }
            }
        }
    }
    found
}

fn matching(pattern: &str) -> impl Iterator<Item = PathBuf> {
    // Folders that cannot be read hold nothing for us; the pattern itself was checked with the configuration.
    glob::glob(pattern).into_iter().flatten().flatten()
}

/// The ports that the configuration names one by one.
pub(crate) fn expected(settings: &Settings) -> Vec<Expected> {
    let named = settings.rules.iter().filter_map(|rule| {
        Some(Expected {
            port: expected_name(rule)?,
            id: rule.id.clone(),
            platform: rule.platform.clone(),
        })
    });
    named.collect()
}

/// What a port is called that the configuration names by itself, even when it is not there.
pub(crate) fn expected_name(rule: &Rule) -> Option<String> {
    match &rule.port {
        Port::Tcp(address) => Some(address.clone()),
        Port::Serial(path) if rule.port.is_one() => Some(serial::name(Path::new(path))),
        Port::Serial(_) => None,
    }
}

impl Key {
    /// The label `port`.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Serial(path) => serial::name(path),
            Self::Tcp(address) => address.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn rule(pattern: &Path, baud: u32) -> Rule {
        Rule {
            port: Port::Serial(pattern.to_str().expect("UTF-8").to_owned()),
            baud,
            protocol: None,
            platform: None,
            id: None,
            probe: false,
        }
    }

    #[test]
    fn each_port_is_found_once_by_the_surest_rule_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let (_first, first) = serial::tests::pty();
        let (_second, second) = serial::tests::pty();
        symlink(&first, path("usb-a")).expect("link");
        symlink(&second, path("usb-b")).expect("link");
        symlink(&second, path("usb-b-too")).expect("link");
        symlink("/dev/null", path("usb-c")).expect("link");
        symlink("/nowhere", path("usb-gone")).expect("link");
        std::fs::write(path("usb-file"), "").expect("write");
        let settings = Settings {
            rules: vec![
                rule(&path("usb-*"), 115_200),
                rule(&path("*"), 300),
                rule(&path("usb-a"), 9600),
                rule(&path("missing"), 115_200),
            ],
            ..Settings::default()
        };
        let found: BTreeMap<_, _> = ports(&settings)
            .into_iter()
            .map(|(key, found)| (key.name(), (found.place, found.rule.baud)))
            .collect();
        let expected = [(first, "usb-a", 9600), (second, "usb-b", 115_200)];
        let expected = expected.map(|(node, link, baud)| {
            let place = path(link).to_str().expect("UTF-8").to_owned();
            (serial::name(&node), (place, baud))
        });
        assert_eq!(found, BTreeMap::from(expected));
        assert_eq!(super::expected(&settings).len(), 2);
    }
}
