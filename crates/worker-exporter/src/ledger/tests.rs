use proptest::prelude::*;

use super::*;

/// A supervisord in the small: one worker, its truth, and what log and interface would say.
struct World {
    state: ProcessState,
    pid: Option<u32>,
    start: Option<i64>,
    exit_status: i64,
    spawn_error: &'static str,
    next_pid: u32,
    clock: i64,
    log: Vec<Told>,
    starts: u64,
    ends: Vec<Reason>,
}

impl World {
    fn new() -> Self {
        Self {
            state: ProcessState::Stopped,
            pid: None,
            start: None,
            exit_status: 0,
            spawn_error: "",
            next_pid: 100,
            clock: 1_000,
            log: Vec::new(),
            starts: 0,
            ends: Vec::new(),
        }
    }

    fn tell(&mut self, event: Event) {
        self.log.push(("worker".to_owned(), event));
    }

    fn spawn(&mut self) {
        self.clock += 1;
        (self.state, self.pid, self.start) = (ProcessState::Running, Some(self.next_pid), Some(self.clock));
        (self.exit_status, self.spawn_error) = (0, "");
        self.starts += 1;
        self.tell(Event::Spawned(self.next_pid));
        self.next_pid += 1;
    }

    fn end(&mut self, state: ProcessState, exit_status: i64, end: End) {
        (self.state, self.pid, self.exit_status) = (state, None, exit_status);
        self.spawn_error = if end.reason == Reason::ExitCode {
            "Bad exit code"
        } else {
            ""
        };
        self.ends.push(end.reason);
        self.tell(Event::Ended(end));
    }

    fn exit(&mut self, code: i64) {
        let reason = if code == 0 {
            Reason::Expected
        } else {
            Reason::ExitCode
        };
        self.end(
            ProcessState::Exited,
            code,
            End {
                reason,
                code: Some(code),
            },
        );
    }

    fn kill(&mut self) {
        self.end(
            ProcessState::Exited,
            -1,
            End {
                reason: Reason::Sigkill,
                code: Some(137),
            },
        );
    }

    fn stop(&mut self) {
        self.end(
            ProcessState::Stopped,
            -1,
            End {
                reason: Reason::Stopped,
                code: Some(143),
            },
        );
    }

    fn info(&self) -> ProcessInfo {
        ProcessInfo {
            name: "worker".into(),
            group: "worker".into(),
            state: self.state,
            description: String::new(),
            start: self.start,
            stop: None,
            now: self.clock,
            pid: self.pid,
            exit_status: self.exit_status,
            spawn_error: self.spawn_error.into(),
            stdout_logfile: String::new(),
            stderr_logfile: String::new(),
        }
    }

    fn poll(&mut self, ledger: &mut Ledger, logged: bool) {
        let events = std::mem::take(&mut self.log);
        ledger.settle(&[self.info()], logged.then_some(events));
    }
}

fn account(ledger: &Ledger) -> &Account {
    ledger
        .get(&Id {
            group: "worker".into(),
            name: "worker".into(),
        })
        .unwrap()
}

#[test]
fn the_first_start_is_no_restart_by_either_witness() {
    for logged in [true, false] {
        let (mut world, mut ledger) = (World::new(), Ledger::default());
        world.poll(&mut ledger, logged);
        world.spawn();
        world.poll(&mut ledger, logged);
        assert_eq!(account(&ledger).restarts, 0);
        world.exit(3);
        world.spawn();
        world.poll(&mut ledger, logged);
        assert_eq!(account(&ledger).restarts, 1, "logged: {logged}");
    }
}

#[test]
fn a_process_that_ran_before_is_not_counted_again() {
    for logged in [true, false] {
        let (mut world, mut ledger) = (World::new(), Ledger::default());
        world.spawn();
        world.kill();
        world.spawn();
        world.log.clear();
        world.poll(&mut ledger, logged);
        world.poll(&mut ledger, logged);
        assert_eq!(
            (account(&ledger).restarts, account(&ledger).exits),
            (0, [0; Reason::ALL.len()])
        );
        world.kill();
        world.poll(&mut ledger, logged);
        let reason = if logged { Reason::Sigkill } else { Reason::Signal };
        assert_eq!(account(&ledger).counts().exits(reason), 1);
        assert_eq!(account(&ledger).last_exit_code, logged.then_some(137));
    }
}

