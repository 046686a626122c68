//! What goes wrong: a clear metric each, and the page stays.

use std::net::TcpListener;

use exporter::testing::value;

use crate::lab::{Lab, errors, eventually};

const METRIC: &str =
    "[[query.metric]]\nname = \"own_count\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"n\"\n";

fn query(sql: &str) -> String {
    format!(
        "[[query]]\nname = \"q\"\ninterval = \"50ms\"\ntimeout = \"5s\"\nexpire = \"1s\"\nsql = \"{sql}\"\n{METRIC}"
    )
}

/// The page of one run of this query, on a database with a table `t`.
fn page(sql: &str) -> String {
    let lab = Lab::new();
    lab.run_sqlite(
        "test.db",
        "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1), (2);",
    );
    lab.configure(&query(sql));
    let page = lab.once(&[]);
    assert_eq!(
        value(&page, "sql_query_success{query=\"test/probe\"}"),
        Some(1.0),
        "{page}"
    );
    assert_eq!(value(&page, "own_count"), None, "{page}");
    assert_eq!(
        value(&page, "sql_query_success{query=\"test/q\"}"),
        Some(0.0),
        "{page}"
    );
    page
}

#[test]
fn each_kind_of_failure_is_told_apart() {
    for (sql, kind) in [
        ("SELECT missing AS n FROM t", "schema"),
        ("SELECT n FROM missing", "schema"),
        ("SELECT n AS other FROM t LIMIT 1", "schema"),
        ("SELECT FROM WHERE", "query"),
        ("SELECT n FROM t", "value"),
        ("SELECT 'x' AS n", "value"),
        (
            "WITH x AS (SELECT 3) INSERT INTO t SELECT * FROM x RETURNING n",
            "permission",
        ),
        (
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 1000000) SELECT n FROM r",
            "rows",
        ),
        (
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS n FROM r",
            "timeout",
        ),
    ] {
        assert_eq!(errors(&page(sql), "test/q", kind), 1, "{sql}");
    }
}

#[test]
fn a_database_that_goes_is_seen_its_values_expire_and_it_comes_back() {
    let lab = Lab::new();
    lab.run_sqlite(
        "test.db",
        "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (42);",
    );
    lab.configure(&query("SELECT n FROM t"));
    let running = lab.start();
    eventually("a value", || value(&running.metrics(), "own_count") == Some(42.0));
    lab.run_sqlite("test.db", "ALTER TABLE t RENAME COLUMN n TO m;");
    eventually("an error of the schema", || {
        errors(&running.metrics(), "test/q", "schema") > 0
    });
    eventually("the old value is gone", || {
        value(&running.metrics(), "own_count").is_none()
    });
    let page = running.metrics();
    assert!(
        value(
            &page,
            "sql_query_last_success_timestamp_seconds{query=\"test/q\"}"
        )
        .is_some()
    );
    assert_eq!(errors(&page, "test/q", "connection"), 0);
    lab.run_sqlite("test.db", "ALTER TABLE t RENAME COLUMN m TO n;");
    eventually("the value is back", || {
        value(&running.metrics(), "own_count") == Some(42.0)
    });
}

#[test]
fn a_file_that_is_missing_is_not_created() {
    let lab = Lab::new();
    lab.configure(&query("SELECT 1 AS n"));
    let running = lab.start();
    eventually("no connection", || {
        errors(&running.metrics(), "test/q", "connection") > 0
    });
    assert!(!lab.path().join("test.db").exists());
    lab.run_sqlite("test.db", "CREATE TABLE t (n INTEGER);");
    eventually("a value", || value(&running.metrics(), "own_count") == Some(1.0));
}

#[test]
fn series_beyond_the_cap_are_counted() {
    let lab = Lab::new();
    lab.run_sqlite("test.db", "CREATE TABLE t (n INTEGER);");
    lab.configure(
        "[[query]]\nname = \"q\"\nmax_series = 2\nsql = \"SELECT 'a' AS k, 1 AS n UNION SELECT 'b', 1 UNION SELECT 'c', 1\"\n\
         [[query.metric]]\nname = \"own_count\"\nhelp = \"X.\"\ntype = \"gauge\"\nlabels = { k = \"k\" }\nvalue = \"n\"\n",
    );
    let page = lab.once(&[]);
    assert_eq!(
        value(&page, "sql_series_dropped_total{query=\"test/q\"}"),
        Some(1.0)
    );
    assert_eq!(
        page.lines().filter(|line| line.starts_with("own_count{")).count(),
        2
    );
}

