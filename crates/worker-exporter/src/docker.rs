//! Containers of one engine, docker or podman, asked over its socket.
//!
//! Each look asks for the list of containers and for what happened since the last look; the engine keeps its last
//! 256 events. A container itself is asked for when it is new, when something happened to it, and now and then to
//! check the account. What a container uses stands in the files of its cgroup: the engine's own statistics take it a
//! second or two per container.

mod container;
mod engine;
mod life;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::models::ContainerStateStatusEnum as Status;
use supervisor::ProcessState;

use crate::config::SourceSettings;
use crate::group::GroupMeters;
use crate::ledger::Id;
use crate::main_log::Method;
use crate::source::{Roots, Watch, Worker};

use container::{Container, Listed, process_state};
use engine::{Answer, Engine};
use life::{Event, Life};

/// How many containers that nothing happened to are asked for in one look.
const AUDITED: usize = 8;
/// A container that the engine does not tell about is left alone for this long.
const LEFT_ALONE: Duration = Duration::from_secs(30);
/// A container that is made anew under its name within this time keeps its counters.
const REMEMBERED: Duration = Duration::from_mins(1);

/// The containers of an engine.
pub(crate) struct Docker {
    engine: Engine,
    settings: SourceSettings,
    meters: GroupMeters,
    accounts: HashMap<Id, Account>,
    /// The number of this look.
    look: u64,
}

/// What is known of one container.
struct Account {
    life: Life,
    /// What is known of it may be old.
    stale: bool,
    /// The look in which it was asked for last.
    asked: u64,
    /// Since when the engine does not tell about it.
    silent: Option<Instant>,
    /// When it was last in the list.
    listed: Instant,
}

impl Docker {
    pub(crate) fn new(socket: &Path, settings: SourceSettings, roots: &Roots) -> std::io::Result<Self> {
        Ok(Self {
            engine: Engine::new(socket)?,
            settings,
            meters: GroupMeters::new(roots),
            accounts: HashMap::new(),
            look: 0,
        })
    }

    fn ask(&mut self) -> Result<Vec<Worker>, String> {
        self.look += 1;
        let mut listed = self.engine.list(&self.settings.labels)?;
        listed.retain(|listed| self.settings.shows(&listed.id));
        let happened = self.engine.happened()?;
        self.expect(&listed);
        self.enter(&happened);
        self.inspect(&mut listed)?;
        Ok(listed.into_iter().map(|listed| self.worker(listed)).collect())
    }

    /// Opens an account for each of the containers and closes those of containers that are gone for good.
    fn expect(&mut self, listed: &[Listed]) {
        let now = Instant::now();
        for container in listed {
            let account = self
                .accounts
                .entry(container.id.clone())
                .or_insert_with(|| Account {
                    life: Life::default(),
                    stale: true,
                    asked: 0,
                    silent: None,
                    listed: now,
                });
            account.listed = now;
            let known = account.life.container();
            account.stale |= known
                .is_none_or(|known| known.key != container.key || known.status != Some(container.status));
        }
        self.accounts
            .retain(|_, account| now.duration_since(account.listed) < REMEMBERED);
        self.meters.keep(|id| self.accounts.contains_key(id));
    }

    fn enter(&mut self, happened: &HashMap<String, Vec<Event>>) {
        for (id, account) in &mut self.accounts {
            if let Some(events) = happened.get(&id.name) {
                account.life.enter(events);
                account.stale = true;
            }
        }
    }

    /// Asks for the containers that are due, and takes those off the list that are gone meanwhile.
    fn inspect(&mut self, listed: &mut Vec<Listed>) -> Result<(), String> {
        let due = self.due(listed);
        if due.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = due.iter().map(|listed| listed.key.clone()).collect();
        let answers = self.engine.inspect(&keys)?;
        // What a container told and what happened meanwhile do not fit together: it is asked once more then.
        let later = self.engine.happened()?;
        for (container, answer) in due.iter().zip(answers) {
            let Some(account) = self.accounts.get_mut(&container.id) else {
                continue;
            };
            account.asked = self.look;
            match answer {
                Answer::Is(told) => {
                    account.silent = None;
                    if !later.contains_key(&container.id.name) {
                        account.life.settle(*told);
                        account.stale = false;
                    }
                }
                Answer::Gone => listed.retain(|listed| listed.key != container.key),
                Answer::Trouble(reason) => {
                    if account.silent.replace(Instant::now()).is_none() {
                        tracing::warn!(
                            container = container.id.name,
                            error = reason,
                            "the engine does not tell about this container; its state is known from the list only"
                        );
                    }
                }
            }
        }
        self.enter(&later);
        Ok(())
    }

    /// Those of which something may have changed, and a few of the others, in turn.
    fn due(&self, listed: &[Listed]) -> Vec<Listed> {
        let is_left_alone =
            |account: &Account| account.silent.is_some_and(|since| since.elapsed() < LEFT_ALONE);
        let mut due: Vec<(&Account, &Listed)> = listed
            .iter()
            .filter_map(|listed| Some((self.accounts.get(&listed.id)?, listed)))
            .filter(|(account, _)| !is_left_alone(account))
            .collect();
        due.sort_by_key(|(account, _)| (Reverse(account.stale), account.asked));
        let stale = due.partition_point(|(account, _)| account.stale);
        due.truncate(stale + AUDITED);
        due.into_iter().map(|(_, listed)| listed.clone()).collect()
    }

    fn worker(&mut self, listed: Listed) -> Worker {
        let account = self.accounts.get(&listed.id);
        let life = account.map(|account| &account.life);
        let is_new = account.is_some_and(|account| account.asked == self.look && !account.stale);
        let known = life
            .and_then(Life::container)
            .filter(|known| known.key == listed.key && (is_new || known.status == Some(listed.status)));
        let pid = known.and_then(|known| known.pid);
        let group = pid.and_then(|pid| self.meters.path_of(pid));
        Worker {
            state: state(&listed, known, life.is_some_and(Life::was_stopped)),
            uptime_seconds: known.and_then(Container::uptime_seconds),
            healthy: known.and_then(|known| known.healthy),
            counts: life.map(|life| life.counts().clone()).unwrap_or_default(),
            method: Method::Events,
            usage: self.meters.read(&listed.id, group.as_deref(), pid),
            id: listed.id,
        }
    }
}

/// What the container itself told is newer than the list.
fn state(listed: &Listed, known: Option<&Container>, stopped: bool) -> ProcessState {
    let status = known.and_then(|known| known.status).unwrap_or(listed.status);
    match status {
        Status::EXITED if stopped => ProcessState::Stopped,
        Status::CREATED | Status::EXITED if known.is_some_and(|known| known.refused) => ProcessState::Fatal,
        status => process_state(status),
    }
}

impl Watch for Docker {
    fn look(&mut self) -> Result<Vec<Worker>, String> {
        let seen = self.ask();
        if seen.is_err() {
            // An engine that is started anew has forgotten what happened.
            self.accounts
                .values_mut()
                .for_each(|account| account.stale = true);
        }
        seen
    }
}
