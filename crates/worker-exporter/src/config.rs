//! Which supervisords to ask: from flags, from the configuration file, or the usual sockets.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use exporter::Common;
use serde::Deserialize;
use supervisor::Endpoint;

use crate::pattern::Pattern;

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
    Usual(Vec<Pattern>),
}

/// One supervisord and what to export of it.
#[derive(Clone, Debug)]
pub(crate) struct SourceSettings {
    pub(crate) endpoint: Endpoint,
    pub(crate) patterns: Vec<Pattern>,
    /// The main log.
    pub(crate) log: Option<PathBuf>,
    /// A path with `{worker}` in it.
    pub(crate) heartbeat: Option<String>,
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
    #[serde(rename = "match", default = "everything")]
    patterns: Vec<String>,
    log: Option<PathBuf>,
    heartbeat: Option<toml::Spanned<String>>,
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

fn patterns(patterns: &[String]) -> Vec<Pattern> {
    patterns.iter().map(|pattern| Pattern::new(pattern)).collect()
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
    let patterns = patterns(&flags.patterns);
    if flags.urls.is_empty() {
        return Ok(Settings::Usual(patterns));
    }
    let mut sources: Vec<SourceSettings> = Vec::new();
    for url in &flags.urls {
        let endpoint: Endpoint = url.parse().context("--supervisor.url")?;
        ensure!(
            !is_listed(&sources, &endpoint),
            "--supervisor.url: {endpoint} is given twice; give it once"
        );
        sources.push(SourceSettings {
            endpoint,
            patterns: patterns.clone(),
            log: None,
            heartbeat: None,
        });
    }
    Ok(Settings::Given(sources))
}

/// Whether the address is among them, whatever its credentials.
fn is_listed(sources: &[SourceSettings], endpoint: &Endpoint) -> bool {
    let address = endpoint.to_string();
    sources.iter().any(|other| other.endpoint.to_string() == address)
}

/// The usual sockets that exist, each once: `/var/run` is often a link to `/run`.
pub(crate) fn usual(patterns: &[Pattern]) -> Vec<SourceSettings> {
    let mut found: Vec<(PathBuf, &str)> = Vec::new();
    for socket in USUAL_SOCKETS {
        if let Ok(path) = Path::new(socket).canonicalize()
            && found.iter().all(|(other, _)| *other != path)
        {
            found.push((path, socket));
        }
    }
    let source = |(_, socket): (PathBuf, &str)| SourceSettings {
        endpoint: Endpoint::unix(socket),
        patterns: patterns.to_vec(),
        log: None,
        heartbeat: None,
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
        let endpoint: Endpoint = source
            .url
            .get_ref()
            .parse()
            .with_context(|| format!("{place}: url"))?;
        ensure!(
            !is_listed(&sources, &endpoint),
            "{place}: url: {endpoint} is listed twice; name several patterns in `match` instead"
        );
        let heartbeat = source.heartbeat.map(|heartbeat| {
            let place = at(heartbeat.span().start);
            let heartbeat = heartbeat.into_inner();
            ensure!(
                heartbeat.contains("{worker}"),
                "{place}: heartbeat: {heartbeat:?} lacks {{worker}}, the place of the worker's name"
            );
            Ok(heartbeat)
        });
        sources.push(SourceSettings {
            endpoint,
            patterns: patterns(&source.patterns),
            log: source.log,
            heartbeat: heartbeat.transpose()?,
        });
    }
    Ok(sources)
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
        assert_eq!(sources[0].patterns, [Pattern::new("worker_*")]);
        assert_eq!(sources[1].endpoint.to_string(), "http://box:9001");
        assert_eq!(sources[1].patterns, [Pattern::new("*")]);
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
                "[[source]]\nurl = \"unix:///s\"\nheartbeat = \"/x\"\n",
                "workers.toml:3: heartbeat: \"/x\" lacks {worker}",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
