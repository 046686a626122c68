//! Scrapes the exporter and a Python script with `prometheus_client` that does the same for one `latest_metrics.json`, in
//! turn, over a connection that stays where the server lets it, as Prometheus does. The file changes meanwhile. Prints time and CPU time of a scrape, memory, and the ratios. The kernel
//! counts CPU time in ticks of 10 ms, so a round is many scrapes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exporter::testing::{Running, cpu_ticks, free_port, resident_kib, value};

const PROGRAM: &str = env!("CARGO_BIN_EXE_training-exporter");
const ROUNDS: usize = 4;
const SCRAPES: usize = 250;
const PACE: Duration = Duration::from_millis(10);

fn main() {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("latest_metrics.json");
    write(&file, 0);
    let configuration = scratch.path().join("training.toml");
    std::fs::write(&configuration, "metrics = \"latest_metrics.json\"\n").expect("write");
    let ours = Running::start(
        PROGRAM,
        &[
            &format!("--config.file={}", configuration.display()),
            &format!("--storage.path={}", scratch.path().join("data").display()),
        ],
    );
    let peer = Peer::start(&file);
    let programs = [(ours.pid(), ours.address()), (peer.child.id(), peer.address)];
    let mut clients = programs.map(|(_, address)| Client::new(address));
    for client in &mut clients {
        while value(&client.page(), "cet_training_loss{phase=\"phase3\"}").is_none() {
            std::thread::sleep(PACE);
        }
    }
    let mut ticks = [0; 2];
    let mut times = [Vec::new(), Vec::new()];
    let mut step = 0;
    for _ in 0..ROUNDS {
        for (i, (pid, _)) in programs.iter().enumerate() {
            let before = cpu_ticks(*pid);
            for scrape in 0..SCRAPES {
                if scrape % 100 == 0 {
                    step += 1;
                    write(&file, step);
                }
                let began = Instant::now();
                clients[i].page();
                times[i].push(began.elapsed());
                std::thread::sleep(PACE);
            }
            ticks[i] += cpu_ticks(*pid) - before;
        }
    }
    report(ticks, times, programs.map(|(pid, _)| resident_kib(pid)));
}

fn report(ticks: [u32; 2], times: [Vec<Duration>; 2], memory: [u32; 2]) {
    let scrapes = u32::try_from(ROUNDS * SCRAPES).expect("few");
    let cpu = ticks.map(|ticks| f64::from(ticks) * 10_000.0 / f64::from(scrapes));
    let time = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    });
    println!("one latest_metrics.json with 30 apps; {scrapes} scrapes of each");
    for (i, name) in ["training-exporter", "Python, prometheus_client"]
        .into_iter()
        .enumerate()
    {
        println!(
            "  {name:<26} {:7.0} µs  {:7.0} µs CPU  {:6} KiB resident",
            time[i], cpu[i], memory[i]
        );
    }
    println!(
        "  {:<26} {:7.3}     {:7.3}         {:6.2}",
        "ratio",
        time[0] / time[1],
        cpu[0] / cpu[1],
        f64::from(memory[0]) / f64::from(memory[1])
    );
}

fn write(file: &Path, step: u32) {
    let apps: Vec<String> = (0..30).map(|i| format!("\"app-{i:02}\": 0.{i:02}")).collect();
    let text = format!(
        "{{\"phase\": \"phase3\", \"loss\": {}, \"reward\": 0.8, \"test_pass_rate\": 0.7, \"variance\": 0.03, \
         \"step\": {step}, \"step_duration_seconds\": 1.5, \"per_app\": {{{}}}}}",
        1.0 / f64::from(step + 1),
        apps.join(", ")
    );
    let new = file.with_extension("new");
    std::fs::write(&new, text).expect("write");
    std::fs::rename(new, file).expect("rename");
}

struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    fn start(file: &Path) -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = Command::new(home.join("../../scripts/prometheus-client"))
            .output()
            .expect("run scripts/prometheus-client");
        assert!(
            found.status.success(),
            "scripts/prometheus-client: {}",
            found.status
        );
        let packages = String::from_utf8(found.stdout).expect("a path");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let child = Command::new("python3")
            .arg(home.join("benches/peer.py"))
            .arg(file)
            .arg(address.port().to_string())
            .env("PYTHONPATH", packages.trim())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("python3: {error}"));
        while TcpStream::connect(address).is_err() {
            std::thread::sleep(PACE);
        }
        Self { child, address }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks as Prometheus does: over one connection, as long as the server keeps it.
struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    fn page(&mut self) -> String {
        let connect = || BufReader::new(TcpStream::connect(self.address).expect("connect"));
        let mut stream = self.stream.take().unwrap_or_else(connect);
        stream
            .get_mut()
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")
            .expect("ask");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).expect("an answer") > 0, "{head}");
        }
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut page = String::new();
        match length {
            Some(length) => {
                let mut bytes = vec![0; length];
                stream.read_exact(&mut bytes).expect("a page");
                page = String::from_utf8(bytes).expect("a page in UTF-8");
            }
            None => {
                stream.read_to_string(&mut page).expect("a page");
            }
        }
        let stays = length.is_some() && head.starts_with("http/1.1") && !head.contains("connection: close");
        self.stream = stays.then_some(stream);
        page
    }
}
