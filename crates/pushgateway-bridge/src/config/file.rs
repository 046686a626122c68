//! The configuration file as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use exporter::text::{deserialize_duration, deserialize_size};
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use crate::spool::LEAST_SIZE;

/// No longer interval or timeout makes sense, and sums of them stay times.
const LONGEST: Duration = Duration::from_hours(24);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) machine: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "short")]
    pub(super) interval: Option<Duration>,
    pub(super) remote_write: Option<Spanned<Server>>,
    pub(super) pushgateway: Option<Spanned<Server>>,
    #[serde(default)]
    pub(super) target: Vec<Spanned<Entry>>,
    pub(super) spool: Option<Spool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) insecure_skip_verify: bool,
    pub(super) proxy: Option<String>,
    #[serde(default, deserialize_with = "short")]
    pub(super) timeout: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) job: String,
    pub(super) url: String,
    #[serde(default, deserialize_with = "short")]
    pub(super) interval: Option<Duration>,
    #[serde(default, deserialize_with = "short")]
    pub(super) timeout: Option<Duration>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) honor_labels: bool,
    pub(super) sample_limit: Option<usize>,
    #[serde(default, deserialize_with = "deserialize_size")]
    pub(super) body_limit: Option<u64>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) insecure_skip_verify: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spool {
    #[serde(default, deserialize_with = "spool_size")]
    pub(super) size: Option<u64>,
    #[serde(default, deserialize_with = "deserialize_duration")]
    pub(super) age: Option<Duration>,
}

fn short<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let time = deserialize_duration(from)?;
    match time {
        Some(time) if time > LONGEST => Err(de::Error::custom(format!("{time:?} is longer than a day"))),
        time => Ok(time),
    }
}

fn spool_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let size = deserialize_size(from)?;
    match size {
        Some(size) if size < LEAST_SIZE => Err(de::Error::custom(format!(
            "a spool of {size} bytes is too small; give it {}MB at least",
            LEAST_SIZE >> 20
        ))),
        size => Ok(size),
    }
}
