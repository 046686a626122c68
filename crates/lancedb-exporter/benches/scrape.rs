//! Scrapes a database of 1000 tables in which nothing changes, and beside it node_exporter (from the PATH), which reads
//! the very same samples from a text file, in turn. Prints time and CPU time of a scrape, memory, and the ratios; and how
//! long it takes to read all manifests, by `--once`. The kernel counts CPU time in ticks of 10 ms, so a round is many
//! scrapes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exporter::testing::{Running, cpu_ticks, resident_kib};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lancedb-exporter");
const TABLES: usize = 1000;
const ROUNDS: usize = 5;
const SCRAPES: usize = 20;

fn main() {
    let scratch = tempfile::tempdir().expect("a folder");
    let database = scratch.path().join("brain");
    let samples = scratch.path().join("samples");
    make(&database);
    std::fs::create_dir(&samples).expect("create a folder");

    let flag = format!("--lancedb.path={}", database.display());
    let began = Instant::now();
    let once = Command::new(PROGRAM)
        .arg("--once")
        .arg(&flag)
        .output()
        .expect("run");
    let first = began.elapsed();
    std::fs::write(samples.join("lancedb.prom"), tables_only(&once.stdout)).expect("write the samples");

    let ours = Running::start(PROGRAM, &[&flag]);
    let peer = NodeExporter::start(&samples);
    // A folder that changed just now is listed again.
    std::thread::sleep(Duration::from_secs(3));
    let programs = [(ours.pid(), ours.address()), (peer.child.id(), peer.address)];
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
    println!("{TABLES} tables, unchanged; {scrapes} scrapes of each");
    for (name, i) in [("lancedb-exporter", 0), ("node_exporter, text file", 1)] {
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
    let first = first.as_secs_f64() * 1e3;
    println!(
        "  reading everything (--once) {first:.0} ms; an unchanged scrape takes {:.2} of that",
        millis[0] / first
    );
}

/// Tables that share the files of one that the library wrote.
fn make(database: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/brain/events.lance");
    let original = database.join("t0000.lance");
    std::fs::create_dir(database).expect("create the database");
    copy("-a", &source, &original);
    for i in 1..TABLES {
        copy("-al", &original, &database.join(format!("t{i:04}.lance")));
    }
}

fn copy(how: &str, from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(how).arg(from).arg(to).status();
    assert!(copied.expect("run cp").success());
}

fn tables_only(page: &[u8]) -> String {
    String::from_utf8_lossy(page)
        .split_inclusive('\n')
        .filter(|line| line.contains("brain_lancedb_"))
        .collect()
}

struct NodeExporter {
    child: Child,
    address: SocketAddr,
}

impl NodeExporter {
    fn start(samples: &Path) -> Self {
        // A port that was free a moment ago; node_exporter does not tell which it chose.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
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
    let rows = b"brain_lancedb_rows_total{table=\"t0999\"} 120";
    assert!(
        answer.windows(rows.len()).any(|window| window == rows),
        "a whole page"
    );
    time
}
