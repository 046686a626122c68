//! Against an engine of our own on a socket of its own, which answers as Docker 20.10.24 (interface 1.41) does.
//!
//! What was seen there: `kill` comes before `die`, for each signal that is sent, and `stop` after it; `oom` comes before
//! `die`; both ends of the time that `GET /events` is asked for belong to it; a start that fails (no such program)
//! makes no event at all, only an error and an exit code of 127 at a container that is `created`; the own count of
//! restarts begins anew with a start by hand.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exporter::testing::{self, Running};
use supervisor::testing::{Supervisord, eventually};

const EXPORTER: &str = env!("CARGO_BIN_EXE_worker-exporter");

/// What the engine knows.
#[derive(Default)]
struct World {
    /// Name, and `State` as JSON.
    containers: BTreeMap<String, String>,
    /// Time in nanoseconds, container, action, and the exit code or signal.
    events: Vec<(u128, String, String, i64)>,
    requests: Vec<String>,
    broken: bool,
    /// It does not answer for this container.
    hung: Option<String>,
}

struct Engine {
    folder: tempfile::TempDir,
    world: Arc<Mutex<World>>,
}

impl Engine {
    fn start() -> Self {
        let engine = Self {
            folder: tempfile::tempdir().expect("a folder"),
            world: Arc::default(),
        };
        let listener = UnixListener::bind(engine.folder.path().join("engine.sock")).expect("bind");
        let world = Arc::clone(&engine.world);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let world = Arc::clone(&world);
                std::thread::spawn(move || serve(&stream, &world));
            }
        });
        engine
    }

    fn url(&self) -> String {
        format!("docker://{}/engine.sock", self.folder.path().display())
    }

    fn set(&self, name: &str, state: String) {
        self.world
            .lock()
            .expect("world")
            .containers
            .insert(name.to_owned(), state);
    }

    fn happen(&self, name: &str, action: &str, code: i64) {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a time")
            .as_nanos();
        let event = (time, name.to_owned(), action.to_owned(), code);
        self.world.lock().expect("world").events.push(event);
    }

    fn watch(&self, more: &str) -> Running {
        self.watch_by(EXPORTER, more)
    }

    fn watch_by(&self, program: &str, more: &str) -> Running {
        let config = self.folder.path().join("workers.toml");
        fs::write(&config, format!("[[source]]\nurl = \"{}\"\n{more}\n", self.url())).expect("write");
        let root = |folder: &str| self.folder.path().join(folder).display().to_string();
        write(
            &self.folder.path().join("sys/fs/cgroup/cgroup.controllers"),
            "cpu memory pids\n",
        );
        let group = self
            .folder
            .path()
            .join("sys/fs/cgroup/system.slice/docker-1.scope");
        write(&group.join("cgroup.procs"), "31337\n");
        write(&group.join("memory.current"), "4096\n");
        write(&group.join("cpu.stat"), "usage_usec 500000\n");
        write(&group.join("pids.current"), "3\n");
        write(
            &self.folder.path().join("proc/31337/cgroup"),
            "0::/system.slice/docker-1.scope\n",
        );
        let config = config.display().to_string();
        let flags = [
            "--config.file",
            &config,
            "--path.procfs",
            &root("proc"),
            "--path.sysfs",
            &root("sys"),
        ];
        Running::start(program, &flags)
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, text).expect("write");
}

fn runs(started: &str) -> String {
    format!(
        "{{\"Status\":\"running\",\"Running\":true,\"Pid\":31337,\"ExitCode\":0,\"OOMKilled\":false,\
         \"StartedAt\":\"{started}\",\"FinishedAt\":\"0001-01-01T00:00:00Z\",\"Health\":{{\"Status\":\"healthy\"}}}}"
    )
}

fn ended(started: &str, code: i64) -> String {
    format!(
        "{{\"Status\":\"exited\",\"Running\":false,\"Pid\":0,\"ExitCode\":{code},\"OOMKilled\":false,\
         \"StartedAt\":\"{started}\",\"FinishedAt\":\"2026-11-22T11:00:00Z\"}}"
    )
}

