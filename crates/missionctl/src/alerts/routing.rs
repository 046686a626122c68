//! Which receivers an alert goes to, by Alertmanager's own answer, and which channels they have, by its configuration.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_yaml_ng::Value;

use super::KINDS;
use crate::http::Http;
use crate::project::Project;

/// A way to people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    /// `slack` or `webhook`, as Alertmanager's metrics and logs name it.
    pub(crate) kind: &'static str,
    /// The receiver it belongs to.
    pub(crate) receiver: String,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, self.receiver)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    receivers: Vec<Receiver>,
    status: Status,
}

#[derive(Deserialize)]
struct Receiver {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
}

/// Receivers of the alert with the test id.
pub(crate) fn receivers(http: &Http, url: &str, id: &str) -> anyhow::Result<Vec<String>> {
    // Alertmanager takes an alert at once and shows it a moment later.
    let deadline = Instant::now() + Duration::from_secs(5);
    let page = format!("{url}/api/v2/alerts?filter=test_id%3D%22{id}%22");
    loop {
        let alerts: Vec<Alert> = http.get_json(&page)?;
        if let Some(alert) = alerts.into_iter().next() {
            if let Some(silence) = alert.status.silenced_by.first() {
                bail!(
                    "the test alert is muted by the silence {silence}; end it with amtool silence expire {silence}"
                );
            }
            if let Some(other) = alert.status.inhibited_by.first() {
                bail!(
                    "the test alert is muted by another alert ({other}); missionctl status shows what fires"
                );
            }
            return Ok(alert
                .receivers
                .into_iter()
                .map(|receiver| receiver.name)
                .collect());
        }
        if Instant::now() > deadline {
            bail!("Alertmanager took the test alert and does not show it; missionctl logs alertmanager");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Channels of the receivers, in the order of the file.
pub(crate) fn channels(project: &Project, receivers: &[String]) -> anyhow::Result<Vec<Channel>> {
    let path = project.run().join("alertmanager/alertmanager.yml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let config: Value = serde_yaml_ng::from_str(&text).with_context(|| path.display().to_string())?;
    let all = config
        .get("receivers")
        .and_then(Value::as_sequence)
        .context("receivers is not a list")?;
    let mut channels = Vec::new();
    for receiver in all {
        let Some(name) = receiver.get("name").and_then(Value::as_str) else {
            continue;
        };
        if !receivers.iter().any(|wanted| wanted == name) {
            continue;
        }
        for kind in KINDS {
            let configured = receiver
                .get(format!("{kind}_configs"))
                .and_then(Value::as_sequence);
            if configured.is_some_and(|configs| !configs.is_empty()) {
                channels.push(Channel {
                    kind,
                    receiver: name.to_owned(),
                });
            }
        }
    }
    Ok(channels)
}
