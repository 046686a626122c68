//! Scrapes gpu-exporter and the script that one would write first (`seed.py`, python3 from the PATH) on the same two
//! made-up GPUs, in turn, and prints CPU time per scrape, memory, and the ratios. The script brings five values of each
//! GPU, gpu-exporter all of them. The kernel counts CPU time in ticks of 10 ms, so a round is many scrapes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use exporter::testing::{Running, cpu_ticks, resident_kib};

const ROUNDS: u32 = 4;
const SCRAPES: u32 = 500;

fn main() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let machine = tests.join("fixtures/nvidia-server");
    let scenario = tests.join("scenarios/two-gpus.toml").display().to_string();
    let variables = [("FAKE_NVML_SCENARIO", scenario.as_str())];
    // Cargo puts it beside this program.
    let library = std::env::current_exe()
        .expect("the path of this program")
        .with_file_name("libfake_nvml.so")
        .display()
        .to_string();

    let flags = [
        format!("--path.sysfs={}", machine.join("sys").display()),
        format!("--path.procfs={}", machine.join("proc").display()),
        format!("--nvml.library={library}"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let ours = Running::start_with(env!("CARGO_BIN_EXE_gpu-exporter"), &flags, &variables);
    let seed = Script::start(&library, &scenario);
    let programs = [(ours.pid(), ours.address()), (seed.child.id(), seed.address)];
    let (mut ticks, mut samples) = ([0; 2], [0; 2]);
    for _ in 0..ROUNDS {
        for (at, &(pid, address)) in programs.iter().enumerate() {
            let before = cpu_ticks(pid);
            samples[at] = scrape(address);
            ticks[at] += cpu_ticks(pid) - before;
        }
    }
    let scrapes = f64::from(ROUNDS * SCRAPES);
    let micros = ticks.map(|ticks| f64::from(ticks) * 10_000.0 / scrapes);
    let memory = programs.map(|(pid, _)| resident_kib(pid));
    println!("scrape, {scrapes} of each, two GPUs");
    for (at, name) in ["gpu-exporter", "seed.py"].into_iter().enumerate() {
        println!(
            "  {name:12}  {:8.0} µs CPU  {:6} KiB resident  {:4} samples",
            micros[at], memory[at], samples[at]
        );
    }
    println!(
        "  ratio         {:8.2}         {:6.2}",
        micros[0] / micros[1],
        f64::from(memory[0]) / f64::from(memory[1])
    );
}

struct Script {
    child: Child,
    address: SocketAddr,
}

impl Script {
    fn start(library: &str, scenario: &str) -> Self {
        let mut child = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/seed.py"))
            .envs([("NVML", library), ("FAKE_NVML_SCENARIO", scenario)])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("python3: {error}; it must be on the PATH"));
        let mut line = String::new();
        let told = BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line);
        told.expect("an address");
        let address = line.trim().parse().expect("an address");
        Self { child, address }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One round over one connection, as Prometheus keeps it. Returns the samples of the last page.
fn scrape(address: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(address).expect("connect");
    let mut answer = vec![0; 1 << 20];
    let mut samples = 0;
    for _ in 0..SCRAPES {
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")
            .expect("ask");
        let mut size = 0;
        let body = loop {
            let read = stream.read(&mut answer[size..]).expect("an answer");
            assert!(read > 0, "the server hung up");
            size += read;
            if let Some(body) = whole(&answer[..size]) {
                break body;
            }
        };
        let is_sample = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#");
        samples = body.split(|&byte| byte == b'\n').filter(is_sample).count();
    }
    samples
}

/// The body, once all of it is there.
fn whole(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .expect("a length");
    answer.get(end + 4..end + 4 + length)
}