const FIRST: &str = "2026-11-22T10:00:00.5Z";
const LATER: &str = "2026-11-22T10:30:00.5Z";

fn serve(stream: &UnixStream, world: &Mutex<World>) {
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut header = String::new();
        while reader.read_line(&mut header).unwrap_or(0) > 2 {
            header.clear();
        }
        let is_hung = |world: &World| {
            world
                .hung
                .as_ref()
                .is_some_and(|name| line.contains(&format!("id-{name}/")))
        };
        while is_hung(&world.lock().expect("world")) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let (status, body) = answer(line.trim(), &mut world.lock().expect("world"));
        let head = format!(
            "HTTP/1.1 {status} \r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if writer.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(request: &str, world: &mut World) -> (u16, String) {
    let target = request.split(' ').nth(1).unwrap_or_default();
    world
        .requests
        .push(request.split('?').next().unwrap_or_default().to_owned());
    if target == "/version" {
        return (
            200,
            "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\"}".to_owned(),
        );
    }
    if world.broken {
        return (500, "{\"message\":\"out of order\"}".to_owned());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix("/v1.41").unwrap_or(path);
    if path == "/containers/json" {
        let rows = world.containers.iter().map(|(name, state)| {
            let status = state.split('"').nth(3).unwrap_or_default();
            format!(
                "{{\"Id\":\"id-{name}\",\"Names\":[\"/{name}\"],\"State\":\"{status}\",\
                 \"Labels\":{{\"com.docker.compose.project\":\"brain\"}}}}"
            )
        });
        return (200, format!("[{}]", rows.collect::<Vec<_>>().join(",")));
    }
    if path == "/events" {
        let limit = |key: &str| -> Option<u128> {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(key))?;
            let (seconds, rest) = value.split_once('.')?;
            Some(seconds.parse::<u128>().ok()? * 1_000_000_000 + rest.parse::<u128>().ok()?)
        };
        let (since, until) = (limit("since=").expect("since"), limit("until=").expect("until"));
        let events = world
            .events
            .iter()
            .filter(|(time, ..)| (since..=until).contains(time));
        let events = events.map(|(time, name, action, code)| {
            format!(
                "{{\"Type\":\"container\",\"Action\":\"{action}\",\"timeNano\":{time},\
                 \"Actor\":{{\"ID\":\"id-{name}\",\"Attributes\":{{\"name\":\"{name}\",\"exitCode\":\"{code}\",\"signal\":\"{code}\"}}}}}}\n"
            )
        });
        return (200, events.collect());
    }
    let name = path
        .strip_prefix("/containers/id-")
        .and_then(|rest| rest.strip_suffix("/json"));
    match name.and_then(|name| world.containers.get(name)) {
        Some(state) => (
            200,
            format!("{{\"Id\":\"x\",\"RestartCount\":0,\"State\":{state}}}"),
        ),
        None => (404, "{\"message\":\"no such container\"}".to_owned()),
    }
}

fn value(page: &str, name: &str, worker: &str) -> Option<f64> {
    testing::value(page, &format!("brain_worker_{name}{{worker=\"{worker}\"}}"))
}

fn labelled(page: &str, name: &str, worker: &str, label: &str) -> Option<f64> {
    testing::value(
        page,
        &format!("brain_worker_{name}{{worker=\"{worker}\",{label}}}"),
    )
}

fn exits(page: &str, worker: &str, reason: &str) -> Option<f64> {
    labelled(page, "exits_total", worker, &format!("reason=\"{reason}\""))
}

fn page_with(running: &Running, what: &str, accept: impl Fn(&str) -> bool) -> String {
    eventually(what, || Some(running.metrics()).filter(|page| accept(page)))
}

#[test]
fn a_running_container_with_what_its_cgroup_says() {
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    engine.set("other", runs(FIRST));
    let running = engine.watch("match = [\"work*\"]");
    let page = page_with(&running, "the container", |page| {
        value(page, "status", "worker") == Some(1.0)
    });
    assert_eq!(value(&page, "memory_bytes", "worker"), Some(4096.0));
    assert_eq!(value(&page, "cpu_seconds_total", "worker"), Some(0.5));
    assert_eq!(value(&page, "threads", "worker"), Some(3.0));
    assert_eq!(value(&page, "healthy", "worker"), Some(1.0));
    assert_eq!(value(&page, "restart_count", "worker"), Some(0.0));
    assert_eq!(value(&page, "last_exit_code", "worker"), None);
    assert!(value(&page, "uptime_seconds", "worker").is_some());
    let info = format!(
        "brain_worker_info{{worker=\"worker\",source=\"{}\",group=\"brain\"}}",
        engine.url()
    );
    assert_eq!(testing::value(&page, &info), Some(1.0));
    assert!(!page.contains("\"other\""), "{page}");
    let world = engine.world.lock().expect("world");
    assert!(
        world.requests.iter().all(|request| request.starts_with("GET ")),
        "{:?}",
        world.requests
    );
    assert!(
        !world.requests.iter().any(|request| request.contains("id-other")),
        "{:?}",
        world.requests
    );
}

/// A group that nobody is in.
const GROUP: u32 = 31_337;

/// The socket's group is enough, and without it the source says why it is down.
#[test]
fn no_more_than_the_group_of_the_socket_is_needed() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give a file to a group that he is not in.
        return;
    }
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    let folder = engine.folder.path();
    let socket = folder.join("engine.sock");
    std::os::unix::fs::chown(&socket, None, Some(GROUP)).expect("a group");
    let program = folder.join("worker-exporter");
    fs::copy(EXPORTER, &program).expect("copy the program to where everyone may run it");
    for (path, mode) in [(folder, 0o755), (&socket, 0o660)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
    }
    let watch = |groups: &str| {
        let script = folder.join("as-nobody");
        let program = program.display();
        write(
            &script,
            &format!("#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 {groups} {program} \"$@\"\n"),
        );
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("permissions");
        engine.watch_by(script.to_str().expect("UTF-8"), "")
    };
    let running = watch(&format!("--groups={GROUP}"));
    let page = page_with(&running, "the container", |page| {
        value(page, "status", "worker") == Some(1.0)
    });
    assert_eq!(value(&page, "memory_bytes", "worker"), Some(4096.0));
    drop(running);
    let running = watch("--clear-groups");
    let up = format!("brain_worker_source_up{{source=\"{}\"}}", engine.url());
    page_with(&running, "no permission", |page| {
        testing::value(page, &up) == Some(0.0)
    });
}

