//! Which groups there are, whose they are, and what is in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::group::Group;
use crate::delivery::Source;
use crate::sample::{Kind, Page};

/// How long a refused family is left out before it is tried again.
const LEFT_OUT: Duration = Duration::from_mins(10);

/// All groups that this bridge has in the Pushgateway.
#[derive(Default)]
pub(super) struct Groups {
    of: BTreeMap<Source, BTreeSet<Group>>,
    /// The types of the families in each.
    kinds: BTreeMap<Group, HashMap<String, Kind>>,
    /// Those that are to be deleted and could not be yet.
    gone: BTreeSet<Group>,
    /// Families that were refused, and until when they are left out.
    refused: BTreeMap<Group, (HashSet<String>, Instant)>,
}

impl Groups {
    /// Notes what is in a group now, or will be.
    pub(super) fn put(&mut self, source: &Source, group: &Group, kinds: HashMap<String, Kind>) {
        self.gone.remove(group);
        self.kinds.insert(group.clone(), kinds);
        self.own(source, group.clone());
    }

    /// Takes a group for one of this source.
    pub(super) fn own(&mut self, source: &Source, group: Group) {
        self.of.entry(source.clone()).or_default().insert(group);
    }

    /// The type that a family has in another group.
    pub(super) fn elsewhere(&self, group: &Group, family: &str) -> Option<Kind> {
        let mut others = self.kinds.iter().filter(|(other, _)| *other != group);
        others.find_map(|(_, kinds)| kinds.get(family).copied())
    }

    /// Whether a family is left out for now, since it was refused.
    pub(super) fn is_left_out(&self, group: &Group, family: &str, now: Instant) -> bool {
        let refused = self.refused.get(group);
        refused.is_some_and(|(families, until)| now < *until && families.contains(family))
    }

    /// Leaves these families of a group out for a while. False when they were left out last time too.
    pub(super) fn leave_out(&mut self, group: &Group, families: HashSet<String>, now: Instant) -> bool {
        let earlier = self.refused.get(group);
        let is_news = earlier.is_none_or(|(earlier, _)| *earlier != families);
        self.refused.insert(group.clone(), (families, now + LEFT_OUT));
        is_news
    }

    /// Takes groups that a source no longer has for gone.
    pub(super) fn leave(&mut self, source: &Source, kept: &BTreeSet<Group>) {
        let Some(known) = self.of.get_mut(source) else {
            return;
        };
        let left: Vec<Group> = known.difference(kept).cloned().collect();
        known.retain(|group| kept.contains(group));
        if known.is_empty() {
            self.of.remove(source);
        }
        for group in left {
            // Another source may have it too.
            if !self.of.values().any(|groups| groups.contains(&group)) {
                self.kinds.remove(&group);
                self.refused.remove(&group);
                self.gone.insert(group);
            }
        }
    }

    /// Takes all groups for gone whose sources do not outlast the bridge.
    pub(super) fn leave_all(&mut self) {
        let sources: Vec<_> = self
            .of
            .keys()
            .filter(|source| !source.is_lasting)
            .cloned()
            .collect();
        for source in sources {
            self.leave(&source, &BTreeSet::new());
        }
    }

    /// Those that are to be deleted.
    pub(super) fn gone(&self) -> BTreeSet<Group> {
        self.gone.clone()
    }

    /// One is deleted.
    pub(super) fn deleted(&mut self, group: &Group) {
        self.gone.remove(group);
    }
}

/// The groups that the samples of a page belong to: where the page's own labels win there may be several.
pub(super) fn groups_of(source: &Source, page: &Page) -> BTreeSet<Group> {
    let own = Group(source.labels.clone());
    let mut groups = BTreeSet::from([own.clone()]);
    for sample in page.iter() {
        let differs = |(name, value): &(String, String)| sample.labels.get(name) != value;
        if own.0.iter().any(differs) {
            let label = |(name, _): &(String, String)| (name.clone(), sample.labels.get(name).to_owned());
            groups.insert(Group(own.0.iter().map(label).collect()));
        }
    }
    groups
}
