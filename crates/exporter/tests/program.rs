//! An exporter as its users meet it: a program with flags, signals and a port, and clients that do not behave.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use exporter::testing::{Running, Signal, once, value, withstands_half_open_connections};

const PATIENCE: Duration = Duration::from_mins(1);

/// The example stands beside the folder of the test programs.
fn program() -> String {
    let mut path: PathBuf = std::env::current_exe().expect("this program's path");
    path.pop();
    path.pop();
    path.push("examples/misbehaving");
    assert!(path.exists(), "{} is built by `cargo test`", path.display());
    path.into_os_string().into_string().expect("UTF-8")
}

fn start(flags: &[&str]) -> Running {
    Running::start(&program(), flags)
}

fn run(flags: &[&str]) -> Output {
    Command::new(program())
        .args(flags)
        .output()
        .expect("run the program")
}

/// Waits for what must come about, however slow the machine.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_paths_answer_as_documented() {
    let running = start(&["--bulk=200"]);
    let page = running.get("/metrics");
    assert_eq!(page.status, 200);
    assert!(
        page.headers
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{}",
        page.headers
    );
    assert!(
        !page.headers.contains("content-encoding"),
        "gzip only when asked: {}",
        page.headers
    );
    assert_eq!(running.get("/healthz").status, 200);
    assert_eq!(running.get("/nothing").status, 404);
    let landing = running.get("/");
    assert!(
        String::from_utf8_lossy(&landing.body).contains("<a href=\"/metrics\">"),
        "{landing:?}"
    );

    let post =
        running.send("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(post.status, 405);
    assert!(post.headers.contains("allow: get, head"), "{}", post.headers);

    let head = running.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.headers.contains("content-length: "), "{}", head.headers);
}

#[test]
fn a_large_page_is_compressed_when_the_client_asks() {
    let running = start(&["--bulk=200"]);
    let ask = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
    let packed = running.send(ask);
    assert!(
        packed.headers.contains("content-encoding: gzip"),
        "{}",
        packed.headers
    );
    let mut page = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice())
        .read_to_string(&mut page)
        .expect("gzip");
    assert_eq!(value(&page, "misbehaving_bulk{row=\"199\"}"), Some(0.5));
}

#[test]
fn one_connection_serves_many_scrapes() {
    let running = start(&[]);
    let mut stream = TcpStream::connect(running.address()).expect("connect");
    for _ in 0..3 {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("ask");
        let mut answer = [0; 1024];
        let size = stream.read(&mut answer).expect("an answer");
        assert!(
            answer[..size].starts_with(b"HTTP/1.1 200"),
            "{:?}",
            String::from_utf8_lossy(&answer[..size])
        );
    }
}

#[test]
fn half_open_connections_do_not_disturb_a_scrape() {
    withstands_half_open_connections(&start(&[]));
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let folder = tempfile::tempdir().expect("a folder");
    let limited = folder.path().join("limited");
    std::fs::write(
        &limited,
        format!("#!/bin/sh\nulimit -n 40\nexec {} \"$@\"\n", program()),
    )
    .expect("write");
    std::fs::set_permissions(&limited, std::fs::Permissions::from_mode(0o700)).expect("make it a program");
    let running = Running::start(&limited.display().to_string(), &[]);
    let half_open: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(running.address()).expect("connect"))
        .collect();
    for _ in 0..5 {
        assert!(value(&running.metrics(), "process_max_fds").is_some_and(|max| max <= 40.0));
    }
    drop(half_open);
}

#[test]
fn malformed_requests_cost_only_themselves() {
    let running = start(&[]);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n",
        "y".repeat(100_000)
    );
    for request in ["\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &long] {
        let mut stream = TcpStream::connect(running.address()).expect("connect");
        // The server may hang up before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{request:.40}");
    }
    running.metrics();
}

#[test]
fn what_breaks_in_a_collector_costs_its_own_families_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let torn = folder.path().join("torn");
    std::fs::write(&torn, "12\0garbage").expect("write");
    let running = start(&[
        "--hang",
        "--panic",
        "--bulk=1",
        &format!("--torn.file={}", torn.display()),
    ]);
    let scrape = || {
        let page = running.send(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 1\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(page.status, 200);
        String::from_utf8(page.body).expect("UTF-8")
    };
    let page = scrape();
    for (collector, success) in [("hang", 0.0), ("panic", 0.0), ("torn", 0.0), ("bulk", 1.0)] {
        let series = format!("misbehaving_exporter_collector_success{{collector=\"{collector}\"}}");
        assert_eq!(value(&page, &series), Some(success), "{series}\n{page}");
    }
    assert_eq!(value(&page, "misbehaving_bulk{row=\"0\"}"), Some(0.5));
    assert_eq!(value(&page, "misbehaving_torn"), None);

    std::fs::write(&torn, "12\n").expect("write");
    assert_eq!(value(&scrape(), "misbehaving_torn"), Some(12.0));
}

#[test]
fn too_many_scrapes_are_told_to_come_back() {
    let running = start(&["--hang"]);
    let ask = || {
        running.send(
            "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 3\r\nConnection: close\r\n\r\n",
        )
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        asked
            .into_iter()
            .map(|thread| thread.join().expect("an answer"))
            .collect()
    });
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!refused.is_empty(), "20 scrapes at once that each take seconds");
    assert!(
        refused
            .iter()
            .all(|answer| answer.headers.contains("retry-after: 1"))
    );
    assert!(answers.iter().any(|answer| answer.status == 200));
}

