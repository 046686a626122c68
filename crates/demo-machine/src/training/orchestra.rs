//! The log of an LLM orchestra: four models take turns, some answers come from a cache, some calls fail.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::lines;
use crate::story::{Course, Moment, Pace};

/// Calls in a thousand seconds.
const CALLS: Course = Course::new(100, 1_500, 4_000, 800);
/// One call of so many is answered from the cache, fails, or is followed by a rotation.
const CACHED: u64 = 3;
const FAILED: u64 = 41;
const ROTATED: u64 = 60;
/// Models, and what a call takes with nothing else going on, in seconds.
const MODELS: [(&str, f64); 4] = [
    ("llama-3.1-70b", 9.0),
    ("qwen2.5-coder-32b", 5.0),
    ("deepseek-v3", 14.0),
    ("gemma-2-9b", 1.6),
];
/// Then it is rotated: half an hour in the burst.
const BYTES: u64 = 1 << 20;

/// The orchestra of a folder.
pub(super) struct Orchestra {
    path: PathBuf,
    calls: Pace,
    made: u64,
    has_started: bool,
}

impl Orchestra {
    pub(super) fn resume(folder: &Path) -> Self {
        Self {
            path: crate::orchestra(folder),
            calls: Pace::default(),
            made: 0,
            has_started: false,
        }
    }

    pub(super) fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        let mut text = String::new();
        if !self.has_started {
            text.push_str("{\"event\": \"start\"}\n");
            self.has_started = true;
        }
        for _ in 0..self.calls.events(moment.scene.value(CALLS), moment) {
            self.made += 1;
            self.call(moment.scene.unrest as f64 / 1000.0, &mut text);
        }
        lines::rotate(&self.path, BYTES)?;
        if text.is_empty() {
            return Ok(());
        }
        lines::append(&self.path, &text)
    }

    /// Writing to a string cannot go wrong.
    fn call(&self, unrest: f64, text: &mut String) {
        let made = self.made;
        let cache = if made.is_multiple_of(CACHED) {
            "hit"
        } else {
            "miss"
        };
        let _ = writeln!(text, "{{\"event\": \"cache\", \"result\": \"{cache}\"}}");
        if cache == "hit" {
            return;
        }
        // The last two are still under way when the next begins.
        let _ = writeln!(text, "{{\"event\": \"begin\", \"id\": {made}}}");
        if let Some(ended) = made.checked_sub(2 * CACHED) {
            let _ = writeln!(text, "{{\"event\": \"end\", \"id\": {ended}}}");
        }
        let (model, latency) = MODELS[usize::try_from(made / 7).unwrap_or_default() % MODELS.len()];
        let outcome = if made.is_multiple_of(FAILED) {
            "error"
        } else {
            "success"
        };
        let latency = latency * unrest * (0.6 + (made % 9) as f64 / 10.0);
        let _ = writeln!(
            text,
            "{{\"event\": \"call\", \"model\": \"{model}\", \"outcome\": \"{outcome}\", \"latency_seconds\": {latency:.3}}}"
        );
        if made.is_multiple_of(ROTATED) {
            text.push_str("{\"event\": \"rotation\"}\n");
        }
    }
}
