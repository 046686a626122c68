//! The state of Hugging Face's trainer, `trainer_state.json`: in every checkpoint's folder, and at the end beside them.
//!
//! It is written only with a checkpoint and holds the whole history; what is new in it is taken. Python writes numbers
//! into it that JSON does not have.

use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::board::{Board, Kind};
use super::file::{Found, Look, Version};
use super::jsonl;
use super::record::Record;
use super::track::Track;
use crate::errors::SourceErrors;
use crate::json;

/// A larger file is left alone, in bytes; a quarter of a million entries fit. It is in memory once, with numbers that JSON does not have twice.
const LARGEST: u64 = 32 * 1024 * 1024;

/// The word for it on the page.
pub(crate) const SOURCE: &str = "huggingface";
/// The reasons in `training_read_errors_total`.
pub(crate) const REASONS: &[&str] = &["torn", "invalid", "too_large", "unreadable"];

/// The history of one run.
#[derive(Debug, Default)]
pub(crate) struct History {
    read: Option<(PathBuf, Version)>,
    taken: Taken,
    pub(crate) track: Track,
}

/// How much of the history was taken: so many entries, the last of which was of this step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Taken {
    entries: usize,
    step: Option<f64>,
}

impl History {
    /// Reads the newest of the files, when it has changed.
    pub(crate) fn look(
        &mut self,
        found: &Found,
        budget: &mut u64,
        board: &mut Board,
        errors: &SourceErrors,
    ) -> Look {
        let version = (found.path.clone(), found.version);
        if self.read.as_ref() == Some(&version) {
            return Look::Current;
        }
        if *budget == 0 {
            return Look::More;
        }
        if found.version.size <= LARGEST {
            *budget = budget.saturating_sub(found.version.size);
        }
        self.read = Some(version);
        if let Err((reason, error)) = self.read(found, board) {
            errors.count(reason);
            // Somebody is writing it, most likely; what is there has been taken.
            if reason != "torn" {
                tracing::warn!(path = %found.path.display(), error, "the state of a trainer cannot be read");
            }
        }
        Look::Current
    }

    fn read(&mut self, found: &Found, board: &mut Board) -> Result<(), (&'static str, String)> {
        if found.version.size > LARGEST {
            return Err(("too_large", format!("it is larger than {LARGEST} bytes")));
        }
        let bytes = bytes(found).map_err(|error| ("unreadable", error.to_string()))?;
        match self.take(&bytes, board) {
            // What comes before a number that JSON does not have was taken.
            Err(("invalid", _)) => self.take(&json::quoted(&bytes), board),
            done => done,
        }
    }

    fn take(&mut self, bytes: &[u8], board: &mut Board) -> Result<(), (&'static str, String)> {
        let Self { taken, track, .. } = self;
        let is_other = taken.go_on(bytes, &mut |record| {
            board.take(&record, track, Kind::New, SOURCE);
        })?;
        if is_other {
            board.forget(SOURCE);
            *taken = Taken::default();
            taken.go_on(bytes, &mut |record| {
                board.take(&record, track, Kind::New, SOURCE);
            })?;
        }
        Ok(())
    }
}

fn bytes(found: &Found) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    exporter::fs::open(&found.path)?
        .take(LARGEST)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Taken {
    /// Hands over the entries that are new, and says whether this is another history than the one before.
    fn go_on(&mut self, bytes: &[u8], take: &mut dyn FnMut(Record)) -> Result<bool, (&'static str, String)> {
        let mut state = State {
            known: *self,
            taken: self,
            is_other: false,
            take,
        };
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let result = (&mut state).deserialize(&mut json).and_then(|()| json.end());
        let is_other = state.is_other;
        match result {
            Ok(()) => Ok(is_other),
            Err(error) if error.is_eof() => Err(("torn", error.to_string())),
            Err(error) => Err(("invalid", error.to_string())),
        }
    }
}

/// Reads a trainer's state without keeping the history.
struct State<'a> {
    known: Taken,
    taken: &'a mut Taken,
    is_other: bool,
    take: &'a mut dyn FnMut(Record),
}

impl<'de> DeserializeSeed<'de> for &mut State<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut State<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the state of a trainer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut end = Record::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "log_history" => map.next_value_seed(Entries(self))?,
                "global_step" | "max_steps" => {
                    if let Some(number) = json::number(&map.next_value()?) {
                        end.number(&key, number);
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let Some(end) = end.whole().filter(|_| !self.is_other) {
            (self.take)(end);
        }
        Ok(())
    }
}

