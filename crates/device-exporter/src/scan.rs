//! Which ports there are now: what the configuration's patterns match.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::board::Expected;
use crate::config::{Port, Rule, Settings};
use crate::serial;

/// What tells ports apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The node itself, whatever link led to it.
    Serial(PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// The ports that are there, each with the first rule that names it. TCP servers always are.
pub(crate) fn ports(settings: &Settings) -> BTreeMap<Key, Arc<Rule>> {
    let mut found = BTreeMap::new();
    for rule in &settings.rules {
        let rule = Arc::new(rule.clone());
        match &rule.port {
            Port::Tcp(address) => {
                found.entry(Key::Tcp(address.clone())).or_insert(rule);
            }
            Port::Serial(pattern) => {
                for path in matching(pattern, rule.port.is_one()) {
                    found
                        .entry(Key::Serial(path))
                        .or_insert_with(|| Arc::clone(&rule));
                }
            }
        }
    }
    found
}

fn matching(pattern: &str, is_one: bool) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = if is_one {
        vec![pattern.into()]
    } else {
        // Folders that cannot be read hold nothing for us; the pattern itself was checked with the configuration.
        glob::glob(pattern)
            .map(|paths| paths.flatten().collect())
            .unwrap_or_default()
    };
    let node = |path: PathBuf| {
        // A link to nowhere is the moment between a device's departure and the end of its link.
        let path = path.canonicalize().ok()?;
        let is_node = is_one || path.metadata().ok()?.file_type().is_char_device();
        is_node.then_some(path)
    };
    paths.into_iter().filter_map(node).collect()
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
    fn each_port_is_found_once_by_the_first_rule_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["usb-a", "usb-b"] {
            symlink("/dev/null", folder.path().join(name)).expect("link");
        }
        symlink("/dev/zero", folder.path().join("usb-c")).expect("link");
        symlink("/nowhere", folder.path().join("usb-gone")).expect("link");
        std::fs::write(folder.path().join("usb-file"), "").expect("write");
        let settings = Settings {
            rules: vec![
                rule(&folder.path().join("usb-b"), 9600),
                rule(&folder.path().join("usb-*"), 115_200),
                rule(&folder.path().join("missing"), 115_200),
            ],
            ..Settings::default()
        };
        let found: Vec<_> = ports(&settings)
            .into_iter()
            .map(|(key, rule)| (key.name(), rule.baud))
            .collect();
        assert_eq!(found, [("null".to_owned(), 9600), ("zero".to_owned(), 115_200)]);
        assert_eq!(expected(&settings).len(), 2);
    }
}
