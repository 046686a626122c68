//! The format of queries: a pack, or a file of the user's own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use exporter::Kind;
use serde::Deserialize;
use toml::Spanned;

use crate::dsn::Dialect;
use crate::parameters::Parameters;
use crate::query::{From, Metric, Missing, Query, Shape};
use crate::{sql, text};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    query: Vec<Spanned<RawQuery>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    name: String,
    sql: Sql,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    interval: Option<Duration>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    timeout: Option<Duration>,
    #[serde(default, deserialize_with = "text::deserialize_duration")]
    expire: Option<Duration>,
    #[serde(default = "default_rows")]
    max_rows: usize,
    #[serde(default = "default_series")]
    max_series: usize,
    #[serde(default)]
    missing: Missing,
    metric: Vec<RawMetric>,
}

fn default_rows() -> usize {
    10_000
}

fn default_series() -> usize {
    1000
}

/// One text for every database, or one for each kind.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`sql` is a text, or one text each for postgres, sqlite and mysql"
)]
enum Sql {
    Same(String),
    Each(Texts),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    postgres: Option<String>,
    sqlite: Option<String>,
    mysql: Option<String>,
}

impl Sql {
    fn of(self, dialect: Dialect) -> Option<String> {
        match (self, dialect) {
            (Self::Same(text), _) => Some(text),
            (Self::Each(texts), Dialect::Postgres) => texts.postgres,
            (Self::Each(texts), Dialect::Sqlite) => texts.sqlite,
            (Self::Each(texts), Dialect::Mysql) => texts.mysql,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetric {
    name: String,
    help: String,
    #[serde(rename = "type")]
    kind: Type,
    value: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    constants: BTreeMap<String, String>,
    from: Option<From>,
    states: Option<Vec<String>>,
    id: Option<String>,
    buckets: Option<Vec<f64>>,
    le: Option<String>,
    sum: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Type {
    Gauge,
    Counter,
    StateSet,
    Histogram,
    Buckets,
}

/// Reads queries for one kind of database. `place` is the file or pack, for errors; `parameters` replace the file's
/// own.
pub(crate) fn parse(
    text: &str,
    place: &str,
    dialect: Dialect,
    parameters: &BTreeMap<String, String>,
) -> anyhow::Result<Vec<Query>> {
    let at = |offset| format!("{place}:{}", exporter::text::line(text, offset));
    let file: File = toml::from_str(text).map_err(|error| {
        anyhow!(
            "{}: {}",
            at(error.span().map_or(0, |span| span.start)),
            error.message()
        )
    })?;
    let parameters = Parameters::new(file.parameters, parameters).with_context(|| place.to_owned())?;
    let mut queries: Vec<Query> = Vec::new();
    for raw in file.query {
        let place = at(raw.span().start);
        let query =
            query(raw.into_inner(), dialect, &parameters).map_err(|error| anyhow!("{place}: {error:#}"))?;
        ensure!(
            queries.iter().all(|other| other.name != query.name),
            "{place}: query {:?} is there twice",
            query.name
        );
        queries.push(query);
    }
    Ok(queries)
}

fn query(raw: RawQuery, dialect: Dialect, parameters: &Parameters) -> anyhow::Result<Query> {
    let name = raw.name;
    check_name(&name)?;
    let Some(sql) = raw.sql.of(dialect) else {
        bail!("query {name:?} has no SQL for {}", dialect.word());
    };
    let sql = parameters.fill(&sql)?;
    sql::check(&sql).with_context(|| format!("query {name:?}"))?;
    ensure!(
        raw.max_rows > 0 && raw.max_series > 0,
        "query {name:?}: a limit of 0 allows nothing"
    );
    ensure!(!raw.metric.is_empty(), "query {name:?} has no [[query.metric]]");
    let interval = raw.interval.unwrap_or(Duration::from_mins(1));
    let timeout = raw.timeout.unwrap_or(Duration::from_secs(10));
    let metrics = raw
        .metric
        .into_iter()
        .map(|metric| {
            let place = format!("metric {:?}", metric.name);
            self::metric(metric).map_err(|error| anyhow!("{place}: {error:#}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    for (i, metric) in metrics.iter().enumerate() {
        for earlier in &metrics[..i] {
            ensure!(
                metric.fits(earlier, false),
                "the metrics {:?} and {:?} have series of one name; tell them apart with `constants`, or give one another name",
                earlier.name,
                metric.name
            );
        }
    }
    Ok(Query {
        name,
        sql,
        interval,
        timeout,
        // One failure is bridged; after the second the values are gone.
        expire: raw.expire.unwrap_or(interval * 2 + timeout),
        max_rows: raw.max_rows,
        max_series: raw.max_series,
        missing: raw.missing,
        metrics,
    })
}

/// The label of a query is `database/query`, and each database has a query `probe`.
fn check_name(name: &str) -> anyhow::Result<()> {
    ensure!(
        !name.is_empty() && !name.contains('/') && name != "probe",
        "a query cannot be called {name:?}; give it a name without /, other than probe"
    );
    Ok(())
}

fn metric(raw: RawMetric) -> anyhow::Result<Metric> {
    let shape = match raw.kind {
        Type::Gauge => Shape::Gauge,
        Type::Counter => Shape::Counter {
            from: raw.from.unwrap_or_default(),
        },
        Type::StateSet => Shape::StateSet {
            states: raw.states.clone().unwrap_or_default(),
        },
        Type::Histogram => Shape::Histogram {
            id: raw.id.clone().unwrap_or_default(),
            buckets: raw.buckets.clone().unwrap_or_default(),
        },
        Type::Buckets => Shape::Buckets {
            le: raw.le.clone().unwrap_or_default(),
            sum: raw.sum.clone().unwrap_or_default(),
        },
    };
    for (key, given, belongs) in [
        ("states", raw.states.is_some(), raw.kind == Type::StateSet),
        ("id", raw.id.is_some(), raw.kind == Type::Histogram),
        ("buckets", raw.buckets.is_some(), raw.kind == Type::Histogram),
        ("le", raw.le.is_some(), raw.kind == Type::Buckets),
        ("sum", raw.sum.is_some(), raw.kind == Type::Buckets),
    ] {
        ensure!(
            given == belongs,
            "`{key}` {}",
            if given {
                "is not for this type"
            } else {
                "is missing"
            }
        );
    }
    ensure!(
        raw.from.is_none() || raw.kind == Type::Counter,
        "`from` is for counters"
    );
    if let Some(buckets) = &raw.buckets {
        let rises = buckets.windows(2).all(|pair| pair[0] < pair[1]);
        let is_finite = buckets.iter().all(|bound| bound.is_finite());
        ensure!(
            !buckets.is_empty() && rises && is_finite,
            "`buckets` are numbers that rise; the one for infinity comes by itself"
        );
    }
    if let Some(states) = &raw.states {
        let different: BTreeSet<_> = states.iter().collect();
        let all_differ = different.len() == states.len();
        ensure!(!states.is_empty() && all_differ, "`states` are different words");
    }
    let metric = Metric {
        name: raw.name,
        help: raw.help,
        shape,
        labels: raw.labels.into_iter().collect(),
        constants: raw.constants.into_iter().collect(),
        value: raw.value,
    };
    check_names(&metric)?;
    Ok(metric)
}

/// How names begin that are on the page anyway.
const OWN: [&str; 6] = [
    "process_",
    "sql_databases",
    "sql_exporter_",
    "sql_probe_",
    "sql_query_",
    "sql_series_",
];

fn check_names(metric: &Metric) -> anyhow::Result<()> {
    ensure!(
        !OWN.iter().any(|own| metric.name.starts_with(own)),
        "the exporter itself uses names that begin like this one"
    );
    metric.check(&[])?;
    let is_total = metric.name.ends_with("_total");
    ensure!(
        is_total || metric.kind() != Kind::Counter,
        "a counter's name ends with _total"
    );
    Ok(())
}
