//! What the library says of the tables of a database: the same numbers as from manifests, without those that need
//! every version or every file.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use exporter::{Family, Labels, Metric, Unit};
use lancedb::Table;

use super::Found;
use super::store::{Client, NoAnswer, Place, Store, in_time};
use crate::index::Index;
use crate::page::{self, Known, TABLE_UP};
use crate::snapshot::{Files, Snapshot};

const READ: Metric<1> = Metric::gauge(
    "brain_lancedb_read_timestamp_seconds",
    Unit::Seconds,
    "When the library read the table of an object store or namespace, Unix time.",
    ["table"],
);

/// A table as it was read.
struct Reading {
    label: String,
    labels: Labels<1>,
    /// Unix time in seconds.
    time: f64,
    /// `None` when it could not be read.
    content: Option<(Snapshot, usize)>,
}

/// All stores as they were read last.
#[derive(Default)]
pub(super) struct Read {
    tables: Vec<Reading>,
    connections: Vec<(String, bool)>,
    errors: Vec<String>,
}

/// The last reading; `None` before the first.
#[derive(Default)]
pub(super) struct Readings {
    last: Mutex<Option<Read>>,
    first: Condvar,
}

impl Readings {
    pub(super) fn replace(&self, read: Read) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        self.first.notify_all();
    }
}

impl Found for Readings {
    /// Waits for the first reading.
    fn families(&self) -> (Vec<Family>, Vec<String>) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self
            .first
            .wait_while(last, |last| last.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let Some(read) = &*last else {
            return Default::default();
        };
        let known: Vec<Known<'_>> = read
            .tables
            .iter()
            .filter_map(|table| {
                let (current, versions) = table.content.as_ref()?;
                Some(Known {
                    label: &table.label,
                    labels: &table.labels,
                    versions: *versions,
                    current,
                })
            })
            .collect();
        let up = |table: &Reading| f64::from(u8::from(table.content.is_some()));
        let mut families = page::contents(&known);
        families.push(TABLE_UP.family(read.tables.iter().map(|table| (&table.labels, up(table)))));
        families.push(READ.family(read.tables.iter().map(|table| (&table.labels, table.time))));
        families.push(page::connections(
            read.connections
                .iter()
                .map(|(name, is_up)| (name.as_str(), *is_up)),
        ));
        (families, read.errors.clone())
    }
}

/// Reads all tables of all stores, one after the other.
pub(super) async fn all(stores: &[Store], client: &Client) -> Read {
    let mut read = Read::default();
    for store in stores {
        let is_up = match store_tables(store, client, &mut read).await {
            Ok(()) => true,
            Err(error) => {
                read.errors.push(format!("database {}: {error:#}", store.name));
                false
            }
        };
        read.connections.push((store.name.clone(), is_up));
    }
    read
}

async fn store_tables(store: &Store, client: &Client, read: &mut Read) -> anyhow::Result<()> {
    let connection = store.connect(client).await.context("connect")?;
    for place in store.tables(&connection).await? {
        let content = match place.open(&connection).await {
            Ok(Some(table)) => content(&table).await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let content = match content {
            Err(error) if error.is::<NoAnswer>() => {
                return Err(error.context(format!("read table {}", place.label)));
            }
            Err(error) => {
                read.errors.push(format!("table {}: {error:#}", place.label));
                None
            }
            Ok(content) => content,
        };
        read.tables.push(Reading::new(&place, content));
    }
    Ok(())
}

impl Reading {
    fn new(place: &Place, content: Option<(Snapshot, usize)>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            labels: TABLE_UP.labels([&place.label]),
            label: place.label.clone(),
            time: now.as_secs_f64(),
            content,
        }
    }
}

/// The table's numbers and how many versions it has.
async fn content(table: &Table) -> anyhow::Result<(Snapshot, usize)> {
    let dataset = table.dataset().context("not a table of its own")?;
    let dataset = in_time(dataset.get()).await?;
    let version = dataset.version();
    let stats = in_time(table.stats()).await.context("stats")?;
    let rows = in_time(table.count_rows(None)).await.context("count_rows")?;
    let deleted_rows = in_time(dataset.count_deleted_rows())
        .await
        .context("count its deleted rows")?;
    let versions = in_time(dataset.count_versions())
        .await
        .context("count its versions")?;
    let snapshot = Snapshot {
        version: version.version,
        committed: Some(version.timestamp.timestamp_micros() as f64 / 1e6),
        rows: Some(rows as u64),
        deleted_rows: Some(deleted_rows as u64),
        fragments: stats.fragment_stats.num_fragments,
        bytes: Some(stats.total_bytes as u64),
        indices: indices(table).await?,
        files: Files::default(),
    };
    Ok((snapshot, usize::try_from(versions).unwrap_or(usize::MAX)))
}

async fn indices(table: &Table) -> anyhow::Result<Vec<Index>> {
    let mut indices = Vec::new();
    for config in in_time(table.list_indices()).await.context("list_indices")? {
        let stats = in_time(table.index_stats(&config.name))
            .await
            .context("index_stats")?;
        indices.push(Index {
            kind: config.index_type.to_string(),
            unindexed_rows: stats.map(|stats| stats.num_unindexed_rows as u64),
            name: config.name,
        });
    }
    Ok(indices)
}
