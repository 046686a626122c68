//! The page: what is known of the tables, as families. A value that is not known is absent.

use std::time::Instant;

use exporter::{Family, Kind, Labels, Metric, Unit};

use crate::disk;
use crate::snapshot::Snapshot;
use crate::table::{Table, Trouble};

pub(crate) const TABLE_UP: Metric<1> = Metric::gauge(
    "brain_lancedb_table_up",
    Unit::None,
    "Whether the table's newest manifest could be read; a table that is just being made has none.",
    ["table"],
);
const CONNECTED: Metric<1> = Metric::gauge(
    "brain_lancedb_connection_up",
    Unit::None,
    "Whether the database could be reached and its tables be listed.",
    ["database"],
);
const UNSUPPORTED: Metric<1> = Metric::gauge(
    "brain_lancedb_manifest_unsupported",
    Unit::None,
    "Whether the newest manifest needs reader features that this exporter does not know.",
    ["table"],
);
const UNREADABLE: Metric<2> = Metric::counter(
    "brain_lancedb_manifests_unreadable_total",
    Unit::None,
    "Manifests whose content could not be used, each counted once: torn or unsupported.",
    ["table", "reason"],
);
const ROWS: Metric<1> = Metric::contract(
    Kind::Gauge,
    "brain_lancedb_rows_total",
    "Rows in the table now, deleted ones not counted, from the newest manifest.",
    ["table"],
);
const SIZE: Metric<1> = Metric::gauge(
    "brain_lancedb_size_bytes",
    Unit::Bytes,
    "Data and index files of the current version, from the newest manifest.",
    ["table"],
);
const RATE: Metric<1> = Metric::contract(
    Kind::Gauge,
    "brain_lancedb_ingestion_rate",
    "Rows per second that came in over the last five minutes.",
    ["table"],
);
const INGESTED: Metric<1> = Metric::counter(
    "brain_lancedb_rows_ingested_total",
    Unit::None,
    "Rows that appends brought and merges inserted since this exporter watches; compaction and overwrite bring none.",
    ["table"],
);
const VERSION: Metric<1> = Metric::gauge(
    "brain_lancedb_version",
    Unit::None,
    "The current version; every commit makes one.",
    ["table"],
);
const VERSIONS: Metric<1> = Metric::gauge(
    "brain_lancedb_versions",
    Unit::None,
    "Versions that are kept on disk.",
    ["table"],
);
const FRAGMENTS: Metric<1> = Metric::gauge(
    "brain_lancedb_fragments",
    Unit::None,
    "Fragments of the current version; compaction makes fewer of them.",
    ["table"],
);
const DELETED: Metric<1> = Metric::gauge(
    "brain_lancedb_deleted_rows",
    Unit::None,
    "Rows that are marked as deleted and still in the data files.",
    ["table"],
);
const COMMITTED: Metric<1> = Metric::gauge(
    "brain_lancedb_last_commit_timestamp_seconds",
    Unit::Seconds,
    "When the current version was committed, Unix time, by the writer's clock.",
    ["table"],
);
const COMPACTED: Metric<1> = Metric::gauge(
    "brain_lancedb_last_compaction_timestamp_seconds",
    Unit::Seconds,
    "When the table was last compacted, Unix time, by the writer's clock.",
    ["table"],
);
const UNINDEXED: Metric<2> = Metric::gauge(
    "brain_lancedb_index_unindexed_rows",
    Unit::None,
    "Rows that the index does not cover, so that every search scans them.",
    ["table", "index"],
);
const INDEX_INFO: Metric<3> = Metric::gauge(
    "brain_lancedb_index_info",
    Unit::None,
    "The table's indices and their types; always 1.",
    ["table", "index", "type"],
);
const DISK: Metric<2> = Metric::gauge(
    "brain_lancedb_disk_bytes",
    Unit::Bytes,
    "Lengths of the table's files: live, indices and deletions of the current version, dead ones, versions, transactions, other.",
    ["table", "kind"],
);
const MEASURED: Metric<1> = Metric::gauge(
    "brain_lancedb_disk_measured_timestamp_seconds",
    Unit::Seconds,
    "When the files of the table were measured, Unix time.",
    ["table"],
);

/// A table as one page shows it.
pub(crate) struct Row<'a> {
    pub(crate) label: &'a str,
    pub(crate) labels: &'a Labels<1>,
    pub(crate) table: &'a mut Table,
}

