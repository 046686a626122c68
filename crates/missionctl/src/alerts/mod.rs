//! `alerts test`: one synthetic alert, followed from Alertmanager to every channel and then resolved.

mod delivery;
mod routing;

use std::time::{Duration, SystemTime};

use anyhow::Context;
use serde_json::json;

use self::delivery::Verdict;
use self::routing::Channel;
use crate::backend;
use crate::cli::AlertsTest;
use crate::exit::Exit;
use crate::http::Http;
use crate::progress::Progress;
use crate::project::Project;
use crate::render::TEST_ALERT;
use crate::service::Service;
use crate::state::State;
use crate::text;

const KINDS: [&str; 2] = ["slack", "webhook"];
const LIMIT: Duration = Duration::from_secs(3);

/// Sends a test alert and follows it.
pub(crate) fn test(project: &Project, arguments: &AlertsTest) -> anyhow::Result<Exit> {
    let state = State::read(project);
    let running = backend::running(project)?.is_some();
    let Some(url) = state.url(Service::Alertmanager).filter(|_| running) else {
        println!("not running; missionctl up starts the stack");
        return Ok(Exit::NotRunning);
    };
    let http = Http::new(LIMIT);
    let alert = Alert::new(&state, arguments.severity.label());
    let progress = Progress::new();
    progress.step(&format!(
        "sending a test alert of severity {} to {url}",
        alert.severity
    ));
    let alerts = format!("{url}/api/v2/alerts");
    let start = delivery::Start::now(project, &http, &url)
        .and_then(|start| http.post_json(&alerts, &alert.body(None)).map(|()| start))
        .context("alertmanager does not take the test alert; missionctl status shows how it is")?;
    let followed = follow(project, &start, &url, &alert, arguments.timeout, &progress);
    // Resolved in any case, also when it could not be followed to its end.
    http.post_json(&alerts, &alert.body(Some(SystemTime::now())))
        .context("the test alert could not be resolved; it ends by itself in 5 minutes")?;
    let followed = followed?;
    drop(progress);
    Ok(report(&alert, &followed))
}

struct Followed {
    receivers: Vec<String>,
    channels: Vec<(Channel, Verdict)>,
}

fn follow(
    project: &Project,
    start: &delivery::Start<'_>,
    url: &str,
    alert: &Alert,
    limit: Duration,
    progress: &Progress,
) -> anyhow::Result<Followed> {
    let receivers = routing::receivers(start.http, url, &alert.id)?;
    let channels = routing::channels(project, &receivers)?;
    let verdicts = delivery::follow(start, &channels, limit, progress)?;
    Ok(Followed {
        receivers,
        channels: channels.into_iter().zip(verdicts).collect(),
    })
}

fn report(alert: &Alert, followed: &Followed) -> Exit {
    let receivers = followed.receivers.join(", ");
    println!(
        "{TEST_ALERT} of severity {} (test_id {}) goes to: {receivers}",
        alert.severity, alert.id
    );
    for kind in KINDS {
        if !followed.channels.iter().any(|(channel, _)| channel.kind == kind) {
            println!("{kind}: not configured for {receivers}");
        }
    }
    for (channel, verdict) in &followed.channels {
        println!("{channel}: {verdict}");
    }
    println!("the alert is resolved");
    if followed.channels.is_empty() {
        println!("nobody was told: configure [notify.slack] or [notify.webhook] in mission.toml");
        return Exit::Unhealthy;
    }
    let delivered = followed
        .channels
        .iter()
        .all(|(_, verdict)| matches!(verdict, Verdict::Delivered(_)));
    if delivered { Exit::Healthy } else { Exit::Unhealthy }
}

struct Alert {
    id: String,
    severity: &'static str,
    machine: String,
    runbook_url: String,
}

impl Alert {
    fn new(state: &State, severity: &'static str) -> Self {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            id: format!("{:x}-{:x}", since.as_millis(), std::process::id()),
            severity,
            machine: state.machine.clone(),
            runbook_url: format!("{}docs/troubleshooting.md", state.runbook_base),
        }
    }

    /// Alertmanager takes an alert that has ended as resolved.
    fn body(&self, ended: Option<SystemTime>) -> serde_json::Value {
        let mut alert = json!({
            "labels": {
                "alertname": TEST_ALERT,
                "severity": self.severity,
                "machine": self.machine,
                "test_id": self.id,
            },
            "annotations": {
                "summary": format!("Test of {} alerts from {}", self.severity, self.machine),
                "description": "Somebody ran `missionctl alerts test`; nothing is wrong.",
                "impact": "None.",
                "action": "None; a second message says that it is resolved.",
                "runbook_url": self.runbook_url,
            },
        });
        if let Some(ended) = ended {
            alert["endsAt"] = text::rfc3339(ended).into();
        }
        json!([alert])
    }
}
