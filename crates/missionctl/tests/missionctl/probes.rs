//! Health from outside: the real blackbox_exporter asks real servers, and what it finds reaches the receiver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::lab::{Lab, eventually};
use crate::receiver::Receiver;

const HEALTHY: &str = "{\n  \"checks\" : { \"cache\": {\"items\": [1, {\"database\": false}]}, \"database\": true },\n  \
    \"status\": \"healthy\", \"version\": 2.0\n}";
const DEGRADED: &str = "{\"checks\": {\"database\": false}, \"status\": \"healthy\", \"version\": 2}";

/// An HTTP server whose only page can be changed.
struct Page {
    port: u16,
    body: Arc<Mutex<&'static str>>,
}

impl Page {
    fn saying(body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("an address").port();
        let body = Arc::new(Mutex::new(body));
        let says = Arc::clone(&body);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let body = *says.lock().expect("no panic while locked");
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { port, body }
    }

    fn say(&self, body: &'static str) {
        *self.body.lock().expect("no panic while locked") = body;
    }
}

/// An HTTPS server with one of the certificates in `fixtures/`.
struct Tls {
    port: u16,
    child: Child,
}

const TLS: &str = "import http.server, ssl, sys\n\
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n\
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
    context.load_cert_chain(sys.argv[1])\n\
    server.socket = context.wrap_socket(server.socket, server_side=True)\n\
    print(server.server_port, flush=True)\n\
    server.serve_forever()\n";

impl Tls {
    fn with(certificate: &str) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", TLS])
            .arg(fixture(certificate))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("run python3");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { port, child }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.child.kill().expect("end it");
        self.child.wait().expect("its end");
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/missionctl/fixtures")
        .join(name)
}

fn success(lab: &Lab, probe: &str) -> Option<f64> {
    lab.value(&format!("probe_success{{probe=\"{probe}\"}}"))
}

#[test]
fn what_does_not_answer_as_it_should_is_reported_and_its_return_too() {
    let api = Page::saying(HEALTHY);
    let (valid, expired) = (Tls::with("valid.pem"), Tls::with("expired.pem"));
    let port = TcpListener::bind("127.0.0.1:0").expect("bind");
    let receiver = Receiver::answering("200 OK", "ok");
    let lab = Lab::new();
    lab.hurry(&["prometheus/rules/probes.yml"]);
    // The certificate of the tests lives long enough for them.
    lab.edit("prometheus/rules/probes.yml", |text| {
        text.replace("< 20 * 86400", "< 36500 * 86400")
    });
    lab.write_secret("secrets/webhook", &receiver.url("/hook"), 0o600);
    let probes = format!(
        "\n[[probe]]\nname = \"api\"\nurl = \"http://localhost:{}/health\"\n\
         expect_json = {{ status = \"healthy\", version = 2, checks = {{ database = true }} }}\n\
         [[probe]]\nname = \"valid\"\nurl = \"https://localhost:{}/\"\n\
         [[probe]]\nname = \"expired\"\nurl = \"https://localhost:{}/\"\n\
         [[probe]]\nname = \"port\"\ntcp = \"{}\"\ninterval = \"2s\"\n\
         [[probe]]\nname = \"ping\"\nicmp = \"127.0.0.1\"\n\
         [notify.webhook]\nurl_file = \"secrets/webhook\"\n",
        api.port,
        valid.port,
        expired.port,
        port.local_addr().expect("an address"),
    );
    lab.edit("mission.toml", |text| text.to_owned() + &probes);
    let authority = fixture("authority.pem");
    let up = lab.up_with(&[("SSL_CERT_FILE", authority.to_str().expect("UTF-8"))]);

    for probe in ["api", "valid", "port"] {
        eventually(probe, || (success(&lab, probe) == Some(1.0)).then_some(()));
    }
    // Where a user may not ping, that was said.
    let may_ping = !up.stderr.contains("may not send pings");
    eventually("ping", || {
        (success(&lab, "ping") == Some(f64::from(u8::from(may_ping)))).then_some(())
    });

    let intervals = lab
        .get("prometheus", "/api/v1/targets")
        .expect("Prometheus answers");
    let intervals = intervals["data"]["activeTargets"]
        .as_array()
        .expect("targets")
        .iter();
    let mut intervals = intervals.filter(|target| target["labels"]["probe"] == "port");
    assert_eq!(intervals.next().expect("the probe")["scrapeInterval"], "2s");

    let alert = eventually("the expired certificate is reported", || {
        receiver.heard("firing", "ProbeFailed", ("probe", "expired"))
    });
    assert_eq!(alert["labels"]["machine"], "bench");
    assert_eq!(
        alert["labels"]["instance"],
        format!("https://localhost:{}/", expired.port)
    );
    // A handshake that fails shows no certificate.
    assert_eq!(
        lab.value("probe_ssl_earliest_cert_expiry{probe=\"expired\"}"),
        None
    );
    let alert = eventually("the certificate that is to expire is reported", || {
        receiver.heard("firing", "CertificateExpiring", ("probe", "valid"))
    });
    assert_eq!(alert["labels"]["severity"], "warning");

    for untouched in ["api", "valid", "port"] {
        let heard = receiver.heard("firing", "ProbeFailed", ("probe", untouched));
        assert!(heard.is_none(), "{heard:?}");
    }
    api.say(DEGRADED);
    let alert = eventually("another answer is reported", || {
        receiver.heard("firing", "ProbeFailed", ("probe", "api"))
    });
    let description = alert["annotations"]["description"]
        .as_str()
        .expect("a description");
    assert!(description.contains("its HTTP status is 200"), "{description}");
    api.say(HEALTHY);
    eventually("the right answer is reported", || {
        receiver.heard("resolved", "ProbeFailed", ("probe", "api"))
    });
    drop(port);
    eventually("the closed port is reported", || {
        receiver.heard("firing", "ProbeFailed", ("probe", "port"))
    });
}

#[test]
fn a_new_probe_is_asked_without_a_restart() {
    let first = Page::saying("{}");
    let lab = Lab::new();
    let probe = |name: &str, expect: &str| {
        format!(
            "\n[[probe]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{}/\"\n{expect}\n",
            first.port
        )
    };
    lab.edit("mission.toml", |text| text.to_owned() + &probe("one", ""));
    lab.up();
    eventually("the first probe", || {
        (success(&lab, "one") == Some(1.0)).then_some(())
    });
    let before = lab.pids();
    lab.edit("mission.toml", |text| {
        text.to_owned() + &probe("two", "expect_json = { status = \"ok\" }")
    });
    let ran = lab.up();
    assert!(ran.stderr.is_empty() || !ran.stderr.contains("nothing had to be changed"));
    assert_eq!(lab.pids(), before);
    eventually("the second probe", || {
        (success(&lab, "two") == Some(0.0)).then_some(())
    });
    eventually("the first probe, still", || {
        (success(&lab, "one") == Some(1.0)).then_some(())
    });

    // Without probes nobody is needed to make them.
    lab.edit("mission.toml", |text| {
        text[..text.find("[[probe]]").expect("the probes")].to_owned()
    });
    lab.up();
    assert!(!lab.pids().contains_key("blackbox-exporter"));
    eventually("their series end", || {
        lab.query("probe_success").is_empty().then_some(())
    });
}