#[test]
fn exit_codes_are_known_where_the_interface_tells_them() {
    let (mut world, mut ledger) = (World::new(), Ledger::default());
    world.spawn();
    world.exit(7);
    world.log.clear();
    world.poll(&mut ledger, false);
    assert_eq!(account(&ledger).last_exit_code, Some(7));
    world.spawn();
    world.poll(&mut ledger, false);
    world.exit(0);
    world.poll(&mut ledger, false);
    assert_eq!(account(&ledger).last_exit_code, Some(0));
    assert_eq!(account(&ledger).counts().exits(Reason::Expected), 1);
}

#[test]
fn a_start_and_an_end_between_two_polls_show_in_the_start_time() {
    let (mut world, mut ledger) = (World::new(), Ledger::default());
    world.spawn();
    world.exit(1);
    world.poll(&mut ledger, false);
    world.spawn();
    world.exit(1);
    world.poll(&mut ledger, false);
    assert_eq!(
        (
            account(&ledger).restarts,
            account(&ledger).counts().exits(Reason::ExitCode)
        ),
        (1, 1)
    );
    assert_eq!(account(&ledger).witness, Witness::Poll);
}

#[test]
fn a_log_without_beginnings_is_audited() {
    let (mut world, mut ledger) = (World::new(), Ledger::default());
    world.spawn();
    world.log.clear();
    world.poll(&mut ledger, true);
    for _ in 0..5 {
        world.kill();
        world.spawn();
        world.kill();
        world.spawn();
        // At the level `warn` the log has unexpected exits but no starts.
        world.log.retain(|(_, event)| matches!(event, Event::Ended(_)));
        world.poll(&mut ledger, true);
        assert_eq!(account(&ledger).witness, Witness::Poll);
    }
    assert_eq!(
        (
            account(&ledger).restarts,
            account(&ledger).counts().exits(Reason::Sigkill)
        ),
        (10, 10)
    );
}

#[test]
fn a_silent_log_leaves_the_polls() {
    let (mut world, mut ledger) = (World::new(), Ledger::default());
    world.poll(&mut ledger, true);
    for _ in 0..3 {
        world.spawn();
        world.log.clear();
        world.poll(&mut ledger, true);
        world.exit(2);
        world.log.clear();
        world.poll(&mut ledger, true);
    }
    world.spawn();
    world.exit(2);
    world.log.clear();
    world.poll(&mut ledger, true);
    assert_eq!(
        (
            account(&ledger).restarts,
            account(&ledger).counts().exits(Reason::ExitCode)
        ),
        (3, 4)
    );
}

#[test]
fn failed_starts_and_giving_up() {
    for logged in [true, false] {
        let (mut world, mut ledger) = (World::new(), Ledger::default());
        world.poll(&mut ledger, logged);
        world.spawn_error = "can't find command '/nonexistent'";
        for attempt in 1..=4 {
            (world.state, world.start) = (ProcessState::Backoff, Some(2_000 + attempt));
            world.poll(&mut ledger, logged);
            world.poll(&mut ledger, logged);
        }
        world.state = ProcessState::Fatal;
        if logged {
            world.tell(Event::GaveUp);
        }
        world.poll(&mut ledger, logged);
        world.poll(&mut ledger, logged);
        let account = account(&ledger);
        assert_eq!(account.counts().exits(Reason::SpawnError), 4);
        assert_eq!(account.counts().exits(Reason::GaveUp), 1);
        assert_eq!((account.restarts, account.last_exit_code), (0, None));
    }
}

#[test]
fn a_supervisord_that_was_killed_leaves_an_end_of_unknown_reason() {
    let (mut world, mut ledger) = (World::new(), Ledger::default());
    world.spawn();
    world.poll(&mut ledger, true);
    world.spawn();
    world.poll(&mut ledger, true);
    assert_eq!(
        (
            account(&ledger).restarts,
            account(&ledger).counts().exits(Reason::Unknown)
        ),
        (1, 1)
    );
}

