//! Which databases to ask and what: from the configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use exporter::Common;
use serde::Deserialize;
use toml::Spanned;

use crate::dsn::Dsn;
use crate::query::{Metric, Query};
use crate::{packs, queries, text};

/// The exporter's own flags.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// Ask only this query, by name or database/name; may be repeated. With --once it shows what a query exports
    #[arg(long = "query", value_name = "NAME", value_delimiter = ',')]
    queries: Vec<String>,
    /// Read the configuration and all files that it names, say what is wrong with them, and exit
    #[arg(long = "config.check")]
    pub(crate) check: bool,
}

/// One database and what to ask it.
#[derive(Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) dsn: Dsn,
    /// Labels of all its series.
    pub(crate) labels: Vec<(String, String)>,
    /// How often `SELECT 1` is asked.
    pub(crate) probe: Duration,
    pub(crate) queries: Vec<Query>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// An empty list has to be written: it says that nothing is to be asked, a file without one is a mistake.
    database: Option<Vec<Spanned<Entry>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    dsn: Option<String>,
    dsn_file: Option<PathBuf>,
    pack: Option<String>,
    queries: Option<PathBuf>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    probe_interval: Option<Duration>,
}

/// Reads flags and file; no file means no databases.
pub(crate) fn read(flags: &Flags, common: &Common) -> anyhow::Result<Vec<Settings>> {
    let Some(path) = &common.config_file else {
        ensure!(
            flags.queries.is_empty(),
            "--query: without --config.file there are no queries"
        );
        return Ok(Vec::new());
    };
    // It may be a pipe: a shell's `<(…)`.
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let mut databases = parse(path, &text)?;
    if !flags.queries.is_empty() {
        choose(&mut databases, &flags.queries)?;
    }
    Ok(databases)
}

