//! The starts and ends of one service, from what systemd says of it one after the other.
//!
//! `NRestarts` begins anew with every start by hand, so that it alone is no counter; together with the times of
//! the main process it is exact, also over looks that were missed.

use super::facts::Facts;
use crate::counts::Counts;
use crate::main_log::line::Reason;

/// What was counted, and what was true last.
#[derive(Default)]
pub(crate) struct Life {
    counts: Counts,
    last: Option<Facts>,
    /// systemd was asked to stop it. It stops one that failed, too: that is no request.
    asked: bool,
    /// A restart that `NRestarts` holds already and that has not begun.
    announced: bool,
    /// It waits for that restart and has not tried it.
    waits: bool,
}

impl Life {
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    pub(crate) fn see(&mut self, now: &Facts) {
        let Some(last) = self.last.replace(now.clone()) else {
            self.counts.last_exit_code = (now.ended != 0).then(|| now.end(false).code).flatten();
            self.waits = now.waits_to_restart();
            return;
        };
        if now.is_stopping() && !last.is_stopping() {
            self.asked = now.result == "success";
        }
        self.restart(&last, now);
        let ended_before = now.started == last.started && last.ended != 0;
        if now.ended != 0 && !ended_before {
            self.counts.end(now.end(self.asked));
        }
        if !now.is_stopping() {
            self.asked = false;
        }
        self.give_up(&last, now);
    }

    fn restart(&mut self, last: &Facts, now: &Facts) {
        // It begins anew with every start by hand.
        let by_systemd = now.restarts.checked_sub(last.restarts).unwrap_or(now.restarts);
        if now.started == last.started || now.started == 0 {
            // One that follows another without a start failed before the program began.
            let tried = by_systemd.saturating_sub(u64::from(!self.announced));
            self.counts.exits[Reason::SpawnError as usize] += tried;
            self.announced |= by_systemd > 0;
            return;
        }
        let starts = (by_systemd + u64::from(self.announced)).max(1);
        let is_first = last.started == 0;
        self.counts.restarts += starts - u64::from(is_first);
        // Every start but the last has its end, and so has the one before them.
        let unseen = starts - 1 + u64::from(!is_first && last.ended == 0);
        self.counts.exits[Reason::Unknown as usize] += unseen;
        (self.announced, self.waits) = (false, false);
    }