#[test]
fn events_of_a_process_that_no_poll_has_shown_wait_for_one() {
    let (mut world, mut ledger) = (World::new(), Ledger::default());
    world.spawn();
    world.exit(0);
    ledger.settle(&[], Some(std::mem::take(&mut world.log)));
    world.spawn();
    world.poll(&mut ledger, true);
    assert_eq!(
        (
            account(&ledger).restarts,
            account(&ledger).counts().exits(Reason::Expected)
        ),
        (1, 1)
    );
}

#[test]
fn a_name_in_two_groups_is_counted_by_the_polls() {
    let (mut world, mut ledger) = (World::new(), Ledger::default());
    let other = ProcessInfo {
        group: "other".into(),
        ..world.info()
    };
    world.spawn();
    ledger.settle(
        &[world.info(), other.clone()],
        Some(std::mem::take(&mut world.log)),
    );
    world.kill();
    world.spawn();
    ledger.settle(&[world.info(), other], Some(std::mem::take(&mut world.log)));
    assert_eq!(
        (
            account(&ledger).restarts,
            account(&ledger).counts().exits(Reason::Unknown)
        ),
        (1, 1)
    );
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Spawn,
    Exit,
    Kill,
    Stop,
    Poll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop::sample::select(vec![Step::Spawn, Step::Exit, Step::Kill, Step::Stop, Step::Poll]);
    prop::collection::vec(step, 1..60)
}

fn play(world: &mut World, steps: &[Step], mut poll: impl FnMut(&mut World)) {
    for step in steps {
        match (step, world.pid) {
            (Step::Spawn, None) => world.spawn(),
            (Step::Exit, Some(_)) => world.exit(5),
            (Step::Kill, Some(_)) => world.kill(),
            (Step::Stop, Some(_)) => world.stop(),
            (Step::Poll, _) => poll(world),
            _ => {}
        }
    }
    poll(world);
}

proptest! {
    #[test]
    fn with_a_log_every_start_and_end_is_counted_once(steps in steps()) {
        let (mut world, mut ledger) = (World::new(), Ledger::default());
        world.poll(&mut ledger, true);
        play(&mut world, &steps, |world| world.poll(&mut ledger, true));
        let account = account(&ledger);
        prop_assert_eq!(account.restarts, world.starts.saturating_sub(1));
        for reason in Reason::ALL {
            let ends = world.ends.iter().filter(|end| **end == reason).count() as u64;
            prop_assert_eq!(account.counts().exits(reason), ends, "{:?}", reason);
        }
    }

    /// The log may run ahead of the poll by any number of events: it is read later.
    #[test]
    fn what_happens_between_poll_and_log_is_counted_once(
        steps in steps(),
        between in prop::collection::vec(steps(), 1..4),
    ) {
        let (mut world, mut ledger) = (World::new(), Ledger::default());
        world.poll(&mut ledger, true);
        let mut between = between.into_iter().cycle();
        play(&mut world, &steps, |world| {
            let stale = world.info();
            if let Some(steps) = between.next() {
                play(world, &steps, |_| {});
            }
            ledger.settle(&[stale], Some(std::mem::take(&mut world.log)));
        });
        prop_assert_eq!(account(&ledger).restarts, world.starts.saturating_sub(1));
        prop_assert_eq!(account(&ledger).exits.iter().sum::<u64>(), world.ends.len() as u64);
    }

    #[test]
    fn without_a_log_nothing_is_counted_too_often(steps in steps()) {
        let (mut world, mut ledger) = (World::new(), Ledger::default());
        world.poll(&mut ledger, false);
        play(&mut world, &steps, |world| world.poll(&mut ledger, false));
        let account = account(&ledger);
        prop_assert!(account.restarts <= world.starts.saturating_sub(1));
        prop_assert!(account.exits.iter().sum::<u64>() <= world.ends.len() as u64);
    }
}