fn choose(databases: &mut Vec<Settings>, wanted: &[String]) -> anyhow::Result<()> {
    let is = |database: &str, query: &str, name: &str| name == query || name == format!("{database}/{query}");
    for name in wanted {
        let mut all = databases.iter().flat_map(|database| {
            database
                .queries
                .iter()
                .map(move |query| (&database.name, &query.name))
        });
        ensure!(
            all.clone().any(|(database, query)| is(database, query, name)),
            "--query: there is no {name:?}; there are {}",
            all.by_ref()
                .map(|(database, query)| format!("{database}/{query}"))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    for database in databases.iter_mut() {
        let name = &database.name;
        database
            .queries
            .retain(|query| wanted.iter().any(|wanted| is(name, &query.name, wanted)));
    }
    databases.retain(|database| !database.queries.is_empty());
    Ok(())
}

fn parse(path: &Path, text: &str) -> anyhow::Result<Vec<Settings>> {
    let at = |offset| format!("{}:{}", path.display(), exporter::text::line(text, offset));
    let file: File = toml::from_str(text).map_err(|error| {
        anyhow!(
            "{}: {}",
            at(error.span().map_or(0, |span| span.start)),
            error.message()
        )
    })?;
    let Some(listed) = file.database else {
        bail!(
            "{}: no [[database]]; give at least one, or `database = []` to ask nothing",
            path.display()
        );
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut databases: Vec<Settings> = Vec::new();
    for entry in listed {
        let place = at(entry.span().start);
        let settings = settings(entry.into_inner(), folder).with_context(|| place.clone())?;
        check_beside(&settings, &databases).with_context(|| place)?;
        databases.push(settings);
    }
    Ok(databases)
}

fn settings(entry: Entry, folder: &Path) -> anyhow::Result<Settings> {
    let dsn = address(entry.dsn, entry.dsn_file, folder)?;
    let mut queries = Vec::new();
    if let Some(pack) = &entry.pack {
        let Some(text) = packs::text(pack) else {
            bail!("pack: there is no {pack:?}; there are {}", packs::names());
        };
        let place = format!("pack {pack}");
        queries.extend(queries::parse(text, &place, dsn.dialect(), &entry.parameters)?);
    }
    if let Some(file) = &entry.queries {
        let path = folder.join(file);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("queries: read {}", path.display()))?;
        // The parameters are the pack's where there is one.
        let none = BTreeMap::new();
        let parameters = if entry.pack.is_some() {
            &none
        } else {
            &entry.parameters
        };
        queries.extend(queries::parse(
            &text,
            &path.display().to_string(),
            dsn.dialect(),
            parameters,
        )?);
    }
    let Some(name) = entry.name.or(entry.pack) else {
        bail!("name: a database without a pack needs a name");
    };
    let labels: Vec<_> = entry.labels.into_iter().collect();
    for metric in queries.iter().flat_map(|query| &query.metrics) {
        metric
            .check(&labels)
            .with_context(|| format!("labels: {}", metric.name))?;
    }
    Ok(Settings {
        name,
        dsn,
        labels,
        probe: entry.probe_interval.unwrap_or(Duration::from_secs(15)),
        queries,
    })
}

fn address(dsn: Option<String>, dsn_file: Option<PathBuf>, folder: &Path) -> anyhow::Result<Dsn> {
    match (dsn, dsn_file) {
        (Some(text), None) => {
            let dsn = Dsn::parse(&text).context("dsn")?;
            ensure!(
                !dsn.has_secret(),
                "dsn: a password does not belong here; write the address into a file and name it in dsn_file"
            );
            Ok(dsn)
        }
        (None, Some(file)) => {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("dsn_file: read {}", path.display()))?;
            Dsn::parse(text.trim()).with_context(|| format!("dsn_file: {}", path.display()))
        }
        _ => bail!("give either dsn_file or, for an address without a password, dsn"),
    }
}

/// Names are labels, and no two queries may yield the same series.
fn check_beside(settings: &Settings, others: &[Settings]) -> anyhow::Result<()> {
    let name = &settings.name;
    ensure!(
        !name.is_empty() && !name.contains('/'),
        "name: a database cannot be called {name:?}; give it a name without /"
    );
    ensure!(
        others.iter().all(|other| other.name != *name),
        "name: two databases are called {name:?}; give one another `name`"
    );
    let mut seen: Vec<(&Settings, &Query)> = Vec::new();
    for other in others {
        seen.extend(other.queries.iter().map(|query| (other, query)));
    }
    for query in &settings.queries {
        for (other, earlier) in &seen {
            ensure!(
                other.name != *name || earlier.name != query.name,
                "two queries of {name:?} are called {:?}",
                query.name
            );
            let apart = other.labels != settings.labels;
            for (mine, theirs) in pairs(query, earlier) {
                ensure!(
                    mine.fits(theirs, apart),
                    "{} comes from {}/{} and {} from {name}/{}; tell them apart with `labels`, or give one another name",
                    theirs.name,
                    other.name,
                    earlier.name,
                    mine.name,
                    query.name
                );
            }
        }
        seen.push((settings, query));
    }
    Ok(())
}

fn pairs<'a>(one: &'a Query, other: &'a Query) -> impl Iterator<Item = (&'a Metric, &'a Metric)> {
    let with_each = |mine| other.metrics.iter().map(move |theirs| (mine, theirs));
    one.metrics.iter().flat_map(with_each)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        let refused = parse(Path::new("/etc/sql.toml"), text).err().expect("refused");
        format!("{refused:#}")
    }

    #[test]
    fn refusals_say_where_and_what_to_do() {
        for (text, expected) in [
            ("", "/etc/sql.toml: no [[database]]; give at least one"),
            ("database = []\nx = 1", "/etc/sql.toml:2: unknown field `x`"),
            (
                "[[database]]\npack = \"litellm\"",
                "/etc/sql.toml:1: give either dsn_file or",
            ),
            (
                "\n[[database]]\npack = \"lite\"\ndsn = \"postgres://db/x\"",
                "/etc/sql.toml:2: pack: there is no \"lite\"; there are litellm, signal-queue, business",
            ),
            (
                "[[database]]\npack = \"litellm\"\ndsn = \"mysql://db/x\"",
                "has no SQL for mysql",
            ),
            (
                "[[database]]\ndsn = \"sqlite:/x.db\"",
                "a database without a pack needs a name",
            ),
            (
                "[[database]]\npack = \"business\"\ndsn = \"sqlite:/x.db\"\nlabels = { currency = \"x\" }",
                "label `currency` stands twice",
            ),
            (
                "[[database]]\npack = \"business\"\ndsn = \"sqlite:/x.db\"\nparameters = { payments = \"x; DROP\" }",
                "is no name of a table or column",
            ),
            (
                "[[database]]\npack = \"business\"\ndsn = \"sqlite:/x.db\"\n[[database]]\nname = \"b\"\npack = \"business\"\ndsn = \"sqlite:/y.db\"",
                "/etc/sql.toml:4: business_revenue_total comes from business/revenue and business_revenue_total from b/revenue; tell them apart",
            ),
        ] {
            let refused = refusal(text);
            assert!(refused.contains(expected), "{text}\n{refused}");
        }
    }

    #[test]
    fn two_databases_with_one_pack_are_told_apart_by_labels() {
        let database = |name: &str| {
            format!(
                "[[database]]\nname = \"{name}\"\npack = \"business\"\ndsn = \"sqlite:/{name}.db\"\nlabels = {{ shop = \"{name}\" }}\n"
            )
        };
        let text = database("berlin") + &database("paris");
        assert_eq!(parse(Path::new("x.toml"), &text).expect("good").len(), 2);
    }

    proptest! {
        /// Any file is taken, or refused with its name.
        #[test]
        fn any_file_is_read_or_refused(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "[[database]]", "[database]", "name = \"a\"", "name = \"b\"", "name = 1", "pack = \"business\"",
                    "pack = \"litellm\"", "dsn = \"sqlite:/x.db\"", "dsn = \"postgres://u:p@h/d\"", "dsn = \"\"",
                    "dsn_file = \"/nowhere\"", "probe_interval = \"0s\"", "probe_interval = \"5s\"",
                    "probe_interval = \"99999999999999d\"", "labels = { a = \"b\" }", "labels = { le = \"b\" }",
                    "parameters = { users = \"u\" }", "parameters = { x = \"\" }", "queries = \"/nowhere\"", "{", "\"", "é",
                ]),
                0..12,
            ),
        ) {
            if let Err(error) = parse(Path::new("/etc/sql.toml"), &lines.join("\n")) {
                let shown = format!("{error:#}");
                prop_assert!(shown.contains("/etc/sql.toml"), "{}", shown);
            }
        }
    }
}
