//! Whether a notification arrived: Alertmanager counts requests and failures per kind of channel and writes reasons to
//! its log.

use std::fmt;
use std::time::{Duration, Instant};

use super::routing::Channel;
use crate::http::Http;
use crate::logs;
use crate::metrics;
use crate::progress::Progress;
use crate::project::Project;
use crate::service::Service;

/// What became of the test alert on one channel.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The other side took it, after this time.
    Delivered(Duration),
    /// The other side refused it or could not be reached.
    Failed(String),
    /// The other side did not answer in time, or was not asked.
    Late(Duration),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(after) => write!(f, "delivered after {:.2} s", after.as_secs_f64()),
            Self::Failed(reason) => write!(f, "not delivered: {reason}"),
            Self::Late(limit) => {
                write!(
                    f,
                    "not delivered: no answer within {} s; the receiver hangs, or Alertmanager has sent nothing: \
                     missionctl logs alertmanager",
                    limit.as_secs()
                )
            }
        }
    }
}

/// Where metrics and log stood before the alert was sent.
pub(crate) struct Start<'a> {
    /// The client that everything about this alert is asked with.
    pub(super) http: &'a Http,
    metrics_url: String,
    page: String,
    log: logs::Mark,
    at: Instant,
}

impl<'a> Start<'a> {
    /// Takes down how things stand.
    pub(crate) fn now(project: &Project, http: &'a Http, url: &str) -> anyhow::Result<Self> {
        let metrics_url = format!("{url}/metrics");
        let (_, page) = http.get(&metrics_url)?;
        let log = logs::Mark::now(project, Service::Alertmanager)?;
        Ok(Self {
            http,
            metrics_url,
            page,
            log,
            at: Instant::now(),
        })
    }

    /// Requests and failed requests of a kind of channel since.
    fn counts(&self, page: &str, kind: &str) -> (f64, f64) {
        let label = format!("integration=\"{kind}\"");
        let since = |name: &str| metrics::sum(page, name, &label) - metrics::sum(&self.page, name, &label);
        (
            since("alertmanager_notification_requests_total"),
            since("alertmanager_notification_requests_failed_total"),
        )
    }

    /// The last reason in the log for this channel.
    fn reason(&self, channel: &Channel) -> Option<String> {
        let text = self.log.written_since()?;
        let of_dispatcher = format!("{}/{}[", channel.receiver, channel.kind);
        let of_channel = format!("receiver={} integration={}[", channel.receiver, channel.kind);
        let line = text
            .lines()
            .rev()
            .find(|line| line.contains(&of_dispatcher) || line.contains(&of_channel))?;
        error_of(line, channel)
    }
}

/// Waits for every channel's verdict.
pub(crate) fn follow(
    start: &Start<'_>,
    channels: &[Channel],
    limit: Duration,
    progress: &Progress,
) -> anyhow::Result<Vec<Verdict>> {
    let mut verdicts: Vec<Option<Verdict>> = channels.iter().map(|_| None).collect();
    progress.step("waiting for the channels");
    while verdicts.iter().any(Option::is_none) {
        let (_, page) = start.http.get(&start.metrics_url)?;
        let elapsed = start.at.elapsed();
        for (channel, verdict) in channels
            .iter()
            .zip(&mut verdicts)
            .filter(|(_, verdict)| verdict.is_none())
        {
            let (requests, failed) = start.counts(&page, channel.kind);
            *verdict = if failed > 0.0 {
                // The log is written right after the counter; a short wait is better than no reason.
                let reason = start.reason(channel);
                (reason.is_some() || elapsed > limit).then(|| {
                    Verdict::Failed(reason.unwrap_or_else(|| "Alertmanager gives no reason".to_owned()))
                })
            } else if requests > 0.0 {
                Some(Verdict::Delivered(elapsed))
            } else {
                (elapsed > limit).then_some(Verdict::Late(limit))
            };
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(verdicts.into_iter().flatten().collect())
}

/// What the value of `err=` in a line of logfmt says of the channel, without the addresses, which are secret.
fn error_of(line: &str, channel: &Channel) -> Option<String> {
    let quoted = line.split_once("err=\"")?.1;
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
    // One line holds the errors of all channels of a receiver.
    let prefix = format!("{}/", channel.receiver);
    let own = text
        .find(&format!("{prefix}{}[", channel.kind))
        .map_or(text.as_str(), |at| &text[at..]);
    let own = own.split(&format!("; {prefix}")).next().unwrap_or(own);
    let shown = own
        .split(' ')
        .map(|word| if word.contains("://") { "<url>:" } else { word });
    let shown = shown.collect::<Vec<_>>().join(" ");
    // What comes first is the channel and how often it was tried.
    let reason = shown
        .split_once(" attempts: ")
        .map_or(shown.as_str(), |(_, reason)| reason);
    Some(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(kind: &'static str) -> Channel {
        Channel {
            kind,
            receiver: "critical".to_owned(),
        }
    }

    #[test]
    fn of_a_line_about_several_channels_each_gets_its_own_reason() {
        let line = r#"level=error err="critical/slack[0]: notify retry canceled due to unrecoverable error after 1 attempts: unexpected status code 404: no_service; critical/webhook[0]: notify retry canceled after 2 attempts: Post \"http://127.0.0.1:1/token\": EOF""#;
        assert_eq!(
            error_of(line, &channel("slack")).as_deref(),
            Some("unexpected status code 404: no_service")
        );
        assert_eq!(
            error_of(line, &channel("webhook")).as_deref(),
            Some("Post <url>: EOF")
        );
    }

    #[test]
    fn the_reason_is_taken_from_the_log_without_the_address() {
        let line = r#"ts=2026 caller=dispatch.go:352 level=error component=dispatcher msg="Notify for alerts failed" num_alerts=1 err="critical/webhook[0]: notify retry canceled after 4 attempts: Post \"http://127.0.0.1:1/token\": dial tcp 127.0.0.1:1: connect: connection refused""#;
        assert_eq!(
            error_of(line, &channel("webhook")).as_deref(),
            Some("Post <url>: dial tcp 127.0.0.1:1: connect: connection refused")
        );
        let line = r##"level=error err="critical/slack[0]: notify retry canceled due to unrecoverable error after 1 attempts: channel \"#alerts\": unexpected status code 404: no_service""##;
        assert_eq!(
            error_of(line, &channel("slack")).as_deref(),
            Some("channel \"#alerts\": unexpected status code 404: no_service")
        );
    }

    #[test]
    fn a_line_that_was_cut_gives_no_reason() {
        assert_eq!(
            error_of("level=error err=\"critical/webhook[0]: not", &channel("webhook")),
            None
        );
        assert_eq!(error_of("level=info msg=ready", &channel("webhook")), None);
    }
}
