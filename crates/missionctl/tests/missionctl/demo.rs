//! The made-up machine in place of the real one.

use std::path::Path;

use crate::lab::{Lab, SERVICES, eventually, is_alive};

#[test]
fn demo_puts_a_made_up_machine_in_place_of_this_one() {
    let lab = Lab::new();
    lab.edit("mission.toml", |text| {
        text.replace("[stack]\n", "[stack]\ndemo = true\n")
            .replace("\"bench\"", "\"demo\"")
            .replace(
                "\"worker\"]",
                "\"worker\", \"gpu\", \"lancedb\", \"sql\", \"training\", \"device\"]",
            )
    });
    let ran = lab.up();
    let line = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("demo-machine "))
        .expect("a line of the machine");
    assert!(line.contains("healthy"), "{line}");
    assert!(ran.stdout.contains("of demo is made up"), "{}", ran.stdout);
    let limit = eventually("the laptop's limit arrives", || {
        lab.query("val_pl1_limit_watts").pop()
    });
    assert_eq!((limit.0["machine"].as_str(), limit.1), (Some("demo"), 28.0));

    everything_moves(&lab);

    let before = lab.pids();
    assert_eq!(before.len(), SERVICES.len() + 6);
    let again = lab.up();
    assert!(
        again.stderr.contains("nothing had to be changed"),
        "{}",
        again.stderr
    );
    let status = lab.status();
    assert_eq!(status["healthy"], true, "{status:#}");
    let services = status["services"].as_array().expect("services");
    let machine = services.iter().find(|service| service["name"] == "demo-machine");
    assert!(machine.expect("the machine")["address"].is_null());

    // Without it, the exporters are back on the real machine.
    lab.edit("mission.toml", |text| text.replace("demo = true\n", ""));
    lab.up();
    assert!(!is_alive(before["demo-machine"]));
    let after = lab.pids();
    for exporter in [
        "rapl-exporter",
        "gpu-exporter",
        "lancedb-exporter",
        "sql-exporter",
    ] {
        assert_ne!(after[exporter], before[exporter], "{exporter}");
    }
}

/// Power, GPUs, tables, usage and the queue, in Prometheus.
fn everything_moves(lab: &Lab) {
    for metric in [
        "rapl_energy_joules_total",
        "gpu_energy_joules_total",
        "gpu_power_usage_watts",
        "brain_lancedb_rows_total",
        "brain_lancedb_rows_ingested_total",
        "litellm_usage_tokens_total",
        "litellm_usage_spend_usd_total",
        "brain_signal_queue_total",
        "business_revenue_total",
        "cet_training_steps_total",
        "training_step",
        "llm_orchestra_requests_total",
        "canary_last_run_timestamp_seconds",
        "device_frames_total",
        "model_tokens_total",
    ] {
        let query = format!("{metric}{{machine=\"demo\"}}");
        eventually(metric, || lab.query(&query).pop());
        // What LiteLLM's books say is asked once a minute.
        eventually(metric, || {
            let moving = format!("changes({metric}{{machine=\"demo\"}}[2m]) > 0");
            lab.query(&moving).pop()
        });
    }
    let down = lab.query("gpu_up == 0 or sql_query_success == 0 or brain_lancedb_table_up == 0");
    assert!(down.is_empty(), "{down:?}");
}

#[test]
fn the_example_is_good() {
    let lab = Lab::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo/mission.toml");
    let text = std::fs::read_to_string(example).expect("the example");
    assert!(
        text.contains("demo = true") && text.contains("name = \"demo\""),
        "{text}"
    );
    // Its own ports may be taken where the test runs.
    let (head, rest) = text.split_once("[stack.ports]").expect("ports of its own");
    let (_, tail) = rest.split_once("\n\n").expect("a table behind the ports");
    lab.write("mission.toml", &format!("{head}{}\n{tail}", lab.ports_table()));
    let ran = lab.run(&["check"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}
