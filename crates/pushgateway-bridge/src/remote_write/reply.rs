//! What a receiver's answer means.

use std::time::Duration;

use crate::http::Answer;
use crate::tally::Loss;

/// Says how many samples a receiver of version 2.0 stored. One without it read the request as version 1.0.
const WRITTEN: &str = "x-prometheus-remote-write-samples-written";

/// The protocol's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 1.0.
    V1,
    /// 2.0.
    V2,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// All of it arrived.
    Accepted,
    /// All but so many samples arrived.
    Partly {
        refused: usize,
        reason: Loss,
        text: String,
    },
    /// None of it arrived, because of something in it.
    Refused { reason: Loss, text: String },
    /// None of it arrived, because it is too much at once.
    TooLarge,
    /// The receiver does not know this version; none of it arrived.
    OtherVersion,
    /// It is to be sent again.
    Unavailable { after: Option<Duration>, text: String },
}

/// The parts of an answer that count.
#[derive(Clone, Copy, Debug)]
struct Seen {
    status: u16,
    written: Option<usize>,
    after: Option<Duration>,
}

/// Reads the answer to a request with so many samples.
pub(super) fn read(answer: Answer, version: Version, samples: usize) -> Reply {
    let seen = Seen {
        status: answer.status,
        written: answer.header(WRITTEN).and_then(|text| text.trim().parse().ok()),
        after: answer.retry_after(),
    };
    // Also to its end, so that the connection can be used again.
    let text = answer.first_line();
    meaning(seen, version, samples, text)
}

fn meaning(seen: Seen, version: Version, samples: usize, text: String) -> Reply {
    match (seen.status, version, seen.written) {
        (200..=299, Version::V2, None) | (415, Version::V2, _) => Reply::OtherVersion,
        (200..=299, ..) => Reply::Accepted,
        // Of what version 2.0 refuses the rest was stored.
        (400, Version::V2, Some(written)) if written > 0 => Reply::Partly {
            refused: samples.saturating_sub(written),
            reason: reason(&text),
            text,
        },
        // 409 is how some receivers say that a sample is out of order.
        (400 | 409 | 422, ..) => Reply::Refused {
            reason: reason(&text),
            text,
        },
        (413, ..) => Reply::TooLarge,
        (status, ..) => {
            let text = if text.is_empty() {
                format!("status {status}")
            } else {
                format!("status {status}: {text}")
            };
            Reply::Unavailable {
                after: seen.after,
                text,
            }
        }
    }
}

/// The words are those of Prometheus, which its relatives use too.
fn reason(text: &str) -> Loss {
    let text = text.to_ascii_lowercase();
    let says = |words: &str| text.contains(words);
    if says("out of bounds") || says("too old") || says("too far in the past") {
        Loss::TooOld
    } else if says("duplicate sample") {
        Loss::Duplicate
    } else if says("out of order") || says("out-of-order") {
        Loss::OutOfOrder
    } else {
        Loss::Rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, version: Version, written: Option<usize>, text: &str) -> Reply {
        meaning(
            Seen {
                status,
                written,
                after: None,
            },
            version,
            10,
            text.to_owned(),
        )
    }

    #[test]
    fn only_version_2_says_what_it_wrote() {
        assert_eq!(reply(204, Version::V2, Some(10), ""), Reply::Accepted);
        assert_eq!(reply(204, Version::V2, None, ""), Reply::OtherVersion);
        assert_eq!(reply(415, Version::V2, None, ""), Reply::OtherVersion);
        assert_eq!(reply(204, Version::V1, None, ""), Reply::Accepted);
    }

    #[test]
    fn what_is_refused_is_told_by_reason() {
        let partly = reply(
            400,
            Version::V2,
            Some(8),
            "out of order sample for series {a=\"b\"}",
        );
        assert!(matches!(
            partly,
            Reply::Partly {
                refused: 2,
                reason: Loss::OutOfOrder,
                ..
            }
        ));
        for (text, expected) in [
            ("out of bounds", Loss::TooOld),
            ("too old sample", Loss::TooOld),
            ("out of order sample", Loss::OutOfOrder),
            ("duplicate sample for timestamp", Loss::Duplicate),
            ("label name \"1\" is invalid", Loss::Rejected),
        ] {
            let refused = reply(400, Version::V1, None, text);
            assert_eq!(
                refused,
                Reply::Refused {
                    reason: expected,
                    text: text.to_owned()
                }
            );
        }
    }

    #[test]
    fn what_is_no_fault_of_the_data_is_sent_again() {
        for status in [302, 401, 403, 404, 408, 415, 425, 429, 500, 502, 503, 599] {
            let reply = reply(status, Version::V1, None, "");
            assert!(matches!(reply, Reply::Unavailable { .. }), "{status}");
        }
    }
}
