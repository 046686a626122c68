//! Puts the bridge and vmagent (of the package that missionctl takes victoria-metrics from) through the same outage:
//! the receiver is away for an hour of scrapes, the agent is killed without warning in the middle of it, and both come
//! back. Prints what is missing in the end, how long it took, CPU time and memory. Then pages of 100 000 series, for the
//! bridge alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exporter::testing::{cpu_ticks, free_port, resident_kib};
use lab::eventually;
use prometheus::Prometheus;
use target::{HOUR, Target};
use tempfile::TempDir;

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/remote_write/lab.rs"]
mod lab;
#[path = "../tests/remote_write/prometheus.rs"]
mod prometheus;
#[path = "../tests/remote_write/target.rs"]
mod target;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/remote_write/wire.rs"]
mod wire;

const SERIES: usize = 1_000;
const PACE: &str = "100ms";
/// How long a catch-up may take before the rest counts as lost.
const PATIENCE: Duration = Duration::from_mins(2);

fn main() {
    println!(
        "an hour of {HOUR} scrapes of {SERIES} series without receiver, the agent killed -9 in the middle:"
    );
    outage("pushgateway-bridge", bridge);
    match vmagent() {
        Some(program) => outage("vmagent", move |place| agent(&program, place)),
        None => println!(
            "  vmagent is neither on the PATH nor beside victoria-metrics; `missionctl tools` gets its package"
        ),
    }
    large_pages();
}

/// What an agent is given.
struct Place<'a> {
    folder: &'a Path,
    target: u16,
    receiver: String,
}

struct Agent {
    child: Child,
    most_kib: u32,
}

impl Agent {
    fn start(command: &mut Command) -> Self {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        Self { child, most_kib: 0 }
    }

    fn look(&mut self) {
        self.most_kib = self.most_kib.max(resident_kib(self.child.id()));
    }

    /// Kills it; yields its CPU time in ticks of 10 ms.
    fn kill(&mut self) -> u32 {
        let ticks = cpu_ticks(self.child.id());
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
        ticks
    }
}

fn bridge(place: &Place<'_>) -> Agent {
    let config = format!(
        "machine = \"pc\"\n\n[remote_write]\nurl = \"{}\"\n\n[[target]]\njob = \"lab\"\n\
         url = \"http://127.0.0.1:{}/metrics\"\ninterval = \"{PACE}\"\ntimeout = \"{PACE}\"\n",
        place.receiver, place.target
    );
    let file = place.folder.join("bridge.toml");
    std::fs::write(&file, config).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushgateway-bridge"));
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", place.folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", free_port()));
    Agent::start(&mut command)
}

fn agent(program: &Path, place: &Place<'_>) -> Agent {
    let config = format!(
        "scrape_configs:\n- job_name: lab\n  scrape_interval: {PACE}\n  scrape_timeout: {PACE}\n  static_configs:\n  \
         - targets: ['127.0.0.1:{}']\n",
        place.target
    );
    let file = place.folder.join("scrape.yml");
    std::fs::write(&file, config).expect("written");
    let mut command = Command::new(program);
    command
        .arg(format!("-promscrape.config={}", file.display()))
        .arg(format!("-remoteWrite.url={}", place.receiver))
        .arg(format!(
            "-remoteWrite.tmpDataPath={}",
            place.folder.join("data").display()
        ))
        .arg(format!("-httpListenAddr=127.0.0.1:{}", free_port()));
    Agent::start(&mut command)
}

/// The package has it beside victoria-metrics.
fn vmagent() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let there = |name: &str| {
        folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.exists())
    };
    there("vmagent").or_else(|| {
        let beside = there("victoria-metrics")?
            .canonicalize()
            .ok()?
            .with_file_name("vmagent");
        beside.exists().then_some(beside)
    })
}

