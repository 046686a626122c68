//! Keeps one canary set: takes results, decides, writes the record, and shows all of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::baseline::Pin;
use super::checkpoint::NewestCheckpoint;
use super::decide::{Evidence, decide};
use super::decision::{Decision, State};
use super::folder::Folder;
use super::results::{Attempt, Outcome, Results};
use super::settings::Settings;
use super::source::{Feed, LATER};
use super::standing::Standing;
use crate::clock::unix;
use crate::errors::SourceErrors;

/// What the page shows. It outlives the settings.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Runs that ended, by outcome.
    pub(super) runs: [u64; Outcome::ALL.len()],
    pub(super) shown: Option<Shown>,
}

/// What is known of the set that is watched now.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) decision: Decision,
    pub(super) results: Results,
    pub(super) pin: Pin,
    /// Why the record could not be written.
    pub(super) trouble: Option<String>,
    pub(super) at: Instant,
}

/// A board that one thread writes and another reads.
pub(super) type SharedBoard = Arc<Mutex<Board>>;

pub(super) fn lock(board: &SharedBoard) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a keeper hears from and writes to.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) newest_checkpoint: NewestCheckpoint,
    pub(super) errors: SourceErrors,
    pub(super) board: SharedBoard,
}

/// One canary set with its folder.
pub(super) struct Keeper {
    settings: Settings,
    around: Surroundings,
    folder: Folder,
    feed: Option<Feed>,
    results: Results,
    standing: Standing,
    recorded: Option<Decision>,
    trouble: Option<String>,
    /// Whether the folder has the results.
    is_saved: bool,
    decided: Option<Instant>,
}

impl Keeper {
    /// Goes on from what the folder holds.
    pub(super) fn new(settings: Settings, around: Surroundings) -> Self {
        let folder = Folder::new(&settings.folder);
        let recorded = or_none(folder.decision()).flatten();
        let results = or_none(folder.results()).unwrap_or_default();
        let now = unix(SystemTime::now());
        Self {
            feed: Some(Feed::new(
                &settings.source,
                settings.every,
                results.run.as_ref(),
                now,
            )),
            standing: recorded
                .as_ref()
                .map(|decision| decision.standing.clone())
                .unwrap_or_default(),
            settings,
            around,
            folder,
            results,
            recorded,
            trouble: None,
            is_saved: true,
            decided: None,
        }
    }

    /// One step; returns how long the next may wait.
    pub(super) fn step(&mut self, now: f64) -> Duration {
        let Some(feed) = &mut self.feed else {
            return Duration::MAX;
        };
        let attempt = feed.step(&self.folder, &self.around.errors, now);
        let pause = feed.pause();
        if attempt.is_none() && self.decided.is_some_and(|at| at.elapsed() < LATER) {
            return pause;
        }
        self.decided = Some(Instant::now());
        if let Some(attempt) = attempt {
            self.is_saved = !self.absorb(attempt) && self.is_saved;
        }
        let (decision, pin) = self.decide(now);
        if self.standing.failures == 0
            && decision.standing.failures == 1
            && let Some(feed) = &mut self.feed
        {
            feed.again();
        }
        self.standing = decision.standing.clone();
        let written = self.save_results().and_then(|()| self.record(&decision));
        self.note(written);
        self.show(decision, pin);
        self.feed.as_ref().map_or(Duration::MAX, Feed::pause)
    }

    /// Shows what the folder holds now, without running or writing anything.
    pub(super) fn look(mut self, now: f64) {
        if let Some(Feed::File(watched)) = &mut self.feed
            && let Some(attempt) = watched.step(&self.around.errors, now)
        {
            self.absorb(attempt);
        }
        let (decision, pin) = self.decide(now);
        self.show(decision, pin);
    }

    /// Ends what runs.
    pub(super) fn end(&mut self) {
        if let Some(feed) = self.feed.take() {
            feed.end();
        }
    }

    /// Whether it is news: a restart reads the same file of results again.
    fn absorb(&mut self, attempt: Attempt) -> bool {
        let is_known = self.results.run.as_ref() == Some(&attempt.run)
            && (attempt.result.is_none() || attempt.result == self.results.result);
        if is_known {
            return false;
        }
        let outcome = attempt.run.outcome;
        lock(&self.around.board).runs[outcome as usize] += 1;
        let is_repeated = self
            .results
            .run
            .as_ref()
            .is_some_and(|before| before.outcome == outcome);
        if let Some(error) = &attempt.run.error
            && !is_repeated
        {
            tracing::warn!(error, stderr = attempt.stderr, "the canary set yielded no result");
        }
        self.results.run = Some(attempt.run);
        if attempt.result.is_some() {
            self.results.result = attempt.result;
        }
        true
    }

    fn decide(&self, now: f64) -> (Decision, Pin) {
        let pin = self.folder.pin();
        let newest_checkpoint = self.around.newest_checkpoint.get();
        let evidence = Evidence {
            limits: &self.settings.limits,
            pin: &pin,
            results: &self.results,
            newest_checkpoint: newest_checkpoint.as_ref(),
            now,
        };
        (decide(&evidence, &self.standing), pin)
    }

    fn save_results(&mut self) -> anyhow::Result<()> {
        if !self.is_saved {
            self.folder.save_results(&self.results)?;
            self.is_saved = true;
        }
        Ok(())
    }

    /// Writes the decision where it differs from the one that is there, and into the history where it is news.
    fn record(&mut self, decision: &Decision) -> anyhow::Result<()> {
        let is_news = self
            .recorded
            .as_ref()
            .is_none_or(|earlier| !decision.repeats(earlier));
        let is_same = self.recorded.as_ref().is_some_and(|earlier| {
            let mut earlier = earlier.clone();
            earlier.decided_at = decision.decided_at;
            earlier == *decision
        });
        if is_same {
            return Ok(());
        }
        self.folder.save_decision(decision)?;
        if is_news {
            self.folder.add_decision(decision)?;
            say(decision, self.recorded.as_ref());
        }
        self.recorded = Some(decision.clone());
        Ok(())
    }

    /// Says once what stands in the way of the record.
    fn note(&mut self, written: anyhow::Result<()>) {
        let trouble = written.err().map(|error| format!("{error:#}"));
        if let Some(error) = &trouble
            && self.trouble != trouble
        {
            tracing::error!(
                error,
                "the canary set's record cannot be written; a restart would begin without it"
            );
        }
        self.trouble = trouble;
    }

    fn show(&self, decision: Decision, pin: Pin) {
        lock(&self.around.board).shown = Some(Shown {
            decision,
            results: self.results.clone(),
            pin,
            trouble: self.trouble.clone(),
            at: Instant::now(),
        });
    }
}

/// What cannot be read is said, and counts as not there.
fn or_none<T>(read: anyhow::Result<T>) -> Option<T> {
    read.inspect_err(|error| {
        tracing::error!(error = format!("{error:#}"), "the canary set begins without it");
    })
    .ok()
}

fn say(decision: &Decision, earlier: Option<&Decision>) {
    let reasons = decision
        .reasons
        .iter()
        .map(|reason| reason.text.as_str())
        .collect::<Vec<_>>()
        .join("; ");
    let (state, degradation) = (decision.state.word(), decision.degradation);
    match decision.state {
        _ if earlier.map(|earlier| earlier.state) == Some(decision.state) => {
            tracing::debug!(state, reasons, degradation, "the canary set");
        }
        State::Fail => tracing::warn!(
            state,
            reasons,
            degradation,
            recommendation = decision.recommendation,
            "the canary set"
        ),
        _ => tracing::info!(state, reasons, degradation, "the canary set"),
    }
}