#[test]
fn sigterm_ends_it_with_0_even_while_a_collector_hangs() {
    let mut running = start(&["--hang"]);
    let mut scrape = TcpStream::connect(running.address()).expect("connect");
    scrape
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 2\r\n\r\n")
        .expect("ask");
    eventually("the scrape is being served", || {
        running.get("/healthz").status == 200
    });
    running.signal(Signal::TERM);
    let mut answer = Vec::new();
    scrape
        .read_to_end(&mut answer)
        .expect("the running scrape is finished");
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn sighup_reloads_and_a_bad_file_keeps_the_last_good_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    std::fs::write(&config, "1").expect("write");
    let running = start(&[&format!("--config.file={}", config.display())]);
    let reloaded = |successful: f64, answer: f64| {
        let page = running.metrics();
        value(&page, "misbehaving_exporter_config_last_reload_successful") == Some(successful)
            && value(&page, "misbehaving_answer") == Some(answer)
    };
    assert!(reloaded(1.0, 1.0));
    std::fs::write(&config, "rubbish").expect("write");
    running.signal(Signal::HUP);
    eventually("the bad file is reported, the value stays", || reloaded(0.0, 1.0));
    std::fs::write(&config, "2").expect("write");
    running.signal(Signal::HUP);
    eventually("the good file is used", || reloaded(1.0, 2.0));
}

#[test]
fn sigterm_ends_it_while_the_configuration_cannot_be_read_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    std::fs::write(&config, "1").expect("write");
    let mut running = start(&[&format!("--config.file={}", config.display())]);
    std::fs::remove_file(&config).expect("remove");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &config, mode).expect("a pipe");
    running.signal(Signal::HUP);
    let mut writer = None;
    eventually("the pipe is being read", || {
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
        writer = rustix::fs::open(&config, flags, rustix::fs::Mode::empty()).ok();
        writer.is_some()
    });
    running.signal(Signal::TERM);
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn once_ends_well_when_nobody_reads_on() {
    let mut child = Command::new(program())
        .args(["--once", "--bulk=100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("run the program");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("wait");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn once_prints_the_page() {
    let page = once(&program(), &["--bulk=2"]);
    assert_eq!(value(&page, "misbehaving_bulk{row=\"1\"}"), Some(0.5));
    assert_eq!(
        value(&page, "misbehaving_exporter_build_info{version=\"0.0.1\"}"),
        Some(1.0)
    );
}

#[test]
fn the_health_check_tells_a_running_exporter_from_none() {
    let running = start(&[]);
    let check = |address: &str| run(&["--healthcheck", "--web.listen-address", address]);
    assert_eq!(check(&running.address().to_string()).status.code(), Some(0));
    let address = running.address().to_string();
    drop(running);
    let output = check(&address);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address));
}

#[test]
fn every_flag_is_an_environment_variable() {
    let running = Running::start_with(
        &program(),
        &[],
        &[
            ("MISBEHAVING_EXPORTER_WEB_TELEMETRY_PATH", "/m"),
            ("MISBEHAVING_EXPORTER_BULK", "1"),
            ("MISBEHAVING_EXPORTER_PANIC", "1"),
        ],
    );
    let page = running.get("/m");
    assert!(
        String::from_utf8_lossy(&page.body).contains("misbehaving_bulk{row=\"0\"} 0.5\n"),
        "{page:?}"
    );
    assert!(
        String::from_utf8_lossy(&page.body).contains("collector_success{collector=\"panic\"} 0\n"),
        "a flag without a value is switched on by 1: {page:?}"
    );
    assert_eq!(running.get("/metrics").status, 404);
}

#[test]
fn a_start_that_cannot_work_says_why() {
    let running = start(&[]);
    let taken = running.address().to_string();
    for (flags, code, said) in [
        (vec!["--web.listen-address", &taken], 1, "Address already in use"),
        (
            vec!["--web.listen-address", "nonsense"],
            1,
            "listen on nonsense (--web.listen-address)",
        ),
        (vec!["--web.config.file", "web.yml"], 1, "not supported yet"),
        (
            vec!["--web.telemetry-path", "metrics"],
            1,
            "does not begin with /",
        ),
        (
            vec!["--config.file", "/nonexistent/config"],
            1,
            "/nonexistent/config",
        ),
        (vec!["--no-such-flag"], 2, "--no-such-flag"),
    ] {
        let output = run(&flags);
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {log}");
        assert!(log.contains(said), "{flags:?}: {log}");
    }
}

#[test]
fn a_port_alone_means_all_interfaces_and_addresses_may_be_several() {
    // The first address is the one of the test helper.
    let running = start(&["--web.listen-address=:0"]);
    assert_eq!(running.get("/healthz").status, 200);
    let listening = std::fs::read_to_string(format!("/proc/{}/net/tcp6", running.pid())).unwrap_or_default()
        + &std::fs::read_to_string(format!("/proc/{}/net/tcp", running.pid())).expect("its sockets");
    let any = [&"0".repeat(32), "00000000"].map(|host| format!(" {host}:"));
    assert!(
        listening
            .lines()
            .any(|line| any.iter().any(|any| line.contains(any)) && line.contains(" 0A "))
    );
}

#[test]
fn log_lines_are_json_with_the_agreed_fields() {
    let output = run(&["--web.config.file", "web.yml", "--log.format=json"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one JSON line");
    let fields: Vec<&String> = line.as_object().expect("an object").keys().collect();
    assert_eq!(fields[..3], ["timestamp", "level", "service"]);
    for field in ["request_id", "message", "duration_ms", "error"] {
        assert!(line.get(field).is_some(), "{field} in {line}");
    }
    assert_eq!(
        (&line["level"], &line["service"]),
        (&"ERROR".into(), &"misbehaving-exporter".into())
    );
}
