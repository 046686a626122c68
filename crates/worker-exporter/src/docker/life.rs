//! The starts and ends of one container, from the engine's events, checked against what it says of the container.

use std::time::{Duration, Instant};

use super::container::Container;
use crate::counts::Counts;
use crate::main_log::line::{End, Reason};

/// An end this soon after the kernel took one of its processes for want of memory is put down to that.
const OUT_OF_MEMORY: Duration = Duration::from_secs(10);
/// What `SIGKILL` makes of the exit code.
const KILLED: i64 = 137;
/// The engine tells within milliseconds that memory ran out.
const PATIENCE: Duration = Duration::from_secs(1);
/// `SIGINT`, `SIGQUIT`, `SIGKILL` and `SIGTERM`: they ask for the end of any container. Others, such as `SIGHUP`, ask a
/// server to read its files again.
const ENDING: [i64; 4] = [2, 3, 9, 15];

/// What the engine told of a container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Since 1970.
    pub(crate) at: Duration,
    pub(crate) what: What,
}

/// In the order of the engine: `kill` comes before the `die` that it leads to. `oom` mostly does too, but the engine hears
/// of it from another source than of the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// It runs.
    Started,
    /// Somebody sent it this signal.
    Signalled(Option<i64>),
    /// The kernel killed one of its processes for want of memory.
    OutOfMemory,
    /// It ended with this code.
    Died(i64),
    /// Its health check says something else than before.
    Health,
}

/// What was counted, and what was true last.
#[derive(Default)]
pub(crate) struct Life {
    counts: Counts,
    last: Option<Container>,
    phase: Phase,
    /// Its end was asked for.
    asked: bool,
    out_of_memory: Option<Duration>,
    /// Since when an end by SIGKILL waits for the engine to tell its cause.
    unexplained: Option<Instant>,
    stopped: bool,
    /// A start was told since it was looked at last.
    told: bool,
    /// Starts since it was seen running last.
    starts: u64,
    /// The engine's own count of restarts when it was seen running last.
    restarts: u64,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    /// Not started yet: its first start is no restart.
    #[default]
    Ahead,
    Alive,
    Over,
}

impl Life {
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What is known of the container.
    pub(crate) fn container(&self) -> Option<&Container> {
        self.last.as_ref()
    }

    /// Whether its last end was asked for.
    pub(crate) fn was_stopped(&self) -> bool {
        self.stopped
    }

    /// Enters what happened, the oldest first.
    pub(crate) fn enter(&mut self, events: &[Event]) {
        if self.last.is_none() {
            // What happened before it was first seen is in what was seen.
            return;
        }
        for event in events {
            self.enter_one(event);
        }
    }

    /// Enters what the engine says of it. All that happened up to then is entered, and nothing that came later.
    pub(crate) fn settle(&mut self, now: Container) {
        if now.out_of_memory {
            self.explain(Reason::OomKill);
        }
        if self.unexplained.is_some_and(|since| since.elapsed() > PATIENCE) {
            self.explain(Reason::of_signal(KILLED - 128));
        }
        let Some(last) = self.last.take() else {
            self.begin(&now);
            self.last = Some(now);
            return;
        };
        let told = std::mem::take(&mut self.told);
        if now.started != last.started && now.started.is_some() && !told {
            // The engine was started anew, or forgot.
            self.start();
        }
        let runs = now.pid.is_some();
        if runs {
            self.audit(&last, &now);
        } else if self.phase == Phase::Alive && now.exit_code.is_some() {
            let at = now.out_of_memory.then_some(Duration::ZERO);
            self.out_of_memory = self.out_of_memory.or(at);
            self.end(now.exit_code, Duration::ZERO);
        }
        if now.refused && (!last.refused || now.key != last.key) {
            self.counts.end(End {
                reason: Reason::SpawnError,
                code: now.exit_code,
            });
        }
        self.last = Some(now);
    }

    /// What was true before anybody counted is no event.
    fn begin(&mut self, container: &Container) {
        self.phase = match (container.pid, &container.started) {
            (Some(_), _) => Phase::Alive,
            (None, Some(_)) => Phase::Over,
            (None, None) => Phase::Ahead,
        };
        self.counts.last_exit_code = container.exit_code;
        self.restarts = container.restarts;
    }

