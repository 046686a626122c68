//! The tables, as lancedb-exporter sees them.

use exporter::testing::{self, Running};

use crate::lab::{Lab, beside, bytes, count, once, value};

const TABLES: [&str; 3] = ["memories", "documents", "events"];

fn flag(lab: &Lab) -> String {
    format!("--lancedb.path={}", demo_machine::brain(lab.path()).display())
}

fn of(page: &str, name: &str, table: &str) -> u64 {
    count(page, &format!("brain_lancedb_{name}{{table=\"{table}\"}}"))
}

fn unindexed(page: &str) -> u64 {
    count(
        page,
        "brain_lancedb_index_unindexed_rows{table=\"memories\",index=\"vector_idx\"}",
    )
}

/// Scrapes as often as Prometheus would.
fn advance(lab: &mut Lab, exporter: &Running, seconds: u64) -> String {
    for _ in 0..seconds / 15 {
        lab.advance(15);
        exporter.metrics();
    }
    lab.advance(seconds % 15);
    exporter.metrics()
}

#[test]
fn lancedb_exporter_sees_tables_grow_and_be_tended() {
    let mut lab = Lab::ago(420);
    let program = beside("lancedb-exporter");
    let program = program.to_str().expect("a path in UTF-8");
    let exporter = Running::start(program, &[&flag(&lab)]);
    let begin = exporter.metrics();
    // To the end of the burst.
    let burst = advance(&mut lab, &exporter, 219);
    for table in TABLES {
        assert_eq!(of(&burst, "table_up", table), 1);
        let grown = of(&burst, "rows_total", table) - of(&begin, "rows_total", table);
        assert!(grown > 100, "{table}: {grown}");
        assert_eq!(of(&burst, "rows_ingested_total", table), grown, "{table}");
        let appended = of(&burst, "version", table) - of(&begin, "version", table);
        let fragments = of(&burst, "fragments", table) - of(&begin, "fragments", table);
        assert!(appended > 20 && appended == fragments, "{table}: {appended}");
        assert!(
            testing::value(
                &burst,
                &format!("brain_lancedb_last_compaction_timestamp_seconds{{table=\"{table}\"}}")
            )
            .is_none(),
            "{table}"
        );
    }
    assert_eq!(unindexed(&begin), 0);
    assert_eq!(
        unindexed(&burst),
        of(&burst, "rows_ingested_total", "memories"),
        "no index knows the new rows"
    );

    // Upkeep, and then the next round, in which old rows go.
    let tended = advance(&mut lab, &exporter, 60);
    assert_eq!(unindexed(&tended), 0);
    for table in TABLES {
        assert_eq!(of(&tended, "fragments", table), 1, "{table}");
        assert_eq!(
            of(&tended, "rows_ingested_total", table),
            of(&burst, "rows_ingested_total", table),
            "compaction brings no rows"
        );
        let compacted = format!("brain_lancedb_last_compaction_timestamp_seconds{{table=\"{table}\"}}");
        assert!(value(&tended, &compacted) > 1.7e9);
    }
    let later = advance(&mut lab, &exporter, 420);
    for table in TABLES {
        let ingested = of(&later, "rows_ingested_total", table);
        let grown = of(&later, "rows_total", table) - of(&begin, "rows_total", table);
        assert!(ingested > grown && grown > 0, "{table}: old rows were deleted");
    }
    testing::lint(&later, &["brain_lancedb_rows_total"]);
}

#[test]
fn bytes_on_disk_add_up_and_a_restart_goes_on() {
    let mut lab = Lab::ago(420);
    lab.advance(230);
    let page = once("lancedb-exporter", &[flag(&lab)], &[]);
    for table in TABLES {
        let kind = |kind: &str| {
            let series = format!("brain_lancedb_disk_bytes{{table=\"{table}\",kind=\"{kind}\"}}");
            count(&page, &series)
        };
        let kinds = [
            "live",
            "dead",
            "versions",
            "indices",
            "deletions",
            "transactions",
            "other",
        ];
        let all: u64 = kinds.map(kind).iter().sum();
        let folder = demo_machine::brain(lab.path()).join(format!("{table}.lance"));
        assert_eq!(all, bytes(&folder), "{table}");
        assert_eq!(
            kind("live") + kind("indices"),
            of(&page, "size_bytes", table),
            "{table}"
        );
        assert_eq!(kind("other"), 0, "{table}");
    }
    let mut lab = lab.restart();
    // It idles at first.
    lab.advance(15);
    let resumed = once("lancedb-exporter", &[flag(&lab)], &[]);
    for table in TABLES {
        for name in ["version", "rows_total"] {
            assert_eq!(of(&resumed, name, table), of(&page, name, table), "{table}");
        }
    }
    lab.advance(60);
    let later = once("lancedb-exporter", &[flag(&lab)], &[]);
    for table in TABLES {
        assert!(
            of(&later, "version", table) > of(&page, "version", table),
            "{table}"
        );
    }
}
