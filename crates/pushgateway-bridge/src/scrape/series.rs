//! From a page's text to its series: with the labels of the target, each once, and the series that say how it went.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use super::families::Families;
use super::page::{self, Format, Line, Lines};
use crate::delivery::Source;
use crate::sample::{self, Metadata, NAME, Page};

/// The labels that a target gives to its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Sorted by name; `job`, `instance` and `machine` are among them.
    pub(crate) labels: Vec<(String, String)>,
    /// What becomes of a label that the page has too.
    pub(crate) clash: Clash,
}

/// What becomes of a page's label that is called as one of the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    /// It becomes `exported_…`, as with `honor_labels: false`.
    Rename,
    /// It stays, and the target's own does not count, as with `honor_labels: true`.
    Honor,
    /// It goes, as the labels of a Pushgateway's group win.
    Override,
}

/// What a page held.
#[derive(Debug, Default)]
pub(crate) struct Scraped {
    /// Its series.
    pub(crate) page: Page,
    /// How many samples it had.
    pub(crate) samples: usize,
    /// How many of them were left out, since their series stood there already.
    pub(crate) duplicates: usize,
}

/// Why a page is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It is not in the format.
    #[error(transparent)]
    Format(#[from] page::Refusal),
    /// It has too many series.
    #[error("more than {0} samples; raise `sample_limit` if that is right")]
    Samples(usize),
    /// A series cannot be kept.
    #[error("{name}: {problem}")]
    Series {
        /// The metric's name.
        name: String,
        /// What is wrong with it.
        problem: sample::Refusal,
    },
}

impl Identity {
    /// The target as a source of pages.
    pub(crate) fn source(&self) -> Source {
        Source {
            labels: self.labels.clone(),
            is_lasting: false,
        }
    }

    /// Reads a page. `stamp` is the time of samples without one of their own.
    pub(crate) fn read(
        &self,
        body: &[u8],
        format: Format,
        stamp: i64,
        sample_limit: usize,
    ) -> Result<Scraped, Refused> {
        let mut reader = Reader {
            identity: self,
            families: Families::default(),
            seen: HashMap::new(),
            hasher: RandomState::new(),
            labels: Vec::new(),
            scraped: Scraped::default(),
        };
        for line in Lines::new(page::text(body)?, format) {
            match line? {
                Line::Sample(sample) => {
                    if reader.scraped.samples == sample_limit {
                        return Err(Refused::Samples(sample_limit));
                    }
                    reader.take(&sample, stamp)?;
                }
                said => reader.families.note(&said),
            }
        }
        Ok(reader.scraped)
    }

    /// The series that say how a scrape went, as Prometheus adds them.
    pub(crate) fn report(
        &self,
        page: &mut Page,
        stamp: i64,
        up: bool,
        took: Duration,
        samples: usize,
    ) -> Result<(), sample::Refusal> {
        let values = [
            ("up", f64::from(u8::from(up))),
            ("scrape_duration_seconds", took.as_secs_f64()),
            ("scrape_samples_scraped", samples as f64),
        ];
        for (name, value) in values {
            let own = self
                .labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let metadata = Metadata {
                kind: sample::Kind::Gauge,
                ..Metadata::default()
            };
            page.push(own.chain([(NAME, name)]), value, stamp, metadata)?;
        }
        Ok(())
    }

    /// Whether the target has this label.
    fn has(&self, name: &str) -> bool {
        self.labels.iter().any(|(own, _)| own == name)
    }
}

struct Reader<'p> {
    identity: &'p Identity,
    families: Families<'p>,
    /// The last series with each hash of name, labels and time. Should two different ones share a hash, the later one is
    /// kept twice at worst.
    seen: HashMap<u64, usize>,
    hasher: RandomState,
    /// Of one sample; kept to allocate once.
    labels: Vec<(Cow<'p, str>, Cow<'p, str>)>,
    scraped: Scraped,
}

impl<'p> Reader<'p> {
    fn take(&mut self, sample: &page::Sample<'p>, stamp: i64) -> Result<(), Refused> {
        self.scraped.samples += 1;
        self.label(sample);
        let time = sample.time.unwrap_or(stamp);
        let hash = self.hash(time);
        if self.seen.get(&hash).is_some_and(|at| self.is_series(*at, time)) {
            self.scraped.duplicates += 1;
            return Ok(());
        }
        self.seen.insert(hash, self.scraped.page.len());
        let labels = self.labels.iter().map(|(name, value)| (&**name, &**value));
        let (_, metadata) = self.families.of(sample.name);
        let pushed = self.scraped.page.push(labels, sample.value, time, metadata);
        pushed.map_err(|problem| Refused::Series {
            name: sample.name.to_owned(),
            problem,
        })
    }

    /// The sample's labels together with the target's, without empty ones.
    fn label(&mut self, sample: &page::Sample<'p>) {
        let identity = self.identity;
        self.labels.clear();
        self.labels
            .push((Cow::Borrowed(NAME), Cow::Borrowed(sample.name)));
        for (name, value) in sample.labels.iter().filter(|(_, value)| !value.is_empty()) {
            self.labels.push((Cow::Borrowed(name), value));
        }
        for (own, value) in &identity.labels {
            let at = self.labels.iter().position(|(name, _)| name == own);
            match (at, identity.clash) {
                (None, _) => {}
                (Some(_), Clash::Honor) => continue,
                (Some(at), Clash::Rename) => self.rename(at),
                (Some(at), Clash::Override) => drop(self.labels.swap_remove(at)),
            }
            if !value.is_empty() {
                self.labels.push((Cow::Borrowed(own), Cow::Borrowed(value)));
            }
        }
    }

    /// Puts `exported_` in front of a label's name, as often as it takes.
    fn rename(&mut self, at: usize) {
        let Some((name, _)) = self.labels.get(at) else {
            return;
        };
        let mut free = format!("exported_{name}");
        while self.identity.has(&free) || self.labels.iter().any(|(name, _)| *name == free) {
            free.insert_str(0, "exported_");
        }
        if let Some((name, _)) = self.labels.get_mut(at) {
            *name = Cow::Owned(free);
        }
    }

    /// The same for the same labels in any order.
    fn hash(&self, time: i64) -> u64 {
        let labels = self.labels.iter().map(|pair| self.hasher.hash_one(pair));
        labels.fold(self.hasher.hash_one(time), u64::wrapping_add)
    }

    fn is_series(&self, at: usize, time: i64) -> bool {
        let Some(earlier) = self.scraped.page.get(at) else {
            return false;
        };
        earlier.timestamp_ms == time
            && earlier.labels.iter().count() == self.labels.len()
            && self
                .labels
                .iter()
                .all(|(name, value)| earlier.labels.get(name) == value)
    }
}
