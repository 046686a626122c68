//! A test alert on its way to real receivers.

use exporter::testing::free_port;
use rustix::process::Signal;

use crate::lab::{Lab, eventually, signal};
use crate::receiver::Receiver;

fn configure(lab: &Lab, slack: &str, webhook: &str) {
    lab.write_secret("secrets/slack", slack, 0o600);
    lab.write_secret("secrets/webhook", webhook, 0o400);
    let channels = "\n[notify.slack]\nwebhook_url_file = \"secrets/slack\"\nchannel = \"#lab\"\n\n\
                    [notify.webhook]\nurl_file = \"secrets/webhook\"\n";
    lab.write("mission.toml", &(lab.inventory() + channels));
}

#[test]
fn a_test_alert_reaches_slack_and_webhook_and_is_resolved() {
    let lab = Lab::new();
    let receiver = Receiver::answering("200 OK", "ok");
    configure(&lab, &receiver.url("/slack"), &receiver.url("/hook?token=hush"));
    lab.up();
    let ran = lab.run(&["alerts", "test", "--severity", "high"]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("slack (high): delivered after"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("webhook (high): delivered after"),
        "{}",
        ran.stdout
    );

    let of_test = |status: &str| {
        let bodies = receiver.bodies("/hook?token=hush");
        bodies.into_iter().find(|body| {
            body["commonLabels"]["alertname"] == "MissionControlTest" && body["status"] == status
        })
    };
    let posted = of_test("firing").expect("the webhook has it");
    let alert = &posted["alerts"][0];
    assert_eq!(alert["labels"]["severity"], "high");
    assert_eq!(alert["labels"]["machine"], "bench");
    for annotation in ["summary", "description", "impact", "action"] {
        assert!(
            alert["annotations"][annotation]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{annotation}"
        );
    }
    let runbook = alert["annotations"]["runbook_url"].as_str().expect("a link");
    assert!(
        runbook.starts_with("file:///") && runbook.contains("/docs/"),
        "{runbook}"
    );
    eventually("the webhook hears that it is resolved", || of_test("resolved"));

    let message = eventually("slack hears that it is resolved", || {
        let bodies = receiver.bodies("/slack");
        let resolved = bodies.iter().any(|body| body.to_string().contains("RESOLVED"));
        resolved.then(|| bodies[0].clone())
    });
    assert_eq!(message["channel"], "#lab");
    let attachment = &message["attachments"][0];
    let title = attachment["title"].as_str().expect("a title");
    assert!(
        title.contains("HIGH") && title.contains("MissionControlTest"),
        "{title}"
    );
    let text = attachment["text"].as_str().expect("a text");
    let summary = alert["annotations"]["summary"].as_str().expect("a summary");
    let description = alert["annotations"]["description"]
        .as_str()
        .expect("a description");
    assert!(
        text.contains(summary) && text.contains(description) && text.contains(runbook),
        "{text}"
    );
    let fields = attachment["fields"].to_string();
    assert!(fields.contains("bench"), "{fields}");
}

#[test]
fn a_channel_that_fails_is_named_with_its_reason_and_without_its_secret() {
    let lab = Lab::new();
    let slack = Receiver::answering("404 Not Found", "no_service");
    let nobody = format!("http://127.0.0.1:{}/hush", free_port());
    configure(&lab, &slack.url("/hush"), &nobody);
    lab.up();
    let ran = lab.run(&["alerts", "test", "--severity", "critical"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("slack (critical): not delivered:"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("404") && ran.stdout.contains("no_service"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("connection refused"), "{}", ran.stdout);
    assert!(!(ran.stdout + &ran.stderr).contains("hush"));

    // A stopped process keeps its port and answers nothing.
    let alertmanager = lab.pids()["alertmanager"];
    signal(alertmanager, Signal::STOP);
    let ran = lab.run(&["alerts", "test", "--severity", "critical"]);
    signal(alertmanager, Signal::CONT);
    assert_eq!(ran.code, 1, "{}\n{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("alertmanager does not take the test alert"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("could not be resolved"), "{}", ran.stderr);
}

#[test]
fn without_channels_and_without_a_stack_it_says_so() {
    let lab = Lab::new();
    assert_eq!(lab.run(&["alerts", "test", "--severity", "info"]).code, 3);
    lab.up();
    let ran = lab.run(&["alerts", "test", "--severity", "info"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("slack: not configured for info"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("nobody was told"), "{}", ran.stdout);
}
