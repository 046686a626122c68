//! Against a real supervisord: the program `supervisord` on the PATH, which `make test` provides.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use exporter::testing::{self, Running};
use supervisor::testing::{Supervisord, eventually};
use supervisor::{ProcessInfo, ProcessState};

use rustix::process::{Pid, Signal, kill_process};

const EXPORTER: &str = env!("CARGO_BIN_EXE_worker-exporter");

/// Lives for a moment, ends with 9, and notes every start.
const LOOP: &str = "[program:loop]\ncommand=sh -c 'echo x >> {folder}/starts; sleep 0.2; exit 9'\n\
    autostart=false\nstartsecs=0\nautorestart=true\n";

const STEADY: &str = "[program:steady]\ncommand=sleep 1000\nstartsecs=0\nstopwaitsecs=2\n";

fn watch(supervisord: &Supervisord) -> Running {
    Running::start(EXPORTER, &["--supervisor.url", &supervisord.url()])
}

/// An exporter with a configuration file of these lines in one `[[source]]`.
fn watch_with(supervisord: &Supervisord, lines: &str) -> Running {
    let path = supervisord.folder().join("workers.toml");
    let folder = supervisord.folder().display().to_string();
    let text = format!("[[source]]\nurl = \"{}\"\n{lines}\n", supervisord.url());
    fs::write(&path, text.replace("{folder}", &folder)).expect("write the configuration");
    Running::start(EXPORTER, &["--config.file", path.to_str().expect("UTF-8")])
}

fn series(name: &str, worker: &str) -> String {
    format!("brain_worker_{name}{{worker=\"{worker}\"}}")
}

fn value(page: &str, name: &str, worker: &str) -> Option<f64> {
    testing::value(page, &series(name, worker))
}

fn labelled(page: &str, name: &str, worker: &str, label: &str, text: &str) -> Option<f64> {
    testing::value(
        page,
        &format!("brain_worker_{name}{{worker=\"{worker}\",{label}=\"{text}\"}}"),
    )
}

fn exits(page: &str, worker: &str, reason: &str) -> Option<f64> {
    labelled(page, "exits_total", worker, "reason", reason)
}

fn source_up(page: &str, supervisord: &Supervisord) -> Option<f64> {
    testing::value(
        page,
        &format!("brain_worker_source_up{{source=\"{}\"}}", supervisord.url()),
    )
}

/// The first page that has what is looked for.
fn page_with(running: &Running, what: &str, accept: impl Fn(&str) -> bool) -> String {
    eventually(what, || Some(running.metrics()).filter(|page| accept(page)))
}

fn start(supervisord: &Supervisord, name: &str) {
    supervisord
        .call(async |client| client.start_process(name, false).await)
        .expect("start");
}

fn stop(supervisord: &Supervisord, name: &str) {
    supervisord
        .call(async |client| client.stop_process(name, true).await)
        .expect("stop");
}

fn runs(info: &ProcessInfo) -> bool {
    info.state == ProcessState::Running
}

/// Lets the loop run for a while, stops it, and compares what was counted with what happened.
fn a_crash_loop_is_counted_exactly(supervisord: &Supervisord, running: &Running, method: &str) {
    page_with(running, "the loop before its first start", |page| {
        value(page, "restart_count", "loop") == Some(0.0)
    });
    start(supervisord, "loop");
    let starts =
        || fs::read_to_string(supervisord.folder().join("starts")).map_or(0, |text| text.lines().count());
    eventually("8 starts", || (starts() >= 8).then_some(()));
    // Ends with the state EXITED, too: then there is nothing to stop.
    eventually("the end of the loop", || {
        supervisord
            .call(async |client| client.stop_process("loop", true).await)
            .ok()
    });
    supervisord.wait_for("loop", |info| info.state == ProcessState::Stopped);
    let starts = starts() as f64;
    let page = page_with(running, "the stopped loop", |page| {
        labelled(page, "state", "loop", "state", "STOPPED") == Some(1.0)
    });
    // The shell may have been killed before it could note its start.
    let restarts = value(&page, "restart_count", "loop").expect("a count");
    assert!(
        (starts - 1.0..=starts).contains(&restarts),
        "{restarts} restarts of {starts} starts"
    );
    let all = exits(&page, "loop", "exit_code").expect("a count")
        + exits(&page, "loop", "stopped").expect("a count");
    assert_eq!(Some(all), Some(restarts + 1.0), "every start has its end");
    assert_eq!(exits(&page, "loop", "stopped"), Some(1.0));
    assert_eq!(
        labelled(&page, "restart_source_info", "loop", "method", method),
        Some(1.0)
    );
}

