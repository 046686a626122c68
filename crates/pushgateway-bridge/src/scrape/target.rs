//! One target on this host, and how its page is fetched.

use std::time::Duration;

use anyhow::{Context as _, bail};

use super::page::Format;
use super::series::Identity;
use super::watch::Schedule;
use crate::http::{self, Client};

/// As Prometheus asks: OpenMetrics where the target has it. UTF-8 names are not asked for.
const ACCEPT: &str =
    "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// What is scraped, how often, and what is asked of its page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `job/instance`, for logs and `bridge_target_up`.
    pub(crate) name: String,
    /// Of the page.
    pub(crate) url: String,
    /// From one scrape to the next.
    pub(crate) interval: Duration,
    /// Users, TLS and the timeout of a scrape.
    pub(crate) http: http::Settings,
    /// The labels of its series.
    pub(crate) identity: Identity,
    /// Samples of a page; more is a refusal of the whole page.
    pub(crate) sample_limit: usize,
    /// Bytes of a page.
    pub(crate) body_limit: u64,
}

impl Target {
    /// When it is scraped, and what becomes of its page.
    pub(crate) fn schedule(&self) -> Schedule {
        Schedule {
            name: self.name.clone(),
            interval: self.interval,
            identity: self.identity.clone(),
            sample_limit: self.sample_limit,
        }
    }

    /// How its page is fetched.
    pub(crate) fn fetch(
        &self,
    ) -> Result<impl Fn() -> anyhow::Result<(Vec<u8>, Format)> + Send + 'static, http::Error> {
        let client = Client::new(self.http.clone())?;
        let (url, body_limit) = (self.url.clone(), self.body_limit);
        let timeout = self.http.timeout.as_secs_f64().to_string();
        Ok(move || {
            let headers = [
                ("Accept", ACCEPT),
                ("X-Prometheus-Scrape-Timeout-Seconds", timeout.as_str()),
            ];
            let answer = client.get(&url, &headers)?;
            match answer.status {
                200 => {}
                status @ 300..400 => bail!(
                    "{url} redirects with status {status} to {}; give that address",
                    answer.header("location").unwrap_or("nowhere")
                ),
                status => bail!("{url} answers with status {status}: {}", answer.first_line()),
            }
            // It was not asked for.
            if let Some(packed) = answer
                .header("content-encoding")
                .filter(|packed| *packed != "identity")
            {
                bail!("{url} answers in {packed} unasked; the page is taken uncompressed only");
            }
            let format = format(answer.header("content-type")).with_context(|| url.clone())?;
            Ok((answer.body(body_limit)?, format))
        })
    }
}

/// What a page is by its `Content-Type`. Without one it is text, as it was before Prometheus 3.
fn format(content_type: Option<&str>) -> anyhow::Result<Format> {
    let media_type = content_type.unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "" | "text/plain" => Ok(Format::Text),
        "application/openmetrics-text" => Ok(Format::OpenMetrics),
        other => bail!("the page is {other}, not metrics in text; is the path right?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_its_type_says() {
        for text in [None, Some(""), Some("text/plain; version=0.0.4; charset=utf-8")] {
            assert_eq!(format(text).expect("text"), Format::Text);
        }
        let open = Some("Application/OpenMetrics-Text; version=1.0.0");
        assert_eq!(format(open).expect("OpenMetrics"), Format::OpenMetrics);
        let refused = format(Some("text/html")).expect_err("a web page");
        assert_eq!(
            refused.to_string(),
            "the page is text/html, not metrics in text; is the path right?"
        );
    }
}
