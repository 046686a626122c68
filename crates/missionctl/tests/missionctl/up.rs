//! `up` from nothing, again, and after changes.

use std::collections::BTreeMap;

use crate::lab::{Lab, SERVICES, eventually, is_alive};
use exporter::testing::free_port;

fn without(mut pids: BTreeMap<String, u64>, name: &str) -> BTreeMap<String, u64> {
    pids.remove(name);
    pids
}

#[test]
fn up_starts_everything_and_every_target_is_up_with_its_machine() {
    let lab = Lab::new();
    let ran = lab.up();
    for service in SERVICES {
        let line = ran
            .stdout
            .lines()
            .find(|line| line.starts_with(service))
            .expect("a line per service");
        assert!(
            line.contains("healthy") && line.contains(&lab.ports[service].to_string()),
            "{line}"
        );
    }

    let status = lab.status();
    assert_eq!(status["targets"]["up"], SERVICES.len(), "{status:#}");
    assert_eq!(status["healthy"], true, "{status:#}");

    let up = eventually("every target is up", || {
        let up = lab.query("up == 1");
        (up.len() == SERVICES.len()).then_some(up)
    });
    for (labels, _) in &up {
        assert_eq!(labels["machine"], "bench", "{labels}");
    }
    let mut jobs: Vec<&str> = up
        .iter()
        .filter_map(|(labels, _)| labels["job"].as_str())
        .collect();
    jobs.sort_unstable();
    let mut expected = SERVICES.to_vec();
    expected.sort_unstable();
    assert_eq!(jobs, expected);

    let workers = eventually("the stack's own programs are workers", || {
        let workers = lab.query("brain_worker_status == 1");
        (workers.len() == SERVICES.len()).then_some(workers)
    });
    assert!(workers.iter().any(|(labels, _)| labels["worker"] == "prometheus"));
    let limit = eventually("the inventory's limit is a series", || {
        lab.query("mission:load15_limit").pop()
    });
    assert_eq!(limit.0["machine"], "bench");
    assert!((limit.1 - 12.5).abs() < f64::EPSILON);
    eventually("Prometheus finds Alertmanager", || {
        let found = lab.get("prometheus", "/api/v1/alertmanagers")?;
        (found["data"]["activeAlertmanagers"].as_array()?.len() == 1).then_some(())
    });
    let watchdog = eventually("the heartbeat fires", || {
        let alerts = lab.get("prometheus", "/api/v1/alerts")?;
        alerts["data"]["alerts"]
            .as_array()?
            .iter()
            .find(|alert| alert["labels"]["alertname"] == "Watchdog")
            .cloned()
    });
    let runbook = format!("file://{}docs/runbooks/Watchdog.md", lab.path("").display());
    assert_eq!(watchdog["annotations"]["runbook_url"], runbook);

    let logs = lab.run(&["logs", "prometheus"]);
    assert!(
        logs.stdout.contains("Server is ready to receive web requests"),
        "{}",
        logs.stdout
    );
}

