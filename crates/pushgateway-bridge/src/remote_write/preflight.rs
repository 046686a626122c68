//! Asks the receiver what it can take before anything is sent.
//!
//! Prometheus says in its configuration whether it takes samples out of order, and how far back. Without that, a host
//! that was away for more than an hour loses what it spooled, however well it is sent: the newest sample of any other
//! host decides. Receivers that are no Prometheus do not answer these questions, which is no fault.

use std::time::Duration;

use serde::Deserialize;

use super::message::v1;
use super::reply::Version;
use crate::clock::Clock;
use crate::http::{Client, Error};

/// The configuration of a large Prometheus is far below.
const MOST_ANSWER: u64 = 8 << 20;
/// Where receivers of the Prometheus family take remote write.
const WRITE_PATH: &str = "/api/v1/write";
/// Without a window Prometheus takes what is newer than its newest sample less half of a block: this much at its defaults.
const IN_ORDER: Duration = Duration::from_hours(1);

/// What a receiver said about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Receiver {
    /// Whether it took an empty request, so that a later refusal is about the data.
    pub(super) takes_writes: bool,
    /// How far out of order it takes samples; `None` when it did not say.
    pub(super) window: Option<Duration>,
    /// Whether it was started with the flag that makes it a receiver; `None` when it did not say.
    pub(super) is_enabled: Option<bool>,
}

impl Receiver {
    /// Whether it takes samples that have waited this long after it has taken newer ones.
    pub(super) fn takes_late(&self, age: Duration) -> bool {
        self.window
            .is_some_and(|window| window >= IN_ORDER || window > age)
    }

    /// How old samples may be that it takes; `None` when it did not say.
    pub(super) fn reach(&self) -> Option<Duration> {
        self.window.map(|window| window.max(IN_ORDER))
    }
}

/// Says what the user should change at the receiver, for a spool that keeps samples this long.
pub(super) fn advise(receiver: &Receiver, age: Duration) {
    if receiver.is_enabled == Some(false) {
        tracing::warn!(
            "the receiver was started without --web.enable-remote-write-receiver, and takes nothing"
        );
    }
    match receiver.window {
        Some(Duration::ZERO) => tracing::warn!(
            "the receiver takes no samples out of order: after an outage of more than an hour older ones are lost; \
             set storage.tsdb.out_of_order_time_window there to the age of the spool"
        ),
        Some(window) if window < age => tracing::warn!(
            ?window, spool = ?age,
            "the receiver takes samples less far back than the spool keeps them; raise its \
             storage.tsdb.out_of_order_time_window"
        ),
        Some(window) => tracing::info!(?window, "the receiver takes samples out of order"),
        None => {
            tracing::info!("the receiver does not say how far back it takes samples; all are sent in order");
        }
    }
}

#[derive(Deserialize)]
struct Wrapped<T> {
    data: T,
}

#[derive(Deserialize)]
struct Config {
    yaml: String,
}

#[derive(Deserialize)]
struct Flags {
    #[serde(rename = "web.enable-remote-write-receiver")]
    receiver: Option<String>,
}

/// Asks. The answers' dates set the clock.
pub(super) fn ask(client: &Client, url: &str, clock: &Clock) -> Result<Receiver, Error> {
    let mut receiver = Receiver {
        takes_writes: takes_writes(client, url, clock)?,
        ..Receiver::default()
    };
    let path = url.split(['?', '#']).next().unwrap_or(url);
    if let Some(base) = path.strip_suffix(WRITE_PATH) {
        let config: Option<Wrapped<Config>> = json(client, &format!("{base}/api/v1/status/config"));
        receiver.window = config.and_then(|config| window(&config.data.yaml));
        let flags: Option<Wrapped<Flags>> = json(client, &format!("{base}/api/v1/status/flags"));
        receiver.is_enabled = flags.and_then(|flags| Some(flags.data.receiver? == "true"));
    }
    Ok(receiver)
}

fn takes_writes(client: &Client, url: &str, clock: &Clock) -> Result<bool, Error> {
    let empty = prost::Message::encode_to_vec(&v1::WriteRequest::default());
    let body = snap::raw::Encoder::new().compress_vec(&empty).unwrap_or_default();
    let answer = super::post::request(client, url, Version::V1, &body)?;
    if let Some(reading) = answer.reading() {
        clock.observe(&reading);
    }
    let status = answer.status;
    let said = answer.first_line();
    tracing::debug!(status, said, "an empty write");
    Ok((200..300).contains(&status))
}

fn json<T: for<'de> Deserialize<'de>>(client: &Client, url: &str) -> Option<T> {
    let answer = client.get(url, &[("Accept", "application/json")]).ok()?;
    let body = (answer.status == 200).then(|| answer.body(MOST_ANSWER).ok())??;
    serde_json::from_slice(&body).ok()
}

/// The window of a configuration as Prometheus prints it; zero without one. `VictoriaMetrics` shows an empty configuration,
/// which says nothing: it takes samples in any order.
fn window(yaml: &str) -> Option<Duration> {
    if yaml.is_empty() {
        return None;
    }
    let value = yaml
        .lines()
        .find_map(|line| line.trim().strip_prefix("out_of_order_time_window:"));
    Some(value.and_then(|text| duration(text.trim())).unwrap_or_default())
}

/// A duration as Prometheus writes it: `1h30m`, `2w`, `500ms`.
fn duration(mut text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    while !text.is_empty() {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, rest) = text.split_at(digits);
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(unit);
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        total = total.checked_add(Duration::from_millis(part))?;
        text = rest;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_found() {
        let yaml =
            "global:\n  scrape_interval: 15s\nstorage:\n  tsdb:\n    out_of_order_time_window: 1d12h\n";
        assert_eq!(window(yaml), Some(Duration::from_hours(36)));
        assert_eq!(window("global:\n  scrape_interval: 15s\n"), Some(Duration::ZERO));
        assert_eq!(window(""), None);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(duration("2w"), Some(Duration::from_hours(14 * 24)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        for bad in ["h", "5", "1x", "99999999999999999999s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
