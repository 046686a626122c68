//! Waits until every service does its work, or it is clear that it will not.

use std::time::{Duration, Instant};

use supervisor::{ProcessInfo, ProcessState};

use super::Supervisord;
use super::unit::Unit;
use crate::http::Http;
use crate::progress::Progress;

const PAUSE: Duration = Duration::from_millis(100);
/// A service that supervisord still restarts after this long does not come.
const PATIENCE: Duration = Duration::from_secs(6);

/// Why a service is not healthy.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// In one sentence.
    pub(crate) reason: String,
}

/// For each unit, in order: nothing, or why it is not healthy.
pub(crate) fn until_healthy(
    supervisord: &Supervisord,
    units: &[Unit],
    limit: Duration,
    progress: &Progress,
) -> anyhow::Result<Vec<Option<Failure>>> {
    let http = Http::new(Duration::from_secs(2));
    let deadline = Instant::now() + limit;
    let mut watched: Vec<Watched> = units
        .iter()
        .map(|unit| Watched {
            unit,
            backing_off_since: None,
            verdict: Verdict::Open,
        })
        .collect();
    progress.step(&format!("waiting for {} services to be healthy", units.len()));
    loop {
        let processes = supervisord.processes()?;
        let is_late = Instant::now() > deadline;
        for one in watched.iter_mut().filter(|one| one.is_open()) {
            let process = processes
                .iter()
                .find(|process| process.name == one.unit.service.name());
            one.verdict = one.look(process, &http, is_late);
        }
        let open: Vec<&str> = watched
            .iter()
            .filter(|one| one.is_open())
            .map(|one| one.unit.service.name())
            .collect();
        if open.is_empty() {
            return Ok(watched.into_iter().map(Watched::failure).collect());
        }
        progress.detail(&format!("waiting for {}", open.join(", ")));
        std::thread::sleep(PAUSE);
    }
}

struct Watched<'a> {
    unit: &'a Unit,
    backing_off_since: Option<Instant>,
    verdict: Verdict,
}

enum Verdict {
    Open,
    Healthy,
    Failed(String),
}

impl Watched<'_> {
    const fn is_open(&self) -> bool {
        matches!(self.verdict, Verdict::Open)
    }

    fn failure(self) -> Option<Failure> {
        match self.verdict {
            Verdict::Failed(reason) => Some(Failure { reason }),
            Verdict::Open | Verdict::Healthy => None,
        }
    }

    fn look(&mut self, process: Option<&ProcessInfo>, http: &Http, is_late: bool) -> Verdict {
        let Some(process) = process else {
            return Verdict::Failed("supervisord does not know it".to_owned());
        };
        match process.state {
            // What answers before supervisord has seen it run for a while may be another program that has its port.
            ProcessState::Running => self.ask(http, is_late),
            ProcessState::Starting if is_late => {
                Verdict::Failed("it has not run for two seconds yet".to_owned())
            }
            ProcessState::Backoff => {
                let since = *self.backing_off_since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE || is_late {
                    Verdict::Failed("it ends right after it starts; supervisord keeps trying".to_owned())
                } else {
                    Verdict::Open
                }
            }
            ProcessState::Fatal => {
                Verdict::Failed(format!("supervisord gave it up: {}", process.spawn_error))
            }
            state if is_late => Verdict::Failed(format!("it is {state}")),
            _ => Verdict::Open,
        }
    }

    /// What has no health page is healthy when it runs.
    fn ask(&self, http: &Http, is_late: bool) -> Verdict {
        let Some(url) = self.unit.health_url() else {
            return Verdict::Healthy;
        };
        match http.get(&url) {
            Ok((200, _)) => Verdict::Healthy,
            Ok((status, _)) if is_late => Verdict::Failed(format!("its health page answers {status}")),
            Err(error) if is_late => Verdict::Failed(format!("it runs, but does not answer: {error:#}")),
            _ => Verdict::Open,
        }
    }
}