#[test]
fn a_crash_loop_by_the_log_file() {
    let supervisord = Supervisord::start(LOOP);
    let running = watch_with(&supervisord, "log = \"{folder}/supervisord.log\"");
    a_crash_loop_is_counted_exactly(&supervisord, &running, "log_file");
}

#[test]
fn a_crash_loop_by_the_log_through_the_interface() {
    let supervisord = Supervisord::start(LOOP);
    a_crash_loop_is_counted_exactly(&supervisord, &watch(&supervisord), "log_rpc");
}

#[test]
fn a_crash_loop_over_rotations_of_the_log() {
    let supervisord = Supervisord::start_with("logfile_maxbytes=600\nlogfile_backups=5", LOOP);
    let running = watch_with(&supervisord, "log = \"{folder}/supervisord.log\"");
    a_crash_loop_is_counted_exactly(&supervisord, &running, "log_file");
    assert!(
        supervisord.folder().join("supervisord.log.2").exists(),
        "it was rotated"
    );
}

#[test]
fn without_a_log_restarts_are_counted_from_polls() {
    let supervisord = Supervisord::start_with("logfile=/dev/null\nlogfile_maxbytes=0", STEADY);
    let running = watch_with(&supervisord, "log = \"/nonexistent/supervisord.log\"");
    let before = supervisord.wait_for("steady", runs).pid;
    page_with(&running, "the first count", |page| {
        value(page, "restart_count", "steady") == Some(0.0)
    });
    kill(before, Signal::KILL);
    let page = page_with(&running, "a restart", |page| {
        value(page, "restart_count", "steady") == Some(1.0)
    });
    assert_eq!(
        labelled(&page, "restart_source_info", "steady", "method", "poll"),
        Some(1.0)
    );
    let ends: f64 = ["signal", "unknown"]
        .iter()
        .filter_map(|reason| exits(&page, "steady", reason))
        .sum();
    assert_eq!((ends, exits(&page, "steady", "sigkill")), (1.0, Some(0.0)));
}

fn kill(pid: Option<u32>, signal: Signal) {
    let pid = pid
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("kill");
}

#[test]
fn a_worker_killed_by_a_signal() {
    let supervisord = Supervisord::start(STEADY);
    let running = watch(&supervisord);
    let first = supervisord.wait_for("steady", runs).pid;
    page_with(&running, "the running worker", |page| {
        value(page, "status", "steady") == Some(1.0)
    });
    assert_eq!(value(&running.metrics(), "last_exit_code", "steady"), None);
    kill(first, Signal::KILL);
    let page = page_with(&running, "a restart", |page| {
        value(page, "restart_count", "steady") == Some(1.0)
    });
    assert_eq!(exits(&page, "steady", "sigkill"), Some(1.0));
    assert_eq!(value(&page, "last_exit_code", "steady"), Some(137.0));
    let second = supervisord
        .wait_for("steady", |info| runs(info) && info.pid != first)
        .pid;
    kill(second, Signal::ABORT);
    let page = page_with(&running, "a second restart", |page| {
        value(page, "restart_count", "steady") == Some(2.0)
    });
    assert_eq!(
        (
            exits(&page, "steady", "sigabrt"),
            exits(&page, "steady", "sigkill")
        ),
        (Some(1.0), Some(1.0))
    );
}

