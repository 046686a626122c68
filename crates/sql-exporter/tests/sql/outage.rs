//! What goes wrong with a real PostgreSQL, and what is never done to one.

use exporter::testing::value;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::lab::{Lab, block_on, errors, eventually};
use crate::postgres::{PASSWORD, Postgres};

const QUERY: &str = "[[query]]\nname = \"q\"\ninterval = \"100ms\"\ntimeout = \"500ms\"\nsql = \"SELECT sum(n) AS n FROM t\"\n\
     [[query.metric]]\nname = \"own_count\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"n\"\n";

#[test]
fn trouble_is_told_apart_and_passes() {
    let mut postgres = Postgres::start();
    postgres.run("CREATE TABLE t (n numeric); INSERT INTO t VALUES (12.5); GRANT SELECT ON t TO watcher");
    let lab = Lab::new();
    postgres.configure(&lab, "queries = \"own.toml\"");
    lab.write("own.toml", QUERY);
    let running = lab.start();
    let fails = |kind: &str| {
        let before = errors(&running.metrics(), "test/q", kind);
        eventually(kind, || errors(&running.metrics(), "test/q", kind) > before);
    };
    let recovers = || eventually("a value", || value(&running.metrics(), "own_count") == Some(12.5));
    recovers();

    postgres.run("REVOKE SELECT ON t FROM watcher");
    fails("permission");
    postgres.run("GRANT SELECT ON t TO watcher; ALTER TABLE t RENAME COLUMN n TO m");
    fails("schema");
    postgres.run("ALTER TABLE t RENAME COLUMN m TO n");
    recovers();

    postgres.stop();
    fails("connection");
    eventually("the probe fails", || {
        value(&running.metrics(), "sql_query_success{query=\"test/probe\"}") == Some(0.0)
    });
    postgres.resume();
    recovers();
    eventually("the probe succeeds", || {
        value(&running.metrics(), "sql_query_success{query=\"test/probe\"}") == Some(1.0)
    });

    // A lock that a migration holds is not queued up for.
    let address = postgres.address("owner");
    block_on(async {
        let mut migration = PgConnection::connect(&address).await.expect("connect");
        migration
            .execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
            .await
            .expect("lock");
        fails("timeout");
        migration.execute("ROLLBACK").await.expect("release");
    });
    recovers();
}

#[test]
fn the_server_ends_what_takes_too_long_and_nothing_is_written() {
    let postgres = Postgres::start();
    postgres.run("CREATE TABLE t (n int); GRANT ALL ON t TO watcher");
    let query = |name: &str, timeout: &str, sql: &str| {
        format!(
            "[[query]]\nname = \"{name}\"\ntimeout = \"{timeout}\"\nsql = \"{sql}\"\n\
             [[query.metric]]\nname = \"own_{name}\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"n\"\n"
        )
    };
    let lab = Lab::new();
    postgres.configure(&lab, "queries = \"own.toml\"");
    lab.write(
        "own.toml",
        &[
            query("hung", "300ms", "SELECT pg_sleep(60), 1 AS n"),
            query(
                "write",
                "10s",
                "WITH x AS (INSERT INTO t VALUES (1) RETURNING n) SELECT n FROM x",
            ),
            query("many", "10s", "SELECT n FROM generate_series(1, 1000000) AS n"),
            query(
                "zone",
                "10s",
                "SELECT extract(epoch FROM timestamp '1970-01-01 00:00:10') AS n -- UTC",
            ),
        ]
        .concat(),
    );
    let page = lab.once(&[]);
    assert_eq!(errors(&page, "test/hung", "timeout"), 1, "{page}");
    assert_eq!(errors(&page, "test/write", "permission"), 1, "{page}");
    assert_eq!(errors(&page, "test/many", "rows"), 1, "{page}");
    assert_eq!(value(&page, "own_zone"), Some(10.0));
    let probes = value(&page, "sql_probe_seconds_count{database=\"test\"}");
    assert!(probes.is_some_and(|count| count >= 1.0), "{page}");
}

