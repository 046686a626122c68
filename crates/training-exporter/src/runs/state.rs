//! The state of a run, from what its sources and its process say. Pure: the caller brings the time.
//!
//! ```text
//! let state = judge(now, &Signs { tracks: &[&track], ..Signs::default() });
//! ```
//!
//! A run whose process is not known never crashes, and one whose pace is not known yet is stalled only after an hour.

use super::evaluation::Evaluations;
use super::track::Track;

/// A track that fell behind the others by so many of its own longest silences has ended, and says nothing of the run.
const ENDED_AFTER: f64 = 10.0;

/// A run whose pace is not known is stalled after so many seconds of silence.
const LONG: f64 = 3600.0;

/// What a run does. The order of [`State::ALL`] is that of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It makes progress, or saves a checkpoint.
    Running,
    /// It evaluates, which may take long without progress.
    Evaluating,
    /// No progress for much longer than usual.
    Stalled,
    /// It said that it is done.
    Finished,
    /// Its process is gone, and it did not say that it is done.
    Crashed,
}

impl State {
    /// All states; each is a series of its own.
    pub(crate) const ALL: [Self; 5] = [
        Self::Running,
        Self::Evaluating,
        Self::Stalled,
        Self::Finished,
        Self::Crashed,
    ];

    /// The label's value.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Evaluating => "evaluating",
            Self::Stalled => "stalled",
            Self::Finished => "finished",
            Self::Crashed => "crashed",
        }
    }
}

/// What became of the trainer's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Process {
    /// It is there.
    Alive,
    /// It was on this machine and is not there any more.
    Gone,
    /// Nobody says which it is, or it is on another machine.
    #[default]
    Unknown,
}

/// What a source says that the trainer does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It trains.
    #[default]
    Training,
    /// It evaluates.
    Evaluating,
    /// It saves a checkpoint.
    Saving,
}

impl Activity {
    /// What the words of the key `state` mean, as trainers write it; `None` for words that say nothing of it.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "running" | "training" | "train" => Some(Self::Training),
            "evaluating" | "evaluation" | "eval" | "validating" | "testing" => Some(Self::Evaluating),
            "saving" | "checkpointing" => Some(Self::Saving),
            _ => None,
        }
    }
}

/// Whether the word of the key `state` means that the run is done.
pub(crate) fn is_end(word: &str) -> bool {
    matches!(word, "finished" | "done" | "completed" | "complete" | "ended")
}

/// All that is known of a run.
#[derive(Debug, Default)]
pub(crate) struct Signs<'a> {
    /// One for each source.
    pub(crate) tracks: &'a [&'a Track],
    /// It said that it is done, and has made no progress since.
    pub(crate) is_done: bool,
    /// Its process.
    pub(crate) process: Process,
    /// What it says that it does.
    pub(crate) activity: Activity,
    /// When there was another sign of life, such as a file of a checkpoint, in Unix seconds.
    pub(crate) life: Option<f64>,
    /// When anything at all was written, in Unix seconds.
    pub(crate) written: Option<f64>,
    /// Its evaluations so far.
    pub(crate) evaluations: Option<&'a Evaluations>,
}

