//! Where to bring what: from the configuration file.

mod file;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use exporter::Common;
use exporter::text;
use toml::Spanned;

use self::file::{Entry, File, Server};
use crate::http;
use crate::remote_write;
use crate::scrape::{Clash, Identity, Target, is_label_name};
use crate::spool;

/// Prometheus' own default.
const INTERVAL: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(10);
/// A page of 100 000 series fits.
const BODY_LIMIT: u64 = 32 << 20;
const SAMPLE_LIMIT: usize = 200_000;
/// Each has a thread.
const MAX_TARGETS: usize = 200;
const SPOOL_SIZE: u64 = 1 << 30;
const SPOOL_AGE: Duration = Duration::from_hours(24);

/// The bridge's own flags.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// Read the configuration and all files that it names, say what is wrong with them, and exit
    #[arg(long = "config.check")]
    pub(crate) check: bool,
    /// Folder for what has to outlive a restart: the spool, and what local jobs pushed
    #[arg(
        long = "storage.path",
        value_name = "DIR",
        default_value = "pushgateway-bridge-data"
    )]
    pub(crate) storage: PathBuf,
    /// Take pushes of local jobs on this address, as a Pushgateway does; without it none are taken
    #[arg(long = "intake.listen-address", value_name = "ADDRESS")]
    pub(crate) intake: Option<String>,
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The label `machine` of every series, unless a target is on another one.
    pub(crate) machine: String,
    /// Where everything goes.
    pub(crate) receiver: Option<Receiver>,
    /// What is scraped here.
    pub(crate) targets: Vec<Target>,
    /// Of the spool, which only remote write has.
    pub(crate) spool: SpoolLimits,
}

impl Settings {
    /// Whether these others differ in their targets at most.
    pub(crate) fn has_receiver_of(&self, others: &Self) -> bool {
        self.receiver == others.receiver && self.machine == others.machine && self.spool == others.spool
    }
}

/// Who takes the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// Each sample with its time.
    RemoteWrite(Endpoint),
    /// The latest values only.
    Pushgateway(Endpoint),
}

/// A server and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `http://` or `https://`, without user and password.
    pub(crate) url: String,
    /// Users, TLS, proxy and timeout.
    pub(crate) http: http::Settings,
}

/// How much may wait for the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpoolLimits {
    /// Bytes on disk.
    pub(crate) size: u64,
    /// Of the oldest sample.
    pub(crate) age: Duration,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        Self {
            size: SPOOL_SIZE,
            age: SPOOL_AGE,
        }
    }
}

impl SpoolLimits {
    /// What remote write has to know.
    pub(crate) fn remote_write(self, endpoint: &Endpoint, folder: PathBuf) -> remote_write::Settings {
        remote_write::Settings {
            url: endpoint.url.clone(),
            http: endpoint.http.clone(),
            order: remote_write::Order::default(),
            backlog_rate: remote_write::BACKLOG_RATE,
            spool: spool::Settings {
                folder,
                size: self.size,
                age: self.age,
            },
        }
    }
}

