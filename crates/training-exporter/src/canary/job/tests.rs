use std::path::Path;

use super::*;

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_secs(90);

fn command(script: &str, timeout: Duration) -> Command {
    Command {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        directory: "/".into(),
        timeout,
    }
}

fn start(script: &str, timeout: Duration) -> Job {
    Job::start(&command(script, timeout), None, 7.0).expect("a process")
}

fn finish(mut job: Job) -> Attempt {
    let started = Instant::now();
    loop {
        if let Some(attempt) = job.look(9.0) {
            return attempt;
        }
        assert!(started.elapsed() < PATIENCE, "it never ended");
        sleep(Duration::from_millis(5));
    }
}

fn run(script: &str) -> Attempt {
    finish(start(script, PATIENCE))
}

fn error(attempt: &Attempt) -> &str {
    attempt.run.error.as_deref().expect("an error")
}

/// Waits until nothing of the group is left but the dead.
fn is_gone(pid: i32) -> bool {
    let started = Instant::now();
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    while is_alive() {
        if started.elapsed() > PATIENCE {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    true
}

fn read_pid(path: &Path) -> i32 {
    let started = Instant::now();
    loop {
        if let Some(pid) = std::fs::read_to_string(path)
            .ok()
            .and_then(|text| text.trim().parse().ok())
        {
            return pid;
        }
        assert!(started.elapsed() < PATIENCE, "no pid in {}", path.display());
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_result_is_what_the_command_prints() {
    let attempt = run("echo loading; echo progress >&2; echo '{\"performance\": 0.75, \"samples\": 20}'");
    assert_eq!(attempt.run.outcome, Outcome::Ok);
    assert_eq!((attempt.run.started_at, attempt.run.ended_at), (7.0, 9.0));
    let result = attempt.result.expect("a result");
    assert_eq!((result.performance, result.timestamp), (0.75, 7.0));
}

#[test]
fn what_goes_wrong_has_a_name_and_the_last_words() {
    let attempt = run("echo '{\"performance\": 1}'; echo first >&2; echo 'no GPU' >&2; exit 3");
    assert_eq!(attempt.run.outcome, Outcome::Failed);
    assert_eq!(error(&attempt), "exit status: 3: no GPU");
    let attempt = run("kill -SEGV $$");
    assert_eq!(attempt.run.outcome, Outcome::Failed);
    assert!(error(&attempt).starts_with("signal: 11"), "{attempt:?}");
    let attempt = run("echo '{\"performance\": NaN}'");
    assert_eq!(attempt.run.outcome, Outcome::Invalid);
    assert!(error(&attempt).contains("\"NaN\""), "{attempt:?}");
    let attempt = run("printf '{\"performance\": 0.'");
    assert_eq!(attempt.run.outcome, Outcome::Invalid);
    let attempt = run("true");
    assert_eq!(attempt.run.outcome, Outcome::Invalid);
}

#[test]
fn a_program_that_is_not_there_is_said() {
    let mut command = command("", PATIENCE);
    command.program = "/nowhere/canary.sh".into();
    let error = Job::start(&command, None, 0.0)
        .map(|_| ())
        .expect_err("no program");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let (child, grandchild) = (folder.path().join("child"), folder.path().join("grandchild"));
    let script = format!(
        "sh -c 'sleep 1000 & echo $! > {}; wait' & echo $! > {}; sleep 1000",
        grandchild.display(),
        child.display()
    );
    let job = start(&script, Duration::from_millis(300));
    let (child, grandchild) = (read_pid(&child), read_pid(&grandchild));
    let attempt = finish(job);
    assert_eq!(attempt.run.outcome, Outcome::Timeout);
    assert!(
        error(&attempt).starts_with("it took longer than 300ms"),
        "{attempt:?}"
    );
    assert!(is_gone(child) && is_gone(grandchild));
}

#[test]
fn one_that_does_not_heed_sigterm_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!(
        "trap '' TERM; echo $$ > {}; while :; do sleep 1000; done",
        file.display()
    );
    let mut job = start(&script, PATIENCE);
    let pid = read_pid(&file);
    job.deadline = Instant::now();
    assert!(job.look(9.0).is_none());
    // Nobody has to wait for its time to be over.
    job.ending.as_mut().expect("it is ending").kill_at = Instant::now();
    assert_eq!(finish(job).run.outcome, Outcome::Timeout);
    assert!(is_gone(pid));
}

#[test]
fn what_it_leaves_behind_ends_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!(
        "sleep 1000 & echo $! > {}; echo '{{\"performance\": 1}}'",
        file.display()
    );
    let attempt = finish(start(&script, PATIENCE));
    assert_eq!(attempt.run.outcome, Outcome::Ok);
    assert!(is_gone(read_pid(&file)));
}

#[test]
fn a_flood_ends_early_and_takes_no_memory() {
    let mut job = start("yes canary", PATIENCE);
    let started = Instant::now();
    let attempt = loop {
        let ended = job.look(9.0);
        assert!(job.output.len() <= MOST_OUTPUT + 1 && job.tail.len() <= TAIL);
        if let Some(attempt) = ended {
            break attempt;
        }
        assert!(started.elapsed() < PATIENCE, "it never ended");
    };
    assert_eq!(attempt.run.outcome, Outcome::TooLarge);
    assert_eq!(error(&attempt), "it printed more than 1 MiB");
}

#[test]
fn a_flood_of_errors_hinders_no_result() {
    let attempt = run("yes | head -c 5000000 >&2; echo last >&2; echo '{\"performance\": 1}'");
    assert_eq!(attempt.run.outcome, Outcome::Ok, "{attempt:?}");
}

#[test]
fn an_exporter_that_ends_takes_it_along() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!(
        "trap '' TERM; sleep 1000 & echo $! > {}; wait; sleep 1000",
        file.display()
    );
    let job = start(&script, PATIENCE);
    let pid = read_pid(&file);
    job.end();
    assert!(is_gone(pid));
}