    /// Also when a restart fails that systemd thinks too many, its `Result` says how the program ended before it.
    fn give_up(&mut self, last: &Facts, now: &Facts) {
        let was_refused = now.was_refused() && !last.was_refused();
        if was_refused || (self.waits && now.has_failed()) {
            self.counts.exits[Reason::GaveUp as usize] += 1;
        }
        self.waits = now.waits_to_restart() || (self.waits && now.is_inactive());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use zbus::zvariant::Value;

    use super::*;

    fn service(started: u64, ended: u64, restarts: u32, result: &str, active: &str, status: i32) -> Facts {
        let mut facts = Facts::default();
        if active == "activating" {
            "auto-restart".clone_into(&mut facts.sub);
        }
        let properties: [(&str, Value<'_>); 7] = [
            ("ExecMainStartTimestamp", started.into()),
            ("ExecMainExitTimestamp", ended.into()),
            ("NRestarts", restarts.into()),
            ("Result", result.into()),
            ("ActiveState", active.into()),
            ("ExecMainCode", 1i32.into()),
            ("ExecMainStatus", status.into()),
        ];
        let owned = |(name, value): (&str, Value<'_>)| (name.to_owned(), value.try_to_owned().unwrap());
        facts.update(&properties.into_iter().map(owned).collect::<HashMap<_, _>>());
        facts
    }

    fn counted(steps: &[Facts]) -> (u64, Vec<(Reason, u64)>, Option<i64>) {
        let mut life = Life::default();
        for facts in steps {
            life.see(facts);
        }
        let counts = life.counts();
        let exits = Reason::ALL.map(|reason| (reason, counts.exits(reason)));
        let exits = exits.into_iter().filter(|(_, count)| *count > 0).collect();
        (counts.restarts, exits, counts.last_exit_code)
    }

    #[test]
    fn a_crash_and_its_restart() {
        let steps = [
            service(1, 0, 0, "success", "active", 0),
            service(1, 2, 0, "exit-code", "activating", 7),
            service(1, 2, 1, "exit-code", "activating", 7),
            service(3, 0, 1, "success", "active", 0),
        ];
        assert_eq!(counted(&steps), (1, vec![(Reason::ExitCode, 1)], Some(7)));
    }

    #[test]
    fn restarts_that_nobody_told_are_counted_without_their_reasons() {
        let steps = [
            service(1, 0, 0, "success", "active", 0),
            service(9, 0, 4, "success", "active", 0),
        ];
        assert_eq!(counted(&steps), (4, vec![(Reason::Unknown, 4)], None));
    }

    #[test]
    fn a_stop_by_hand_and_a_start_that_sets_the_own_count_back() {
        let steps = [
            service(1, 0, 3, "success", "active", 0),
            service(1, 0, 3, "success", "deactivating", 0),
            service(1, 2, 3, "success", "inactive", 0),
            service(3, 0, 0, "success", "active", 0),
        ];
        assert_eq!(counted(&steps), (1, vec![(Reason::Stopped, 1)], Some(0)));
    }

    #[test]
    fn the_first_start_is_no_restart_and_giving_up_is_told_once() {
        let steps = [
            service(0, 0, 0, "success", "inactive", 0),
            service(1, 0, 0, "success", "active", 0),
            service(1, 2, 0, "exit-code", "activating", 1),
            service(1, 2, 0, "start-limit-hit", "failed", 1),
            service(1, 2, 0, "start-limit-hit", "failed", 1),
        ];
        let exits = vec![(Reason::ExitCode, 1), (Reason::GaveUp, 1)];
        assert_eq!(counted(&steps), (0, exits, Some(1)));
    }

    /// As systemd 252 tells it.
    #[test]
    fn a_restart_too_many_is_given_up_and_keeps_the_result_of_the_end() {
        let steps = [
            service(1, 0, 4, "success", "active", 0),
            service(1, 2, 4, "exit-code", "active", 4),
            service(1, 2, 4, "exit-code", "failed", 4),
            service(1, 2, 4, "exit-code", "activating", 4),
            service(1, 2, 5, "exit-code", "activating", 4),
            service(1, 2, 5, "exit-code", "inactive", 4),
            service(1, 2, 5, "exit-code", "failed", 4),
            service(1, 2, 5, "exit-code", "failed", 4),
            service(7, 0, 0, "success", "active", 0),
        ];
        let exits = vec![(Reason::ExitCode, 1), (Reason::GaveUp, 1)];
        assert_eq!(counted(&steps), (1, exits, Some(4)));
    }

    #[test]
    fn restarts_that_fail_before_the_program_begins() {
        let starting = |restarts| {
            let mut facts = service(1, 2, restarts, "success", "activating", 7);
            "start-pre".clone_into(&mut facts.sub);
            facts
        };
        let steps = [
            service(1, 0, 0, "success", "active", 0),
            service(1, 2, 0, "exit-code", "failed", 7),
            service(1, 2, 1, "exit-code", "activating", 7),
            starting(1),
            service(1, 2, 1, "exit-code", "failed", 7),
            service(1, 2, 1, "exit-code", "activating", 7),
            service(1, 2, 2, "exit-code", "activating", 7),
            service(9, 0, 2, "success", "active", 0),
        ];
        let exits = vec![(Reason::ExitCode, 1), (Reason::SpawnError, 1)];
        assert_eq!(counted(&steps), (1, exits, Some(7)));
    }

    #[test]
    fn restarts_that_nobody_told_after_one_that_was_announced() {
        let steps = [
            service(1, 2, 1, "exit-code", "failed", 7),
            service(1, 2, 2, "exit-code", "activating", 7),
            service(9, 0, 5, "success", "active", 0),
        ];
        assert_eq!(counted(&steps), (4, vec![(Reason::Unknown, 3)], Some(7)));
    }

    #[test]
    fn an_end_that_systemd_brings_about_because_of_a_failure_was_not_asked_for() {
        let steps = |result| {
            [
                service(1, 0, 0, "success", "active", 0),
                service(1, 0, 0, result, "deactivating", 0),
                service(1, 2, 0, "timeout", "failed", 1),
            ]
        };
        assert_eq!(counted(&steps("timeout")).1, [(Reason::ExitCode, 1)]);
        assert_eq!(counted(&steps("success")).1, [(Reason::Stopped, 1)]);
    }

    #[test]
    fn what_was_over_before_anybody_looked_is_not_counted() {
        assert_eq!(
            counted(&[service(1, 2, 5, "exit-code", "failed", 3)]),
            (0, vec![], Some(3))
        );
    }
}
