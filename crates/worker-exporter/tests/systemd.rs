//! Against a systemd of our own on a bus of its own: the program `dbus-daemon` and the interface that
//! `org.freedesktop.systemd1(5)` describes, told as systemd 252 tells it.
//!
//! What was seen there: each change is told by two signals, first of the service, then of the unit, with what is true
//! when they are sent, not when it changed. A crash goes through `failed`, then `auto-restart`; `NRestarts` grows while
//! it waits there, before the program begins; the unit is `inactive` once more when the new process is told. A restart
//! too many ends in `failed` with the `Result` of the program's own end, and `NRestarts` has counted it. With `oom-kill`
//! and `watchdog` the unit is `deactivating` before the process is told to be gone, as it is when somebody stops it, but
//! the `Result` is no `success` any more by then.

#![expect(
    clippy::needless_pass_by_value,
    clippy::used_underscore_binding,
    reason = "the macro for interfaces wants arguments by value, and reads all of them"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use exporter::testing::{self, Running};
use rustix::process::Signal;
use supervisor::testing::eventually;
use tokio::runtime::Runtime;
use zbus::Connection;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath};

const EXPORTER: &str = env!("CARGO_BIN_EXE_worker-exporter");
const NAME: &str = "org.freedesktop.systemd1";

type Row = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

/// What is true of a unit.
#[derive(Clone)]
struct Truth {
    active: &'static str,
    sub: &'static str,
    result: &'static str,
    started: u64,
    ended: u64,
    restarts: u32,
    pid: u32,
    code: i32,
    status: i32,
}

const RUNNING: Truth = Truth {
    active: "active",
    sub: "running",
    result: "success",
    started: 1_700_000_000_000_000,
    ended: 0,
    restarts: 0,
    pid: 4242,
    code: 0,
    status: 0,
};

type Units = Arc<Mutex<BTreeMap<String, Truth>>>;

struct Manager(Units, Arc<Mutex<Vec<&'static str>>>);

impl Manager {
    fn rows(&self, method: &'static str, is_wanted: impl Fn(&str) -> bool) -> Vec<Row> {
        self.1.lock().expect("calls").push(method);
        let units = self.0.lock().expect("units");
        let wanted = units.iter().filter(|(name, _)| is_wanted(name));
        wanted
            .map(|(name, truth)| row(name, truth.active, truth.sub, "loaded"))
            .collect()
    }
}

fn row(name: &str, active: &str, sub: &str, load: &str) -> Row {
    let none = || OwnedObjectPath::from(ObjectPath::from_static_str_unchecked("/"));
    let path = ObjectPath::try_from(path_of(name)).expect("a path").into();
    let text = str::to_owned;
    (
        text(name),
        text(name),
        text(load),
        text(active),
        text(sub),
        String::new(),
        path,
        0,
        String::new(),
        none(),
    )
}

fn path_of(unit: &str) -> String {
    let escaped: String = unit
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("_{other:02x}"),
        })
        .collect();
    format!("/org/freedesktop/systemd1/unit/{escaped}")
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {
        self.1.lock().expect("calls").push("Subscribe");
    }

    fn list_units_by_patterns(&self, _states: Vec<String>, patterns: Vec<String>) -> Vec<Row> {
        let fits = |name: &str, pattern: &String| {
            let (start, end) = pattern.split_once('*').expect("a star");
            name.starts_with(start) && name.ends_with(end)
        };
        self.rows("ListUnitsByPatterns", |name| {
            patterns.iter().any(|pattern| fits(name, pattern))
        })
    }

    fn list_units_by_names(&self, names: Vec<String>) -> Vec<Row> {
        let mut rows = self.rows("ListUnitsByNames", |name| {
            names.iter().any(|wanted| wanted == name)
        });
        let units = self.0.lock().expect("units");
        let unknown = names.iter().filter(|name| !units.contains_key(*name));
        rows.extend(unknown.map(|name| row(name, "inactive", "dead", "not-found")));
        rows
    }
}

struct Service(Units, String);

