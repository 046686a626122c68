//! Times a search in each table that has vectors: the ten nearest neighbours of a random vector.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use exporter::{Family, Kind, Metric, NameError, Unit};
use futures_util::TryStreamExt as _;
use lancedb::arrow::arrow_schema::{DataType, Schema};
use lancedb::query::{ExecutableQuery as _, QueryBase as _, Select};
use lancedb::{Connection, Table};

use super::Found;
use super::latency::Latency;
use super::store::{Client, DEADLINE, NoAnswer, Place, Store, in_time};

const SECONDS: &str = "brain_lancedb_probe_seconds";
const SECONDS_HELP: &str =
    "Duration of a search for the 10 nearest neighbours of a random vector, on a timer.";
const FAILED: Metric<1> = Metric::counter(
    "brain_lancedb_probe_failures_total",
    Unit::None,
    "Searches that failed or had no result after 30 s.",
    ["table"],
);

const NEIGHBOURS: usize = 10;
/// A search reads every row that no index covers. In a table with more of them it would be a load, not a measurement.
const MOST_TO_SCAN: usize = 100_000;

/// The searches in one table.
#[derive(Clone, Default)]
struct Searches {
    latency: Latency,
    failed: u64,
}

/// All searches since the start.
#[derive(Default)]
pub(super) struct Probes {
    state: Mutex<State>,
    first: Condvar,
}

#[derive(Default)]
struct State {
    tables: BTreeMap<String, Searches>,
    /// Of the last round; `None` before its end.
    errors: Option<Vec<String>>,
}

