//! Which sources to ask: from flags, from the configuration file, or the usual sockets of supervisord.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use exporter::Common;
use serde::Deserialize;
use supervisor::Endpoint;

use crate::ledger::Id;
use crate::origin::Origin;
use crate::pattern::Patterns;

/// Where distributions and the sample configuration put the socket.
const USUAL_SOCKETS: [&str; 3] = [
    "/run/supervisor.sock",
    "/var/run/supervisor.sock",
    "/tmp/supervisor.sock",
];

/// The exporter's own flags.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// A supervisord to watch, `unix:///path/to/supervisor.sock` or `http://user:password@host:9001`; may be
    /// repeated. Without it and without --config.file the usual sockets are tried
    #[arg(long = "supervisor.url", value_name = "URL", value_delimiter = ',')]
    urls: Vec<String>,
    /// Which processes to export, by name or group:name with * and ?; may be repeated
    #[arg(
        long = "worker.match",
        value_name = "PATTERN",
        value_delimiter = ',',
        default_value = "*"
    )]
    patterns: Vec<String>,
}

/// What to watch.
#[derive(Debug)]
pub(crate) enum Settings {
    /// These, whether they answer or not.
    Given(Vec<SourceSettings>),
    /// The usual sockets, as soon as one of them exists.
    Usual(Patterns),
}

/// One source and what to export of it.
#[derive(Clone, Debug)]
pub(crate) struct SourceSettings {
    pub(crate) origin: Origin,
    pub(crate) patterns: Patterns,
    /// Labels that a container must have, `key` or `key=value`.
    pub(crate) labels: Vec<String>,
    /// The main log.
    pub(crate) log: Option<PathBuf>,
    /// A path with `{worker}` in it.
    pub(crate) heartbeat: Option<String>,
}

impl SourceSettings {
    fn of_supervisord(endpoint: Endpoint, patterns: Patterns) -> Self {
        Self {
            origin: Origin::Supervisord(endpoint),
            patterns,
            labels: Vec::new(),
            log: None,
            heartbeat: None,
        }
    }

    /// Whether the worker is to be exported.
    pub(crate) fn shows(&self, id: &Id) -> bool {
        self.patterns.fit(&id.group, &id.name)
    }

