//! What the running Prometheus knows of its targets and alerts, from its HTTP API.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::http::Http;

/// A target as Prometheus sees it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActiveTarget {
    /// The labels that tell it from others.
    pub(crate) labels: TargetLabels,
    /// Why the last scrape did not work; empty when it did.
    pub(crate) last_error: String,
    /// When the last scrape began, RFC 3339.
    pub(crate) last_scrape: String,
    health: String,
}

/// Labels of a target.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TargetLabels {
    /// Scrape job.
    pub(crate) job: String,
    /// `host:port`
    pub(crate) instance: String,
    /// Machine of the inventory.
    pub(crate) machine: String,
}

impl ActiveTarget {
    /// The last scrape worked.
    pub(crate) fn is_up(&self) -> bool {
        self.health == "up"
    }

    /// The last scrape did not work; a target that was not scraped yet is neither up nor down.
    pub(crate) fn is_down(&self) -> bool {
        self.health == "down"
    }
}

/// An alert that is pending or firing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActiveAlert {
    /// With `alertname`.
    pub(crate) labels: BTreeMap<String, String>,
    /// Filled in with its values.
    pub(crate) annotations: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub(crate) state: String,
    /// Since when, RFC 3339.
    pub(crate) active_at: String,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTargets {
    active_targets: Vec<ActiveTarget>,
}

#[derive(Deserialize)]
struct ActiveAlerts {
    alerts: Vec<ActiveAlert>,
}

/// All targets of the Prometheus at this URL.
pub(crate) fn targets(http: &Http, url: &str) -> anyhow::Result<Vec<ActiveTarget>> {
    let answer: Answer<ActiveTargets> = http.get_json(&format!("{url}/api/v1/targets?state=active"))?;
    Ok(answer.data.active_targets)
}

/// All alerts of the Prometheus at this URL.
pub(crate) fn alerts(http: &Http, url: &str) -> anyhow::Result<Vec<ActiveAlert>> {
    let answer: Answer<ActiveAlerts> = http.get_json(&format!("{url}/api/v1/alerts"))?;
    Ok(answer.data.alerts)
}
