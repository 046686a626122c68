//! Small requests to the stack's own services.

use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;

/// A client with one deadline for everything.
#[derive(Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
}

impl Http {
    /// Each request, answer included, may take this long.
    pub(crate) fn new(limit: Duration) -> Self {
        // Statuses are looked at here, and the services are near: no proxy of the environment stands between.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(limit))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Self { agent: config.into() }
    }

    /// Status and text of a page.
    pub(crate) fn get(&self, url: &str) -> anyhow::Result<(u16, String)> {
        let mut response = self
            .agent
            .get(url)
            .call()
            .map_err(|error| reason(&error))
            .with_context(|| url.to_owned())?;
        let text = response
            .body_mut()
            .read_to_string()
            .with_context(|| format!("read {url}"))?;
        Ok((response.status().as_u16(), text))
    }

    /// The JSON of a page that must answer 200.
    pub(crate) fn get_json<T: DeserializeOwned>(&self, url: &str) -> anyhow::Result<T> {
        let (status, text) = self.get(url)?;
        if status != 200 {
            bail!("{url} answered {status}: {}", first_line(&text));
        }
        serde_json::from_str(&text).with_context(|| format!("{url} answered something else than expected"))
    }

    /// Posts JSON to a page that must answer 2xx.
    pub(crate) fn post_json(&self, url: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        let mut response = self
            .agent
            .post(url)
            .send_json(body)
            .map_err(|error| reason(&error))
            .with_context(|| url.to_owned())?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        bail!("{url} answered {}: {}", status.as_u16(), first_line(&text));
    }
}

fn reason(error: &ureq::Error) -> anyhow::Error {
    match error {
        ureq::Error::Io(error) => anyhow::anyhow!(crate::text::io_reason(error)),
        ureq::Error::Timeout(_) => anyhow::anyhow!("no answer in time"),
        other => anyhow::anyhow!(other.to_string()),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