#[test]
fn crashes_between_two_looks_are_counted_with_their_reasons() {
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    let running = engine.watch("");
    page_with(&running, "the container", |page| {
        value(page, "restart_count", "worker") == Some(0.0)
    });
    for (before, code) in [("", 7), ("oom", 137), ("", 139), ("kill", 143)] {
        if !before.is_empty() {
            engine.happen("worker", before, 15);
        }
        engine.happen("worker", "die", code);
        engine.happen("worker", "start", 0);
    }
    engine.set("worker", runs(LATER));
    let page = page_with(&running, "four restarts", |page| {
        value(page, "restart_count", "worker") >= Some(4.0)
    });
    assert_eq!(value(&page, "restart_count", "worker"), Some(4.0));
    let reasons = ["exit_code", "oom_kill", "sigsegv", "stopped", "unknown"];
    assert_eq!(
        reasons.map(|reason| exits(&page, "worker", reason)),
        [Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(0.0)]
    );
    assert_eq!(value(&page, "last_exit_code", "worker"), Some(143.0));
}

#[test]
fn an_engine_out_of_order_is_down_until_it_answers_and_a_container_that_ended_stays() {
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    let running = engine.watch("");
    let up = |page: &str| {
        testing::value(
            page,
            &format!("brain_worker_source_up{{source=\"{}\"}}", engine.url()),
        )
    };
    page_with(&running, "the container", |page| up(page) == Some(1.0));
    engine.world.lock().expect("world").broken = true;
    let page = page_with(&running, "the trouble", |page| up(page) == Some(0.0));
    assert_eq!(value(&page, "status", "worker"), None);
    engine.set("worker", ended(FIRST, 3));
    engine.world.lock().expect("world").broken = false;
    let page = page_with(&running, "the end", |page| up(page) == Some(1.0));
    assert_eq!(value(&page, "status", "worker"), Some(0.0));
    assert_eq!(labelled(&page, "state", "worker", "state=\"EXITED\""), Some(1.0));
    assert_eq!(
        (
            exits(&page, "worker", "exit_code"),
            value(&page, "last_exit_code", "worker")
        ),
        (Some(1.0), Some(3.0))
    );
    assert_eq!(value(&page, "healthy", "worker"), None);
}

