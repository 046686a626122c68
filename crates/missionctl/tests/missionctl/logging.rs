//! Loki and Alloy, played by programs that take their configuration as the real ones do.

use std::os::unix::fs::PermissionsExt;

use crate::lab::{Lab, eventually};

/// Answers at the pages that it is asked for, and says at `/told` what it was told.
const PLAYER: &str = r#"#!/usr/bin/env python3
import http.server, json, os, sys
environment = os.environ
if os.path.basename(sys.argv[0]) == "loki":
    flags = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
    assert flags["config.expand-env"] == "true"
    text = open(flags["config.file"]).read()
    told = {name: environment[name] for name in ("LOKI_DATA", "LOKI_RULES", "ALERTMANAGER_URL")}
    told["used"] = [name for name in ("LOKI_DATA", "LOKI_LISTEN", "LOKI_PORT", "LOKI_RULES") if "${" + name in text]
    address = environment["LOKI_LISTEN"], int(environment["LOKI_PORT"])
    ready = "/ready"
else:
    assert sys.argv[1] == "run"
    flags = dict(word.lstrip("-").split("=", 1) for word in sys.argv[2:] if "=" in word)
    told = {name: environment[name] for name in ("LOKI_URL", "MISSION_MACHINE", "MISSION_LOGS")}
    told["files"] = sorted(os.listdir(sys.argv[-1]))
    host, _, port = flags["server.http.listen-addr"].rpartition(":")
    address = host, int(port)
    ready = "/-/ready"
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in (ready, "/metrics", "/told") else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        if self.path == "/told":
            self.wfile.write(json.dumps(told).encode())
http.server.ThreadingHTTPServer(address, Page).serve_forever()
"#;

fn full(programs: &[&str]) -> Lab {
    let lab = Lab::new();
    for program in programs {
        let path = format!("programs/{program}");
        lab.write(&path, PLAYER);
        std::fs::set_permissions(lab.path(&path), std::fs::Permissions::from_mode(0o755))
            .expect("change the mode");
    }
    lab.edit("mission.toml", |text| {
        text.replace("backend = \"native\"", "backend = \"native\"\nprofile = \"full\"")
    });
    lab
}

#[test]
fn logs_go_from_the_services_to_loki() {
    let lab = full(&["loki", "alloy"]);
    let ran = lab.run_with(&lab.path("programs"), &["up"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let loki = lab.get("loki", "/told").expect("it answers");
    assert_eq!(loki["ALERTMANAGER_URL"], lab.url("alertmanager", ""));
    assert_eq!(
        loki["LOKI_DATA"],
        lab.path(".mission/data/loki").display().to_string()
    );
    assert_eq!(loki["used"].as_array().expect("a list").len(), 4, "{loki}");
    let alloy = lab.get("alloy", "/told").expect("it answers");
    assert_eq!(alloy["LOKI_URL"], lab.url("loki", ""));
    assert_eq!(alloy["MISSION_MACHINE"], "bench");
    assert_eq!(
        alloy["MISSION_LOGS"],
        lab.path(".mission/log").display().to_string()
    );
    let files = alloy["files"].as_array().expect("a list");
    assert!(
        files.contains(&"files.alloy".into()) && !files.contains(&"containers.alloy".into()),
        "{alloy}"
    );
    for job in ["loki", "alloy"] {
        eventually(job, || lab.query(&format!("up{{job=\"{job}\"}} == 1")).pop());
    }
    let source = lab.read(".mission/run/grafana/provisioning/datasources/loki.yml");
    assert!(source.contains("uid: loki"), "{source}");
}

#[test]
fn without_loki_nothing_waits_for_it() {
    let lab = full(&["alloy"]);
    let ran = lab.run_with(&lab.path("programs"), &["up"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let said = |text: &str| ran.stderr.lines().any(|line| line.contains(text));
    assert!(
        said("loki could not be had, so logs are not stored"),
        "{}",
        ran.stderr
    );
    assert!(
        said("cadvisor runs in containers only; left out"),
        "{}",
        ran.stderr
    );
    let pids = lab.pids();
    assert!(
        !pids.contains_key("loki") && !pids.contains_key("alloy"),
        "{pids:?}"
    );
    assert_eq!(lab.read(".mission/run/prometheus/targets/loki.json").trim(), "[]");
    assert!(
        !lab.path(".mission/run/grafana/provisioning/datasources/loki.yml")
            .exists()
    );
}