/// Reads the history.
struct Entries<'a, 'b>(&'a mut State<'b>);

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let State {
            known,
            taken,
            is_other,
            take,
        } = self.0;
        for _ in 1..known.entries {
            *is_other |= entries.next_element::<IgnoredAny>()?.is_none();
        }
        if known.entries > 0 {
            let last = entries.next_element::<Map<String, Value>>()?;
            *is_other |= last.is_none_or(|last| jsonl::of(&last).step != known.step);
        }
        while let Some(entry) = entries.next_element::<Map<String, Value>>()? {
            if *is_other {
                continue;
            }
            let mut record = jsonl::of(&entry);
            // What the trainer adds at the end of the run.
            record.is_end |= entry.contains_key("train_runtime");
            taken.entries += 1;
            taken.step = record.step;
            if let Some(record) = record.whole() {
                take(record);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn history(steps: &[u32]) -> String {
        let entries: Vec<String> = steps
            .iter()
            .map(|step| format!(r#"{{"step": {step}, "loss": {step}.5}}"#))
            .collect();
        let last = steps.last().copied().unwrap_or(0);
        format!(
            r#"{{"global_step": {last}, "log_history": [{}], "max_steps": 100, "trial_params": null}}"#,
            entries.join(", ")
        )
    }

    fn go_on(taken: &mut Taken, text: &str) -> (Result<bool, &'static str>, Vec<f64>) {
        let mut steps = Vec::new();
        let result = taken.go_on(text.as_bytes(), &mut |record| {
            if !record.scalars.is_empty() {
                steps.extend(record.step);
            }
        });
        (result.map_err(|(reason, _)| reason), steps)
    }

    #[test]
    fn what_is_new_is_taken_once() {
        let mut taken = Taken::default();
        assert_eq!(
            go_on(&mut taken, &history(&[10, 20])),
            (Ok(false), vec![10.0, 20.0])
        );
        assert_eq!(
            go_on(&mut taken, &history(&[10, 20, 30])),
            (Ok(false), vec![30.0])
        );
        assert_eq!(go_on(&mut taken, &history(&[10, 20, 30])), (Ok(false), vec![]));
    }

    #[test]
    fn another_history_is_told_from_one_that_goes_on() {
        for other in [&[10, 20][..], &[], &[10, 20, 31, 40], &[5, 10, 15]] {
            let mut taken = Taken::default();
            assert!(go_on(&mut taken, &history(&[10, 20, 30])).0.is_ok());
            assert_eq!(
                go_on(&mut taken, &history(other)),
                (Ok(true), vec![]),
                "{other:?}"
            );
        }
    }

    #[test]
    fn a_torn_file_gives_what_is_there_and_the_rest_later() {
        let whole = history(&[10, 20, 30]);
        let torn = &whole[..whole.find("30.5").expect("the last loss")];
        let mut taken = Taken::default();
        assert_eq!(go_on(&mut taken, torn), (Err("torn"), vec![10.0, 20.0]));
        assert_eq!(go_on(&mut taken, &whole), (Ok(false), vec![30.0]));
        assert_eq!(go_on(&mut taken, "[]").0, Err("invalid"));
    }

    #[test]
    fn the_end_is_known_by_its_entry_and_by_the_last_step() {
        for (text, is_end) in [
            (history(&[99]), false),
            (history(&[100]), true),
            (
                r#"{"log_history": [{"step": 7, "train_runtime": 1.5}]}"#.to_owned(),
                true,
            ),
            (
                r#"{"log_history": [{"step": 7, "loss": 1}], "global_step": 7, "max_steps": -1}"#.to_owned(),
                false,
            ),
        ] {
            let mut board = Board::default();
            let mut track = Track::default();
            Taken::default()
                .go_on(text.as_bytes(), &mut |record| {
                    board.take(&record, &mut track, Kind::New, SOURCE);
                })
                .expect("a state");
            assert_eq!(board.take_end().is_some(), is_end, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Taken::default().go_on(&bytes, &mut |_| {});
        }

        #[test]
        fn however_the_file_is_torn_every_entry_is_taken_once(cut in 0..200_usize) {
            let whole = history(&[10, 20, 30, 40]);
            let mut taken = Taken::default();
            let (_, mut steps) = go_on(&mut taken, &whole[..cut.min(whole.len())]);
            steps.extend(go_on(&mut taken, &whole).1);
            prop_assert_eq!(steps, [10.0, 20.0, 30.0, 40.0]);
        }
    }
}