#[test]
fn a_worker_that_never_gets_up_and_one_without_a_command() {
    let supervisord = Supervisord::start(
        "[program:quick]\ncommand=sh -c 'exit 7'\nstartretries=1\nautostart=false\n\
         [program:missing]\ncommand=/nonexistent/program\nstartretries=1\n",
    );
    let running = watch(&supervisord);
    page_with(&running, "the first count", |page| {
        exits(page, "quick", "exit_code") == Some(0.0)
    });
    let _ = supervisord.call(async |client| client.start_process("quick", false).await);
    let is_fatal = |page: &str, worker| labelled(page, "state", worker, "state", "FATAL") == Some(1.0);
    let page = page_with(&running, "both are given up", |page| {
        is_fatal(page, "quick") && is_fatal(page, "missing")
    });
    // supervisord's interface says 0.
    assert_eq!(value(&page, "last_exit_code", "quick"), Some(7.0));
    assert_eq!(
        (
            exits(&page, "quick", "exit_code"),
            exits(&page, "quick", "gave_up")
        ),
        (Some(2.0), Some(1.0))
    );
    assert_eq!(
        (
            value(&page, "restart_count", "quick"),
            value(&page, "status", "quick")
        ),
        (Some(1.0), Some(0.0))
    );
    assert_eq!(
        (
            value(&page, "last_exit_code", "missing"),
            value(&page, "restart_count", "missing")
        ),
        (None, Some(0.0))
    );
    for name in ["memory_bytes", "uptime_seconds", "threads", "open_fds"] {
        assert_eq!(value(&page, name, "missing"), None, "{name}");
    }
}

#[test]
fn a_worker_stopped_and_started_by_hand() {
    let supervisord = Supervisord::start(STEADY);
    let running = watch(&supervisord);
    supervisord.wait_for("steady", runs);
    let page = page_with(&running, "the running worker", |page| {
        value(page, "memory_bytes", "steady").is_some()
    });
    assert!(value(&page, "uptime_seconds", "steady").is_some_and(|seconds| seconds >= 0.0));
    stop(&supervisord, "steady");
    let page = running.metrics();
    assert_eq!(labelled(&page, "state", "steady", "state", "STOPPED"), Some(1.0));
    assert_eq!(
        (
            value(&page, "status", "steady"),
            exits(&page, "steady", "stopped")
        ),
        (Some(0.0), Some(1.0))
    );
    for name in ["memory_bytes", "uptime_seconds", "threads", "open_fds"] {
        assert_eq!(value(&page, name, "steady"), None, "{name}");
    }
    start(&supervisord, "steady");
    let page = page_with(&running, "the start", |page| {
        value(page, "status", "steady") == Some(1.0)
    });
    assert_eq!(value(&page, "restart_count", "steady"), Some(1.0));
}

/// Field of a process's `stat`, numbered as in `proc_pid_stat(5)`.
fn stat(pid: u32, field: usize) -> u64 {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let rest = line.rsplit_once(')').expect("a name").1;
    rest.split_ascii_whitespace()
        .nth(field - 3)
        .expect("the field")
        .parse()
        .expect("a number")
}

fn tree(root: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("proc").flatten();
    let pids: Vec<u32> = all
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let parent = |pid: u32| fs::metadata(format!("/proc/{pid}")).is_ok().then(|| stat(pid, 4));
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(above) = tree.get(next).copied() {
        tree.extend(pids.iter().filter(|pid| parent(**pid) == Some(u64::from(above))));
        next += 1;
    }
    tree
}