impl Service {
    fn truth(&self) -> Truth {
        self.0.lock().expect("units")[&self.1].clone()
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property)]
    fn result(&self) -> String {
        self.truth().result.to_owned()
    }
    #[zbus(property, name = "NRestarts")]
    fn n_restarts(&self) -> u32 {
        self.truth().restarts
    }
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.truth().pid
    }
    #[zbus(property)]
    fn exec_main_start_timestamp(&self) -> u64 {
        self.truth().started
    }
    #[zbus(property)]
    fn exec_main_exit_timestamp(&self) -> u64 {
        self.truth().ended
    }
    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        self.truth().code
    }
    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        self.truth().status
    }
    #[zbus(property)]
    fn control_group(&self) -> String {
        format!("/system.slice/{}", self.1)
    }
}

/// What a system's bus lets everybody do to systemd, as far as it is needed: nothing else gets through.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=SOCKET</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="org.freedesktop.systemd1"/>
    <allow receive_sender="*"/>
    <allow send_type="signal"/>
    <allow send_type="method_return"/>
    <allow send_type="error"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.systemd1" send_interface="org.freedesktop.systemd1.Manager"
      send_member="Subscribe"/>
    <allow send_destination="org.freedesktop.systemd1" send_interface="org.freedesktop.systemd1.Manager"
      send_member="ListUnitsByPatterns"/>
    <allow send_destination="org.freedesktop.systemd1" send_interface="org.freedesktop.systemd1.Manager"
      send_member="ListUnitsByNames"/>
    <allow send_destination="org.freedesktop.systemd1" send_interface="org.freedesktop.DBus.Properties"
      send_member="GetAll"/>
  </policy>
</busconfig>
"#;

/// A bus and a systemd on it.
struct Systemd {
    folder: tempfile::TempDir,
    units: Units,
    calls: Arc<Mutex<Vec<&'static str>>>,
    runtime: Runtime,
    connection: Option<Connection>,
    bus: Child,
}

impl Systemd {
    fn start(units: &[(&str, Truth)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("bus");
        let config = folder.path().join("bus.conf");
        write(&config, &BUS.replace("SOCKET", &socket.display().to_string()));
        let bus = Command::new("dbus-daemon")
            .args(["--nofork", "--nopidfile", "--config-file"])
            .arg(config)
            .spawn()
            .expect("dbus-daemon; `make test` puts it on the PATH");
        eventually("the bus", || {
            std::os::unix::net::UnixStream::connect(&socket).ok()
        });
        let owned = |(name, truth): &(&str, Truth)| ((*name).to_owned(), truth.clone());
        let mut systemd = Self {
            units: Arc::new(Mutex::new(units.iter().map(owned).collect())),
            calls: Arc::default(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
            connection: None,
            bus,
            folder,
        };
        systemd.serve();
        systemd
    }

    /// Takes its name on the bus, as a new process would.
    fn serve(&mut self) {
        let socket = self.bus_path();
        let (units, calls) = (Arc::clone(&self.units), Arc::clone(&self.calls));
        let names: Vec<String> = units.lock().expect("units").keys().cloned().collect();
        self.connection = Some(self.runtime.block_on(async move {
            let stream = tokio::net::UnixStream::connect(&socket).await.expect("connect");
            let mut builder = zbus::connection::Builder::unix_stream(stream)
                .serve_at("/org/freedesktop/systemd1", Manager(Arc::clone(&units), calls))
                .expect("serve");
            for name in names {
                let service = Service(Arc::clone(&units), name.clone());
                builder = builder.serve_at(path_of(&name), service).expect("serve");
            }
            builder
                .name(NAME)
                .expect("a name")
                .build()
                .await
                .expect("the bus")
        }));
    }

    fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.bus);
        rustix::process::kill_process(pid, signal).expect("signal the bus");
    }

    fn bus_path(&self) -> PathBuf {
        self.folder.path().join("bus")
    }

    fn url(&self) -> String {
        format!("systemd://{}", self.bus_path().display())
    }

