//! The user's own queries: every shape of values, and files that are refused.

use exporter::testing::{lint, value};

use crate::lab::Lab;

#[test]
fn every_shape() {
    let lab = Lab::new();
    lab.run_sqlite("test.db", "CREATE TABLE x (a)");
    lab.configure(
        r#"
        [[query]]
        name = "shapes"
        sql = "SELECT 'a' AS who, 7 AS count, 1.5 AS level, 'busy' AS mode, NULL AS unknown"
        [[query.metric]]
        name = "own_jobs_total"
        help = "Jobs."
        type = "counter"
        labels = { who = "who" }
        value = "count"
        [[query.metric]]
        name = "own_level_ratio"
        help = "Level."
        type = "gauge"
        constants = { unit = "x" }
        value = "level"
        [[query.metric]]
        name = "own_mode"
        help = "Mode."
        type = "state_set"
        states = ["busy", "idle"]
        value = "mode"
        [[query.metric]]
        name = "own_unknown"
        help = "Unknown."
        type = "gauge"
        value = "unknown"

        [[query]]
        name = "rows"
        sql = "SELECT 1 AS id, 0.5 AS seconds UNION ALL SELECT 2, 5"
        [[query.metric]]
        name = "own_wait_seconds"
        help = "Wait."
        type = "histogram"
        id = "id"
        value = "seconds"
        buckets = [1, 10]

        [[query]]
        name = "ready"
        sql = "SELECT 1 AS le, 3 AS n, NULL AS sum UNION ALL SELECT NULL, 4, 12.5"
        [[query.metric]]
        name = "own_work_seconds"
        help = "Work."
        type = "buckets"
        le = "le"
        value = "n"
        sum = "sum"
        "#,
    );
    let page = lab.once(&[]);
    for (series, expected) in [
        ("own_jobs_total{who=\"a\"}", Some(7.0)),
        ("own_level_ratio{unit=\"x\"}", Some(1.5)),
        ("own_mode{state=\"busy\"}", Some(1.0)),
        ("own_mode{state=\"idle\"}", Some(0.0)),
        ("own_unknown", None),
        ("own_wait_seconds_bucket{le=\"1\"}", Some(1.0)),
        ("own_wait_seconds_bucket{le=\"+Inf\"}", Some(2.0)),
        ("own_wait_seconds_sum", Some(5.5)),
        ("own_work_seconds_bucket{le=\"1\"}", Some(3.0)),
        ("own_work_seconds_count", Some(4.0)),
        ("own_work_seconds_sum", Some(12.5)),
    ] {
        assert_eq!(value(&page, series), expected, "{series}\n{page}");
    }
    lint(&page, &[]);
}

#[test]
fn refusals_name_file_line_and_what_to_do() {
    let metric = "[[query.metric]]\nname = \"x\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"x\"\n";
    for (queries, expected) in [
        (
            format!("[[query]]\nname = \"q\"\nsql = \"SELECT x\"\nintervall = \"1s\"\n{metric}"),
            "unknown field `intervall`",
        ),
        (
            format!("[[query]]\nname = \"q\"\nsql = \"SELECT x\"\ninterval = \"1\"\n{metric}"),
            "is no duration above 0",
        ),
        (
            format!("[[query]]\nname = \"q\"\nsql = \"SELECT ${{t}}\"\n{metric}"),
            "which [parameters] lacks",
        ),
        (
            format!("[[query]]\nname = \"q\"\nsql.postgres = \"SELECT x\"\n{metric}"),
            "has no SQL for sqlite",
        ),
        (
            format!(
                "[[query]]\nname = \"q\"\nsql = \"SELECT x\"\n{}",
                metric.replace("\"x\"\nhelp", "\"x y\"\nhelp")
            ),
            "is not a metric name",
        ),
        (
            format!(
                "[[query]]\nname = \"q\"\nsql = \"SELECT x\"\n{}",
                metric.replace("gauge", "counter")
            ),
            "a counter's name ends with _total",
        ),
        (
            format!(
                "[[query]]\nname = \"q\"\nsql = \"SELECT x\"\n{}",
                metric.replace("gauge", "histogram")
            ),
            "`id` is missing",
        ),
        (
            format!("[[query]]\nname = \"q\"\nsql = \"\"\n{metric}"),
            "a query begins with SELECT",
        ),
        (
            format!("[[query]]\nname = \"q\"\nsql = \"-- nothing yet\"\n{metric}"),
            "a query begins with SELECT",
        ),
        (
            format!(
                "[[query]]\nname = \"q\"\nsql = \"SELECT x\"\n{}",
                metric.replace("\"x\"\nhelp", "\"sql_databases\"\nhelp")
            ),
            "the exporter itself uses names",
        ),
        (
            format!(
                "[[query]]\nname = \"q\"\nsql = \"SELECT x\"\n{}{}",
                metric.replace("\"x\"\nhelp", "\"x_count\"\nhelp"),
                metric.replace("\"gauge\"", "\"histogram\"\nid = \"id\"\nbuckets = [1.0]")
            ),
            "have series of one name; tell them apart",
        ),
        (
            format!(
                "[[query]]\nname = \"q\"\nsql = \"SELECT x\"\n{}",
                metric.replace("\"gauge\"", "\"histogram\"\nid = \"id\"\nbuckets = [1.0, inf]")
            ),
            "the one for infinity comes by itself",
        ),
    ] {
        let lab = Lab::new();
        lab.configure(&queries);
        let output = lab.output();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{queries}");
        assert!(
            log.contains(expected) && log.contains("own.toml:"),
            "{expected}: {log}"
        );
    }
}

#[test]
fn a_password_in_the_configuration_is_refused_and_not_printed() {
    let lab = Lab::new();
    lab.write(
        "sql.toml",
        "[[database]]\npack = \"litellm\"\ndsn = \"postgres://me:hunter2@127.0.0.1/x\"\n",
    );
    let output = lab.output();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(log.contains("dsn_file") && log.contains("sql.toml:1"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_password_that_is_not_encoded_is_refused_and_not_printed() {
    for address in [
        "postgres://me:12/34hunter2@127.0.0.1:5432/db",
        "postgres://me:12#34hunter2@127.0.0.1:5432/db",
        "mysql://me:12?34hunter2@127.0.0.1:3306/db",
    ] {
        let lab = Lab::new();
        lab.write("dsn", address);
        lab.write(
            "sql.toml",
            "[[database]]\npack = \"business\"\ndsn_file = \"dsn\"\n",
        );
        let output = lab.output();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(log.contains("percent-encode"), "{log}");
        assert!(!log.contains("me:12") && !log.contains("hunter2"), "{log}");
    }
}
