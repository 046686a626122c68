//! Local jobs push to the bridge as they would to a Pushgateway: the same requests go to both.

use std::io::Write as _;
use std::path::PathBuf;

use exporter::testing::{Running, Signal, free_port};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::BRIDGE;
use crate::programs::{Program, request, wait_for};

struct Bench {
    folder: tempfile::TempDir,
    config: PathBuf,
    receiver: u16,
    intake: u16,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            config: folder.path().join("bridge.toml"),
            folder,
            receiver: free_port(),
            intake: free_port(),
        }
    }

    fn start(&self, receiver: &str) -> Running {
        std::fs::write(&self.config, format!("machine = \"pc\"\n{receiver}"))
            .expect("write the configuration");
        let flags = [
            format!("--config.file={}", self.config.display()),
            format!("--storage.path={}", self.folder.path().join("data").display()),
            format!("--intake.listen-address=127.0.0.1:{}", self.intake),
        ];
        Running::start(BRIDGE, &flags.each_ref().map(String::as_str))
    }

    fn start_to_pushgateway(&self) -> Running {
        self.start(&format!(
            "[pushgateway]\nurl = \"http://127.0.0.1:{}\"\n",
            self.receiver
        ))
    }

    fn push(&self, method: &str, path: &str, body: &str) -> u16 {
        request(self.intake, method, path, &[], body.as_bytes())
            .expect("an answer")
            .0
    }
}

/// Method, path, headers and body.
type Request<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8]);

fn has(page: &str, line: &str) -> bool {
    page.lines().any(|other| other == line)
}

#[test]
fn the_answers_are_those_of_a_pushgateway() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(free_port());
    let _receiver = Program::pushgateway(bench.receiver);
    let _bridge = bench.start_to_pushgateway();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(b"plain 1\n").expect("packed");
    let packed = packed.finish().expect("packed");
    let gzip = [("Content-Encoding", "gzip")];
    let text = [("Content-Type", "text/plain; version=0.0.4")];
    let requests: [Request<'_>; 24] = [
        (
            "PUT",
            "/metrics/job/x",
            &text,
            b"# TYPE a counter\na{l=\"v\"} 1\n",
        ),
        ("POST", "/metrics/job/x", &text, b"b 1\n"),
        ("POST", "/metrics/job/x/", &text, b"b 1\n"),
        ("PUT", "/metrics/job/x/db/main", &text, b""),
        ("POST", "/metrics/job/x/db/main", &text, b""),
        ("PUT", "/metrics/job/x/db@base64/L2E", &text, b"plain 1\n"),
        ("PUT", "/metrics/job/x/db@base64/L2E=", &text, b"plain 1\n"),
        ("PUT", "/metrics/job@base64/eA", &text, b"plain 1\n"),
        ("PUT", "/metrics/job/x/db@base64/=", &text, b"plain 1\n"),
        ("PUT", "/metrics/job/x/db@base64/!!", &text, b"plain 1\n"),
        ("PUT", "/metrics/job/a%20b", &text, b"plain 1\n"),
        ("PUT", "/metrics/job/x/db", &text, b"plain 1\n"),
        ("PUT", "/metrics/job/x/a-b/c", &text, b"plain 1\n"),
        ("PUT", "/metrics/job/x/__db/c", &text, b"plain 1\n"),
        ("PUT", "/metrics/job@base64/=", &text, b"plain 1\n"),
        ("PUT", "/metrics/job/x", &text, b"plain 1 1234\n"),
        ("PUT", "/metrics/job/x", &text, b"a one\n"),
        ("PUT", "/metrics/job/x", &text, b"plain 1\nplain 2\n"),
        ("PUT", "/metrics/job/x", &text, b"a{l=\"1\"\n"),
        ("PUT", "/metrics/job/x", &text, b"push_time_seconds 1\n"),
        ("PUT", "/metrics/job/x", &gzip, &packed),
        ("DELETE", "/metrics/job/x/db/main", &[], b""),
        ("DELETE", "/metrics/job/nobody", &[], b""),
        ("PATCH", "/metrics/job/x", &text, b"plain 1\n"),
    ];
    for (method, path, headers, body) in requests {
        let ask = |port| request(port, method, path, headers, body).expect("an answer");
        let (theirs, said) = ask(gateway.port);
        let (ours, say) = ask(bench.intake);
        let body = String::from_utf8_lossy(body);
        assert_eq!(ours, theirs, "{method} {path}\n{body}\n{say}\n{said}");
    }
    assert_eq!(bench.push("PUT", "/api/v1/status", ""), 404);
}