#[test]
fn memory_and_cpu_time_of_a_tree_agree_with_proc() {
    // Works for a while with children that come and go, then rests with two that stay.
    let supervisord = Supervisord::start(
        "[program:tree]\nstartsecs=0\nstopwaitsecs=1\nstopasgroup=true\nautostart=false\n\
         command=sh -c 'for n in 1 2 3 4 5 6; do sh -c \"i=0; while [ \\$i -lt 150000 ]; do i=\\$((i+1)); done\"; done; \
         sleep 1000 & sleep 1000 & touch {folder}/rested; wait'\n",
    );
    let running = watch(&supervisord);
    page_with(&running, "the worker", |page| {
        value(page, "status", "tree") == Some(0.0)
    });
    start(&supervisord, "tree");
    let mut last = 0.0;
    eventually("the rest", || {
        if let Some(seconds) = value(&running.metrics(), "cpu_seconds_total", "tree") {
            assert!(seconds >= last, "{seconds} after {last}");
            last = seconds;
        }
        supervisord.folder().join("rested").exists().then_some(())
    });
    let root = supervisord.wait_for("tree", runs).pid.expect("a process");
    let pids = eventually("two children", || Some(tree(root)).filter(|pids| pids.len() == 3));
    let page = page_with(&running, "three processes", |page| {
        value(page, "threads", "tree") == Some(3.0)
    });

    let ticks: u64 = pids
        .iter()
        .flat_map(|pid| [14, 15, 16, 17].map(|field| stat(*pid, field)))
        .sum();
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    let counted = value(&page, "cpu_seconds_total", "tree").expect("CPU time");
    assert!(seconds > 0.2, "the children took time: {seconds}");
    assert!(
        (counted - seconds).abs() < 0.05,
        "{counted} counted, {seconds} in /proc"
    );

    let resident = |pid: &u32| {
        let pages = fs::read_to_string(format!("/proc/{pid}/statm")).expect("statm");
        pages
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse::<u64>().ok())
            .expect("pages")
    };
    let files = |pid: &u32| fs::read_dir(format!("/proc/{pid}/fd")).expect("fd").count();
    // A child that was just made is a copy of its parent until it begins its own program.
    eventually("memory and open files that agree", || {
        let bytes = pids.iter().map(resident).sum::<u64>() as f64 * rustix::param::page_size() as f64;
        let open = pids.iter().map(files).sum::<usize>() as f64;
        let page = running.metrics();
        let measured = value(&page, "memory_bytes", "tree").expect("memory");
        let agrees =
            (measured - bytes).abs() <= 0.02 * bytes && value(&page, "open_fds", "tree") == Some(open);
        agrees.then_some(())
    });
}

#[test]
fn a_hung_supervisord_hides_no_other() {
    let (hung, fine) = (Supervisord::start(STEADY), Supervisord::start(LOOP));
    let running = Running::start(
        EXPORTER,
        &["--supervisor.url", &hung.url(), "--supervisor.url", &fine.url()],
    );
    page_with(&running, "both", |page| {
        source_up(page, &hung) == Some(1.0) && source_up(page, &fine) == Some(1.0)
    });
    hung.signal(Signal::STOP);
    for _ in 0..2 {
        let page = running.metrics();
        assert_eq!(
            (source_up(&page, &hung), source_up(&page, &fine)),
            (Some(0.0), Some(1.0))
        );
        let success = r#"worker_exporter_collector_success{collector="supervisor"}"#;
        assert_eq!(
            testing::value(&page, success),
            Some(0.0),
            "a silent source is a failure"
        );
        assert_eq!(
            (value(&page, "status", "steady"), value(&page, "status", "loop")),
            (None, Some(0.0))
        );
    }
    hung.signal(Signal::CONT);
    let page = page_with(&running, "an answer", |page| source_up(page, &hung) == Some(1.0));
    assert_eq!(value(&page, "restart_count", "steady"), Some(0.0));
}

