//! Scrapes rapl-exporter and node_exporter (from the PATH) with the same collectors on the same fixture tree, in turn,
//! and prints CPU time per scrape, memory, and the ratios. The kernel counts CPU time in ticks of 10 ms, so a round is
//! many scrapes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use exporter::testing::{Running, cpu_ticks, resident_kib};

const ROUNDS: u32 = 5;
const SCRAPES: u32 = 400;

fn main() {
    let machine = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/intel-laptop");
    let flag = |name: &str, folder: &str| format!("--path.{name}={}", machine.join(folder).display());
    let roots = [flag("sysfs", "sys"), flag("procfs", "proc")];

    let ours = Running::start(env!("CARGO_BIN_EXE_rapl-exporter"), &[&roots[0], &roots[1]]);
    let peer = NodeExporter::start(&roots);
    let programs = [(ours.pid(), ours.address()), (peer.child.id(), peer.address)];
    let mut ticks = [0; 2];
    for _ in 0..ROUNDS {
        for ((pid, address), ticks) in programs.iter().zip(&mut ticks) {
            let before = cpu_ticks(*pid);
            scrape(*address);
            *ticks += cpu_ticks(*pid) - before;
        }
    }
    let scrapes = f64::from(ROUNDS * SCRAPES);
    let micros = ticks.map(|ticks| f64::from(ticks) * 10_000.0 / scrapes);
    let memory = programs.map(|(pid, _)| resident_kib(pid));
    println!(
        "scrape, {scrapes} of each, tree {}",
        machine.file_name().unwrap_or_default().display()
    );
    println!(
        "  rapl-exporter  {:8.0} µs CPU  {:6} KiB resident",
        micros[0], memory[0]
    );
    println!(
        "  node_exporter  {:8.0} µs CPU  {:6} KiB resident",
        micros[1], memory[1]
    );
    println!(
        "  ratio          {:8.2}         {:6.2}",
        micros[0] / micros[1],
        f64::from(memory[0]) / f64::from(memory[1])
    );
}

struct NodeExporter {
    child: Child,
    address: SocketAddr,
}

impl NodeExporter {
    fn start(roots: &[String]) -> Self {
        // A port that was free a moment ago; node_exporter does not tell which it chose.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let child = Command::new("node_exporter")
            .arg(format!("--web.listen-address={address}"))
            .arg("--collector.disable-defaults")
            .args(["rapl", "hwmon", "thermal_zone", "cpu"].map(|name| format!("--collector.{name}")))
            .args(roots)
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

/// One round over one connection, as Prometheus keeps it.
fn scrape(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("connect");
    let mut answer = vec![0; 1 << 20];
    for _ in 0..SCRAPES {
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")
            .expect("ask");
        let mut size = 0;
        while !is_whole(&answer[..size]) {
            let read = stream.read(&mut answer[size..]).expect("an answer");
            assert!(read > 0, "the server hung up");
            size += read;
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    match length {
        Some(length) => {
            answer.len() - end - 4 >= {
                let length: usize = length;
                length
            }
        }
        None => answer.ends_with(b"0\r\n\r\n"),
    }
}