#[test]
fn groups_reach_a_pushgateway_and_outlive_a_kill() {
    let bench = Bench::new();
    let gateway = Program::pushgateway(bench.receiver);
    let mut bridge = bench.start_to_pushgateway();
    assert_eq!(
        bench.push(
            "PUT",
            "/metrics/job/backup/db@base64/L2E",
            "# TYPE last_seconds gauge\nlast_seconds 5\n"
        ),
        200
    );
    assert_eq!(
        bench.push(
            "POST",
            "/metrics/job/backup/db@base64/L2E",
            "# TYPE rows_total counter\nrows_total{job=\"x\"} 9\n"
        ),
        200
    );
    assert_eq!(bench.push("PUT", "/metrics/job/other", "gone 1\n"), 200);
    let group = "db=\"/a\",instance=\"\",job=\"backup\",machine=\"pc\"";
    let arrived = |gateway: &Program| {
        let page = gateway.page();
        let last = has(&page, &format!("last_seconds{{{group}}} 5"));
        let rows = has(&page, &format!("rows_total{{{group}}} 9"));
        let other = has(&page, "gone{instance=\"\",job=\"other\",machine=\"pc\"} 1");
        (last && rows && other && page.contains("# TYPE rows_total counter")).then_some(page)
    };
    let page = wait_for("both groups", || arrived(&gateway));
    let pushed = |page: &str| {
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("push_time_seconds{{{group}}}")));
        line.expect("a time").to_owned()
    };
    let before = pushed(&page);
    // What the job pushed counts, not when the bridge was started.
    bridge.signal(Signal::KILL);
    bridge.wait();
    let mut bridge = bench.start_to_pushgateway();
    wait_for("the bridge's own page", || {
        gateway.page().contains("bridge_push_total{").then_some(())
    });
    assert_eq!(bench.push("DELETE", "/metrics/job/other", ""), 202);
    wait_for("the deleted group", || {
        (!gateway.page().contains("job=\"other\"")).then_some(())
    });
    assert_eq!(pushed(&gateway.page()), before);
    // A Pushgateway that lost everything gets it again.
    drop(gateway);
    wait_for("a failed push", || {
        let failed = "bridge_push_total{outcome=\"unavailable\"}";
        (exporter::testing::value(&bridge.metrics(), failed) > Some(0.0)).then_some(())
    });
    let gateway = Program::pushgateway(bench.receiver);
    wait_for("the group again", || {
        gateway
            .page()
            .contains(&format!("rows_total{{{group}}} 9"))
            .then_some(())
    });
    // A job's results stay while the bridge is away.
    bridge.signal(Signal::TERM);
    assert_eq!(bridge.wait(), Some(0));
    let page = gateway.page();
    assert!(
        page.contains("job=\"backup\"") && !page.contains("bridge_push_total"),
        "{page}"
    );
}

#[test]
fn groups_reach_prometheus_with_the_time_of_their_push() {
    let bench = Bench::new();
    let prometheus = Program::prometheus(
        bench.folder.path(),
        "storage: {tsdb: {out_of_order_time_window: 1h}}\n",
    );
    let url = format!("http://127.0.0.1:{}/api/v1/write", prometheus.port);
    let _bridge = bench.start(&format!("[remote_write]\nurl = \"{url}\"\n"));
    assert_eq!(bench.push("PUT", "/metrics/job/backup", "rows_total 9\n"), 200);
    assert_eq!(bench.push("PUT", "/metrics/job/backup", "torn{\n"), 400);
    wait_for("the group", || {
        let found = prometheus.query("rows_total{job=\"backup\",machine=\"pc\"} == 9");
        (found.len() == 1).then_some(())
    });
    let ages = prometheus.query("time() - push_time_seconds{job=\"backup\",machine=\"pc\"}");
    assert_eq!(ages.len(), 1, "{ages:?}");
    assert_eq!(bench.push("DELETE", "/metrics/job/backup", ""), 202);
    wait_for("the end of its series", || {
        prometheus.query("rows_total").is_empty().then_some(())
    });
}

#[test]
fn nobody_can_fill_it() {
    let bench = Bench::new();
    let _receiver = Program::pushgateway(bench.receiver);
    let bridge = bench.start_to_pushgateway();
    let path = "/metrics/job/x";
    let big = vec![b'#'; (16 << 20) + 1];
    let answer = request(bench.intake, "PUT", path, &[], &big).map(|(status, _)| status);
    // Who is refused while sending may not get to read why.
    assert!(matches!(answer, None | Some(413)), "{answer:?}");
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&big).expect("packed");
    let bomb = bomb.finish().expect("packed");
    let answer = request(bench.intake, "PUT", path, &[("Content-Encoding", "gzip")], &bomb);
    assert_eq!(answer.map(|(status, _)| status), Some(413));
    for (header, value, expected) in [
        ("Content-Encoding", "snappy", 415),
        ("Content-Type", "application/vnd.google.protobuf", 415),
        ("Content-Encoding", "gzip", 400),
    ] {
        let answer = request(bench.intake, "PUT", path, &[(header, value)], b"a 1\n");
        assert_eq!(
            answer.map(|(status, _)| status),
            Some(expected),
            "{header}: {value}"
        );
    }
    for i in 0..1000 {
        assert_eq!(bench.push("PUT", &format!("/metrics/job/x{i}"), "a 1\n"), 200);
    }
    assert_eq!(bench.push("PUT", "/metrics/job/one_more", "a 1\n"), 503);
    assert_eq!(bench.push("PUT", "/metrics/job/x1", "a 2\n"), 200);
    assert_eq!(bridge.get("/healthz").status, 200);
}