impl Found for Probes {
    /// Waits for the first round.
    fn families(&self) -> (Vec<Family>, Vec<String>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self
            .first
            .wait_while(state, |state| state.errors.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let failed = state
            .tables
            .iter()
            .map(|(table, searches)| ([table], searches.failed as f64));
        let mut families = vec![FAILED.family(failed)];
        let mut errors = state.errors.clone().unwrap_or_default();
        match seconds(&state.tables) {
            Ok(family) => families.push(family),
            Err(error) => errors.push(error.to_string()),
        }
        (families, errors)
    }
}

fn seconds(tables: &BTreeMap<String, Searches>) -> Result<Family, NameError> {
    let mut family = Family::new(Kind::Histogram, SECONDS, SECONDS_HELP)?;
    for (table, Searches { latency, .. }) in tables {
        let buckets = latency.buckets();
        family.push_histogram(&[("table", table)], &buckets, latency.sum, latency.count)?;
    }
    Ok(family)
}

/// One search in each table of all stores, one after the other.
pub(super) async fn all(stores: &[Store], client: &Client, probes: &Probes) {
    let mut round = Round::default();
    let mut all_listed = true;
    for store in stores {
        if let Err(error) = round.search(store, client, probes).await {
            round.errors.push(format!("database {}: {error:#}", store.name));
            all_listed = false;
        }
    }
    let mut state = probes.state.lock().unwrap_or_else(PoisonError::into_inner);
    // Tables of a database that did not answer are not known to be gone.
    if all_listed {
        state.tables.retain(|table, _| round.searched.contains(table));
    }
    state.errors = Some(round.errors);
    probes.first.notify_all();
}

#[derive(Default)]
struct Round {
    searched: HashSet<String>,
    errors: Vec<String>,
}

impl Round {
    async fn search(&mut self, store: &Store, client: &Client, probes: &Probes) -> anyhow::Result<()> {
        let connection = store.connect(client).await.context("connect")?;
        for place in store.tables(&connection).await? {
            match one(&place, &connection).await {
                Ok(None) => continue,
                Ok(Some(time)) => probes.enter(&place.label, Some(time)),
                Err(error) => {
                    probes.enter(&place.label, None);
                    let error = error.context(format!("table {}", place.label));
                    if error.is::<NoAnswer>() {
                        return Err(error);
                    }
                    self.errors.push(format!("{error:#}"));
                }
            }
            self.searched.insert(place.label);
        }
        Ok(())
    }
}

impl Probes {
    fn enter(&self, table: &str, time: Option<Duration>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let searches = state.tables.entry(table.to_owned()).or_default();
        match time {
            Some(time) => searches.latency.observe(time),
            None => searches.failed += 1,
        }
    }
}

/// How long a search took; `None` where there is nothing to search, or too much to scan.
async fn one(place: &Place, connection: &Connection) -> anyhow::Result<Option<Duration>> {
    let Some(table) = place.open(connection).await? else {
        return Ok(None);
    };
    let schema = in_time(table.schema()).await.context("schema")?;
    let Some((column, dimension)) = vectors(&schema) else {
        return Ok(None);
    };
    let to_scan = rows_to_scan(&table, column).await?;
    if to_scan > MOST_TO_SCAN {
        tracing::debug!(
            table = place.label,
            to_scan,
            "too many rows without an index to search in"
        );
        return Ok(None);
    }
    let query = table
        .vector_search(random_vector(dimension))?
        .column(column)
        .select(Select::columns(&["_distance"]))
        .limit(NEIGHBOURS);
    let began = Instant::now();
    let searching = async { query.execute().await?.try_collect::<Vec<_>>().await };
    // A search that takes too long says something of this table only.
    tokio::time::timeout(DEADLINE, searching)
        .await
        .map_err(|_| anyhow!("no result within {} s", DEADLINE.as_secs()))?
        .context("search")?;
    Ok(Some(began.elapsed()))
}

/// Rows that no index of this column covers.
async fn rows_to_scan(table: &Table, column: &str) -> anyhow::Result<usize> {
    let indices = in_time(table.list_indices()).await.context("list_indices")?;
    let index = indices.iter().find(|index| index.columns == [column]);
    if let Some(index) = index
        && let Some(stats) = in_time(table.index_stats(&index.name))
            .await
            .context("index_stats")?
    {
        return Ok(stats.num_unindexed_rows);
    }
    in_time(table.count_rows(None)).await.context("count_rows")
}

/// The first column of vectors, and their dimension.
fn vectors(schema: &Schema) -> Option<(&str, usize)> {
    schema.fields().iter().find_map(|field| match field.data_type() {
        DataType::FixedSizeList(item, dimension)
            if matches!(
                item.data_type(),
                DataType::Float16 | DataType::Float32 | DataType::Float64
            ) =>
        {
            Some((field.name().as_str(), usize::try_from(*dimension).ok()?))
        }
        _ => None,
    })
}

/// Another one at each call, so that no cache of results answers.
fn random_vector(dimension: usize) -> Vec<f32> {
    let seed = RandomState::new();
    (0..dimension)
        .map(|i| {
            let bits = u16::try_from(seed.hash_one(i) >> 48).unwrap_or_default();
            f32::from(bits) / 32_768.0 - 1.0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lancedb::arrow::arrow_schema::Field;

    use super::*;

    fn list(name: &str, item: DataType, dimension: i32) -> Field {
        let item = Arc::new(Field::new("item", item, true));
        Field::new(name, DataType::FixedSizeList(item, dimension), true)
    }

    #[test]
    fn the_first_column_of_floats_of_a_fixed_number() {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            list("bits", DataType::UInt8, 16),
            list("vector", DataType::Float32, 384),
            list("other", DataType::Float64, 8),
        ]);
        assert_eq!(vectors(&schema), Some(("vector", 384)));
        assert_eq!(vectors(&Schema::empty()), None);
    }

    #[test]
    fn vectors_are_random_and_between_one_and_minus_one() {
        let (one, other) = (random_vector(384), random_vector(384));
        assert_eq!(one.len(), 384);
        assert_ne!(one, other);
        assert!(one.iter().all(|x| (-1.0..1.0).contains(x)));
        assert!(one.iter().any(|x| *x < -0.5) && one.iter().any(|x| *x > 0.5));
    }

    #[test]
    fn a_failure_is_counted_and_no_duration() {
        let probes = Probes::default();
        probes.enter("events", Some(Duration::from_millis(3)));
        probes.enter("events", None);
        probes.state.lock().expect("no panic").errors = Some(Vec::new());
        let (families, errors) = probes.families();
        assert_eq!(errors, [""; 0]);
        let failed = families
            .iter()
            .find(|family| family.name() == FAILED.name())
            .expect("the counter");
        assert_eq!(failed.get("table=\"events\""), Some(1.0));
        assert!(families.iter().any(|family| family.name() == SECONDS));
    }
}