#[test]
fn a_supervisord_that_is_killed_and_comes_back() {
    let mut supervisord = Supervisord::start(STEADY);
    let running = watch(&supervisord);
    page_with(&running, "the worker", |page| {
        value(page, "memory_bytes", "steady").is_some()
    });
    supervisord.kill();
    let page = running.metrics();
    assert_eq!(
        (source_up(&page, &supervisord), value(&page, "status", "steady")),
        (Some(0.0), None)
    );
    fs::remove_file(supervisord.socket()).expect("remove the socket");
    assert_eq!(source_up(&running.metrics(), &supervisord), Some(0.0));
    supervisord.start_again();
    let page = page_with(&running, "the new worker", |page| {
        value(page, "memory_bytes", "steady").is_some()
    });
    assert_eq!(
        (
            value(&page, "restart_count", "steady"),
            exits(&page, "steady", "unknown")
        ),
        (Some(1.0), Some(1.0))
    );
}

#[test]
fn processes_of_another_machine_are_not_looked_up_here() {
    let supervisord = Supervisord::start(STEADY);
    supervisord.wait_for("steady", runs);
    let elsewhere = tempfile::tempdir().expect("folder");
    let procfs = elsewhere.path().to_str().expect("UTF-8");
    let page = testing::once(
        EXPORTER,
        &["--supervisor.url", &supervisord.url(), "--path.procfs", procfs],
    );
    assert_eq!(value(&page, "status", "steady"), Some(1.0));
    for name in ["memory_bytes", "cpu_seconds_total", "threads", "open_fds"] {
        assert_eq!(value(&page, name, "steady"), None, "{name}");
    }
}

#[test]
fn torn_answers_and_web_pages_are_a_source_that_is_down() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, kind, body) in [
        (
            "torn",
            "text/xml",
            "<methodResponse><params><param><value><array>",
        ),
        ("page", "text/html", "<html></html>"),
    ] {
        let socket = folder.path().join(name);
        let listener = UnixListener::bind(&socket).expect("bind");
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let length = body.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
                let mut chunk = [0; 4096];
                while stream.read(&mut chunk).is_ok_and(|read| read > 0) {
                    if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        let url = format!("unix://{}", socket.display());
        let page = Running::start(EXPORTER, &["--supervisor.url", &url]).metrics();
        assert_eq!(
            testing::value(&page, &format!("brain_worker_source_up{{source=\"{url}\"}}")),
            Some(0.0)
        );
    }
}

#[test]
fn the_configuration_is_read_again() {
    let supervisord = Supervisord::start(&format!("{STEADY}{LOOP}"));
    let running = watch_with(&supervisord, "match = [\"steady\"]");
    supervisord.wait_for("steady", runs);
    kill(supervisord.wait_for("steady", runs).pid, Signal::KILL);
    let page = page_with(&running, "a restart", |page| {
        value(page, "restart_count", "steady") == Some(1.0)
    });
    assert_eq!(value(&page, "status", "loop"), None);

    let path = supervisord.folder().join("workers.toml");
    let good = fs::read_to_string(&path).expect("configuration");
    fs::write(&path, good.replace("match", "mtach")).expect("write");
    running.signal(testing::Signal::HUP);
    let failed =
        |page: &str| testing::value(page, "worker_exporter_config_last_reload_successful") == Some(0.0);
    let page = page_with(&running, "the refusal", failed);
    assert_eq!(
        value(&page, "restart_count", "steady"),
        Some(1.0),
        "the last good one is kept"
    );

    fs::write(&path, good.replace("steady", "*")).expect("write");
    running.signal(testing::Signal::HUP);
    let page = page_with(&running, "the other worker", |page| {
        value(page, "status", "loop").is_some()
    });
    assert_eq!(
        value(&page, "restart_count", "steady"),
        Some(1.0),
        "the counters are kept"
    );
}

