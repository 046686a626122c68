//! The texts of a page.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::Refusal;

/// Texts, each once, known by their number. The first one is empty.
#[derive(Clone, Debug)]
pub(super) struct Symbols {
    text: String,
    /// Where each text ends; it begins where the one before ends.
    ends: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl Symbols {
    pub(super) fn new() -> Self {
        Self {
            text: String::new(),
            ends: vec![0],
            index: HashTable::new(),
            hasher: RandomState::new(),
        }
    }

    /// The number of a text, a new one if need be.
    pub(super) fn number(&mut self, wanted: &str) -> Result<u32, Refusal> {
        if wanted.is_empty() {
            return Ok(0);
        }
        let Self {
            text,
            ends,
            index,
            hasher,
        } = self;
        let hash = hasher.hash_one(wanted);
        if let Some(found) = index.find(hash, |at| slice(text, ends, *at) == wanted) {
            return Ok(*found);
        }
        let new = number(ends.len())?;
        let end = number(text.len() + wanted.len())?;
        text.push_str(wanted);
        ends.push(end);
        index.insert_unique(hash, new, |at| hasher.hash_one(slice(text, ends, *at)));
        Ok(new)
    }

    /// Gives back the memory that only new texts need.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.index = HashTable::new();
    }

    /// The text of a number; empty when there is none.
    pub(super) fn text(&self, number: u32) -> &str {
        slice(&self.text, &self.ends, number)
    }
}

fn slice<'a>(text: &'a str, ends: &[u32], number: u32) -> &'a str {
    let at = number as usize;
    let end = |at: usize| ends.get(at).map_or(0, |end| *end as usize);
    text.get(at.checked_sub(1).map_or(0, end)..end(at))
        .unwrap_or_default()
}

/// A count as a number of the table.
pub(super) fn number(count: usize) -> Result<u32, Refusal> {
    u32::try_from(count).map_err(|_| Refusal::TooLarge)
}
