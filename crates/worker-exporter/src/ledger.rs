//! The accounts of all processes of one supervisord: starts, exits and their reasons.
//!
//! Two witnesses speak: the log tells every event, the poll tells what is true now. The log is the
//! account, the poll its audit: a process id that the log did not announce is a start that the log
//! missed. Without a log the same audit is all there is. A poll is always taken before the log is read,
//! so whatever the poll saw stands in the log by then; what happens later is in the log alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use supervisor::{ProcessInfo, ProcessState};

use crate::counts::Counts;
use crate::main_log::Told;
use crate::main_log::line::{End, Event, Reason};

/// A worker of one source.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Id {
    pub(crate) group: String,
    pub(crate) name: String,
}

impl Id {
    pub(crate) fn of(process: &ProcessInfo) -> Self {
        Self {
            group: process.group.clone(),
            name: process.name.clone(),
        }
    }
}

/// What is known of one process. Counters begin at 0 when it is first seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Starts after the first one.
    pub(crate) restarts: u64,
    /// By [`Reason`], in the order of [`Reason::ALL`].
    pub(crate) exits: [u64; Reason::ALL.len()],
    /// Of the last exit, where it is known.
    pub(crate) last_exit_code: Option<i64>,
    life: Life,
    pid: Option<u32>,
    start: Option<i64>,
    gave_up: bool,
    /// The audit found a start that the log did not tell, and none was told since.
    missed: bool,
    /// The log told something of this process.
    told: bool,
    pub(crate) witness: Witness,
}

/// Who counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Witness {
    Log,
    #[default]
    Poll,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Life {
    /// Not started yet: its first start is no restart.
    #[default]
    Ahead,
    Alive,
    Over,
}

/// All accounts.
#[derive(Default)]
pub(crate) struct Ledger {
    accounts: HashMap<Id, Account>,
    /// Events of processes that no poll has shown yet.
    early: Vec<Told>,
}

impl Ledger {
    /// Enters what a poll and the log after it say; `events` is `None` where there is no log.
    pub(crate) fn settle(&mut self, processes: &[ProcessInfo], events: Option<Vec<Told>>) {
        let mut groups: HashMap<&str, usize> = HashMap::new();
        for process in processes {
            *groups.entry(&process.name).or_default() += 1;
        }
        let logged = events.is_some();
        let mut by_name: HashMap<String, Vec<Event>> = HashMap::new();
        for (name, event) in self.early.drain(..) {
            by_name.entry(name).or_default().push(event);
        }
        for (name, event) in events.into_iter().flatten() {
            if groups.contains_key(name.as_str()) {
                by_name.entry(name).or_default().push(event);
            } else {
                self.early.push((name, event));
            }
        }
        for process in processes {
            // The log does not tell groups: a name that two of them share cannot be attributed.
            let events = (logged && groups.get(process.name.as_str()) == Some(&1))
                .then(|| by_name.get(&process.name).map_or(&[][..], Vec::as_slice));
            match self.accounts.entry(Id::of(process)) {
                Entry::Occupied(account) => account.into_mut().settle(process, events),
                Entry::Vacant(place) => place.insert(Account::default()).begin(process, events),
            }
        }
    }

    pub(crate) fn get(&self, id: &Id) -> Option<&Account> {
        self.accounts.get(id)
    }
}

