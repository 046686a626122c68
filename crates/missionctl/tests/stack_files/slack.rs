//! What people read in Slack.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use crate::SEVERITIES;
use crate::files::{alertmanager, run};

/// What a channel would show of these alerts.
fn rendered(template: &str, status: &str, alerts: &[serde_json::Value]) -> String {
    let common = |key: &str| {
        let first = alerts[0][key].as_object().expect("labels").clone();
        let same = first
            .into_iter()
            .filter(|(name, value)| alerts.iter().all(|alert| &alert[key][name] == value));
        same.collect::<serde_json::Map<_, _>>()
    };
    let labels = &alerts[0]["labels"];
    let data = json!({
        "receiver": "critical", "status": status, "externalURL": "http://127.0.0.1:9093", "alerts": alerts,
        "groupLabels": {"alertname": labels["alertname"], "machine": labels["machine"]},
        "commonLabels": common("labels"), "commonAnnotations": common("annotations"),
    });
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("data.json");
    fs::write(&file, data.to_string()).expect("write");
    let call = format!("{{{{ template \"mission.slack.{template}\" . }}}}");
    let data = format!("--template.data={}", file.display());
    run(
        "amtool",
        &alertmanager(),
        &[
            "template",
            "render",
            "--template.glob=templates/*.tmpl",
            "--template.text",
            &call,
            &data,
        ],
    )
}

fn worker_down(worker: &str, status: &str) -> serde_json::Value {
    json!({
        "status": status,
        "labels": {"alertname": "WorkerDown", "severity": "critical", "machine": "pc", "worker": worker},
        "annotations": {
            "summary": format!("Worker {worker} is down"), "description": "It is FATAL.", "impact": "No work.",
            "action": format!("Start {worker}."), "runbook_url": "docs/runbooks/WorkerDown.md",
        },
        "startsAt": "2026-01-29T03:00:00Z",
        "endsAt": if status == "resolved" { "2026-01-29T03:14:30.25Z" } else { "0001-01-01T00:00:00Z" },
        "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=x",
    })
}

#[test]
fn slack_says_what_is_wrong_and_what_to_do() {
    let alerts = [worker_down("<signal> & co", "firing")];
    assert_eq!(
        rendered("title", "firing", &alerts),
        "[CRITICAL] WorkerDown on pc"
    );
    assert_eq!(
        rendered("title_link", "firing", &alerts),
        "http://127.0.0.1:9090/graph?g0.expr=x"
    );
    assert_eq!(
        rendered("fallback", "firing", &alerts),
        "[CRITICAL] Worker <signal> & co is down"
    );
    assert_eq!(
        rendered("severity", "firing", &alerts),
        "critical, respond within 15 minutes"
    );
    assert_eq!(rendered("machine", "firing", &alerts), "pc");
    let lines = [
        "*Worker &lt;signal&gt; &amp; co is down*",
        "It is FATAL.",
        "*Since:* <!date^1769655600^{date_short_pretty} at {time} ({ago})|2026-01-29 03:00 UTC>",
        "",
        "*Impact:* No work.",
        "*Action:* Start &lt;signal&gt; &amp; co.",
        "*Runbook:* `docs/runbooks/WorkerDown.md`",
    ];
    assert_eq!(rendered("text", "firing", &alerts), lines.join("\n"));
}

#[test]
fn slack_links_a_runbook_that_is_served() {
    let mut alert = worker_down("signal", "firing");
    alert["annotations"]["runbook_url"] = json!("https://lab.example/docs/runbooks/WorkerDown.md");
    let text = rendered("text", "firing", &[alert]);
    assert!(
        text.ends_with("*Runbook:* <https://lab.example/docs/runbooks/WorkerDown.md>"),
        "{text}"
    );
}

#[test]
fn slack_shows_alerts_of_others_too() {
    let alert = json!({
        "status": "firing", "labels": {"alertname": "Foreign"}, "annotations": {}, "generatorURL": "",
        "startsAt": "2026-01-29T03:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
    });
    let of = |template: &str| rendered(template, "firing", std::slice::from_ref(&alert));
    assert_eq!(of("title"), "[ALERT] Foreign");
    assert_eq!(of("fallback"), "[ALERT] Foreign");
    assert_eq!(of("severity"), "not set");
    assert_eq!(of("machine"), "none");
    assert!(
        of("text").starts_with("*Foreign*\n*Since:* <!date^"),
        "{}",
        of("text")
    );
}

#[test]
fn slack_says_what_is_over_and_how_long_it_took() {
    let alerts = [worker_down("signal", "resolved")];
    assert_eq!(
        rendered("title", "resolved", &alerts),
        "[RESOLVED] WorkerDown on pc"
    );
    let line = "*Worker signal is down*: resolved after 14m30s, \
                <!date^1769656470^{date_short_pretty} at {time} ({ago})|2026-01-29 03:14 UTC>\n";
    assert_eq!(rendered("text", "resolved", &alerts), line);
}

#[test]
fn slack_stays_readable_when_alerts_are_grouped() {
    let mut alerts: Vec<_> = (1..=10)
        .map(|number| worker_down(&format!("w{number}"), "firing"))
        .collect();
    alerts.push(worker_down("w11", "resolved"));
    assert_eq!(
        rendered("title", "firing", &alerts),
        "[CRITICAL] WorkerDown on pc (10)"
    );
    let text = rendered("text", "firing", &alerts);
    assert!(
        text.contains("*Worker w8 is down*\nIt is FATAL.\n*Action:* Start w8.\n*Since:*"),
        "{text}"
    );
    assert!(
        !text.contains("w9") && text.contains("\n\n_and 2 more_\n\n"),
        "{text}"
    );
    assert_eq!(text.matches("*Impact:* No work.").count(), 1, "{text}");
    assert!(
        text.contains("\n\nNo longer firing:\n*Worker w11 is down*: resolved after 14m30s"),
        "{text}"
    );
    assert!(!text.contains("\n\n\n"), "{text}");
}

#[test]
fn slack_colours_tell_severities_apart() {
    let of = |severity: &str, status: &str| {
        let mut alert = worker_down("signal", status);
        alert["labels"]["severity"] = json!(severity);
        rendered("color", status, &[alert])
    };
    let colours: BTreeSet<String> = SEVERITIES.iter().map(|severity| of(severity, "firing")).collect();
    assert_eq!(colours.len(), SEVERITIES.len(), "{colours:?}");
    assert!(!colours.contains(&of("critical", "resolved")), "{colours:?}");
    assert_eq!(of("critical", "resolved"), of("info", "resolved"));
}
