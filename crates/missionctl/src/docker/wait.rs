//! Waits until containers do their work, or it is clear that they will not.

use std::time::{Duration, Instant};

use super::containers::{self, Condition, Health};
use super::engine::Engine;
use crate::http::Http;
use crate::progress::Progress;

const PAUSE: Duration = Duration::from_millis(200);
/// A service that the engine still restarts after this long does not come.
const PATIENCE: Duration = Duration::from_secs(8);
/// What was unhealthy before, since it was paused, say, has been checked again by then.
const RECOVERY: Duration = Duration::from_secs(15);
/// One without a health check must have run for so long.
const SETTLED: Duration = Duration::from_secs(2);

/// A container and how it shows that it works.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The service.
    pub(crate) name: String,
    /// The container's id.
    pub(crate) id: String,
    /// Answers 200 to this machine as soon as the service works.
    pub(crate) page: Option<String>,
}

/// For each one, in order: nothing, or why it does not work.
pub(crate) fn until_healthy(
    engine: &Engine,
    watched: &[Watched],
    limit: Duration,
    progress: &Progress,
) -> anyhow::Result<Vec<Option<String>>> {
    progress.step(&format!("waiting for {} containers to be healthy", watched.len()));
    let mut lookouts: Vec<Lookout> = watched.iter().map(Lookout::new).collect();
    until(engine, &mut lookouts, limit, progress, |one, condition| {
        one.is_healthy(condition)
    })
}

/// Waits for one that others need: as soon as its page answers, which is sooner than its next health check.
pub(crate) fn until_answering(
    engine: &Engine,
    watched: &Watched,
    limit: Duration,
    progress: &Progress,
) -> anyhow::Result<Result<(), String>> {
    one(engine, watched, limit, progress, |one, condition| {
        one.answers(condition)
    })
}

/// Waits for one that is to end by itself.
pub(crate) fn until_completed(
    engine: &Engine,
    watched: &Watched,
    limit: Duration,
    progress: &Progress,
) -> anyhow::Result<Result<(), String>> {
    one(engine, watched, limit, progress, |_, condition| {
        has_completed(condition)
    })
}

fn one(
    engine: &Engine,
    watched: &Watched,
    limit: Duration,
    progress: &Progress,
    look: impl Fn(&mut Lookout, &Condition) -> Verdict,
) -> anyhow::Result<Result<(), String>> {
    let verdicts = until(engine, &mut [Lookout::new(watched)], limit, progress, look)?;
    Ok(verdicts.into_iter().flatten().next().map_or(Ok(()), Err))
}

fn until(
    engine: &Engine,
    lookouts: &mut [Lookout],
    limit: Duration,
    progress: &Progress,
    look: impl Fn(&mut Lookout, &Condition) -> Verdict,
) -> anyhow::Result<Vec<Option<String>>> {
    let deadline = Instant::now() + limit;
    loop {
        let is_late = Instant::now() > deadline;
        let ids: Vec<&str> = lookouts.iter().map(|one| one.watched.id.as_str()).collect();
        let conditions = containers::conditions(engine, &ids)?;
        for (lookout, condition) in lookouts.iter_mut().zip(conditions) {
            if !matches!(lookout.verdict, Verdict::Open) {
                continue;
            }
            lookout.verdict = match condition {
                None => Verdict::Failed("its container is gone".to_owned()),
                Some(condition) => match look(lookout, &condition) {
                    Verdict::Open if is_late => Verdict::Failed(Lookout::why_late(&condition, limit)),
                    verdict => verdict,
                },
            };
        }
        let open: Vec<&str> = lookouts
            .iter()
            .filter(|one| matches!(one.verdict, Verdict::Open))
            .map(|one| one.watched.name.as_str())
            .collect();
        if open.is_empty() {
            return Ok(lookouts.iter().map(Lookout::failure).collect());
        }
        progress.detail(&format!("waiting for {}", open.join(", ")));
        std::thread::sleep(PAUSE);
    }
}

#[derive(Debug)]
enum Verdict {
    Open,
    Good,
    Failed(String),
}

struct Lookout<'a> {
    watched: &'a Watched,
    since: Instant,
    restarts: Option<u64>,
    verdict: Verdict,
    http: Http,
}

impl<'a> Lookout<'a> {
    fn new(watched: &'a Watched) -> Self {
        Self {
            watched,
            since: Instant::now(),
            restarts: None,
            verdict: Verdict::Open,
            http: Http::new(Duration::from_secs(2)),
        }
    }

    fn failure(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Failed(reason) => Some(reason.clone()),
            Verdict::Open | Verdict::Good => None,
        }
    }

    /// The engine says so, or it has no health check and goes on running.
    fn is_healthy(&mut self, condition: &Condition) -> Verdict {
        if let Some(verdict) = self.has_broken(condition) {
            return verdict;
        }
        match condition.health {
            Health::Healthy => Verdict::Good,
            Health::Unchecked if self.since.elapsed() >= SETTLED => Verdict::Good,
            Health::Unhealthy if self.since.elapsed() > RECOVERY => {
                Verdict::Failed(condition.ailment().unwrap_or_default())
            }
            Health::Unhealthy | Health::Starting | Health::Unchecked => Verdict::Open,
        }
    }

    fn answers(&mut self, condition: &Condition) -> Verdict {
        let page = self.watched.page.as_ref();
        if condition.runs()
            && let Some(page) = page
            && matches!(self.http.get(page), Ok((200, _)))
        {
            return Verdict::Good;
        }
        self.is_healthy(condition)
    }

    /// Whether it has ended, or ends again and again.
    fn has_broken(&mut self, condition: &Condition) -> Option<Verdict> {
        let before = *self.restarts.get_or_insert(condition.restarts);
        let failed = || Some(Verdict::Failed(condition.ailment().unwrap_or_default()));
        match condition.state.as_str() {
            "running" if condition.restarts > before && self.since.elapsed() > PATIENCE => {
                Some(Verdict::Failed(format!(
                    "it has ended {} times; the engine keeps starting it",
                    condition.restarts
                )))
            }
            "running" => None,
            "restarting" if self.since.elapsed() > PATIENCE => failed(),
            "restarting" => Some(Verdict::Open),
            _ => failed(),
        }
    }

    fn why_late(condition: &Condition, limit: Duration) -> String {
        let seconds = limit.as_secs();
        match condition.ailment() {
            Some(ailment) => ailment,
            None if condition.health == Health::Starting => match &condition.sickness {
                Some(said) => format!("its health check has not succeeded within {seconds} s: {said}"),
                None => {
                    format!("its health check has not succeeded within {seconds} s; --timeout waits longer")
                }
            },
            None => format!("it is {} after {seconds} s", condition.state),
        }
    }
}

fn has_completed(condition: &Condition) -> Verdict {
    match condition.state.as_str() {
        "exited" if condition.exit_code == 0 => Verdict::Good,
        "exited" | "dead" => Verdict::Failed(condition.ailment().unwrap_or_default()),
        _ => Verdict::Open,
    }
}
