//! What a server answered.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use ureq::http::HeaderMap;

use super::{Error, SHORT, unreachable};
use crate::clock::Reading;

/// An answer whose body was not read yet.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// When the request went out and the answer's head came, by [`uptime`](crate::clock::uptime).
    pub sent: Duration,
    /// When the answer's head came.
    pub received: Duration,
    pub(super) url: String,
    pub(super) body: ureq::Body,
}

impl Answer {
    /// A header's value where it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the server's clock said.
    pub fn reading(&self) -> Option<Reading> {
        let date = httpdate::parse_http_date(self.header("date")?).ok()?;
        Some(Reading {
            date,
            sent: self.sent,
            received: self.received,
        })
    }

    /// How long the server asks to wait, in seconds or up to a date of its own clock.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = httpdate::parse_http_date(text).ok()?;
        let now = self
            .reading()
            .map_or_else(SystemTime::now, |reading| reading.date);
        until.duration_since(now).ok()
    }

    /// The body to its end; one of more than `most` bytes is an error.
    pub fn body(self, most: u64) -> Result<Vec<u8>, Error> {
        let url = self.url;
        let read = self.body.into_with_config().limit(most).read_to_vec();
        read.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => Error::TooLarge { url, most },
            error => unreachable(&url, &error),
        })
    }

    /// The first line of the body, for logs and errors.
    pub fn first_line(self) -> String {
        let mut start = Vec::new();
        // What could be read of it says enough.
        let _ = self.body.into_reader().take(SHORT).read_to_end(&mut start);
        let text = String::from_utf8_lossy(&start);
        text.lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(400)
            .collect()
    }
}
