//! What the inventory says of GPUs, LanceDB tables and databases reaches Prometheus through the real exporters.

use std::path::Path;

use crate::lab::{Lab, SERVICES, eventually, is_alive};
use crate::postgres::{PASSWORD, Postgres};

pub(crate) const QUERIES: &str = r#"
[[query]]
name = "databases"
interval = "1s"
sql = "SELECT count(*) AS n FROM pg_database"

[[query.metric]]
name = "shop_databases"
help = "Databases of the server."
type = "gauge"
value = "n"
"#;

/// Of the server of [`Postgres`].
pub(crate) fn address(port: u16, password: &str) -> String {
    let password: String = password
        .bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("postgres://watcher:{password}@127.0.0.1:{port}/postgres\n")
}

/// Tables that the real library wrote.
pub(crate) fn brain() -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lancedb-exporter/tests/fixtures/brain");
    fixtures
        .canonicalize()
        .expect("the fixtures")
        .display()
        .to_string()
}

#[test]
fn gpus_tables_and_databases_are_seen() {
    let postgres = Postgres::start();
    let lab = Lab::new();
    lab.write_secret("secrets/shop.dsn", &address(postgres.port, PASSWORD), 0o600);
    lab.write("shop.toml", QUERIES);
    lab.edit("mission.toml", |text| {
        let text = text.replace("\"worker\"]", "\"worker\", \"gpu\"]");
        format!(
            "{text}\n[gpu]\nexpected = 3\n\n[lancedb]\npath = \"{}\"\n\n\
             [[sql]]\npack = \"shop.toml\"\ndsn_file = \"secrets/shop.dsn\"\nlabels = {{ shop = \"berlin\" }}\n",
            brain()
        )
    });
    lab.up();
    assert_eq!(lab.pids().len(), SERVICES.len() + 3);
    let one = |query: &str| {
        let (labels, value) = eventually(query, || lab.query(query).pop());
        assert_eq!(labels["machine"], "bench", "{query}: {labels:?}");
        value
    };
    // The test may run where there are GPUs.
    assert!(one("gpu_expected_count") >= 3.0);
    assert!(one("brain_lancedb_rows_total{table=\"compacted\"}") > 0.0);
    let databases = one("shop_databases{shop=\"berlin\"}");
    assert!(databases >= 3.0, "{databases}");
    assert!(one("sql_query_success{query=\"shop/databases\"}") > 0.5);

    // Nothing is restarted for nothing, and of a change only what it is about.
    let before = lab.pids();
    let again = lab.up();
    assert!(
        again.stderr.contains("nothing had to be changed"),
        "{}",
        again.stderr
    );
    lab.edit("shop.toml", |text| text.replace("shop_databases", "shop_bases"));
    lab.up();
    let after = lab.pids();
    let changed = |name: &&str| before[*name] != after[*name];
    let names = before.keys().map(String::as_str);
    assert_eq!(names.filter(changed).collect::<Vec<_>>(), ["sql-exporter"]);
    one("shop_bases");

    // A new password in the file is read by the next `up`; a wrong one is told, and named nowhere.
    lab.write_secret("secrets/shop.dsn", &address(postgres.port, "hush"), 0o600);
    lab.up();
    assert!(!is_alive(after["sql-exporter"]));
    eventually("the server refuses it", || {
        lab.query("sql_query_errors_total{query=\"shop/databases\",kind=\"authentication\"} > 0")
            .pop()
    });
    let log = lab.read(".mission/log/sql-exporter.log");
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn a_file_of_queries_that_is_wrong_touches_nothing_that_runs() {
    let postgres = Postgres::start();
    let lab = Lab::new();
    lab.write_secret("secrets/shop.dsn", &address(postgres.port, PASSWORD), 0o600);
    lab.write("shop.toml", QUERIES);
    lab.edit("mission.toml", |text| {
        format!("{text}\n[[sql]]\npack = \"shop.toml\"\ndsn_file = \"secrets/shop.dsn\"\n")
    });
    lab.up();
    let before = lab.pids();
    lab.edit("shop.toml", |text| text.replace("\"gauge\"", "\"guage\""));
    let refused = lab.run(&["up"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let what = "sql-exporter refuses the rendered configuration; what runs was not touched";
    assert!(
        refused.stderr.contains(what) && refused.stderr.contains("guage"),
        "{}",
        refused.stderr
    );
    assert_eq!(lab.pids(), before);
    eventually("its values", || lab.query("shop_databases").pop());
}