#[test]
fn a_second_up_touches_nothing_and_a_change_only_what_it_is_about() {
    let lab = Lab::new();
    lab.up();
    let before = lab.pids();
    assert_eq!(before.len(), SERVICES.len());
    let again = lab.up();
    assert!(
        again.stderr.contains("nothing had to be changed"),
        "{}",
        again.stderr
    );
    assert_eq!(lab.pids(), before);

    // A flag of Prometheus is a restart of Prometheus.
    lab.edit("mission.toml", |text| text.replace("\"1d\"", "\"2d\""));
    lab.up();
    let after = lab.pids();
    assert_ne!(after["prometheus"], before["prometheus"]);
    assert_eq!(
        without(after.clone(), "prometheus"),
        without(before, "prometheus")
    );

    // A file of the worker-exporter is a restart of the worker-exporter.
    lab.edit("mission.toml", |text| {
        format!("{text}\n[workers]\nsupervisor = [\"unix:///nowhere/a.sock\"]\n")
    });
    lab.up();
    let with_workers = lab.pids();
    assert_ne!(with_workers["worker-exporter"], after["worker-exporter"]);
    assert_eq!(
        without(with_workers.clone(), "worker-exporter"),
        without(after, "worker-exporter")
    );

    // A rule and a channel are read again by programs that go on running.
    lab.write(
        "prometheus/rules/mine.yml",
        "groups:\n  - name: mine\n    rules:\n      - record: mine:one\n        expr: vector(1)\n",
    );
    lab.write_secret("secrets/webhook", "http://127.0.0.1:1/hook\n", 0o600);
    lab.edit("mission.toml", |text| {
        format!("{text}\n[notify.webhook]\nurl_file = \"secrets/webhook\"\n")
    });
    lab.up();
    assert_eq!(lab.pids(), with_workers);
    eventually("the new rule is evaluated", || lab.query("mine:one").pop());
    let status = lab
        .get("alertmanager", "/api/v2/status")
        .expect("Alertmanager answers");
    assert!(
        status["config"]["original"]
            .as_str()
            .expect("text")
            .contains("webhook_configs")
    );

    // What the inventory no longer names ends, and nothing else does.
    lab.edit("mission.toml", |text| text.replace("\"rapl\", ", ""));
    lab.up();
    assert_eq!(lab.pids(), without(with_workers, "rapl-exporter"));
}