    /// Makes something true of a unit and tells it, as systemd does: first the service, then the unit.
    fn tell(&self, unit: &str, truth: &Truth) {
        self.units
            .lock()
            .expect("units")
            .insert(unit.to_owned(), truth.clone());
        let connection = self.connection.clone().expect("served");
        let path = path_of(unit);
        self.runtime.block_on(async move {
            let service: BTreeMap<&str, zbus::zvariant::Value<'_>> = [
                ("Result", truth.result.into()),
                ("NRestarts", truth.restarts.into()),
                ("MainPID", truth.pid.into()),
                ("ExecMainStartTimestamp", truth.started.into()),
                ("ExecMainExitTimestamp", truth.ended.into()),
                ("ExecMainCode", truth.code.into()),
                ("ExecMainStatus", truth.status.into()),
            ]
            .into();
            let state: BTreeMap<&str, zbus::zvariant::Value<'_>> = [
                ("ActiveState", truth.active.into()),
                ("SubState", truth.sub.into()),
            ]
            .into();
            let none: &[&str] = &[];
            let emitter = SignalEmitter::new(&connection, path).expect("a path");
            for (interface, changed) in [("Service", service), ("Unit", state)] {
                let body = (format!("{NAME}.{interface}"), changed, none);
                emitter
                    .emit("org.freedesktop.DBus.Properties", "PropertiesChanged", &body)
                    .await
                    .expect("tell");
            }
        });
    }

    /// The main process ends in this way (`Result`, `ExecMainCode`, `ExecMainStatus`) and is to be started again.
    fn crash(&self, unit: &str, truth: &Truth, (result, code, status): (&'static str, i32, i32)) -> Truth {
        if result == "oom-kill" {
            let stopping = Truth {
                active: "deactivating",
                sub: "stop-sigterm",
                result,
                ..truth.clone()
            };
            self.tell(unit, &stopping);
        }
        let ended = truth.started + 1;
        let failed = Truth {
            active: "failed",
            sub: "failed",
            result,
            ended,
            pid: 0,
            code,
            status,
            ..truth.clone()
        };
        let waiting = Truth {
            active: "activating",
            sub: "auto-restart",
            ..failed.clone()
        };
        let announced = Truth {
            restarts: truth.restarts + 1,
            ..waiting.clone()
        };
        for step in [&failed, &waiting, &announced] {
            self.tell(unit, step);
        }
        announced
    }

    /// The exporter, with a cgroup for each unit.
    fn watch(&self, patterns: &str) -> Running {
        self.watch_by(EXPORTER, patterns)
    }

    fn watch_by(&self, program: &str, patterns: &str) -> Running {
        let config = self.folder.path().join("workers.toml");
        let text = format!("[[source]]\nurl = \"{}\"\nmatch = {patterns}\n", self.url());
        fs::write(&config, text).expect("write the configuration");
        let sys = self.folder.path().join("sys");
        for unit in self.units.lock().expect("units").keys() {
            let group = sys.join("fs/cgroup/system.slice").join(unit);
            write(&group.join("cgroup.procs"), "4242\n");
            write(&group.join("memory.current"), "1048576\n");
            write(&group.join("cpu.stat"), "usage_usec 2500000\n");
            write(&group.join("pids.current"), "7\n");
        }
        write(&sys.join("fs/cgroup/cgroup.controllers"), "cpu memory pids\n");
        let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        Running::start(
            program,
            &["--config.file", &path(&config), "--path.sysfs", &path(&sys)],
        )
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(path, text).expect("write");
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

fn up(page: &str, systemd: &Systemd) -> Option<f64> {
    testing::value(
        page,
        &format!("brain_worker_source_up{{source=\"{}\"}}", systemd.url()),
    )
}

#[test]
fn a_running_unit_with_what_its_cgroup_says() {
    let systemd = Systemd::start(&[("worker@1.service", RUNNING), ("cron.service", RUNNING)]);
    let running = systemd.watch("[\"worker@*.service\", \"missing\"]");
    let page = page_with(&running, "the unit", |page| {
        value(page, "status", "worker@1") == Some(1.0)
    });
    assert_eq!(value(&page, "memory_bytes", "worker@1"), Some(1_048_576.0));
    assert_eq!(value(&page, "cpu_seconds_total", "worker@1"), Some(2.5));
    assert_eq!(value(&page, "threads", "worker@1"), Some(7.0));
    assert_eq!(value(&page, "restart_count", "worker@1"), Some(0.0));
    assert!(value(&page, "uptime_seconds", "worker@1").is_some_and(|seconds| seconds > 1e6));
    assert_eq!(
        labelled(&page, "restart_source_info", "worker@1", "method=\"signals\""),
        Some(1.0)
    );
    assert_eq!(
        labelled(&page, "state", "worker@1", "state=\"RUNNING\""),
        Some(1.0)
    );
    assert!(
        !page.contains("\"cron\"") && !page.contains("\"missing\""),
        "{page}"
    );
    let info = format!(
        "brain_worker_info{{worker=\"worker@1\",source=\"{}\",group=\"worker\"}}",
        systemd.url()
    );
    assert_eq!(testing::value(&page, &info), Some(1.0));
}

#[test]
fn crashes_between_two_looks_are_counted_with_their_reasons() {
    let systemd = Systemd::start(&[("worker.service", RUNNING)]);
    let running = systemd.watch("[\"worker\"]");
    page_with(&running, "the unit", |page| {
        value(page, "restart_count", "worker") == Some(0.0)
    });
    let mut truth = RUNNING;
    for (result, code, status) in [("exit-code", 1, 7), ("oom-kill", 2, 9), ("core-dump", 3, 11)] {
        truth = systemd.crash("worker.service", &truth, (result, code, status));
        truth = Truth {
            started: truth.ended + 1,
            restarts: truth.restarts,
            ..RUNNING
        };
        let dead = Truth {
            active: "inactive",
            sub: "dead",
            ..truth
        };
        systemd.tell("worker.service", &dead);
        systemd.tell("worker.service", &truth);
    }
    let page = page_with(&running, "three restarts", |page| {
        value(page, "restart_count", "worker") == Some(3.0)
    });
    let counted =
        ["exit_code", "oom_kill", "sigsegv", "unknown"].map(|reason| exits(&page, "worker", reason));
    assert_eq!(counted, [Some(1.0), Some(1.0), Some(1.0), Some(0.0)]);
    assert_eq!(value(&page, "last_exit_code", "worker"), Some(139.0));
}

#[test]
fn a_unit_that_systemd_gives_up() {
    let systemd = Systemd::start(&[("worker.service", RUNNING)]);
    let running = systemd.watch("[\"worker\"]");
    page_with(&running, "the unit", |page| {
        value(page, "restart_count", "worker") == Some(0.0)
    });
    let waiting = systemd.crash("worker.service", &RUNNING, ("exit-code", 1, 4));
    for (active, sub) in [("inactive", "dead"), ("failed", "failed"), ("failed", "failed")] {
        systemd.tell(
            "worker.service",
            &Truth {
                active,
                sub,
                ..waiting.clone()
            },
        );
    }
    let page = page_with(&running, "the end", |page| {
        labelled(page, "state", "worker", "state=\"FATAL\"") == Some(1.0)
    });
    let counted = ["exit_code", "gave_up"].map(|reason| exits(&page, "worker", reason));
    assert_eq!(counted, [Some(1.0), Some(1.0)]);
    assert_eq!(value(&page, "restart_count", "worker"), Some(0.0));
}

/// Nobody's program, on a bus that lets through no more than a system's bus does.
#[test]
fn no_permission_is_needed() {
    let systemd = Systemd::start(&[("worker.service", RUNNING)]);
    let program = as_nobody(systemd.folder.path());
    let running = systemd.watch_by(&program, "[\"work*\", \"other\"]");
    let page = page_with(&running, "the unit", |page| {
        value(page, "status", "worker") == Some(1.0)
    });
    assert_eq!(value(&page, "memory_bytes", "worker"), Some(1_048_576.0));
    let before = systemd.crash("worker.service", &RUNNING, ("exit-code", 1, 7));
    systemd.tell(
        "worker.service",
        &Truth {
            started: before.ended + 1,
            restarts: before.restarts,
            ..RUNNING
        },
    );
    page_with(&running, "the signals", |page| {
        exits(page, "worker", "exit_code") == Some(1.0)
    });
}

/// A program that runs the exporter as somebody who owns nothing, where the tests may say so.
fn as_nobody(folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::copy(EXPORTER, path("worker-exporter")).expect("copy the program to where everyone may run it");
    let someone = if rustix::process::geteuid().is_root() {
        "setpriv --reuid=65534 --regid=65534 --clear-groups"
    } else {
        ""
    };
    let script = format!("#!/bin/sh\nexec {someone} {} \"$@\"\n", path("worker-exporter"));
    write(Path::new(&path("as-nobody")), &script);
    for (path, mode) in [
        (path("as-nobody"), 0o755),
        (folder.display().to_string(), 0o755),
        (path("bus"), 0o777),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
    }
    path("as-nobody")
}

#[test]
fn a_unit_that_is_stopped_stays_on_the_page() {
    let systemd = Systemd::start(&[("worker.service", RUNNING)]);
    let running = systemd.watch("[\"work*\"]");
    page_with(&running, "the unit", |page| {
        value(page, "status", "worker") == Some(1.0)
    });
    let stopping = Truth {
        active: "deactivating",
        sub: "stop-sigterm",
        ..RUNNING
    };
    systemd.tell("worker.service", &stopping);
    let ended = RUNNING.started + 5;
    systemd.tell(
        "worker.service",
        &Truth {
            active: "inactive",
            sub: "dead",
            ended,
            pid: 0,
            code: 1,
            ..RUNNING
        },
    );
    let page = page_with(&running, "the end", |page| {
        value(page, "status", "worker") == Some(0.0)
    });
    assert_eq!(labelled(&page, "state", "worker", "state=\"STOPPED\""), Some(1.0));
    assert_eq!(exits(&page, "worker", "stopped"), Some(1.0));
    assert_eq!(value(&page, "uptime_seconds", "worker"), None);
}

#[test]
fn a_bus_without_systemd_is_down_and_what_happened_meanwhile_is_counted() {
    let mut systemd = Systemd::start(&[("worker.service", RUNNING)]);
    let running = systemd.watch("[\"worker\"]");
    page_with(&running, "the unit", |page| up(page, &systemd) == Some(1.0));
    systemd.connection = None;
    let page = page_with(&running, "the loss", |page| up(page, &systemd) == Some(0.0));
    assert_eq!(value(&page, "status", "worker"), None);
    let started = RUNNING.started + 9;
    let truth = Truth {
        started,
        restarts: 4,
        ..RUNNING
    };
    systemd
        .units
        .lock()
        .expect("units")
        .insert("worker.service".to_owned(), truth);
    systemd.serve();
    let page = page_with(&running, "the return", |page| up(page, &systemd) == Some(1.0));
    assert_eq!(value(&page, "restart_count", "worker"), Some(4.0));
    assert_eq!(exits(&page, "worker", "unknown"), Some(4.0));
}

#[test]
fn a_bus_that_hangs_is_down_until_it_goes_on() {
    let systemd = Systemd::start(&[("worker.service", RUNNING)]);
    let running = systemd.watch("[\"worker\"]");
    page_with(&running, "the unit", |page| up(page, &systemd) == Some(1.0));
    systemd.signal(Signal::STOP);
    let page = page_with(&running, "the silence", |page| up(page, &systemd) == Some(0.0));
    assert_eq!(value(&page, "status", "worker"), None);
    systemd.signal(Signal::CONT);
    let page = page_with(&running, "the return", |page| up(page, &systemd) == Some(1.0));
    assert_eq!(value(&page, "restart_count", "worker"), Some(0.0));
}

#[test]
fn nothing_but_reading_is_asked() {
    let systemd = Systemd::start(&[("worker.service", RUNNING)]);
    let running = systemd.watch("[\"worker*\"]");
    for _ in 0..5 {
        page_with(&running, "the unit", |page| {
            value(page, "status", "worker") == Some(1.0)
        });
    }
    let calls = systemd.calls.lock().expect("calls").clone();
    assert_eq!(calls.iter().filter(|call| **call == "Subscribe").count(), 1);
    assert!(
        calls
            .iter()
            .all(|call| ["Subscribe", "ListUnitsByPatterns", "ListUnitsByNames"].contains(call))
    );
}