#[test]
fn a_reload_keeps_what_is_used_when_the_file_is_bad() {
    let lab = Lab::new();
    lab.run_sqlite(
        "test.db",
        "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (42);",
    );
    lab.configure(&query("SELECT n FROM t"));
    let running = lab.start();
    eventually("a value", || value(&running.metrics(), "own_count") == Some(42.0));
    lab.write("own.toml", "nonsense");
    running.signal(exporter::testing::Signal::HUP);
    eventually("a refusal", || {
        running.metrics().contains("_config_last_reload_successful 0")
    });
    assert_eq!(value(&running.metrics(), "own_count"), Some(42.0));
}

/// A query that changes costs the counters of the others nothing.
#[test]
fn a_reload_keeps_the_counters_of_queries_that_stay() {
    let lab = Lab::new();
    lab.run_sqlite(
        "test.db",
        "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (40), (2);",
    );
    let counter = "[[query]]\nname = \"c\"\ninterval = \"50ms\"\nsql = \"SELECT sum(n) AS n FROM t\"\n\
         [[query.metric]]\nname = \"own_total\"\nhelp = \"X.\"\ntype = \"counter\"\nvalue = \"n\"\n";
    lab.configure(&format!("{counter}{}", query("SELECT 1 AS n")));
    let running = lab.start();
    eventually("the total", || {
        value(&running.metrics(), "own_total") == Some(42.0)
    });
    lab.run_sqlite("test.db", "DELETE FROM t WHERE n = 40;");
    lab.run_sqlite("test.db", "INSERT INTO t VALUES (1);");
    lab.configure(&format!("{counter}{}", query("SELECT 2 AS n")));
    running.signal(exporter::testing::Signal::HUP);
    eventually("the other query", || {
        value(&running.metrics(), "own_count") == Some(2.0)
    });
    let total = value(&running.metrics(), "own_total").expect("a total");
    assert!(
        (42.0..=43.0).contains(&total),
        "{total}: begun anew it would be 3"
    );
}

#[test]
fn labels_of_any_length_do_not_cost_the_page() {
    let page = {
        let lab = Lab::new();
        lab.run_sqlite("test.db", "CREATE TABLE t (n INTEGER);");
        lab.configure(
            "[[query]]\nname = \"q\"\nsql = \"SELECT hex(zeroblob(100000)) AS k, 1 AS n\"\n\
             [[query.metric]]\nname = \"own_count\"\nhelp = \"X.\"\ntype = \"gauge\"\nlabels = { k = \"k\" }\nvalue = \"n\"\n",
        );
        lab.once(&[])
    };
    let series = format!("own_count{{k=\"{}\"}}", "0".repeat(256));
    assert_eq!(value(&page, &series), Some(1.0));
}

#[test]
fn buckets_that_are_none_are_refused() {
    for rows in [
        "SELECT 1 AS le, 5 AS n, NULL AS sum UNION ALL SELECT NULL, 4, 12.5",
        "SELECT 1 AS le, 5 AS n, NULL AS sum UNION ALL SELECT 2, 6, NULL",
        "SELECT 1 AS le, 3 AS n, NULL AS sum UNION ALL SELECT 1, 4, NULL UNION ALL SELECT NULL, 9, 12.5",
    ] {
        let lab = Lab::new();
        lab.run_sqlite("test.db", "CREATE TABLE t (n INTEGER);");
        lab.configure(&format!(
            "[[query]]\nname = \"q\"\nsql = \"{rows}\"\n[[query.metric]]\nname = \"own_seconds\"\nhelp = \"X.\"\n\
             type = \"buckets\"\nle = \"le\"\nsum = \"sum\"\nvalue = \"n\"\n"
        ));
        let page = lab.once(&[]);
        assert_eq!(errors(&page, "test/q", "value"), 1, "{rows}\n{page}");
    }
}

