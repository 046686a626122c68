//! Grafana, played by a program that takes its configuration as the real one does.

use std::os::unix::fs::PermissionsExt;

use crate::lab::Lab;

/// Answers at the pages that it is asked for, and writes down the administrator's password that its configuration leads to: variables
/// of the environment in which `$__file{…}` stands for what is in a file.
const GRAFANA: &str = r#"#!/usr/bin/env python3
import http.server, os, re, sys
if "server" not in sys.argv:
    sys.exit(print("grafana version 12.0.0"))
variable = lambda name: os.environ["GF_" + name]
from_file = lambda found: open(found[1]).read().strip()
password = re.sub(r"\$__file\{([^}]+)\}", from_file, variable("SECURITY_ADMIN_PASSWORD"))
open(os.path.join(variable("PATHS_DATA"), "password-seen"), "w").write(password)
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/api/health", "/metrics") else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
address = variable("SERVER_HTTP_ADDR"), int(variable("SERVER_HTTP_PORT"))
http.server.HTTPServer(address, Health).serve_forever()
"#;

#[test]
fn grafana_starts_with_a_password_of_its_own_that_is_never_shown() {
    let lab = Lab::new();
    lab.write("programs/grafana", GRAFANA);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(lab.path("programs/grafana"), executable).expect("change the mode");
    let up = || {
        let ran = lab.run_with(&lab.path("programs"), &["up"]);
        assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
        ran
    };
    let ran = up();
    let dashboard = lab.read(".mission/run/grafana/dashboards/Power/neural-uplink.json");
    let runbook = format!(
        "\"url\": \"file://{}/docs/runbooks/",
        lab.path("").display().to_string().trim_end_matches('/')
    );
    assert!(dashboard.contains(&runbook), "{runbook} is not in\n{dashboard}");
    let path = lab.path(".mission/data/grafana/admin-password");
    let password = lab.read(".mission/data/grafana/admin-password");
    assert_eq!(password.len(), 32, "{password}");
    assert_eq!(
        path.metadata().expect("metadata").permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(lab.read(".mission/data/grafana/password-seen"), password);

    let lines: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.contains("password"))
        .collect();
    let told = format!("Grafana's user is admin, its password is in {}", path.display());
    assert_eq!(lines, [told]);
    let shown = ran.stdout + &ran.stderr + &lab.read(".mission/run/supervisord.conf");
    assert!(!shown.contains(&password));

    let again = up();
    assert!(
        again.stderr.contains("nothing had to be changed"),
        "{}",
        again.stderr
    );
    assert_eq!(lab.read(".mission/data/grafana/admin-password"), password);

    let other = Lab::new();
    other.write("programs/grafana", GRAFANA);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(other.path("programs/grafana"), executable).expect("change the mode");
    assert_eq!(other.run_with(&other.path("programs"), &["up"]).code, 0);
    assert_ne!(other.read(".mission/data/grafana/admin-password"), password);
}