#[test]
fn a_container_that_the_engine_does_not_tell_about_hides_no_other() {
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    engine.set("hung", runs(FIRST));
    engine.world.lock().expect("world").hung = Some("hung".to_owned());
    let running = engine.watch("");
    let page = page_with(&running, "the containers", |page| {
        value(page, "memory_bytes", "worker") == Some(4096.0)
    });
    assert_eq!(value(&page, "status", "hung"), Some(1.0), "from the list");
    assert_eq!(value(&page, "uptime_seconds", "hung"), None);
    engine.world.lock().expect("world").hung = None;
    page_with(&running, "the other container", |page| {
        value(page, "uptime_seconds", "hung").is_some()
    });
}

#[test]
fn a_start_that_the_engine_could_not_make_is_an_end_without_a_beginning() {
    let engine = Engine::start();
    let created = |code: i64, error: &str| {
        format!(
            "{{\"Status\":\"created\",\"Running\":false,\"Pid\":0,\"ExitCode\":{code},\"Error\":\"{error}\",\
             \"StartedAt\":\"0001-01-01T00:00:00Z\"}}"
        )
    };
    engine.set("worker", created(0, ""));
    let running = engine.watch("");
    let page = page_with(&running, "the container", |page| {
        labelled(page, "state", "worker", "state=\"STOPPED\"") == Some(1.0)
    });
    assert_eq!(value(&page, "last_exit_code", "worker"), None);
    engine.set("worker", created(127, "no such file or directory"));
    let page = page_with(&running, "the error", |page| {
        labelled(page, "state", "worker", "state=\"FATAL\"") == Some(1.0)
    });
    assert_eq!(exits(&page, "worker", "spawn_error"), Some(1.0));
    assert_eq!(value(&page, "last_exit_code", "worker"), Some(127.0));
    assert_eq!(value(&page, "restart_count", "worker"), Some(0.0));
}

#[test]
fn containers_that_nothing_happens_to_are_asked_for_in_turn() {
    let engine = Engine::start();
    let names: Vec<String> = (0..40).map(|number| format!("worker_{number}")).collect();
    for name in &names {
        engine.set(name, runs(FIRST));
    }
    let running = engine.watch("");
    page_with(&running, "all", |page| {
        names
            .iter()
            .all(|name| value(page, "uptime_seconds", name).is_some())
    });
    let begun = engine.world.lock().expect("world").requests.len();
    let asked = |name: &str| {
        let world = engine.world.lock().expect("world");
        let mut later = world.requests[begun..].iter();
        later.any(|request| request.contains(&format!("id-{name}/")))
    };
    eventually("each of them again", || {
        running.metrics();
        names.iter().all(|name| asked(name)).then_some(())
    });
    let world = engine.world.lock().expect("world");
    let later = &world.requests[begun..];
    let count = |text: &str| later.iter().filter(|request| request.contains(text)).count();
    let looks = count("/containers/json");
    let details = count("/containers/id-");
    assert!(details <= (looks + 1) * 8, "{details} in {looks} looks");
}