#[test]
fn a_file_that_is_replaced_is_read_anew() {
    let lab = Lab::new();
    lab.run_sqlite("test.db", "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);");
    lab.run_sqlite("new.db", "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (2);");
    lab.configure(&query("SELECT n FROM t"));
    let running = lab.start();
    eventually("a value", || value(&running.metrics(), "own_count") == Some(1.0));
    std::fs::rename(lab.path().join("new.db"), lab.path().join("test.db")).expect("replace");
    eventually("the other value", || {
        value(&running.metrics(), "own_count") == Some(2.0)
    });
}

/// A server that takes connections and says nothing costs its own values, and the page comes all the while.
#[test]
fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let address = silent.local_addr().expect("an address");
    let lab = Lab::new();
    lab.run_sqlite("test.db", "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (1);");
    lab.configure(&query("SELECT n FROM t"));
    let well = std::fs::read_to_string(lab.path().join("sql.toml")).expect("read");
    lab.write(
        "sql.toml",
        &format!("{well}[[database]]\nname = \"silent\"\ndsn = \"postgres://me@{address}/x\"\npack = \"signal-queue\"\n"),
    );
    let running = lab.start();
    eventually("the other database is heard", || {
        value(&running.metrics(), "own_count") == Some(1.0)
    });
    eventually("the silent one is given up", || {
        errors(&running.metrics(), "silent/depth", "connection") > 0
    });
}

/// Opening a pipe would wait for ever, on a thread for each attempt.
#[test]
fn what_is_no_file_is_not_opened() {
    let lab = Lab::new();
    let made = std::process::Command::new("mkfifo")
        .arg(lab.path().join("test.db"))
        .status();
    assert!(made.expect("run mkfifo").success());
    lab.configure(&query("SELECT 1 AS n"));
    let output = lab.output();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("no regular file"), "{log}");
    assert_eq!(
        errors(&String::from_utf8_lossy(&output.stdout), "test/q", "connection"),
        1
    );
}

#[test]
fn a_result_of_many_bytes_is_refused_and_not_held() {
    let page = page(
        "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 1000) \
         SELECT 1 AS n, hex(zeroblob(500000)) AS k FROM r",
    );
    assert_eq!(errors(&page, "test/q", "rows"), 1, "{page}");
}

#[test]
fn the_log_holds_the_beginning_of_a_cell() {
    let states = METRIC.replace("\"gauge\"", "\"state_set\"\nstates = [\"up\"]");
    for metric in [METRIC, &states] {
        let lab = Lab::new();
        lab.run_sqlite("test.db", "CREATE TABLE t (n INTEGER);");
        lab.configure(&query("SELECT 'x' || hex(zeroblob(100000)) AS n").replace(METRIC, metric));
        let output = lab.output();
        let log = String::from_utf8_lossy(&output.stderr);
        let (kept, more) = ("0".repeat(39), "0".repeat(40));
        assert!(log.contains(&kept) && !log.contains(&more), "{}", log.len());
    }
}

/// However many runs go by before the next scrape: what came up is counted from a 0 that a page showed.
#[test]
fn the_first_page_with_a_new_group_shows_0() {
    let lab = Lab::new();
    lab.run_sqlite(
        "test.db",
        "CREATE TABLE t (k TEXT); INSERT INTO t VALUES ('old');",
    );
    lab.configure(
        "[[query]]\nname = \"q\"\ninterval = \"20ms\"\nsql = \"SELECT k, count(*) AS n FROM t GROUP BY 1\"\n\
         [[query.metric]]\nname = \"own_total\"\nhelp = \"X.\"\ntype = \"counter\"\nlabels = { k = \"k\" }\nvalue = \"n\"\n",
    );
    let running = lab.start();
    eventually("the old group", || {
        value(&running.metrics(), "own_total{k=\"old\"}") == Some(1.0)
    });
    lab.run_sqlite("test.db", "INSERT INTO t VALUES ('new');");
    // Meant to be many runs; fewer would only make the test say less.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let mut first = None;
    eventually("the new group", || {
        first = value(&running.metrics(), "own_total{k=\"new\"}");
        first.is_some()
    });
    assert_eq!(first, Some(0.0));
    eventually("its count", || {
        value(&running.metrics(), "own_total{k=\"new\"}") == Some(1.0)
    });
}
