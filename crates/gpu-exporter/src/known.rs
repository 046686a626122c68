//! The GPUs that this exporter ever saw: a GPU keeps its number and its counters when it is lost, and when others are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::driver::{Fault, Place, Reason};
use crate::ledger::Ledger;
use crate::reading::{Identity, Reading};

/// All GPUs of one vendor.
#[derive(Debug)]
pub(crate) struct Roster {
    /// What `gpu_id` begins with.
    prefix: &'static str,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    id: String,
    place: String,
    identity: Identity,
    ledger: Ledger,
    last: Option<(Arc<Reading>, Instant)>,
}

/// What a look at one place found.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Awake(Arc<Reading>),
    /// Left alone, since asking would wake it.
    Asleep,
    /// Left alone, so that it can fall asleep.
    Resting,
    Silent(Fault),
}

/// What one look at all GPUs of a vendor found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    pub(crate) rows: Vec<Row>,
    /// Whether NVIDIA's library works, or why not; `None` when it was left alone because all GPUs sleep.
    pub(crate) library: Option<Result<(), Fault>>,
    /// What is wrong with single GPUs, for the log.
    pub(crate) problems: Vec<String>,
}

impl Look {
    /// The same GPUs when nobody answers.
    pub(crate) fn stuck(&self, timeout: Duration) -> Self {
        let detail = format!("no answer within {timeout:?}; a call into the driver hangs");
        Self {
            rows: self.rows.iter().map(Row::down).collect(),
            problems: vec![detail.clone()],
            library: Some(Err(Fault::new(Reason::Timeout, detail))),
        }
    }
}

/// One GPU on the page.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) identity: Identity,
    pub(crate) ledger: Ledger,
}

/// How a GPU is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Up {
        reading: Arc<Reading>,
        /// Above 0 while it rests.
        age: Duration,
    },
    Asleep,
    Down,
}

impl State {
    /// Whether the GPU is there.
    pub(crate) fn is_present(&self) -> bool {
        !matches!(self, Self::Down)
    }
}

impl Row {
    /// The same GPU when nothing is known of it now.
    pub(crate) fn down(&self) -> Self {
        Self {
            state: State::Down,
            ..self.clone()
        }
    }
}

impl Known {
    /// Counts what was found.
    fn post(&mut self, found: &Found) {
        match found {
            Found::Awake(reading) => self.ledger.post(reading),
            Found::Silent(fault) => self.ledger.report(&fault.xids),
            Found::Asleep | Found::Resting => {}
        }
    }

    fn state(&mut self, place: &Place, found: Found, now: Instant) -> State {
        self.post(&found);
        match found {
            Found::Awake(reading) => {
                self.identity = reading.identity.clone();
                self.place = place.to_string();
                self.last = Some((Arc::clone(&reading), now));
            }
            Found::Resting => {}
            Found::Asleep => return State::Asleep,
            Found::Silent(_) => return State::Down,
        }
        let up = |(reading, at): &(Arc<Reading>, Instant)| State::Up {
            reading: Arc::clone(reading),
            age: now.saturating_duration_since(*at),
        };
        self.last.as_ref().map_or(State::Down, up)
    }
}

