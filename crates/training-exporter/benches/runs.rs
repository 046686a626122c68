//! Scrapes 100 runs of 20 tags in which nothing changes, and beside it node_exporter (from the PATH), which reads the very
//! same samples from a text file, in turn. Prints time and CPU time of a scrape, memory, and the ratios; and how long it
//! takes to read all that the runs have written so far, by `--once`. The kernel counts CPU time in ticks of 10 ms, so a
//! round is many scrapes.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exporter::testing::{Running, cpu_ticks, free_port, resident_kib};

const PROGRAM: &str = env!("CARGO_BIN_EXE_training-exporter");
const RUNS: usize = 100;
const TAGS: usize = 20;
const STEPS: usize = 500;
const ROUNDS: usize = 5;
const SCRAPES: usize = 20;

fn main() {
    let scratch = tempfile::tempdir().expect("a folder");
    make(scratch.path());
    let configuration = scratch.path().join("training.toml");
    std::fs::write(&configuration, "runs = [\"runs\"]\n").expect("write");
    let flags = [
        format!("--config.file={}", configuration.display()),
        format!("--storage.path={}", scratch.path().join("data").display()),
    ];
    let began = Instant::now();
    let once = Command::new(PROGRAM)
        .arg("--once")
        .args(&flags)
        .output()
        .expect("run");
    let first = began.elapsed().as_secs_f64() * 1e3;
    let samples = scratch.path().join("samples");
    std::fs::create_dir(&samples).expect("create a folder");
    std::fs::write(samples.join("runs.prom"), runs_only(&once.stdout)).expect("write the samples");

    let ours = Running::start(PROGRAM, &flags.each_ref().map(String::as_str));
    let peer = NodeExporter::start(&samples);
    let programs = [(ours.pid(), ours.address()), (peer.child.id(), peer.address)];
    for (_, address) in programs {
        scrape(address);
    }
    let mut ticks = [0; 2];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (i, (pid, address)) in programs.iter().enumerate() {
            let before = cpu_ticks(*pid);
            times[i].extend((0..SCRAPES).map(|_| scrape(*address)));
            ticks[i] += cpu_ticks(*pid) - before;
        }
    }
    let millis = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    });
    let scrapes = u32::try_from(ROUNDS * SCRAPES).expect("few");
    let cpu = ticks.map(|ticks| f64::from(ticks) * 10.0 / f64::from(scrapes));
    let memory = programs.map(|(pid, _)| resident_kib(pid));
    println!("{RUNS} runs of {TAGS} tags, unchanged; {scrapes} scrapes of each");
    for (name, i) in [("training-exporter", 0), ("node_exporter, text file", 1)] {
        println!(
            "  {name:<26} {:7.1} ms  {:7.1} ms CPU  {:6} KiB resident",
            millis[i], cpu[i], memory[i]
        );
    }
    println!(
        "  {:<26} {:7.2}     {:7.2}         {:6.2}",
        "ratio",
        millis[0] / millis[1],
        cpu[0] / cpu[1],
        f64::from(memory[0]) / f64::from(memory[1])
    );
    println!(
        "  reading everything (--once) {first:.0} ms; an unchanged scrape takes {:.3} of that",
        millis[0] / first
    );
}

/// Runs that have logged for a while, with a checkpoint each.
fn make(folder: &Path) {
    let mut log = String::new();
    for step in 1..=STEPS {
        let _ = write!(log, "{{\"step\": {step}");
        for tag in 0..TAGS {
            let _ = write!(log, ", \"tag{tag}\": {}", 1.0 / (step + tag) as f64);
        }
        log.push_str("}\n");
    }
    for run in 0..RUNS {
        let run = folder.join(format!("runs/{run:02}"));
        std::fs::create_dir_all(run.join("checkpoint-500")).expect("create");
        std::fs::write(run.join("log.jsonl"), &log).expect("write");
        let state = "{\"global_step\": 500, \"max_steps\": 1000, \"log_history\": []}";
        std::fs::write(run.join("checkpoint-500/trainer_state.json"), state).expect("write");
    }
}

fn runs_only(page: &[u8]) -> String {
    String::from_utf8_lossy(page)
        .split_inclusive('\n')
        .filter(|line| line.contains("training_") && !line.contains("training_exporter_"))
        .collect()
}

struct NodeExporter {
    child: Child,
    address: SocketAddr,
}

impl NodeExporter {
    fn start(samples: &Path) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let child = Command::new("node_exporter")
            .arg(format!("--web.listen-address={address}"))
            .args(["--collector.disable-defaults", "--collector.textfile"])
            .arg(format!("--collector.textfile.directory={}", samples.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("node_exporter: {error}; `make bench` puts it on the PATH"));
        while TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address }
    }
}

impl Drop for NodeExporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long one scrape takes, the page uncompressed.
fn scrape(address: SocketAddr) -> Duration {
    let mut answer = Vec::with_capacity(4 << 20);
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).expect("connect");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        .expect("ask");
    stream.read_to_end(&mut answer).expect("an answer");
    let time = began.elapsed();
    let row = b"training_step{run=\"99\"} 500";
    assert!(
        answer.windows(row.len()).any(|window| window == row),
        "a whole page"
    );
    time
}