    /// Whether what was counted for the other settings goes on under these.
    pub(crate) fn goes_on(&self, other: &Self) -> bool {
        let asks_alike = matches!(self.origin, Origin::Supervisord(_))
            || (self.patterns == other.patterns && self.labels == other.labels);
        asks_alike && self.origin == other.origin && self.log == other.log
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// An empty list has to be written: it says that nothing is to be watched, a file without one is a mistake.
    source: Option<Vec<Source>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    url: toml::Spanned<String>,
    #[serde(rename = "match")]
    patterns: Option<Vec<String>>,
    labels: Option<toml::Spanned<Vec<String>>>,
    log: Option<toml::Spanned<PathBuf>>,
    heartbeat: Option<toml::Spanned<String>>,
}

/// Reads flags and file.
pub(crate) fn read(flags: &Flags, common: &Common) -> anyhow::Result<Settings> {
    if let Some(path) = &common.config_file {
        ensure!(
            flags.urls.is_empty(),
            "--supervisor.url and --config.file exclude each other; write the URL into {} as [[source]]",
            path.display()
        );
        // It may be a pipe: a shell's `<(…)`.
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        return Ok(Settings::Given(parse(path, &text)?));
    }
    let patterns = Patterns::new(&flags.patterns);
    if flags.urls.is_empty() {
        return Ok(Settings::Usual(patterns));
    }
    let mut sources: Vec<SourceSettings> = Vec::new();
    for url in &flags.urls {
        let endpoint: Endpoint = url.parse().context("--supervisor.url")?;
        let source = SourceSettings::of_supervisord(endpoint, patterns.clone());
        ensure!(
            !is_listed(&sources, &source.origin),
            "--supervisor.url: {} is given twice; give it once",
            source.origin
        );
        sources.push(source);
    }
    Ok(Settings::Given(sources))
}

/// Whether the address is among them, whatever its credentials.
fn is_listed(sources: &[SourceSettings], origin: &Origin) -> bool {
    let address = origin.to_string();
    sources.iter().any(|other| other.origin.to_string() == address)
}

/// The usual sockets that exist, each once: `/var/run` is often a link to `/run`.
pub(crate) fn usual(patterns: &Patterns) -> Vec<SourceSettings> {
    let mut found: Vec<(PathBuf, &str)> = Vec::new();
    for socket in USUAL_SOCKETS {
        if let Ok(path) = Path::new(socket).canonicalize()
            && found.iter().all(|(other, _)| *other != path)
        {
            found.push((path, socket));
        }
    }
    let source = |(_, socket): (PathBuf, &str)| {
        SourceSettings::of_supervisord(Endpoint::unix(socket), patterns.clone())
    };
    found.into_iter().map(source).collect()
}

pub(crate) fn usual_sockets() -> String {
    USUAL_SOCKETS.join(", ")
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Vec<SourceSettings>> {
    let at = |offset: usize| {
        let line = text
            .as_bytes()
            .iter()
            .take(offset)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("{}:{line}", path.display())
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let place = at(error.span().map_or(0, |span| span.start));
        anyhow::anyhow!("{place}: {}", error.message())
    })?;
    let Some(listed) = file.source else {
        bail!(
            "{}: no [[source]]; give at least one with its url, or `source = []` to watch nothing",
            path.display()
        );
    };
    let mut sources: Vec<SourceSettings> = Vec::new();
    for source in listed {
        let place = at(source.url.span().start);
        let origin: Origin = source.url.get_ref().parse().context(place.clone())?;
        ensure!(
            !is_listed(&sources, &origin),
            "{place}: url: {origin} is listed twice; name several patterns in `match` instead"
        );
        sources.push(settings(origin, &place, source, at)?);
    }
    Ok(sources)
}

/// Checks what a `[[source]]` says beside its address.
fn settings(
    origin: Origin,
    place: &str,
    source: Source,
    at: impl Fn(usize) -> String,
) -> anyhow::Result<SourceSettings> {
    if source.patterns.is_none() && matches!(origin, Origin::Systemd(_)) {
        bail!("{place}: match is missing; a machine has hundreds of units, name those that are workers");
    }
    if let Some(log) = &source.log
        && !matches!(origin, Origin::Supervisord(_))
    {
        bail!(
            "{}: log: only supervisord has a main log; leave it out",
            at(log.span().start)
        );
    }
    if let Some(labels) = &source.labels
        && !matches!(origin, Origin::Docker(_))
    {
        bail!(
            "{}: labels: only containers have labels; leave it out",
            at(labels.span().start)
        );
    }
    if let Some(heartbeat) = &source.heartbeat {
        ensure!(
            heartbeat.get_ref().contains("{worker}"),
            "{}: heartbeat: {:?} lacks {{worker}}, the place of the worker's name",
            at(heartbeat.span().start),
            heartbeat.get_ref()
        );
    }
    let everything = || vec!["*".to_owned()];
    Ok(SourceSettings {
        origin,
        patterns: Patterns::new(&source.patterns.unwrap_or_else(everything)),
        labels: source.labels.map(toml::Spanned::into_inner).unwrap_or_default(),
        log: source.log.map(toml::Spanned::into_inner),
        heartbeat: source.heartbeat.map(toml::Spanned::into_inner),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<SourceSettings>, String> {
        parse(Path::new("workers.toml"), text).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_full_file() {
        let sources = read(
            "[[source]]\nurl = \"unix:///run/supervisor.sock\"\nmatch = [\"worker_*\"]\n\
             log = \"/var/log/supervisor/supervisord.log\"\nheartbeat = \"/run/{worker}.heartbeat\"\n\
             [[source]]\nurl = \"http://user:secret@box:9001\"\n",
        )
        .unwrap();
        assert_eq!(
            sources[0].log.as_deref(),
            Some(Path::new("/var/log/supervisor/supervisord.log"))
        );
        assert_eq!(sources[0].patterns, Patterns::new(&["worker_*".to_owned()]));
        assert_eq!(sources[1].origin.to_string(), "http://box:9001");
        assert_eq!(sources[1].patterns, Patterns::new(&["*".to_owned()]));
    }

    #[test]
    fn nothing_to_watch_has_to_be_said() {
        assert!(read("source = []\n").unwrap().is_empty());
    }

    #[test]
    fn refusals_name_file_line_and_key() {
        for (text, expected) in [
            ("", "workers.toml: no [[source]]"),
            (
                "[[source]]\nurl = \"unix:///s\"\nmach = [\"*\"]\n",
                "workers.toml:3: unknown field `mach`",
            ),
            (
                "\n[[source]]\nmatch = [\"*\"]\n",
                "workers.toml:2: missing field `url`",
            ),
            (
                "[[source]]\nurl = \"/s\"\n",
                "workers.toml:2: url: \"/s\" has no scheme",
            ),
            ("[[source]]\nurl = \"unix:///s\"\nmatch = 1\n", "workers.toml:3: "),
            ("[[source]\n", "workers.toml:1: "),
            (
                "[[source]]\nurl = \"unix:///s\"\n[[source]]\nurl = \"unix:///s\"\n",
                "workers.toml:4: url: unix:///s is listed twice",
            ),
            (
                "[[source]]\nurl = \"systemd://\"\n",
                "workers.toml:2: match is missing",
            ),
            (
                "[[source]]\nurl = \"docker://\"\nlog = \"/l\"\n",
                "workers.toml:3: log: only supervisord",
            ),
            (
                "[[source]]\nurl = \"unix:///s\"\nlabels = [\"a\"]\n",
                "workers.toml:3: labels: only containers",
            ),
            (
                "[[source]]\nurl = \"unix:///s\"\nheartbeat = \"/x\"\n",
                "workers.toml:3: heartbeat: \"/x\" lacks {worker}",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
