//! Helpers for the exporters' tests: run the real program on a fixture tree and look at its page.
//!
//! They panic with the reason, as a test does.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

pub use rustix::process::Signal;

/// Far above what any step takes; it only keeps a broken test from waiting for ever.
const PATIENCE: Duration = Duration::from_mins(1);

/// The page that `program --once` prints with these further flags.
pub fn once(program: &str, flags: &[&str]) -> String {
    let output = Command::new(program)
        .arg("--once")
        .args(flags)
        .output()
        .expect("start the program");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} --once {flags:?}: {}\n{log}",
        output.status
    );
    String::from_utf8(output.stdout).expect("a page in UTF-8")
}

/// The page without what differs from run to run: `process_*`, durations, points in time and the version.
pub fn stable(page: &str) -> String {
    let volatile = |name: &str| {
        name.starts_with("process_")
            || name.ends_with("_collector_duration_seconds")
            || name.ends_with("_collector_last_success_timestamp_seconds")
            || name.ends_with("_build_info")
    };
    let name_of = |line: &str| -> String {
        let line = line
            .strip_prefix("# HELP ")
            .or_else(|| line.strip_prefix("# TYPE "))
            .unwrap_or(line);
        line.chars().take_while(|c| *c != ' ' && *c != '{').collect()
    };
    page.lines()
        .filter(|line| !volatile(&name_of(line)))
        .fold(String::new(), |mut out, line| {
            let _ = writeln!(out, "{line}");
            out
        })
}

/// Compares the stable part of the page with the golden file. `UPDATE_GOLDEN=1` writes the file instead.
pub fn assert_golden(page: &str, golden: &Path) {
    let page = stable(page);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &page).expect("write the golden file");
        return;
    }
    let expected = std::fs::read_to_string(golden)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", golden.display()));
    assert!(
        page == expected,
        "{} differs:\n{}",
        golden.display(),
        difference(&expected, &page)
    );
}

fn difference(expected: &str, found: &str) -> String {
    let missing = expected
        .lines()
        .filter(|line| !found.lines().any(|other| other == *line));
    let added = found
        .lines()
        .filter(|line| !expected.lines().any(|other| other == *line));
    missing
        .map(|line| format!("- {line}\n"))
        .chain(added.map(|line| format!("+ {line}\n")))
        .collect()
}

/// Lets `promtool check metrics` judge the page; findings on the `excused` names (fixed by the public contract) are
/// passed over.
pub fn lint(page: &str, excused: &[&str]) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; `make test` puts it on the PATH"));
    promtool
        .stdin
        .take()
        .expect("a pipe")
        .write_all(page.as_bytes())
        .expect("hand the page over");
    let output = promtool.wait_with_output().expect("wait for promtool");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let is_excused = |line: &str| excused.iter().any(|name| line.starts_with(&format!("{name} ")));
    let findings: Vec<&str> = said
        .lines()
        .filter(|line| !line.is_empty() && !is_excused(line))
        .collect();
    assert!(findings.is_empty(), "promtool check metrics: {findings:#?}");
    // 3 means that there are findings, all of them excused.
    assert!(
        matches!(output.status.code(), Some(0 | 3)),
        "promtool check metrics: {}",
        output.status
    );
}

/// The value of one series, written as on the page: `name` or `name{label="value"}`.
pub fn value(page: &str, series: &str) -> Option<f64> {
    page.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// CPU time that a process has used, in the kernel's ticks (proc(5)).
pub fn cpu_ticks(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its stat");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    // Behind the name comes field 3; user and system time are 14 and 15.
    let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse::<u32>().ok();
    field(14)
        .zip(field(15))
        .map(|(user, system)| user + system)
        .expect("times")
}

/// Memory that a process has resident, in KiB (proc(5)).
pub fn resident_kib(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("kilobytes")
}

/// A port for a program that cannot be told to take any free one: nobody listens on it, this process hands it out once,
/// and it lies below those that the kernel hands out (32768 and up, `ip_local_port_range`), so that nobody else who runs
/// at the same time is given it between the choice and the program's start.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        // Two processes of tests begin far apart.
        let start = std::process::id().wrapping_mul(797) % u32::from(COUNT);
        AtomicU16::new(u16::try_from(start).expect("below COUNT"))
    });
    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .find(|&port| TcpListener::bind(("0.0.0.0", port)).is_ok())
        .expect("a free port")
}

/// An exporter that listens on a free port of 127.0.0.1 until this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: SocketAddr,
}

/// An answer to a request.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The head as it was sent, without the status line.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Running {
    /// Starts the program with these further flags and waits until it is ready.
    pub fn start(program: &str, flags: &[&str]) -> Self {
        Self::start_with(program, flags, &[])
    }

    /// The same, with environment variables.
    pub fn start_with(program: &str, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program)
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .args(flags)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {program}: {error}"));
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let (sender, addresses) = channel();
        // Reads on to the end, so that the program never waits for somebody to take its log.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                eprintln!("{line}");
                let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if event["message"] == "listening" {
                    let address = event["address"].as_str().and_then(|text| text.parse().ok());
                    let _ = sender.send(address.expect("an address in the log"));
                }
            }
        });
        let Ok(address) = addresses.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("{program} {flags:?} does not listen");
        };
        let running = Self { child, address };
        assert_eq!(running.get("/readyz").status, 200);
        running
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks for a path.
    pub fn get(&self, path: &str) -> Response {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        ))
    }

    /// The metrics page; the answer must be 200.
    pub fn metrics(&self) -> String {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200, "{response:?}");
        String::from_utf8(response.body).expect("a page in UTF-8")
    }

    /// Sends a request as it is and reads the answer to its end.
    pub fn send(&self, request: &str) -> Response {
        let mut stream = TcpStream::connect(self.address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("set the timeout");
        stream.write_all(request.as_bytes()).expect("send the request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("read the answer");
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let (status, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = status
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status");
        Response {
            status,
            headers: headers.to_lowercase(),
            body: answer[end + 4..].to_vec(),
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a pid"), signal).expect("send the signal");
    }

    /// Waits for the program's end and returns its exit status.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("wait for the program").code()
    }
}

/// Opens 500 connections that each send half a request, and asserts that scrapes are answered all the while and that
/// the exporter's descriptors stay bounded and fall back.
pub fn withstands_half_open_connections(running: &Running) {
    let open_fds = || {
        let folder = format!("/proc/{}/fd", running.pid());
        std::fs::read_dir(folder).expect("its descriptors").count()
    };
    let before = open_fds();
    let half_open: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut stream = TcpStream::connect(running.address()).expect("connect");
            stream
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: ")
                .expect("half a request");
            stream
        })
        .collect();
    for _ in 0..20 {
        assert!(value(&running.metrics(), "process_open_fds").is_some());
    }
    assert!(open_fds() <= before + 80, "{} descriptors", open_fds());
    let started = std::time::Instant::now();
    while open_fds() > before + 5 {
        assert!(
            started.elapsed() < PATIENCE,
            "{} descriptors stay open",
            open_fds()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(half_open);
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