#[test]
fn a_container_that_is_made_anew_keeps_its_counters() {
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    let running = engine.watch("");
    page_with(&running, "the container", |page| {
        value(page, "status", "worker") == Some(1.0)
    });
    engine.happen("worker", "die", 7);
    engine.world.lock().expect("world").containers.clear();
    page_with(&running, "no container", |page| {
        value(page, "status", "worker").is_none()
    });
    engine.happen("worker", "start", 0);
    engine.set("worker", runs(LATER));
    let page = page_with(&running, "the container again", |page| {
        value(page, "status", "worker") == Some(1.0)
    });
    assert_eq!(value(&page, "restart_count", "worker"), Some(1.0));
    assert_eq!(exits(&page, "worker", "exit_code"), Some(1.0));
}

#[test]
fn a_container_with_a_supervisord_that_is_watched_is_no_worker_itself() {
    let engine = Engine::start();
    engine.set("brain", runs(FIRST));
    let supervisord = Supervisord::start("[program:worker]\ncommand=sleep 1000\nstartsecs=0\n");
    let running = engine.watch(&format!("[[source]]\nurl = \"{}\"", supervisord.url()));
    page_with(&running, "both", |page| {
        ["brain", "worker"]
            .iter()
            .all(|name| value(page, "status", name) == Some(1.0))
    });
    let group = engine
        .folder
        .path()
        .join("sys/fs/cgroup/system.slice/docker-1.scope");
    write(
        &group.join("cgroup.procs"),
        &format!("31337\n{}\n", supervisord.pid()),
    );
    let page = page_with(&running, "its workers alone", |page| {
        value(page, "status", "brain").is_none()
    });
    assert_eq!(value(&page, "status", "worker"), Some(1.0));
}

#[test]
fn the_machines_own_program_of_the_same_name_is_another_worker() {
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    let supervisord = Supervisord::start("[program:worker]\ncommand=sleep 1000\nstartsecs=0\n");
    let config = engine.folder.path().join("workers.toml");
    let sources = format!(
        "[[source]]\nurl = \"{}\"\n[[source]]\nurl = \"{}\"\n",
        engine.url(),
        supervisord.url()
    );
    fs::write(&config, sources).expect("write");
    // The real table of processes: the program can be seen there, and that it is no client of an engine.
    let running = Running::start(EXPORTER, &["--config.file", config.to_str().expect("UTF-8")]);
    let rows = |page: &str| {
        page.lines()
            .filter(|line| line.starts_with("brain_worker_info"))
            .count()
    };
    page_with(&running, "both", |page| rows(page) == 2);
    supervisord.signal(rustix::process::Signal::STOP);
    page_with(&running, "the container alone", |page| rows(page) == 1);
    supervisord.signal(rustix::process::Signal::CONT);
    let page = page_with(&running, "both again", |page| rows(page) == 2);
    for worker in ["brain:worker", "worker:worker"] {
        assert_eq!(value(&page, "status", worker), Some(1.0), "{worker}");
    }
}

#[test]
fn a_container_that_supervisord_starts_is_reported_once() {
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    let supervisord = Supervisord::start("[program:worker]\ncommand=sleep 1000\nstartsecs=0\n");
    let running = engine.watch(&format!("[[source]]\nurl = \"{}\"", supervisord.url()));
    let page = page_with(&running, "the worker", |page| {
        value(page, "status", "worker") == Some(1.0)
    });
    let rows = page.lines().filter(|line| line.starts_with("brain_worker_info"));
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(
        rows[0].contains(&supervisord.url()),
        "supervisord starts it: {rows:?}"
    );
    assert_eq!(
        value(&page, "memory_bytes", "worker"),
        Some(4096.0),
        "of the container"
    );
    assert_eq!(value(&page, "healthy", "worker"), Some(1.0));
}

#[test]
fn a_source_of_which_nothing_is_shown_hides_no_other() {
    let engine = Engine::start();
    engine.set("worker", runs(FIRST));
    let supervisord = Supervisord::start("[program:steady]\ncommand=sleep 1000\nstartsecs=0\n");
    let running = engine.watch(&format!(
        "match = [\"nothing\"]\n[[source]]\nurl = \"{}\"",
        supervisord.url()
    ));
    let page = page_with(&running, "the other source", |page| {
        value(page, "status", "steady") == Some(1.0)
    });
    assert_eq!(value(&page, "status", "worker"), None);
}