/// A table whose current version is known, whoever read it.
pub(crate) struct Known<'a> {
    pub(crate) label: &'a str,
    pub(crate) labels: &'a Labels<1>,
    pub(crate) versions: usize,
    pub(crate) current: &'a Snapshot,
}

/// All families of tables in folders but those of the disk.
pub(crate) fn tables(rows: &mut [Row<'_>], now: Instant) -> Vec<Family> {
    let rates: Vec<_> = rows
        .iter_mut()
        .filter(|row| row.table.current.is_ok())
        .filter_map(|row| Some((row.labels, row.table.ingestion.rate(now)?)))
        .collect();
    let rate = RATE.family(rates);
    let known: Vec<Known<'_>> = rows
        .iter()
        .filter_map(|row| {
            Some(Known {
                label: row.label,
                labels: row.labels,
                versions: row.table.versions,
                current: row.table.current.as_deref().ok()?,
            })
        })
        .collect();
    let mut families = health(rows);
    families.push(rate);
    families.extend(contents(&known));
    families
}

/// Databases by name, and whether they can be reached.
pub(crate) fn connections<'a>(databases: impl Iterator<Item = (&'a str, bool)>) -> Family {
    CONNECTED.family(databases.map(|(name, is_up)| ([name], f64::from(u8::from(is_up)))))
}

fn health(rows: &[Row<'_>]) -> Vec<Family> {
    let flag = |metric: &Metric<1>, is: fn(&Table) -> bool| {
        metric.family(
            rows.iter()
                .map(|row| (row.labels, f64::from(u8::from(is(row.table))))),
        )
    };
    let unreadable = rows.iter().flat_map(|row| {
        let counts = row.table.unreadable;
        [
            ([row.label, "torn"], counts.torn as f64),
            ([row.label, "unsupported"], counts.unsupported as f64),
        ]
    });
    vec![
        flag(&TABLE_UP, |table| table.current.is_ok()),
        flag(&UNSUPPORTED, |table| {
            matches!(table.current, Err(Trouble::Unsupported(_)))
        }),
        UNREADABLE.family(unreadable),
        INGESTED.family(
            rows.iter()
                .map(|row| (row.labels, row.table.ingestion.total as f64)),
        ),
    ]
}

/// What the newest versions hold.
pub(crate) fn contents(tables: &[Known<'_>]) -> Vec<Family> {
    let family = |metric: &Metric<1>, value: fn(&Snapshot) -> Option<f64>| {
        metric.family(
            tables
                .iter()
                .filter_map(|table| Some((table.labels, value(table.current)?))),
        )
    };
    let versions = tables.iter().map(|table| (table.labels, table.versions as f64));
    let indices = || {
        tables
            .iter()
            .flat_map(|table| table.current.indices.iter().map(|index| (table.label, index)))
    };
    let unindexed = indices()
        .filter_map(|(table, index)| Some(([table, index.name.as_str()], index.unindexed_rows? as f64)));
    let info = indices().map(|(table, index)| ([table, index.name.as_str(), index.kind.as_str()], 1.0));
    vec![
        UNINDEXED.family(unindexed),
        INDEX_INFO.family(info),
        family(&ROWS, |current| current.rows.map(|rows| rows as f64)),
        family(&SIZE, |current| current.bytes.map(|bytes| bytes as f64)),
        family(&VERSION, |current| Some(current.version as f64)),
        VERSIONS.family(versions),
        family(&FRAGMENTS, |current| Some(current.fragments as f64)),
        family(&DELETED, |current| current.deleted_rows.map(|rows| rows as f64)),
        family(&COMMITTED, |current| current.committed),
    ]
}

/// What was measured on disk of a table.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) label: String,
    pub(crate) usage: disk::Usage,
    /// Unix time in seconds.
    pub(crate) time: f64,
}

/// The families of the slower look at all files.
pub(crate) fn disk(measured: &[Measured], compacted: &[(String, f64)]) -> Vec<Family> {
    let bytes = measured.iter().flat_map(|table| {
        disk::Kind::ALL.map(|kind| ([table.label.as_str(), kind.label()], table.usage.of(kind) as f64))
    });
    vec![
        DISK.family(bytes),
        MEASURED.family(measured.iter().map(|table| ([table.label.as_str()], table.time))),
        COMPACTED.family(compacted.iter().map(|(table, time)| ([table.as_str()], *time))),
    ]
}