    /// Restarts of which no event told: the engine keeps only its last 256.
    fn audit(&mut self, last: &Container, now: &Container) {
        let before = if now.key == last.key { self.restarts } else { 0 };
        // It begins anew with every start by hand.
        let restarts = now.restarts.checked_sub(before).unwrap_or(now.restarts);
        let untold = restarts.saturating_sub(self.starts);
        self.counts.restarts += untold;
        self.counts.exits[Reason::Unknown as usize] += untold;
        (self.starts, self.restarts) = (0, now.restarts);
    }

    fn enter_one(&mut self, event: &Event) {
        match event.what {
            What::Started => {
                self.told = true;
                self.start();
            }
            What::Signalled(signal) => self.asked |= self.asks_for_the_end(signal),
            What::OutOfMemory if self.unexplained.is_some() => self.explain(Reason::OomKill),
            What::OutOfMemory => self.out_of_memory = Some(event.at),
            What::Died(code) => self.end(Some(code), event.at),
            What::Health => {}
        }
    }

    fn asks_for_the_end(&self, signal: Option<i64>) -> bool {
        let own = self.last.as_ref().and_then(|container| container.stop_signal);
        signal.is_none_or(|signal| ENDING.contains(&signal) || Some(signal) == own)
    }

    /// Counts the end that waited.
    fn explain(&mut self, reason: Reason) {
        if self.unexplained.take().is_some() {
            let code = Some(KILLED);
            self.counts.end(End { reason, code });
        }
    }

    fn start(&mut self) {
        self.explain(Reason::of_signal(KILLED - 128));
        if self.phase == Phase::Alive {
            self.end(None, Duration::ZERO);
        }
        self.counts.restarts += u64::from(self.phase != Phase::Ahead);
        self.phase = Phase::Alive;
        self.starts += 1;
        (self.asked, self.out_of_memory, self.stopped) = (false, None, false);
    }