/// Reads the file; none means that there is nothing to bring anywhere.
pub(crate) fn read(common: &Common) -> anyhow::Result<Settings> {
    let Some(path) = &common.config_file else {
        return Ok(Settings::default());
    };
    // It may be a pipe: a shell's `<(…)`.
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Settings> {
    let at = |offset| format!("{}:{}", path.display(), text::line(text, offset));
    let file: File = toml::from_str(text).map_err(|error| {
        let place = at(error.span().map_or(0, |span| span.start));
        anyhow!("{place}: {}", error.message())
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let receiver = receiver(&file, folder, at)?;
    ensure!(
        receiver.is_some() || file.target.is_empty(),
        "{}: nothing says where the targets' samples go; give [remote_write] or [pushgateway] a `url`",
        path.display()
    );
    let machine = match file.machine {
        Some(machine) => {
            let place = at(machine.span().start);
            let machine = machine.into_inner();
            ensure!(!machine.is_empty(), "{place}: machine: it needs a name");
            machine
        }
        None if receiver.is_none() => String::new(),
        None => bail!(
            "{}: machine: name this host, as in `machine = \"pc\"`; every series gets it as a label",
            path.display()
        ),
    };
    ensure!(
        file.target.len() <= MAX_TARGETS,
        "{}: {} targets are more than the {MAX_TARGETS} that one bridge scrapes",
        path.display(),
        file.target.len()
    );
    let interval = file.interval.unwrap_or(INTERVAL);
    let mut targets: Vec<Target> = Vec::with_capacity(file.target.len());
    for entry in file.target {
        let place = at(entry.span().start);
        let target = target(entry.into_inner(), &machine, interval, folder).with_context(|| place.clone())?;
        ensure!(
            targets
                .iter()
                .all(|other| other.identity.labels != target.identity.labels),
            "{place}: two targets have the labels of {}; tell them apart with `job` or `labels = {{ instance = … }}`",
            target.name
        );
        targets.push(target);
    }
    let defaults = SpoolLimits::default();
    let spool_limits = file.spool.map_or(defaults, |spool| SpoolLimits {
        size: spool.size.unwrap_or(defaults.size),
        age: spool.age.unwrap_or(defaults.age),
    });
    Ok(Settings {
        machine,
        receiver,
        targets,
        spool: spool_limits,
    })
}

fn receiver(file: &File, folder: &Path, at: impl Fn(usize) -> String) -> anyhow::Result<Option<Receiver>> {
    let endpoint = |key: &str, server: &Spanned<Server>| {
        endpoint(server.as_ref(), folder).with_context(|| format!("{}: {key}", at(server.span().start)))
    };
    Ok(match (&file.remote_write, &file.pushgateway) {
        (Some(server), None) => Some(Receiver::RemoteWrite(endpoint("remote_write", server)?)),
        (None, Some(server)) => Some(Receiver::Pushgateway(endpoint("pushgateway", server)?)),
        (None, None) => None,
        (Some(_), Some(second)) => bail!(
            "{}: there are both [remote_write] and [pushgateway]; keep one, better remote_write",
            at(second.span().start)
        ),
    })
}

fn endpoint(server: &Server, folder: &Path) -> anyhow::Result<Endpoint> {
    let beside = |file: &Option<PathBuf>| file.as_ref().map(|file| folder.join(file));
    let http = http::Settings {
        user: server.user.clone(),
        password_file: beside(&server.password_file),
        token_file: beside(&server.token_file),
        ca_file: beside(&server.ca_file),
        insecure_skip_verify: server.insecure_skip_verify,
        proxy: server.proxy.clone(),
        timeout: server.timeout.unwrap_or(http::Settings::default().timeout),
    };
    check(&server.url, &http)?;
    Ok(Endpoint {
        url: server.url.clone(),
        http,
    })
}

/// Tries what only shows when a client is made, such as files that cannot be read.
fn check(url: &str, http: &http::Settings) -> anyhow::Result<()> {
    http::check(url).with_context(|| format!("url: {url}"))?;
    http::Client::new(http.clone())?;
    Ok(())
}

fn target(entry: Entry, machine: &str, interval: Duration, folder: &Path) -> anyhow::Result<Target> {
    let beside = |file: Option<PathBuf>| file.map(|file| folder.join(file));
    let interval = entry.interval.unwrap_or(interval);
    let timeout = entry.timeout.unwrap_or(TIMEOUT.min(interval));
    ensure!(
        timeout <= interval,
        "timeout: {timeout:?} is longer than the interval of {interval:?}"
    );
    ensure!(!entry.job.is_empty(), "job: it needs a name");
    let http = http::Settings {
        user: entry.user,
        password_file: beside(entry.password_file),
        token_file: beside(entry.token_file),
        ca_file: beside(entry.ca_file),
        insecure_skip_verify: entry.insecure_skip_verify,
        proxy: None,
        timeout,
    };
    check(&entry.url, &http)?;
    let mut labels = entry.labels;
    for name in labels.keys() {
        ensure!(
            is_label_name(name) && !name.starts_with("__"),
            "labels: `{name}` is not the name of a label: use letters, digits and _, and not __ in front"
        );
        ensure!(name != "job", "labels: `job` comes from the key `job`");
    }
    let instance = labels
        .entry("instance".to_owned())
        .or_insert_with(|| instance(&entry.url));
    let name = format!("{}/{instance}", entry.job);
    labels.insert("job".to_owned(), entry.job);
    labels
        .entry("machine".to_owned())
        .or_insert_with(|| machine.to_owned());
    Ok(Target {
        name,
        url: entry.url,
        interval,
        http,
        identity: Identity {
            labels: labels.into_iter().collect(),
            clash: if entry.honor_labels {
                Clash::Honor
            } else {
                Clash::Rename
            },
        },
        sample_limit: entry.sample_limit.unwrap_or(SAMPLE_LIMIT),
        body_limit: entry.body_limit.unwrap_or(BODY_LIMIT),
    })
}

/// Host and port, as Prometheus writes the label `instance`.
fn instance(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let has_port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    match (has_port, scheme) {
        (true, _) => host.to_owned(),
        (false, "https") => format!("{host}:443"),
        (false, _) => format!("{host}:80"),
    }
}

#[cfg(test)]
mod tests;
