//! A machine that its centre does not reach: an agent with a bridge, and a Prometheus that takes what it brings.

use crate::lab::{Lab, eventually};
use crate::receiver::Receiver;

/// A centre in a hurry that lets others write.
fn centre(receiver: &Receiver) -> Lab {
    let lab = Lab::new();
    lab.hurry(&["prometheus/rules/push.yml"]);
    lab.edit("prometheus/rules/push.yml", |text| {
        let fast = text.replace("> 300\n", "> 8\n");
        assert_ne!(fast, text, "PushStale has no limit where this test expects it");
        fast
    });
    lab.write_secret("secrets/webhook", &receiver.url("/hook"), 0o600);
    lab.edit("mission.toml", |text| {
        format!(
            "{text}\n[receiver]\nout_of_order = \"24h\"\n\n[notify.webhook]\nurl_file = \"secrets/webhook\"\n"
        )
    });
    lab.up();
    lab
}

/// An agent that brings everything to `url` with the given key of `[bridge]`.
fn agent(key: &str, url: &str) -> Lab {
    let lab = Lab::new();
    lab.edit("mission.toml", |text| {
        let text = text
            .replace("[stack]\n", "[stack]\nprofile = \"agent\"\n")
            .replace("\"bench\"", "\"pc\"");
        format!("{text}\n[bridge]\n{key} = \"{url}\"\ninterval = \"1s\"\n")
    });
    lab
}

#[test]
fn what_an_agent_collects_arrives_and_its_silence_reaches_the_webhook() {
    let receiver = Receiver::answering("200 OK", "ok");
    let centre = centre(&receiver);
    let pc = agent("remote_write", &centre.url("prometheus", "/api/v1/write"));
    let ran = pc.up();
    let services: Vec<String> = pc.pids().into_keys().collect();
    assert_eq!(
        services,
        [
            "node-exporter",
            "pushgateway-bridge",
            "rapl-exporter",
            "worker-exporter"
        ],
        "{}",
        ran.stdout
    );
    let status = pc.status();
    assert_eq!(status["healthy"], true, "{status:#}");

    for query in [
        "up{machine=\"pc\",job=\"node-exporter\"} == 1",
        "up{machine=\"pc\",job=\"rapl-exporter\"} == 1",
        "node_memory_MemTotal_bytes{machine=\"pc\"}",
        "brain_worker_status{machine=\"pc\",worker=\"pushgateway-bridge\"} == 1",
        "bridge_last_push_timestamp_seconds{machine=\"pc\"}",
    ] {
        eventually(query, || centre.query(query).pop());
    }
    let again = pc.up();
    assert!(
        again.stderr.contains("nothing had to be changed"),
        "{}",
        again.stderr
    );

    drop(pc);
    let alert = eventually("PushStale reaches the webhook", || {
        receiver.heard("firing", "PushStale", ("machine", "pc"))
    });
    assert_eq!(alert["labels"]["severity"], "high");
}

#[test]
fn a_pushgateway_takes_it_too() {
    let receiver = Receiver::answering("200 OK", "ok");
    let centre = centre(&receiver);
    let pc = agent("pushgateway", &centre.url("pushgateway", ""));
    pc.up();
    for query in [
        "node_memory_MemTotal_bytes{machine=\"pc\",job=\"node-exporter\"}",
        "push_time_seconds{machine=\"pc\"}",
    ] {
        eventually(query, || centre.query(query).pop());
    }
    // What is stopped in good order is taken away, so that nobody takes it for alive.
    drop(pc);
    eventually("it is gone", || {
        centre
            .query("node_memory_MemTotal_bytes{machine=\"pc\"}")
            .is_empty()
            .then_some(())
    });
}
