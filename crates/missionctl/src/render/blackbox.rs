//! `blackbox.yml`: one module for each probe.

use serde_json::{Map, Value, json};

use super::expectation::regex;
use crate::inventory::{Expectation, Inventory, Probe, Question, Url};

/// The file's text.
pub(super) fn render(inventory: &Inventory) -> anyhow::Result<String> {
    let modules: Map<String, Value> = inventory
        .probes
        .iter()
        .map(|probe| (probe.name.clone(), module(probe)))
        .collect();
    Ok(format!(
        "# Rendered by missionctl from mission.toml.\n{}",
        serde_yaml_ng::to_string(&json!({ "modules": modules }))?
    ))
}

/// Home networks seldom have IPv6 throughout; a name that has no other address is still asked.
fn module(probe: &Probe) -> Value {
    match &probe.question {
        Question::Http { url, expect } => json!({"prober": "http", "http": http(url, expect)}),
        Question::Tcp(_) => json!({
            "prober": "tcp",
            "tcp": {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": true},
        }),
        Question::Icmp(_) => json!({
            "prober": "icmp",
            "icmp": {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": true},
        }),
    }
}

fn http(url: &Url, expect: &[Expectation]) -> Value {
    let mut http = Map::new();
    http.insert("preferred_ip_protocol".to_owned(), json!("ip4"));
    http.insert("ip_protocol_fallback".to_owned(), json!(true));
    if url.is_local() {
        // From a container this machine has another name. Virtual hosts and certificates go by what the user wrote.
        http.insert("headers".to_owned(), json!({"Host": url.authority()}));
        if url.is_https() {
            http.insert("tls_config".to_owned(), json!({"server_name": url.host}));
        }
    }
    if !expect.is_empty() {
        let expected: Vec<String> = expect.iter().map(regex).collect();
        http.insert("fail_if_body_not_matches_regexp".to_owned(), json!(expected));
    }
    Value::Object(http)
}
