//! Scrapes worker-exporter with a thousand workers of each kind and prints how long a page takes.
//!
//! The thousand programs are real and a real supervisord started them, but its answer is recorded once and given again
//! and again: supervisord itself needs a second for it, and what is measured here is the exporter. The containers are
//! made up. The kernel counts CPU time in ticks of 10 ms, so a round is many scrapes.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use exporter::testing::{Running, cpu_ticks};
use supervisor::testing::Supervisord;

const WORKERS: usize = 1000;
const ROUNDS: u32 = 5;
const SCRAPES: u32 = 10;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = programs(1);
    let (few, many) = (
        measure_supervisord(folder.path(), &one),
        measure_supervisord(folder.path(), &programs(WORKERS)),
    );
    print("supervisord", few, many);
    let (few, many) = (
        measure_engine(folder.path(), 1),
        measure_engine(folder.path(), WORKERS),
    );
    print("docker", few, many);
}

/// A page: by the clock, and CPU time of the exporter.
#[derive(Clone, Copy)]
struct Page {
    took: Duration,
    cpu: Duration,
}

fn print(source: &str, few: Page, many: Page) {
    let workers = f64::from(u32::try_from(WORKERS).expect("not that many"));
    let micros = |page: Page| [page.took, page.cpu].map(|time| time.as_secs_f64() * 1e6);
    let ([few_took, _], [many_took, many_cpu]) = (micros(few), micros(many));
    println!(
        "{source}: a page of {WORKERS} workers {many_took:.0} µs ({many_cpu:.0} µs CPU), of one {few_took:.0} µs; per worker {:.1} µs",
        (many_took - few_took) / workers
    );
}

fn programs(count: usize) -> String {
    let mut sections = String::new();
    for number in 0..count {
        writeln!(sections, "[program:worker_{number}]\ncommand=sleep 1000000\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE")
            .expect("write");
    }
    sections
}

fn measure_supervisord(folder: &Path, sections: &str) -> Page {
    let count = sections.matches("[program").count();
    let supervisord = Supervisord::start_with("minfds=8192\n", sections);
    supervisord.wait_for(&format!("worker_{}", count - 1), |process| process.pid.is_some());
    let answers =
        ["getAllProcessInfo", "getPID"].map(|method| (method, record(&supervisord.socket(), method)));
    let socket = folder.join(format!("supervisor-{count}.sock"));
    serve(&socket, move |request, body| {
        let answer = answers.iter().find(|(method, _)| body.contains(method));
        assert!(request.starts_with("POST"), "{request}");
        answer.map_or_else(String::new, |(_, answer)| answer.clone())
    });
    measure(
        folder,
        &format!(
            "url = \"unix://{}\"\nlog = \"{}\"",
            socket.display(),
            supervisord.log().display()
        ),
        count,
    )
}

fn measure_engine(folder: &Path, count: usize) -> Page {
    let socket = folder.join(format!("engine-{count}.sock"));
    let rows = (0..count).map(|number| {
        format!(
            "{{\"Id\":\"{number}\",\"Names\":[\"/worker_{number}\"],\"State\":\"running\",\"Labels\":{{}}}}"
        )
    });
    let list = format!("[{}]", rows.collect::<Vec<_>>().join(","));
    let pid = std::process::id();
    serve(&socket, move |request, _| {
        if request.contains("/containers/json") {
            list.clone()
        } else if request.contains("/events") {
            String::new()
        } else if request.contains("/version") {
            "{\"ApiVersion\":\"1.41\"}".to_owned()
        } else {
            format!(
                "{{\"State\":{{\"Status\":\"running\",\"Running\":true,\"Pid\":{pid},\"ExitCode\":0,\
                 \"StartedAt\":\"2026-11-22T10:00:00.5Z\"}}}}"
            )
        }
    });
    measure(folder, &format!("url = \"docker://{}\"", socket.display()), count)
}

fn measure(folder: &Path, source: &str, count: usize) -> Page {
    let config = folder.join("workers.toml");
    fs::write(&config, format!("[[source]]\n{source}\n")).expect("write");
    let running = Running::start(
        env!("CARGO_BIN_EXE_worker-exporter"),
        &["--config.file", config.to_str().expect("UTF-8")],
    );
    while running.metrics().matches("brain_worker_uptime_seconds{").count() < count {}
    let (mut took, mut cpu) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (begun, before) = (Instant::now(), cpu_ticks(running.pid()));
        scrape(running.address());
        took = took.min(begun.elapsed() / SCRAPES);
        cpu = cpu.min(Duration::from_millis(10) * (cpu_ticks(running.pid()) - before) / SCRAPES);
    }
    Page { took, cpu }
}

/// The body of a real supervisord's answer.
fn record(socket: &Path, method: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\"?><methodCall><methodName>supervisor.{method}</methodName><params/></methodCall>"
    );
    let mut stream = UnixStream::connect(socket).expect("connect");
    let head = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// Answers each request on this socket with what `answer` makes of its first line and body.
fn serve(socket: &Path, answer: impl Fn(&str, &str) -> String + Clone + Send + 'static) {
    let listener = UnixListener::bind(socket).expect("bind");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || converse(&stream, answer));
        }
    });
}

fn converse(stream: &UnixStream, answer: impl Fn(&str, &str) -> String) {
    let mut writer = stream.try_clone().expect("a second handle");
    let mut reader = BufReader::new(stream);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let mut header = String::new();
        while reader.read_line(&mut header).unwrap_or(0) > 2 {
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            header.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let answer = answer(&request, &String::from_utf8_lossy(&body));
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        if writer.write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

/// One round over one connection, as Prometheus keeps it.
fn scrape(address: SocketAddr) {
    let mut writer = TcpStream::connect(address).expect("connect");
    let mut reader = BufReader::new(writer.try_clone().expect("a second handle"));
    for _ in 0..SCRAPES {
        writer
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\n\r\n")
            .expect("ask");
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).expect("a line") > 2 {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            line.clear();
        }
        assert!(length > 0, "no length");
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).expect("a page");
    }
}
