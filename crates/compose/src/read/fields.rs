//! The entries of a map whose keys are words of compose's: each is asked for, and what nobody asked for is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::item::Item;

/// The entries of a map whose keys are words of compose's.
pub(crate) struct Fields<'a> {
    entries: Vec<(&'a str, Item<'a>)>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(entries: Vec<(&'a str, Item<'a>)>) -> Self {
        Self {
            entries,
            asked: Vec::new(),
        }
    }

    /// The value of `key`, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.asked.push(key);
        let index = self.entries.iter().position(|(name, _)| *name == key)?;
        Some(self.entries.swap_remove(index).1)
    }

    /// Notes what nobody asked for. `known` are the keys that docker compose knows here beyond those asked for.
    pub(crate) fn finish(self, known: &[&str]) {
        for (key, item) in self.entries.iter().filter(|(key, _)| !key.starts_with("x-")) {
            if known.contains(key) {
                let instead = instead_of(key).map_or(String::new(), |instead| format!("; {instead}"));
                item.refuse(format!(
                    "not supported by missionctl; docker compose knows it{instead}"
                ));
            } else {
                let all = self.asked.iter().chain(known);
                let hint =
                    nearest(key, all).map_or(String::new(), |meant| format!("; did you mean {meant}?"));
                item.refuse(format!("unknown key{hint}"));
            }
        }
    }

    /// Notes that nothing else can be said about `what`, which is external.
    pub(crate) fn finish_external(self, what: &str) {
        for (_, item) in self.entries.iter().filter(|(key, _)| !key.starts_with("x-")) {
            item.refuse(format!(
                "an external {what} exists already: only its `name` can be said"
            ));
        }
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.take(key)?.word()
    }

    pub(crate) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        self.take(key)?.boolean()
    }

    pub(crate) fn integer<T: TryFrom<i64>>(&mut self, key: &'static str) -> Option<T> {
        self.take(key)?.integer()
    }

    pub(crate) fn bytes(&mut self, key: &'static str) -> Option<u64> {
        self.take(key)?.bytes()
    }

    pub(crate) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.take(key)?.duration()
    }

    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<String> {
        self.take(key).and_then(|item| item.texts()).unwrap_or_default()
    }

    pub(crate) fn labels(&mut self, key: &'static str) -> BTreeMap<String, String> {
        self.take(key).and_then(|item| item.labels()).unwrap_or_default()
    }

    pub(crate) fn variables(&mut self, key: &'static str) -> BTreeMap<String, String> {
        self.take(key)
            .and_then(|item| item.variables())
            .unwrap_or_default()
    }

    /// Each item of a list, read by `read`.
    pub(crate) fn each<T>(&mut self, key: &'static str, read: impl Fn(&Item<'a>) -> Option<T>) -> Vec<T> {
        let items = self.take(key).and_then(|item| item.list()).unwrap_or_default();
        items.iter().filter_map(read).collect()
    }
}

/// What to write instead of a key that docker compose knows.
fn instead_of(key: &str) -> Option<&'static str> {
    Some(match key {
        "container_name" => "a container is named after its project and service",
        "env_file" => "write the variables under environment",
        "extends" => "use an anchor and a merge key",
        "gpus" => "write deploy.resources.reservations.devices",
        "limits" => "write cpus, mem_limit and pids_limit in the service",
        "links" => "services of one network reach each other by their names",
        "version" => "it is obsolete: leave it out",
        _ => return None,
    })
}

/// The word that was probably meant by `key`.
pub(crate) fn nearest<'w>(key: &str, words: impl Iterator<Item = &'w &'w str>) -> Option<&'w str> {
    // No word of compose's is that long, and comparing a long one takes long.
    if key.len() > 64 {
        return None;
    }
    let (distance, word) = words.map(|word| (strsim::osa_distance(key, word), *word)).min()?;
    let length = key.chars().count();
    (distance < length && distance <= length.div_ceil(4)).then_some(word)
}