#[test]
fn heartbeats_are_the_times_of_files() {
    let supervisord = Supervisord::start(&format!("{STEADY}{LOOP}"));
    let running = watch_with(&supervisord, "heartbeat = \"{folder}/{worker}.heartbeat\"");
    let file = fs::File::create(supervisord.folder().join("steady.heartbeat")).expect("create");
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000))
        .expect("set the time");
    let page = page_with(&running, "both workers", |page| {
        value(page, "status", "loop").is_some()
    });
    assert_eq!(
        value(&page, "last_heartbeat_timestamp_seconds", "steady"),
        Some(1_700_000_000.0)
    );
    assert_eq!(value(&page, "last_heartbeat_timestamp_seconds", "loop"), None);
}

#[test]
fn a_source_that_shows_none_hides_no_other() {
    let (first, second) = (Supervisord::start(STEADY), Supervisord::start(LOOP));
    let further = format!("match = [\"nothing_*\"]\n[[source]]\nurl = \"{}\"", second.url());
    let running = watch_with(&first, &further);
    let page = page_with(&running, "the second source", |page| {
        source_up(page, &second) == Some(1.0)
    });
    assert_eq!(value(&page, "status", "steady"), None);
    assert_eq!(value(&page, "status", "loop"), Some(0.0), "{page}");
}

#[test]
fn the_page_is_as_promised() {
    let supervisord = Supervisord::start(&format!(
        "{STEADY}{LOOP}[program:fatal]\ncommand=sh -c 'exit 7'\nstartretries=0\n\
         [program:shared]\ncommand=sleep 1000\nautostart=false\n[group:a]\nprograms=shared\n[group:b]\nprograms=shared\n\
         [program:other]\ncommand=sleep 1000\n"
    ));
    supervisord.wait_for("steady", runs);
    supervisord.wait_for("fatal", |info| info.state == ProcessState::Fatal);
    let flags = [
        "--supervisor.url",
        &supervisord.url(),
        "--worker.match",
        "steady,loop,fatal,a:*,b:*",
    ];
    let page = testing::once(EXPORTER, &flags);
    testing::lint(&page, &["brain_worker_restart_count"]);
    for name in ["memory_bytes", "uptime_seconds", "cpu_seconds_total", "open_fds"] {
        assert!(value(&page, name, "steady").is_some(), "{name}");
    }
    let moving = ["memory_bytes", "uptime_seconds", "cpu_seconds_total", "open_fds"];
    let lasting = |line: &&str| {
        !moving
            .iter()
            .any(|name| line.starts_with(&format!("brain_worker_{name}{{")))
    };
    let page = page.lines().filter(lasting).collect::<Vec<_>>().join("\n");
    let page = page.replace(&supervisord.folder().display().to_string(), "/run");
    testing::assert_golden(
        &page,
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/supervisord.prom"),
    );
}

#[test]
fn what_cannot_be_started_says_why() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("workers.toml");
    fs::write(&path, "[[source]]\nurl = \"unix:///run/s.sock\"\nlgo = \"x\"\n").expect("write");
    let path = path.to_str().expect("UTF-8");
    for (flags, expected) in [
        (
            vec!["--config.file", path],
            format!("{path}:3: unknown field `lgo`"),
        ),
        (
            vec!["--config.file", path, "--supervisor.url", "unix:///s"],
            "exclude each other".to_owned(),
        ),
        (
            vec!["--supervisor.url", "/run/s.sock"],
            "--supervisor.url: \"/run/s.sock\" has no scheme".to_owned(),
        ),
        (
            vec!["--supervisor.url", "unix:///s,unix://user:password@/s"],
            "--supervisor.url: unix:///s is given twice".to_owned(),
        ),
    ] {
        let output = std::process::Command::new(EXPORTER)
            .args(&flags)
            .arg("--once")
            .output()
            .expect("run");
        let log = String::from_utf8_lossy(&output.stderr).replace("\\\"", "\"");
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(&expected), "{flags:?}: {log}");
    }
}

#[test]
fn half_open_connections_do_not_disturb_a_scrape() {
    let supervisord = Supervisord::start(STEADY);
    testing::withstands_half_open_connections(&watch(&supervisord));
}