impl Roster {
    pub(crate) fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            known: Vec::new(),
        }
    }

    /// One row for each GPU that was ever seen, and what is wrong with those that do not answer.
    pub(crate) fn look(&mut self, found: Vec<(Place, Found)>, now: Instant) -> Look {
        let problem = |(place, found): &(Place, Found)| match found {
            Found::Silent(fault) => Some(format!("{place}: {}", fault.detail)),
            Found::Awake(_) | Found::Asleep | Found::Resting => None,
        };
        Look {
            problems: found.iter().filter_map(problem).collect(),
            rows: self.rows(found, now),
            library: None,
        }
    }

    /// In the order in which they were first seen.
    fn rows(&mut self, looks: impl IntoIterator<Item = (Place, Found)>, now: Instant) -> Vec<Row> {
        let mut states: Vec<Option<State>> = vec![None; self.known.len()];
        for (ordinal, (place, found)) in looks.into_iter().enumerate() {
            let at = self.find(&place, &found, ordinal);
            states.resize(self.known.len(), None);
            states[at] = Some(self.known[at].state(&place, found, now));
        }
        let row = |(known, state): (&Known, Option<State>)| Row {
            id: known.id.clone(),
            state: state.unwrap_or(State::Down),
            identity: known.identity.clone(),
            ledger: known.ledger.clone(),
        };
        self.known.iter().zip(states).map(row).collect()
    }

    /// Counts what an answer said that came too late to be shown.
    pub(crate) fn post_late(&mut self, place: &Place, found: &Found) {
        if let Some(at) = self.recall(place, found) {
            self.known[at].post(found);
        }
    }

    /// The GPU in the list, where it may be new.
    fn find(&mut self, place: &Place, found: &Found, ordinal: usize) -> usize {
        let index = match found {
            Found::Awake(reading) => reading.index,
            Found::Asleep | Found::Resting | Found::Silent(_) => None,
        };
        self.recall(place, found)
            .unwrap_or_else(|| self.add(place.to_string(), index.map_or(ordinal, |index| index as usize)))
    }

    /// The GPU by what it says of itself, else by its place.
    fn recall(&self, place: &Place, found: &Found) -> Option<usize> {
        let uuid = match found {
            Found::Awake(reading) => reading.identity.uuid.as_deref(),
            Found::Asleep | Found::Resting | Found::Silent(_) => None,
        };
        let known_by = |test: &dyn Fn(&Known) -> bool| self.known.iter().position(test);
        let by_uuid = uuid.and_then(|uuid| known_by(&|known| known.identity.uuid.as_deref() == Some(uuid)));
        let key = place.to_string();
        // Another GPU may sit in a place by now, and NVML numbers anew when one is gone.
        let fits = |known: &Known| uuid.is_none() || known.identity.uuid.is_none();
        by_uuid.or_else(|| known_by(&|known| known.place == key && fits(known)))
    }

    fn add(&mut self, place: String, number: usize) -> usize {
        let id = |number| format!("{}{number}", self.prefix);
        let is_free = |id: &String| self.known.iter().all(|known| known.id != *id);
        // One more number than there are GPUs: one of them is free.
        let numbers = number..=number + self.known.len();
        let id = numbers.map(id).find(is_free).unwrap_or_default();
        self.known.push(Known {
            id,
            place,
            identity: Identity::default(),
            ledger: Ledger::default(),
            last: None,
        });
        self.known.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn awake(index: u32, uuid: &str) -> Found {
        let identity = Identity {
            uuid: Some(uuid.into()),
            ..Identity::default()
        };
        let reading = Reading {
            index: Some(index),
            identity,
            ..Reading::default()
        };
        Found::Awake(reading.into())
    }

    fn summary(rows: &[Row]) -> Vec<(&str, &str, &str)> {
        let state = |row: &Row| match row.state {
            State::Up { age, .. } if age.is_zero() => "up",
            State::Up { .. } => "up, as it was",
            State::Asleep => "asleep",
            State::Down => "down",
        };
        rows.iter()
            .map(|row| {
                (
                    row.id.as_str(),
                    row.identity.uuid.as_deref().unwrap_or(""),
                    state(row),
                )
            })
            .collect()
    }

    #[test]
    fn the_others_keep_their_numbers_when_one_is_lost() {
        let mut roster = Roster::new("");
        let now = Instant::now();
        let both = [(Place::Index(0), awake(0, "a")), (Place::Index(1), awake(1, "b"))];
        let rows = roster.rows(both, now);
        assert_eq!(summary(&rows), [("0", "a", "up"), ("1", "b", "up")]);
        // The driver came back with one GPU, which it numbers anew.
        let rows = roster.rows([(Place::Index(0), awake(0, "b"))], now);
        assert_eq!(summary(&rows), [("0", "a", "down"), ("1", "b", "up")]);
        let rows = roster.rows([(Place::Index(0), awake(0, "c"))], now);
        assert_eq!(
            summary(&rows),
            [("0", "a", "down"), ("1", "b", "down"), ("2", "c", "up")],
            "another GPU does not take over a number"
        );
    }

    #[test]
    fn a_gpu_is_known_by_its_place_while_it_does_not_answer() {
        let mut roster = Roster::new("");
        let place = || Place::Bus {
            address: "0000:01:00.0".into(),
            may_sleep: true,
        };
        let now = Instant::now();
        let mut look = |found| {
            let rows = roster.rows([(place(), found)], now);
            let [row] = summary(&rows)[..] else {
                panic!("{rows:?}")
            };
            [row.0, row.1, row.2].map(str::to_owned)
        };
        assert_eq!(look(Found::Asleep), ["0", "", "asleep"]);
        assert_eq!(look(awake(0, "a")), ["0", "a", "up"]);
        let lost = Found::Silent(Fault::new(Reason::Lost, "lost"));
        assert_eq!(look(lost), ["0", "a", "down"]);
        assert_eq!(
            summary(&roster.rows([], now)),
            [("0", "a", "down")],
            "gone from the bus"
        );
    }

    #[test]
    fn a_gpu_that_rests_shows_its_last_reading_and_counts_it_once() {
        let mut roster = Roster::new("");
        let start = Instant::now();
        let reading = Reading {
            counts: vec![(crate::reading::Count::Energy, 7)],
            xids: Some(vec![79]),
            ..Reading::default()
        };
        let place = || Place::Index(0);
        roster.rows([(place(), Found::Awake(reading.into()))], start);
        let later = start + Duration::from_secs(30);
        let rows = roster.rows([(place(), Found::Resting)], later);
        assert_eq!(summary(&rows), [("0", "", "up, as it was")]);
        let ledger = &rows[0].ledger;
        assert_eq!(ledger.counts().next().map(|(_, total)| total), Some(7));
        assert!(ledger.xids().any(|known| known == (79, 1)));
    }

    #[test]
    fn errors_that_come_with_a_loss_count_at_once_and_late_ones_too() {
        let mut roster = Roster::new("");
        let now = Instant::now();
        let lost = |xids| {
            let fault = Fault::new(Reason::Lost, "lost");
            Found::Silent(Fault { xids, ..fault })
        };
        let mut look = |found| roster.rows([(Place::Index(0), found)], now).remove(0).ledger;
        assert_eq!(look(lost(Vec::new())).xids().count(), 0, "it was never watched");
        let mut times = |found| look(found).xids().find(|(code, _)| *code == 79);
        assert_eq!(times(awake(0, "a")), None);
        assert_eq!(times(lost(vec![79, 79])), Some((79, 2)));
        assert_eq!(times(lost(Vec::new())), Some((79, 2)));
        roster.post_late(&Place::Index(0), &lost(vec![79]));
        roster.post_late(&Place::Index(1), &lost(vec![79]));
        let rows = roster.rows([], now);
        assert_eq!(rows.len(), 1, "what comes late makes no GPU");
        assert!(rows[0].ledger.xids().any(|known| known == (79, 3)));
    }
}
