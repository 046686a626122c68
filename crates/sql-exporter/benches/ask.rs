//! Lets sql-exporter and the distribution's SQL exporter (prometheus-sql-exporter, from the PATH) ask one PostgreSQL the
//! same queries at the same pace, scrapes both, and prints CPU time per answer, memory, and the ratios. The kernel counts
//! CPU time in ticks of 10 ms, so a round is long and busy.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exporter::testing::{cpu_ticks, free_port, resident_kib};
use lab::{Lab, eventually};
use postgres::Postgres;

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/sql/lab.rs"]
mod lab;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/sql/postgres.rs"]
mod postgres;

const ROUNDS: usize = 4;
const ROUND: Duration = Duration::from_secs(6);
const QUERIES: usize = 10;
/// Ten times a second each.
const PACE: &str = "100ms";
const SCRAPES_A_SECOND: u64 = 5;

/// Each asks a table of its own, so that the server counts what it was asked by whom.
const TABLES: [&str; 2] = ["ours", "theirs"];

fn sql(table: &str) -> String {
    format!("SELECT model, sum(spend) AS spend, sum(tokens) AS tokens FROM {table} GROUP BY model")
}

fn main() {
    let postgres = Postgres::start();
    for table in TABLES {
        postgres.run(&format!(
            "CREATE TABLE {table} (model text, spend float8, tokens bigint);
             INSERT INTO {table} SELECT 'model-' || n % 20, n * 0.01, n FROM generate_series(1, 500) AS n;
             GRANT SELECT ON {table} TO watcher"
        ));
    }
    let lab = Lab::new();
    let ours = ours(&lab, &postgres);
    let peer = Peer::start(&lab, &postgres);
    let programs = [(ours.pid(), ours.address()), (peer.child.id(), peer.address)];
    for (_, address) in programs {
        eventually("all series", || {
            page(address).matches("model-7").count() >= 2 * QUERIES
        });
    }
    let mut ticks = [0; 2];
    let mut asked = [0.0; 2];
    for _ in 0..ROUNDS {
        for (i, (pid, address)) in programs.iter().enumerate() {
            let before = (cpu_ticks(*pid), asks(&postgres, TABLES[i]));
            let end = Instant::now() + ROUND;
            while Instant::now() < end {
                page(*address);
                std::thread::sleep(Duration::from_millis(1000 / SCRAPES_A_SECOND));
            }
            ticks[i] += cpu_ticks(*pid) - before.0;
            asked[i] += asks(&postgres, TABLES[i]) - before.1;
        }
    }
    report(ticks, asked, programs.map(|(pid, _)| resident_kib(pid)));
}

fn report(ticks: [u32; 2], asked: [f64; 2], memory: [u32; 2]) {
    println!("{QUERIES} queries of 20 rows, every {PACE}, and {SCRAPES_A_SECOND} scrapes a second");
    let mut micros = [0.0; 2];
    for (i, name) in ["sql-exporter", "prometheus-sql-exporter"]
        .into_iter()
        .enumerate()
    {
        micros[i] = f64::from(ticks[i]) * 10_000.0 / asked[i];
        println!(
            "  {name:24} {:5.0} answers  {:5.0} µs CPU each  {:6} KiB resident",
            asked[i], micros[i], memory[i]
        );
    }
    println!(
        "  ratio                                   {:5.2}              {:6.2}",
        micros[0] / micros[1],
        f64::from(memory[0]) / f64::from(memory[1])
    );
}

/// How often the table was read; the server's count lags by a second at most.
fn asks(postgres: &Postgres, table: &str) -> f64 {
    let statement = format!("SELECT seq_scan::text FROM pg_stat_user_tables WHERE relname = '{table}'");
    postgres.rows(&statement)[0].parse().expect("a count")
}

fn ours(lab: &Lab, postgres: &Postgres) -> exporter::testing::Running {
    let mut queries = String::new();
    for i in 0..QUERIES {
        let _ = write!(
            queries,
            "[[query]]\nname = \"q{i}\"\ninterval = \"{PACE}\"\nsql = \"{}\"\n",
            sql(TABLES[0])
        );
        for column in ["spend", "tokens"] {
            let _ = write!(
                queries,
                "[[query.metric]]\nname = \"bench_{column}_{i}\"\nhelp = \"X.\"\ntype = \"gauge\"\n\
                 labels = {{ model = \"model\" }}\nvalue = \"{column}\"\n"
            );
        }
    }
    postgres.configure(lab, "queries = \"own.toml\"");
    lab.write("own.toml", &queries);
    lab.start()
}

struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    fn start(lab: &Lab, postgres: &Postgres) -> Self {
        let connection = format!("{}?sslmode=disable", postgres.address("watcher"));
        let mut config = format!(
            "jobs:\n- name: bench\n  interval: '{PACE}'\n  connections: ['{connection}']\n  queries:\n"
        );
        for i in 0..QUERIES {
            let _ = write!(
                config,
                "  - name: bench_{i}\n    help: X.\n    labels: [model]\n    values: [spend, tokens]\n    query: '{}'\n",
                sql(TABLES[1])
            );
        }
        lab.write("peer.yml", &config);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new("prometheus-sql-exporter")
            .arg(format!("-config.file={}", lab.path().join("peer.yml").display()))
            .arg(format!("-web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("prometheus-sql-exporter: {error}; `make bench` puts it on the PATH")
            });
        eventually("the peer listens", || TcpStream::connect(address).is_ok());
        Self { child, address }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn page(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        .expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