#[test]
fn a_wrong_password_is_an_error_of_its_own_and_never_printed() {
    let postgres = Postgres::start();
    let lab = Lab::new();
    postgres.configure(&lab, "queries = \"own.toml\"");
    lab.write("own.toml", QUERY);
    let address = postgres.address("watcher").replace(PASSWORD, "hunter2-wrong");
    lab.write("dsn", &address);
    let output = lab.output();
    let (page, log) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(errors(&page, "test/q", "authentication"), 1, "{page}");
    assert!(log.contains("watcher@127.0.0.1"), "{log}");
    assert!(
        !log.contains("hunter2") && !page.contains("hunter2"),
        "{log}{page}"
    );
}

/// A million rows of a kilobyte each: as far as anybody reads them, they are forgotten one by one.
#[test]
fn a_result_of_any_size_is_never_held_in_memory() {
    let postgres = Postgres::start();
    let lab = Lab::new();
    postgres.configure(&lab, "queries = \"own.toml\"");
    lab.write(
        "own.toml",
        "[[query]]\nname = \"q\"\ninterval = \"200ms\"\n\
         sql = \"SELECT n::text || repeat('x', 1000) AS k, n FROM generate_series(1, 1000000) AS n\"\n\
         [[query.metric]]\nname = \"own_count\"\nhelp = \"X.\"\ntype = \"gauge\"\nlabels = { k = \"k\" }\nvalue = \"n\"\n",
    );
    let running = lab.start();
    eventually("three refusals", || {
        errors(&running.metrics(), "test/q", "rows") >= 3
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("its status");
    let peak: u64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .expect("VmHWM");
    // 10 000 rows of a kilobyte are kept until there is one too many.
    assert!(peak < 64 * 1024, "{peak} kB at most");
}

/// A server process that stops in the middle, as on a disk that hangs.
#[test]
fn a_server_that_stops_answering_is_given_up_and_asked_anew() {
    let postgres = Postgres::start();
    postgres.run("CREATE TABLE t (n numeric); INSERT INTO t VALUES (12.5); GRANT SELECT ON t TO watcher");
    let lab = Lab::new();
    postgres.configure(&lab, "queries = \"own.toml\"");
    lab.write("own.toml", QUERY);
    let running = lab.start();
    let runs = || value(&running.metrics(), "sql_probe_seconds_count{database=\"test\"}").unwrap_or(0.0);
    eventually("a value", || {
        value(&running.metrics(), "own_count") == Some(12.5) && runs() > 0.0
    });

    let pids =
        postgres.rows("SELECT pid::text FROM pg_stat_activity WHERE application_name = 'sql-exporter'");
    let stopped: Vec<Pid> = pids
        .iter()
        .filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw))
        .collect();
    assert_eq!(
        stopped.len(),
        2,
        "one connection for the queries, one for the probe"
    );
    for pid in &stopped {
        kill_process(*pid, Signal::STOP).expect("stop it");
    }
    eventually("it is given up", || {
        errors(&running.metrics(), "test/q", "timeout") > 0
    });
    eventually("another answers", || {
        value(&running.metrics(), "sql_query_success{query=\"test/q\"}") == Some(1.0)
    });
    for pid in stopped {
        kill_process(pid, Signal::CONT).expect("let it go on");
    }
}

#[test]
fn a_socket_of_this_machine_is_an_address_too() {
    let postgres = Postgres::start();
    postgres.run("CREATE TABLE t (n numeric); INSERT INTO t VALUES (12.5); GRANT SELECT ON t TO watcher");
    let lab = Lab::new();
    postgres.configure(&lab, "queries = \"own.toml\"");
    lab.write("own.toml", QUERY);
    let folder = postgres.folder().display().to_string().replace('/', "%2F");
    let port = postgres.port();
    lab.write(
        "dsn",
        &format!("postgres://watcher:{PASSWORD}@{folder}:{port}/postgres"),
    );
    let page = lab.once(&[]);
    assert_eq!(value(&page, "own_count"), Some(12.5), "{page}");
}