#[test]
fn what_is_refused_leaves_everything_as_it_runs() {
    let lab = Lab::new();
    lab.up();
    let before = lab.pids();
    let rendered = lab.read(".mission/run/prometheus/rules/workers.yml");

    let good = lab.read("mission.toml");
    lab.write("mission.toml", &good.replace("\"1d\"", "\"one day\""));
    assert_eq!(lab.run(&["up"]).code, 2);
    lab.write("mission.toml", &good);

    // The inventory is good; what Prometheus would not load is found before anything is put in place.
    lab.edit("prometheus/rules/workers.yml", |text| {
        text.replacen("expr: ", "expr: (((", 1)
    });
    let ran = lab.run(&["up"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("promtool refuses"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("prometheus/rules/workers.yml"),
        "{}",
        ran.stderr
    );
    assert_eq!(lab.read(".mission/run/prometheus/rules/workers.yml"), rendered);
    assert_eq!(lab.pids(), before);
}

#[test]
fn a_service_that_does_not_come_is_explained_and_the_others_run() {
    let lab = Lab::new();
    // Alertmanager keeps its notification log here; a folder in its place is an error it cannot get over.
    std::fs::create_dir_all(lab.path(".mission/data/alertmanager/nflog/x")).expect("a folder");
    let ran = lab.run(&["up"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("alertmanager is not healthy"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("last lines of"), "{}", ran.stderr);
    let status = lab.status();
    for service in status["services"].as_array().expect("services") {
        assert_eq!(
            service["healthy"],
            service["name"] != "alertmanager",
            "{service:#}"
        );
    }
    assert_eq!(lab.run(&["status"]).code, 1);

    // Once the cause is gone, so is the fault.
    std::fs::remove_dir_all(lab.path(".mission/data/alertmanager/nflog")).expect("remove");
    lab.up();
}

#[test]
fn a_program_that_answers_and_ends_is_not_healthy_and_down_needs_no_configuration() {
    let lab = Lab::new();
    let programs = lab.path("programs");
    lab.write(
        "programs/pushgateway",
        "#!/usr/bin/python3\nimport http.server, os, sys, threading\n\
         address = next(word for word in sys.argv if \"listen-address\" in word).partition(\"=\")[2]\n\
         class Page(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_response(200)\n        self.end_headers()\n\
         threading.Timer(0.3, lambda: os._exit(3)).start()\n\
         http.server.ThreadingHTTPServer((\"127.0.0.1\", int(address.rpartition(\":\")[2])), Page).serve_forever()\n",
    );
    std::fs::set_permissions(
        programs.join("pushgateway"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("change the mode");
    let ran = lab.run_with(&programs, &["up"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr
            .contains("pushgateway is not healthy: it ends right after it starts"),
        "{}",
        ran.stderr
    );

    std::fs::remove_dir_all(lab.path("prometheus")).expect("remove");
    assert_eq!(lab.run(&["status"]).code, 1);
    let supervisord = lab.supervisord();
    let ran = lab.run(&["down"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!is_alive(supervisord));
}

#[test]
fn a_target_that_prometheus_cannot_scrape_is_named_with_its_reason() {
    let lab = Lab::new();
    let good = lab.read("prometheus/prometheus.yml");
    let (before, job) = good.split_once("job_name: rapl-exporter").expect("the job");
    let bad = format!(
        "{before}job_name: rapl-exporter{}",
        job.replacen("sample_limit: 5000", "sample_limit: 3", 1)
    );
    assert_ne!(bad, good);
    lab.write("prometheus/prometheus.yml", &bad);
    let ran = lab.run(&["up", "--timeout", "10"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    let address = format!("127.0.0.1:{}", lab.ports["rapl-exporter"]);
    let said = format!("prometheus has not scraped rapl-exporter at {address}: sample limit exceeded");
    assert!(ran.stderr.lines().any(|line| line == said), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("has not scraped").count(), 1, "{}", ran.stderr);

    lab.write("prometheus/prometheus.yml", &good);
    lab.up();
    assert_eq!(lab.status()["targets"]["up"], SERVICES.len());
}

#[test]
fn targets_under_a_new_name_are_waited_for() {
    let lab = Lab::new();
    lab.up();
    lab.edit("mission.toml", |text| text.replace("\"bench\"", "\"desk\""));
    lab.up();
    let targets = lab
        .get("prometheus", "/api/v1/targets")
        .expect("Prometheus answers");
    let targets = targets["data"]["activeTargets"]
        .as_array()
        .expect("targets")
        .clone();
    assert_eq!(targets.len(), SERVICES.len());
    for target in &targets {
        assert_eq!(
            (&target["labels"]["machine"], &target["health"]),
            (&"desk".into(), &"up".into()),
            "{target:#}"
        );
    }
}

#[test]
fn a_target_down_that_the_stack_does_not_start_is_told_and_no_failure() {
    let lab = Lab::new();
    let nobody = free_port();
    lab.edit("mission.toml", |text| {
        format!("{text}\n[[target]]\njob = \"app\"\naddress = \"127.0.0.1:{nobody}\"\nrequired = false\n")
    });
    lab.up();
    eventually("Prometheus has tried", || lab.query("up{job=\"app\"} == 0").pop());
    let ran = lab.up();
    let told = format!("app on bench (127.0.0.1:{nobody}) is down: ");
    assert!(
        ran.stderr.lines().any(|line| line.starts_with(&told)),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_port_that_somebody_else_holds_is_named_with_its_holder_and_its_key() {
    let lab = Lab::new();
    let port = lab.ports["prometheus"];
    let held = std::net::TcpListener::bind(("127.0.0.1", port)).expect("bind");
    let ran = lab.run(&["up"]);
    assert_eq!(ran.code, 2, "{}\n{}", ran.stdout, ran.stderr);
    let error = ran
        .stderr
        .lines()
        .find(|line| line.contains(": error: "))
        .expect("an error");
    let said = format!("port {port} of prometheus is taken by ");
    assert!(
        error.contains(&said) && error.ends_with(&format!(", pid {}", std::process::id())),
        "{error}"
    );
    assert!(
        ran.stderr.contains("[stack.ports] prometheus = "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("nothing was touched"), "{}", ran.stderr);
    assert!(!lab.path(".mission/run/supervisord.conf").exists());
    drop(held);
    lab.up();
}