fn outage(name: &str, start: impl Fn(&Place<'_>) -> Agent) {
    let target = Target::start(SERIES);
    let mut prometheus = Prometheus::new(Some("1d"));
    prometheus.start();
    let folder = TempDir::new().expect("a folder");
    let place = Place {
        folder: folder.path(),
        target: target.port,
        receiver: prometheus.url(),
    };
    let mut agent = start(&place);
    eventually("samples arrive", || !numbers(&target, &prometheus).is_empty());
    target.wait_for(20);

    prometheus.kill();
    target.wait_for(HOUR / 2);
    agent.look();
    let (mut ticks, mut most_kib) = (agent.kill(), agent.most_kib);
    let mut agent = start(&place);
    target.wait_for(HOUR / 2);
    agent.look();

    prometheus.start();
    let back = Instant::now();
    let away = target.served();
    let mut fresh = None;
    let mut missing;
    loop {
        let there = numbers(&target, &prometheus);
        missing = (0..away).filter(|number| !there.contains(number)).count();
        if fresh.is_none() && there.last().is_some_and(|newest| *newest >= away) {
            fresh = Some(back.elapsed());
        }
        agent.look();
        // One scrape was under way when it was killed.
        if (missing <= 2 && fresh.is_some()) || back.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let caught_up = back.elapsed().as_secs_f64();
    ticks += agent.kill();
    most_kib = most_kib.max(agent.most_kib);
    target.check(&prometheus.samples("lab_value"));
    let fresh = fresh.map_or_else(
        || "never".to_owned(),
        |fresh: Duration| format!("after {:.1} s", fresh.as_secs_f64()),
    );
    let all = if missing <= 2 {
        format!("after {caught_up:.1} s")
    } else {
        "never".to_owned()
    };
    println!(
        "  {name:20} {:7} of {} samples missing; fresh ones {fresh}, the rest {all}; {} ms CPU, {most_kib} KiB",
        missing * SERIES,
        usize::try_from(away).expect("few") * SERIES,
        ticks * 10,
    );
}

fn numbers(target: &Target, prometheus: &Prometheus) -> BTreeSet<i64> {
    target
        .numbers(&prometheus.samples("lab_value{series=\"7\"}"))
        .into_iter()
        .collect()
}

/// What a page of 100 000 series takes, while the receiver is away and while it catches up.
fn large_pages() {
    let target = Target::start(100_000);
    let mut prometheus = Prometheus::new(Some("1d"));
    let folder = TempDir::new().expect("a folder");
    let place = Place {
        folder: folder.path(),
        target: target.port,
        receiver: prometheus.url(),
    };
    let config = format!(
        "machine = \"pc\"\n\n[remote_write]\nurl = \"{}\"\n\n[[target]]\njob = \"lab\"\n\
         url = \"http://127.0.0.1:{}/metrics\"\ninterval = \"3s\"\n",
        place.receiver, place.target
    );
    std::fs::write(folder.path().join("bridge.toml"), config).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushgateway-bridge"));
    command
        .arg(format!(
            "--config.file={}",
            folder.path().join("bridge.toml").display()
        ))
        .arg(format!("--storage.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", free_port()));
    let mut agent = Agent::start(&mut command);
    let watch = |agent: &mut Agent, pages: i64| {
        let until = target.served() + pages;
        eventually("the target is scraped", || {
            agent.look();
            target.served() >= until
        });
    };
    watch(&mut agent, 6);
    let away = agent.most_kib;
    prometheus.start();
    let back = Instant::now();
    watch(&mut agent, 4);
    eventually("the pages arrive", || {
        agent.look();
        numbers(&target, &prometheus).len() >= 9
    });
    let seconds = back.elapsed().as_secs_f64();
    let ticks = agent.kill();
    println!(
        "100 000 series a page: {away} KiB with the receiver away, {} KiB at most, {} pages after {seconds:.1} s, {} ms CPU a page",
        agent.most_kib,
        target.served(),
        i64::from(ticks) * 10 / target.served(),
    );
}
