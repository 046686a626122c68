//! What people do with a canary set: look at it, and accept a baseline. Both need its folder only; the exporter need
//! not run, and sees another baseline within seconds.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail, ensure};

use super::baseline::{Baseline, Pin};
use super::decide::{Evidence, decide};
use super::decision::Decision;
use super::folder::Folder;
use super::reason::Reason;
use super::results::Results;
use crate::clock::unix;

/// Bytes of a name or of the words why.
const LONGEST_WORDS: usize = 1000;

/// How a canary set does now.
#[derive(Clone, Debug)]
pub struct Status {
    /// The folder.
    pub folder: PathBuf,
    /// What its files say at this time: where nobody writes them any more, it becomes inconclusive.
    pub decision: Decision,
    /// The last run and the last result.
    pub results: Results,
    /// The baseline.
    pub pin: Pin,
}

/// What accepting a baseline came to.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The baseline that holds now.
    pub baseline: Baseline,
    /// The one that it replaced, which stays in `baselines.jsonl`.
    pub replaced: Option<Baseline>,
    /// Whether anything changed: the same result is accepted once.
    pub is_new: bool,
    /// What spoke against it, if that was overruled.
    pub overruled: Vec<Reason>,
}

/// Who accepts, why, and whether against the evidence.
#[derive(Clone, Copy, Debug)]
pub struct Acceptance<'a> {
    /// Who accepts it.
    pub who: &'a str,
    /// Why.
    pub why: &'a str,
    /// Accept a result that is stale, of too few samples, or older than the newest checkpoint.
    pub force: bool,
}

/// How the canary set of this folder does now.
pub fn status(folder: &Path) -> anyhow::Result<Status> {
    const ANEW: &str = "restart training-exporter, which writes it anew";
    let files = Folder::new(folder);
    let Some(recorded) = files.decision().context(ANEW)? else {
        bail!(
            "{}: there is no decision.json; training-exporter writes it once it runs with this folder in [canary]",
            folder.display()
        );
    };
    let (results, pin) = (files.results().context(ANEW)?, files.pin());
    let evidence = Evidence {
        limits: &recorded.limits,
        pin: &pin,
        results: &results,
        newest_checkpoint: recorded.newest_checkpoint.as_ref(),
        now: unix(SystemTime::now()),
    };
    let mut decision = decide(&evidence, &recorded.standing);
    if decision.repeats(&recorded) {
        decision.decided_at = recorded.decided_at;
    }
    Ok(Status {
        folder: folder.to_owned(),
        decision,
        results,
        pin,
    })
}

/// Makes the last result the baseline. To accept the same result again changes nothing.
pub fn accept_baseline(folder: &Path, acceptance: Acceptance) -> anyhow::Result<Accepted> {
    for (name, words) in [("who", acceptance.who), ("why", acceptance.why)] {
        ensure!(
            !words.trim().is_empty() && words.len() <= LONGEST_WORDS,
            "{name}: say it, in at most {LONGEST_WORDS} bytes; it is kept beside the baseline"
        );
    }
    let Status {
        decision,
        results,
        pin,
        ..
    } = status(folder)?;
    let result = results.result.with_context(|| {
        format!(
            "{}: there is no result yet that could be accepted",
            folder.display()
        )
    })?;
    let replaced = pin.baseline().cloned();
    if let Some(baseline) = replaced.clone().filter(|baseline| baseline.result == result) {
        return Ok(Accepted {
            baseline,
            replaced: None,
            is_new: false,
            overruled: Vec::new(),
        });
    }
    let against = decision.reasons.into_iter();
    let against: Vec<Reason> = against
        .filter(|reason| reason.cause.speaks_against_accepting())
        .collect();
    if let (Some(reason), false) = (against.first(), acceptance.force) {
        bail!(
            "{}: the last result is no baseline: {}; {}, or force it",
            folder.display(),
            reason.text,
            reason.cause.advice()
        );
    }
    let baseline = Baseline {
        sha256: result.sha256(),
        accepted_at: unix(SystemTime::now()),
        accepted_by: acceptance.who.trim().to_owned(),
        why: acceptance.why.trim().to_owned(),
        result,
    };
    Folder::new(folder).save_baseline(&baseline)?;
    Ok(Accepted {
        baseline,
        replaced,
        is_new: true,
        overruled: against,
    })
}