impl Account {
    /// What of it stands on the page.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            restarts: self.restarts,
            exits: self.exits,
            last_exit_code: self.last_exit_code,
        }
    }

    /// Begins with what was true before anybody counted, unless the log tells the beginning itself.
    fn begin(&mut self, process: &ProcessInfo, log: Option<&[Event]>) {
        if log.unwrap_or_default().is_empty() {
            self.life = match (process.pid, process.start) {
                (Some(_), _) => Life::Alive,
                (None, Some(_)) => Life::Over,
                (None, None) => Life::Ahead,
            };
            self.pid = process.pid;
            self.gave_up = process.state == ProcessState::Fatal;
            if process.state == ProcessState::Exited {
                self.last_exit_code = how_it_ended(process).code;
            }
        }
        self.enter_all(process, log);
    }

    fn settle(&mut self, process: &ProcessInfo, log: Option<&[Event]>) {
        self.audit(process, log);
        self.enter_all(process, log);
    }

    fn enter_all(&mut self, process: &ProcessInfo, log: Option<&[Event]>) {
        self.start = process.start;
        for event in log.unwrap_or_default() {
            self.enter(event);
        }
        self.witness = if log.is_some() && !self.missed {
            Witness::Log
        } else {
            Witness::Poll
        };
    }

    fn audit(&mut self, process: &ProcessInfo, log: Option<&[Event]>) {
        let events = log.unwrap_or_default();
        let first = events.iter().find(|event| **event != Event::GaveUp);
        if self.life == Life::Alive && process.pid != self.pid && !matches!(first, Some(Event::Ended(_))) {
            let same = process.start == self.start && process.pid.is_none();
            self.end(if same { how_it_ended(process) } else { UNKNOWN });
        }
        if process.state != ProcessState::Fatal {
            self.gave_up = false;
        } else if !events.contains(&Event::GaveUp) {
            self.give_up();
        }
        match process.pid {
            Some(pid) if self.pid == Some(pid) || events.contains(&Event::Spawned(pid)) => {}
            Some(pid) => {
                self.missed |= log.is_some();
                self.spawn(Some(pid));
            }
            None if process.start == self.start => {}
            None if was_never_spawned(process) => self.exits[Reason::SpawnError as usize] += 1,
            None if log.is_none() || (self.missed && !self.told) => {
                self.spawn(None);
                self.end(how_it_ended(process));
            }
            None => {}
        }
    }

    fn enter(&mut self, event: &Event) {
        self.told = true;
        match event {
            Event::Spawned(pid) => {
                self.missed = false;
                self.spawn(Some(*pid));
            }
            Event::Ended(end) => {
                if self.life != Life::Alive {
                    // What ended has begun, also where the log's level leaves the beginnings out.
                    self.spawn(None);
                }
                self.end(*end);
            }
            Event::GaveUp => self.give_up(),
        }
    }

    fn spawn(&mut self, pid: Option<u32>) {
        match self.life {
            Life::Alive if pid.is_some() && pid == self.pid => return,
            Life::Alive => self.end(UNKNOWN),
            Life::Over | Life::Ahead => {}
        }
        self.restarts += u64::from(self.life != Life::Ahead);
        self.life = Life::Alive;
        self.pid = pid;
        self.gave_up = false;
    }

    fn end(&mut self, end: End) {
        self.life = Life::Over;
        self.exits[end.reason as usize] += 1;
        self.last_exit_code = end.code;
    }

    fn give_up(&mut self) {
        if !self.gave_up {
            self.exits[Reason::GaveUp as usize] += 1;
        }
        self.gave_up = true;
    }
}

const UNKNOWN: End = End {
    reason: Reason::Unknown,
    code: None,
};

/// What the interface says about the end of the process that it speaks of. It knows no code of one that
/// ended before `startsecs`, and no signal.
fn how_it_ended(process: &ProcessInfo) -> End {
    match process.state {
        ProcessState::Exited if process.exit_status < 0 => End {
            reason: Reason::Signal,
            code: None,
        },
        ProcessState::Exited => {
            let reason = if process.spawn_error.is_empty() {
                Reason::Expected
            } else {
                Reason::ExitCode
            };
            End {
                reason,
                code: Some(process.exit_status),
            }
        }
        ProcessState::Stopped | ProcessState::Stopping => End {
            reason: Reason::Stopped,
            code: None,
        },
        _ => UNKNOWN,
    }
}

/// Whether the last start failed before there was a process. The log names no process then.
fn was_never_spawned(process: &ProcessInfo) -> bool {
    matches!(process.state, ProcessState::Backoff | ProcessState::Fatal)
        && !process.spawn_error.is_empty()
        && !process.spawn_error.starts_with("Exited too quickly")
}

#[cfg(test)]
mod tests;