/// The state of a run now, in Unix seconds.
pub(crate) fn judge(now: f64, signs: &Signs<'_>) -> State {
    if signs.is_done {
        return State::Finished;
    }
    if signs.process == Process::Gone {
        return State::Crashed;
    }
    match signs.activity {
        Activity::Evaluating => return State::Evaluating,
        Activity::Saving => return State::Running,
        Activity::Training => {}
    }
    let is_recent = |time: f64| now - time <= LONG;
    // How long a trainer takes to its first step is not known.
    if signs.tracks.iter().any(|track| track.is_starting()) && signs.written.is_none_or(is_recent) {
        return State::Running;
    }
    let progress = signs
        .tracks
        .iter()
        .filter_map(|track| track.progress())
        .fold(f64::NEG_INFINITY, f64::max);
    let silence = now - progress.max(signs.life.unwrap_or(f64::NEG_INFINITY));
    // The source that is heard most often tells first.
    let Some((track, longest)) = signs
        .tracks
        .iter()
        .filter_map(|track| Some((*track, track.longest_silence()?, track.progress()?)))
        .filter(|(_, longest, last)| last + ENDED_AFTER * longest >= progress)
        .map(|(track, longest, _)| (track, longest))
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
    else {
        let last = progress.max(signs.written.or(signs.life).unwrap_or(f64::NEG_INFINITY));
        let is_silent = last.is_finite() && !is_recent(last);
        return if is_silent { State::Stalled } else { State::Running };
    };
    let evaluation = signs
        .evaluations
        .filter(|evaluations| evaluations.is_under_way(track, silence));
    match evaluation {
        Some(evaluations) if silence <= longest.max(evaluations.longest()) => State::Evaluating,
        None if silence <= longest => State::Running,
        _ => State::Stalled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record each ten seconds, from 0 to 100.
    fn track() -> Track {
        let mut track = Track::new(0.0);
        for step in 0..=10 {
            let now = f64::from(step) * 10.0;
            track.record(f64::from(step), Some(now));
            track.looked(now, now);
        }
        track
    }

    fn at(now: f64, signs: &Signs<'_>) -> State {
        judge(now, signs)
    }

    #[test]
    fn silence_for_three_intervals_is_a_stall_and_progress_ends_it() {
        let mut track = track();
        for (now, state) in [
            (100.0, State::Running),
            (129.0, State::Running),
            (131.0, State::Stalled),
        ] {
            let tracks = [&track];
            let signs = Signs {
                tracks: &tracks,
                process: Process::Alive,
                ..Signs::default()
            };
            assert_eq!(at(now, &signs), state, "at {now}");
            assert_eq!(
                at(
                    now,
                    &Signs {
                        process: Process::Unknown,
                        ..signs
                    }
                ),
                state,
                "at {now}"
            );
        }
        track.record(11.0, Some(200.0));
        track.looked(201.0, 200.0);
        let tracks = [&track];
        let signs = Signs {
            tracks: &tracks,
            ..Signs::default()
        };
        assert_eq!(at(201.0, &signs), State::Running);
    }

    #[test]
    fn what_is_said_goes_before_what_is_seen() {
        let track = track();
        let tracks = [&track];
        let signs = |is_done, process, activity| Signs {
            tracks: &tracks,
            is_done,
            process,
            activity,
            ..Signs::default()
        };
        let later = 1e6;
        for (is_done, process, activity, state) in [
            (true, Process::Gone, Activity::Training, State::Finished),
            (true, Process::Alive, Activity::Evaluating, State::Finished),
            (false, Process::Gone, Activity::Evaluating, State::Crashed),
            (false, Process::Alive, Activity::Evaluating, State::Evaluating),
            (false, Process::Unknown, Activity::Saving, State::Running),
            (false, Process::Unknown, Activity::Training, State::Stalled),
        ] {
            assert_eq!(at(later, &signs(is_done, process, activity)), state);
        }
    }

    #[test]
    fn a_sign_of_life_puts_off_a_stall() {
        let track = track();
        let tracks = [&track];
        let signs = Signs {
            tracks: &tracks,
            life: Some(150.0),
            ..Signs::default()
        };
        assert_eq!(at(179.0, &signs), State::Running);
        assert_eq!(at(181.0, &signs), State::Stalled);
    }

    #[test]
    fn the_source_that_is_heard_most_often_tells_first() {
        let often = track();
        let mut seldom = Track::new(0.0);
        for step in 0..3 {
            seldom.record(f64::from(step), None);
            seldom.looked(f64::from(step) * 50.0, f64::from(step) * 50.0);
        }
        let tracks = [&seldom, &often];
        let signs = Signs {
            tracks: &tracks,
            ..Signs::default()
        };
        assert_eq!(at(131.0, &signs), State::Stalled);
        // One that has ended long ago does not make the other one stall.
        seldom.record(3.0, None);
        seldom.looked(1000.0, 1000.0);
        let tracks = [&seldom, &often];
        let signs = Signs {
            tracks: &tracks,
            ..Signs::default()
        };
        assert_eq!(at(1050.0, &signs), State::Running);
    }

    #[test]
    fn a_trainer_that_starts_again_may_take_its_time() {
        let mut track = track();
        track.rewind();
        let tracks = [&track];
        let signs = Signs {
            tracks: &tracks,
            ..Signs::default()
        };
        assert_eq!(at(1e6, &signs), State::Running);
    }

    #[test]
    fn little_is_guessed_of_a_run_whose_pace_is_not_known() {
        assert_eq!(at(1e9, &Signs::default()), State::Running);
        let mut track = Track::new(0.0);
        track.record(1.0, Some(1.0));
        track.looked(2.0, 1.0);
        let tracks = [&track];
        let signs = Signs {
            tracks: &tracks,
            ..Signs::default()
        };
        assert_eq!(at(3000.0, &signs), State::Running);
        assert_eq!(at(4000.0, &signs), State::Stalled);
    }
}