    fn end(&mut self, code: Option<i64>, at: Duration) {
        self.phase = Phase::Over;
        self.stopped = self.asked;
        let soon = |oom: Duration| code == Some(KILLED) || at.saturating_sub(oom) <= OUT_OF_MEMORY;
        let reason = match code {
            None => Reason::Unknown,
            Some(_) if self.asked => Reason::Stopped,
            Some(0) => Reason::Expected,
            Some(_) if self.out_of_memory.is_some_and(soon) => Reason::OomKill,
            Some(KILLED) => {
                self.unexplained = Some(Instant::now());
                self.counts.last_exit_code = code;
                return;
            }
            Some(signal @ 129..=192) => Reason::of_signal(signal - 128),
            Some(_) => Reason::ExitCode,
        };
        self.counts.end(End { reason, code });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use What::{Died, OutOfMemory, Signalled, Started};

    fn container(started: Option<&str>, exit_code: Option<i64>) -> Container {
        let runs = started.is_some() && exit_code.is_none();
        Container {
            key: "1".to_owned(),
            pid: runs.then_some(42),
            started: started.map(str::to_owned),
            exit_code,
            ..Container::default()
        }
    }

    fn restarted(started: &str, restarts: u64) -> Container {
        Container {
            restarts,
            ..container(Some(started), None)
        }
    }

    fn counted(steps: &[(Vec<What>, Container)]) -> (u64, Vec<(Reason, u64)>, Option<i64>) {
        let mut life = Life::default();
        for (second, (events, container)) in (0..).zip(steps) {
            let at = Duration::from_secs(second);
            let events = events.iter().map(|what| Event {
                at,
                what: what.clone(),
            });
            life.enter(&events.collect::<Vec<_>>());
            life.settle(container.clone());
        }
        let exits = Reason::ALL.map(|reason| (reason, life.counts.exits(reason)));
        let exits = exits.into_iter().filter(|(_, count)| *count > 0).collect();
        (life.counts.restarts, exits, life.counts.last_exit_code)
    }

    #[test]
    fn a_crash_loop_between_two_looks_is_counted_exactly() {
        let events = vec![
            Died(1),
            Started,
            Died(139),
            Started,
            OutOfMemory,
            Died(137),
            Started,
        ];
        let steps = [(vec![], container(Some("1"), None)), (events, restarted("4", 3))];
        let exits = vec![(Reason::ExitCode, 1), (Reason::Sigsegv, 1), (Reason::OomKill, 1)];
        assert_eq!(counted(&steps), (3, exits, Some(137)));
    }

    #[test]
    fn the_cause_may_be_told_after_the_end() {
        let ended = || container(Some("1"), Some(137));
        let late = [
            (vec![], container(Some("1"), None)),
            (vec![Died(137)], ended()),
            (vec![OutOfMemory], ended()),
        ];
        assert_eq!(counted(&late), (0, vec![(Reason::OomKill, 1)], Some(137)));
        assert_eq!(
            counted(&late[..2]),
            (0, vec![], Some(137)),
            "it may still be told"
        );
        let never = [
            (vec![], container(Some("1"), None)),
            (vec![Died(137), Started], container(Some("2"), None)),
        ];
        assert_eq!(counted(&never), (1, vec![(Reason::Sigkill, 1)], Some(137)));
        let seen = Container {
            out_of_memory: true,
            ..ended()
        };
        let seen = [(vec![], container(Some("1"), None)), (vec![Died(137)], seen)];
        assert_eq!(counted(&seen).1, [(Reason::OomKill, 1)]);
    }

    #[test]
    fn an_end_that_was_asked_for() {
        let steps = [
            (vec![], container(Some("1"), None)),
            (
                vec![Signalled(Some(15)), Signalled(Some(9)), Died(137)],
                container(Some("1"), Some(137)),
            ),
            (vec![Started], container(Some("2"), None)),
        ];
        assert_eq!(counted(&steps), (1, vec![(Reason::Stopped, 1)], Some(137)));
    }

    #[test]
    fn a_signal_to_read_files_again_asks_for_no_end_unless_it_is_the_own() {
        let steps = |own| {
            let stop_signal = Container {
                stop_signal: own,
                ..container(Some("1"), None)
            };
            [
                (vec![], stop_signal),
                (vec![Signalled(Some(28)), Died(1)], container(Some("1"), Some(1))),
            ]
        };
        assert_eq!(counted(&steps(None)).1, [(Reason::ExitCode, 1)]);
        assert_eq!(counted(&steps(Some(28))).1, [(Reason::Stopped, 1)]);
    }

    #[test]
    fn a_child_that_the_kernel_took_long_ago_is_not_why_it_ends() {
        let calm = (vec![], container(Some("1"), None));
        let mut steps = vec![calm.clone(), (vec![OutOfMemory], container(Some("1"), None))];
        steps.extend(vec![calm; 20]);
        steps.push((vec![Died(1)], container(Some("1"), Some(1))));
        assert_eq!(counted(&steps).1, [(Reason::ExitCode, 1)]);
        let steps = [
            (vec![], container(Some("1"), None)),
            (vec![OutOfMemory, Died(1)], container(Some("1"), Some(1))),
        ];
        assert_eq!(counted(&steps).1, [(Reason::OomKill, 1)]);
    }

    #[test]
    fn what_no_event_told_is_found_at_the_container() {
        let steps = [
            (vec![], container(Some("1"), None)),
            (vec![], container(Some("2"), None)),
            (vec![], container(Some("2"), Some(3))),
        ];
        let exits = vec![(Reason::ExitCode, 1), (Reason::Unknown, 1)];
        assert_eq!(counted(&steps), (1, exits, Some(3)));
    }

    #[test]
    fn restarts_that_the_engine_forgot_are_counted_by_its_own_count() {
        let steps = [
            (vec![], restarted("1", 7)),
            (
                vec![Died(1)],
                Container {
                    restarts: 8,
                    ..container(Some("1"), Some(1))
                },
            ),
            (vec![Started, Died(1), Started], restarted("9", 12)),
            (vec![], restarted("9", 12)),
        ];
        let exits = vec![(Reason::ExitCode, 2), (Reason::Unknown, 3)];
        assert_eq!(counted(&steps), (5, exits, Some(1)));
    }

    #[test]
    fn the_first_start_is_no_restart_and_what_was_over_is_not_counted() {
        let steps = [
            (vec![], container(None, None)),
            (vec![Started], container(Some("1"), None)),
        ];
        assert_eq!(counted(&steps), (0, vec![], None));
        let over = [(vec![Died(9)], container(Some("1"), Some(9)))];
        assert_eq!(counted(&over), (0, vec![], Some(9)));
    }

    #[test]
    fn a_start_that_the_engine_could_not_make() {
        let refused = Container {
            refused: true,
            ..container(None, Some(127))
        };
        let steps = [
            (vec![], container(None, None)),
            (vec![], refused.clone()),
            (vec![], refused),
        ];
        assert_eq!(counted(&steps), (0, vec![(Reason::SpawnError, 1)], Some(127)));
    }
}
