//! Receivers, routes and inhibition.

use std::fs;

use serde_yaml_ng::Value;

use crate::CHANNELS;
use crate::files::{alertmanager, copy, list, run, text, yaml};

#[test]
fn alertmanager_takes_the_configuration_with_any_of_its_channels() {
    run("amtool", &alertmanager(), &["check-config", "alertmanager.yml"]);
    for kept in 0..1 << CHANNELS.len() {
        let folder = tempfile::tempdir().expect("folder");
        copy(
            &alertmanager().join("templates"),
            &folder.path().join("templates"),
        );
        let mut config = yaml(&alertmanager().join("alertmanager.yml"));
        let receivers = config
            .get_mut("receivers")
            .and_then(Value::as_sequence_mut)
            .expect("receivers");
        for receiver in receivers.iter_mut().filter_map(Value::as_mapping_mut) {
            let dropped = CHANNELS
                .iter()
                .enumerate()
                .filter(|(bit, _)| kept >> bit & 1 == 0);
            dropped.for_each(|(_, channel)| drop(receiver.shift_remove(*channel)));
        }
        let file = folder.path().join("alertmanager.yml");
        fs::write(&file, serde_yaml_ng::to_string(&config).expect("YAML")).expect("write");
        let said = run("amtool", folder.path(), &["check-config", "alertmanager.yml"]);
        assert!(said.contains("1 templates"), "{said}");
    }
}

#[test]
fn every_channel_is_told_that_an_alert_is_over_and_no_secret_is_written_down() {
    let config = yaml(&alertmanager().join("alertmanager.yml"));
    for receiver in list(&config, "receivers") {
        for channel in CHANNELS.iter().flat_map(|channel| list(receiver, channel)) {
            assert_eq!(
                channel.get("send_resolved"),
                Some(&Value::Bool(true)),
                "{receiver:?}"
            );
            assert!(channel.get("api_url").is_none(), "{receiver:?}");
            assert!(
                channel
                    .get("url")
                    .is_none_or(|url| url == "http://webhook.invalid/"),
                "{receiver:?}"
            );
        }
        let has_slack = list(receiver, "slack_configs").next().is_some();
        assert_eq!(
            has_slack,
            text(receiver, "name") != "watchdog",
            "a heartbeat belongs into no chat"
        );
    }
}

#[test]
fn alerts_reach_the_receiver_of_their_severity() {
    let cases = [
        ("alertname=WorkerDown severity=critical machine=pc", "critical"),
        ("alertname=ExporterDown severity=high machine=pc", "high"),
        ("alertname=HighCPULoad severity=warning machine=pc", "warning"),
        ("alertname=LanceDBStagnant severity=info", "info"),
        ("alertname=Watchdog severity=none", "watchdog"),
        ("alertname=Watchdog severity=critical", "watchdog"),
        ("alertname=Foreign severity=page", "high"),
        ("alertname=Foreign", "high"),
    ];
    for (labels, receiver) in cases {
        let verify = format!("--verify.receivers={receiver}");
        let mut arguments = vec![
            "config",
            "routes",
            "test",
            "--config.file=alertmanager.yml",
            &verify,
        ];
        arguments.extend(labels.split(' '));
        run("amtool", &alertmanager(), &arguments);
    }
}

#[test]
fn inhibition_compares_no_labels_that_are_missing_on_both_sides() {
    let config = yaml(&alertmanager().join("alertmanager.yml"));
    let inhibit_rules: Vec<&Value> = list(&config, "inhibit_rules").collect();
    assert_eq!(inhibit_rules.len(), 4);
    for rule in inhibit_rules {
        let equal: Vec<&str> = list(rule, "equal").filter_map(Value::as_str).collect();
        for side in ["source_matchers", "target_matchers"] {
            // A rule that compares nothing says on both sides which job it is about.
            let present = |matcher: &str| match matcher.split_once(" != ") {
                Some((label, "\"\"")) => equal.contains(&label),
                _ => equal.is_empty() && matcher.starts_with("job = "),
            };
            assert!(
                list(rule, side).filter_map(Value::as_str).any(present),
                "{side} of {rule:?} asks neither for one of the labels in `equal` nor for a job"
            );
        }
    }
}
