//! What `render` writes, against files that were looked at.

use std::os::unix::fs::PermissionsExt;

use crate::lab::Lab;

const PROMETHEUS: &str = "global:\n  scrape_interval: 15s\nrule_files: [rules/*.yml]\nscrape_configs:\n  \
    - job_name: prometheus\n    file_sd_configs:\n      - files: [targets/prometheus.json]\n";
const RULES: &str = "groups:\n  - name: a\n    rules:\n      - alert: A\n        expr: up == 0\n        annotations:\n          \
    runbook_url: docs/runbooks/A.md\n";
const ALERTMANAGER: &str = "route:\n  receiver: ops\n  routes:\n    - matchers: ['severity = \"critical\"']\n      \
    receiver: ops\n      routes:\n        - matchers: ['machine = \"x\"']\nreceivers:\n  - name: ops\n    slack_configs:\n      \
    - &slack\n        api_url_file: placeholder\n        channel: '#x'\n        send_resolved: true\n    webhook_configs:\n      \
    - url: http://placeholder.invalid/\n  - name: log\n    slack_configs:\n      - *slack\n";
const INVENTORY: &str = "[stack]\nrunbook_base = \"https://example.org/mission\"\n\n[[machine]]\nname = \"alienware\"\n\
    address = \"localhost\"\nexporters = [\"node\", \"worker\"]\nlimits = { load15 = 12 }\n\n[[machine]]\nname = \"pc\"\n\
    address = \"10.255.255.1\"\nexporters = [\"node\", \"worker:9503\"]\n\n[[target]]\njob = \"app\"\n\
    address = \"10.255.255.1:3000\"\npath = \"/metrics/prometheus\"\ninterval = \"5s\"\nlabels = { env = \"lab\" }\n\n[[target]]\n\
    job = \"app\"\naddress = \"router.invalid:8788\"\npath = \"/metrics/prometheus\"\ninterval = \"5s\"\n\n[workers]\n\
    supervisor = [\"unix:///nowhere/supervisor.sock\"]\nmatch = \"worker_*\"\nheartbeat = \"/run/heartbeat/{worker}\"\n\n\
    [notify.slack]\nwebhook_url_file = \"secrets/slack\"\nchannel = \"#ops\"\n\n[[maintenance]]\nname = \"backup\"\n\
    days = [\"sunday\"]\ntimes = [\"02:00-04:00\"]\nmutes = { severity = [\"warning\", \"info\"] }\n\n[[maintenance]]\n\
    name = \"night\"\ntimes = [\"00:00-06:00\"]\nmutes = { machine = [\"pc\"] }\n";

fn rendered() -> Lab {
    let lab = Lab::new();
    for folder in ["prometheus", "alertmanager", "grafana"] {
        std::fs::remove_dir_all(lab.path(folder)).expect("remove");
    }
    lab.write("prometheus/prometheus.yml", PROMETHEUS);
    lab.write("prometheus/rules/a.yml", RULES);
    lab.write("prometheus/tests/a.yml", "never rendered");
    lab.write("alertmanager/alertmanager.yml", ALERTMANAGER);
    lab.write_secret("secrets/slack", "https://example.org/hush", 0o600);
    lab.write("mission.toml", &format!("{INVENTORY}\n{}", lab.ports_table()));
    let ran = lab.run(&["render"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    lab
}

/// All files that matter, with what differs between runs taken out.
fn page(lab: &Lab) -> String {
    let files = [
        "prometheus/prometheus.yml",
        "prometheus/rules/a.yml",
        "prometheus/rules/inventory.yml",
        "prometheus/targets/node-exporter.json",
        "prometheus/targets/worker-exporter.json",
        "prometheus/targets/rapl-exporter.json",
        "prometheus/targets/app.json",
        "alertmanager/alertmanager.yml",
        "worker-exporter/worker-exporter.toml",
    ];
    let pages = files.map(|file| format!("=== {file}\n{}", lab.read(&format!(".mission/run/{file}"))));
    let mut page = pages
        .join("\n")
        .replace(&lab.path("").display().to_string(), "{project}/");
    for (service, port) in &lab.ports {
        page = page.replace(&format!(":{port}"), &format!(":{{{service}}}"));
    }
    page
}

#[test]
fn the_rendered_files_are_those_that_were_looked_at() {
    let lab = rendered();
    insta::assert_snapshot!(page(&lab));
    assert!(!lab.path(".mission/run/prometheus/tests").exists());
}

#[test]
fn a_secret_is_in_no_file_that_others_may_read() {
    let lab = rendered();
    lab.write_secret("secrets/webhook", "https://example.org/hush", 0o600);
    lab.edit("mission.toml", |text| {
        format!("{text}\n[notify.webhook]\nurl_file = \"secrets/webhook\"\n")
    });
    assert_eq!(lab.run(&["render"]).code, 0);
    let mut holding = Vec::new();
    let mut folders = vec![lab.path(".mission")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).is_ok_and(|text| text.contains("hush")) {
                holding.push(path);
            }
        }
    }
    assert_eq!(holding, [lab.path(".mission/run/alertmanager/alertmanager.yml")]);
    let mode = holding[0].metadata().expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_no_longer_there_is_removed_and_what_is_the_same_is_left_alone() {
    let lab = rendered();
    let ran = lab.run(&["render"]);
    assert!(ran.stdout.ends_with("unchanged\n"), "{}", ran.stdout);
    std::fs::remove_file(lab.path("prometheus/rules/a.yml")).expect("remove");
    let ran = lab.run(&["render"]);
    assert!(
        ran.stdout.trim().ends_with("prometheus/rules/a.yml"),
        "{}",
        ran.stdout
    );
    assert!(!lab.path(".mission/run/prometheus/rules/a.yml").exists());
    assert!(lab.path(".mission/run/prometheus/rules/inventory.yml").exists());
}

#[test]
fn an_example_takes_the_configuration_of_the_checkout_it_lies_in() {
    let lab = rendered();
    lab.write(
        "examples/one/mission.toml",
        "[[machine]]\nname = \"far\"\naddress = \"10.255.255.1\"\n",
    );
    lab.edit("examples/one/mission.toml", |text| {
        format!("{text}\n{}", lab.ports_table())
    });
    let ran = lab.run_in(&lab.path("examples/one"), &["render"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let rules = lab.read("examples/one/.mission/run/prometheus/rules/a.yml");
    assert!(
        rules.contains(&format!("file://{}docs/runbooks/A.md", lab.path("").display())),
        "{rules}"
    );
}

#[test]
fn names_in_any_script_and_what_editors_leave_behind_do_no_harm() {
    let lab = Lab::new();
    std::os::unix::fs::symlink("me@here.1:2", lab.path("prometheus/rules/.#power.yml")).expect("a lock");
    let machine = "[[machine]]\nname = \"b\u{fc}\u{2013}ro.1 \u{1f680}\"\naddress = \"localhost\"\n";
    let window = "[[maintenance]]\nname = \"w\"\ndays = [\"sunday\"]\nmutes = { machine = [\"b\u{fc}\u{2013}ro.1 \u{1f680}\"] }\n";
    lab.write(
        "mission.toml",
        &format!("{}\n{machine}\n{window}", lab.ports_table()),
    );
    // amtool, where it is there, would refuse a backslash that it does not know.
    let ran = lab.run(&["render"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    let routes = lab.read(".mission/run/alertmanager/alertmanager.yml");
    assert!(routes.contains("b\u{fc}\u{2013}ro\\\\.1 \u{1f680}"), "{routes}");
}
