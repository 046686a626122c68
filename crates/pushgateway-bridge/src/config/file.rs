//! The configuration file as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use exporter::text::{deserialize_duration, deserialize_size};
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) machine: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "deserialize_duration")]
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
    #[serde(default, deserialize_with = "deserialize_duration")]
    pub(super) timeout: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) job: String,
    pub(super) url: String,
    #[serde(default, deserialize_with = "deserialize_duration")]
    pub(super) interval: Option<Duration>,
    #[serde(default, deserialize_with = "deserialize_duration")]
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
    #[serde(default, deserialize_with = "deserialize_size")]
    pub(super) size: Option<u64>,
    #[serde(default, deserialize_with = "deserialize_duration")]
    pub(super) age: Option<Duration>,
}
