//! Sends batches, in the version that the receiver knows, and looks for what it refuses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::Method;

use super::batch::Batch;
use super::reply::{self, Reply, Version};
use crate::clock::Clock;
use crate::http::{Answer, Client, Error};
use crate::tally::{Loss, Outcome, Tally};

/// It is to be sent again, after this time if the receiver named one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unavailable {
    pub(super) after: Option<Duration>,
    pub(super) text: String,
}

/// The line to one receiver.
pub(super) struct Post {
    client: Client,
    url: String,
    clock: Arc<Clock>,
    tally: Tally,
    /// What the receiver is believed to know.
    pub(super) version: Version,
    /// Whether it ever took anything: a server that refuses all is no receiver, and nothing is dropped on its word.
    pub(super) is_proven: bool,
    /// The refusals that were logged.
    told: Vec<Loss>,
    told_version: bool,
}

/// One request.
pub(super) fn request(client: &Client, url: &str, version: Version, body: &[u8]) -> Result<Answer, Error> {
    let (content, number) = match version {
        Version::V1 => ("application/x-protobuf", "0.1.0"),
        Version::V2 => (
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "2.0.0",
        ),
    };
    let headers = [
        ("Content-Encoding", "snappy"),
        ("Content-Type", content),
        ("X-Prometheus-Remote-Write-Version", number),
    ];
    client.send(&Method::POST, url, &headers, body)
}

impl Post {
    pub(super) fn new(client: Client, url: String, clock: Arc<Clock>, tally: Tally) -> Self {
        Self {
            client,
            url,
            clock,
            tally,
            version: Version::V2,
            is_proven: false,
            told: Vec::new(),
            told_version: false,
        }
    }

    /// Where it goes, for questions.
    pub(super) fn line(&self) -> (&Client, &str) {
        (&self.client, &self.url)
    }

    /// Brings a batch away: what is not dropped, and counted, has arrived.
    pub(super) fn deliver(&mut self, batch: Batch) -> Result<(), Unavailable> {
        match self.attempt(&batch)? {
            Reply::Accepted => self.is_proven = true,
            Reply::Partly {
                refused,
                reason,
                text,
            } => {
                self.is_proven = true;
                self.refuse(reason, refused, "one of several", &text);
            }
            Reply::Refused {
                reason: Loss::Rejected,
                text,
            } if !self.is_proven => {
                let text = format!("it refuses everything: {text}");
                return Err(Unavailable { after: None, text });
            }
            // Whether samples are too old depends on their time alone.
            Reply::Refused { reason, text }
                if batch.samples() == 1 || (reason == Loss::TooOld && batch.is_of_one_time()) =>
            {
                self.refuse(reason, batch.samples(), &batch.first_series(), &text);
            }
            Reply::TooLarge if batch.samples() == 1 => {
                self.refuse(Loss::Rejected, 1, &batch.first_series(), "one sample is too much");
            }
            Reply::Refused { .. } | Reply::TooLarge => {
                for half in batch.split() {
                    self.deliver(half)?;
                }
            }
            Reply::OtherVersion => {
                return Err(Unavailable {
                    after: None,
                    text: "it takes neither remote write 2.0 nor 1.0".to_owned(),
                });
            }
            Reply::Unavailable { after, text } => return Err(Unavailable { after, text }),
        }
        Ok(())
    }

    /// One request, or two when the receiver turns out to know version 1.0 only.
    fn attempt(&mut self, batch: &Batch) -> Result<Reply, Unavailable> {
        let reply = self.send(batch, self.version)?;
        if reply != Reply::OtherVersion || self.version == Version::V1 {
            return Ok(reply);
        }
        if !self.told_version {
            self.told_version = true;
            tracing::info!("the receiver does not know remote write 2.0; 1.0 is used");
        }
        self.version = Version::V1;
        self.send(batch, self.version)
    }

    fn send(&self, batch: &Batch, version: Version) -> Result<Reply, Unavailable> {
        let body = match version {
            Version::V1 => batch.compressed_v1(),
            Version::V2 => batch.compressed(),
        };
        let body = body.map_err(|error| Unavailable {
            after: None,
            text: format!("{error:#}"),
        })?;
        let started = Instant::now();
        let answer = request(&self.client, &self.url, version, &body);
        let reply = match answer {
            Ok(answer) => {
                if let Some(reading) = answer.reading() {
                    self.clock.observe(&reading);
                }
                reply::read(answer, version, batch.samples())
            }
            Err(error) => Reply::Unavailable {
                after: None,
                text: error.to_string(),
            },
        };
        let outcome = match reply {
            Reply::Accepted => Outcome::Success,
            Reply::Partly { .. } | Reply::Refused { .. } | Reply::TooLarge | Reply::OtherVersion => {
                Outcome::Rejected
            }
            Reply::Unavailable { .. } => Outcome::Unavailable,
        };
        self.tally.pushed(outcome, started.elapsed(), self.clock.now_ms());
        Ok(reply)
    }

    /// Counts samples that the receiver refuses, and says so the first time.
    fn refuse(&mut self, reason: Loss, samples: usize, series: &str, text: &str) {
        self.tally.dropped(reason, samples);
        if self.told.contains(&reason) {
            tracing::debug!(
                reason = reason.label(),
                samples,
                series,
                text,
                "the receiver refuses samples"
            );
        } else {
            self.told.push(reason);
            tracing::warn!(
                reason = reason.label(),
                samples,
                series,
                text,
                "the receiver refuses samples; further ones of this reason are only counted"
            );
        }
    }
}
