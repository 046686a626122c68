//! A real MariaDB, which stands for MySQL too.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use exporter::testing::free_port;
use exporter::testing::value;
use sqlx::{Connection as _, Executor as _, MySqlConnection};

use crate::lab::{Lab, block_on, errors, eventually};
use crate::tls::{authority, write_identity};

/// A server on a port of its own whose `root` has no password.
struct MariaDb {
    _folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl MariaDb {
    fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// The same with flags, which may name files in its folder.
    fn start_with(flags: impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let output = command("mariadb-install-db", &data)
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .output()
            .expect("run mariadb-install-db");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let port = free_port();
        let child = command("mariadbd", &data)
            .args(["--bind-address=127.0.0.1", &format!("--port={port}")])
            .arg(format!("--socket={}", folder.path().join("socket").display()))
            .args(flags(folder.path()))
            .stderr(Stdio::null())
            .spawn()
            .expect("run mariadbd");
        let server = Self {
            _folder: folder,
            port,
            child,
        };
        let address = server.address("root", "mysql");
        eventually("MariaDB answers", || {
            block_on(async { MySqlConnection::connect(&address).await.is_ok() })
        });
        server
    }

    fn address(&self, user: &str, database: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As the user who runs the tests; the server asks root to say so.
fn command(name: &str, data: &Path) -> Command {
    let mut command = Command::new(find(name));
    command.args(["--no-defaults", &format!("--datadir={}", data.display())]);
    // Two servers in one folder for temporary files would remove each other's.
    command.env("TMPDIR", data.parent().expect("a folder of its own"));
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    command
}

fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut found = folders.map(|folder| folder.join(name));
    found
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not here; `make test` puts it on the PATH"))
}

#[test]
fn values_limits_and_failures() {
    let server = MariaDb::start();
    let address = server.address("root", "mysql");
    block_on(async {
        let mut connection = MySqlConnection::connect(&address).await.expect("connect");
        connection
            .execute(
                "CREATE DATABASE shop; USE shop;
                 CREATE TABLE signal_queue (status varchar(20), created_at datetime);
                 INSERT INTO signal_queue VALUES ('pending', utc_timestamp() - INTERVAL 1 HOUR);
                 CREATE TABLE payments (amount decimal(10,2), currency char(3));
                 INSERT INTO payments VALUES (10.25, 'EUR'), (1, 'EUR');
                 CREATE TABLE users (last_active_at datetime);
                 INSERT INTO users VALUES (utc_timestamp()), (utc_timestamp() - INTERVAL 2 DAY);
                 CREATE TABLE security_incidents (incident_type varchar(20));
                 INSERT INTO security_incidents VALUES ('login');
                 CREATE SEQUENCE seats;
                 CREATE USER watcher@'127.0.0.1' IDENTIFIED BY 'hunter2';
                 GRANT SELECT, INSERT ON shop.* TO watcher@'127.0.0.1';",
            )
            .await
            .expect("run");
    });
    let query = |name: &str, sql: &str| {
        let timeout = if name == "hung" { "500ms" } else { "10s" };
        format!(
            "[[query]]\nname = \"{name}\"\ntimeout = \"{timeout}\"\nsql = \"{sql}\"\n\
             [[query.metric]]\nname = \"own_{name}\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"n\"\n"
        )
    };
    let lab = Lab::new();
    lab.write("dsn", &server.address("watcher:hunter2", "shop"));
    lab.write(
        "sql.toml",
        "[[database]]\npack = \"signal-queue\"\nname = \"test\"\ndsn_file = \"dsn\"\nqueries = \"own.toml\"\n\
         [[database]]\npack = \"business\"\ndsn_file = \"dsn\"\n",
    );
    let failing = [
        ("hung", "SELECT sleep(60) AS n", "timeout"),
        ("write", "SELECT nextval(seats) AS n", "permission"),
        ("foreign", "SELECT 1 AS n FROM mysql.user", "permission"),
        ("column", "SELECT missing AS n FROM payments", "schema"),
        ("table", "SELECT n FROM missing", "schema"),
        ("syntax", "SELECT FROM WHERE", "query"),
        ("many", "SELECT seq AS n FROM seq_1_to_1000000", "rows"),
    ];
    let queries = failing.map(|(name, sql, _)| query(name, sql)).concat();
    lab.write(
        "own.toml",
        &(query("revenue", "SELECT sum(amount) AS n FROM payments") + &queries),
    );
    let page = lab.once(&[]);
    assert_eq!(value(&page, "own_revenue"), Some(11.25), "{page}");
    for (series, expected) in [
        ("business_revenue_total{currency=\"EUR\"}", 11.25),
        ("business_active_users", 1.0),
        ("business_security_incidents_total{incident_type=\"login\"}", 1.0),
    ] {
        assert_eq!(value(&page, series), Some(expected), "{series}\n{page}");
    }
    assert_eq!(
        value(&page, "brain_signal_queue_total{status=\"pending\"}"),
        Some(1.0)
    );
    let age = value(&page, "brain_signal_queue_oldest_age_seconds{status=\"pending\"}").expect("an age");
    assert!((3600.0..3720.0).contains(&age), "{age}");
    for (name, _, kind) in failing {
        assert_eq!(errors(&page, &format!("test/{name}"), kind), 1, "{name}\n{page}");
    }
}

#[test]
fn encryption_is_as_the_address_asks_for_it() {
    let ours = authority();
    let server = MariaDb::start_with(|folder| {
        let (certificate, key) = write_identity(folder, &ours);
        vec![
            format!("--ssl-cert={}", certificate.display()),
            format!("--ssl-key={}", key.display()),
        ]
    });
    let lab = Lab::new();
    lab.write("ours.pem", &ours.pem());
    lab.write("other.pem", &authority().pem());
    lab.write(
        "sql.toml",
        "[[database]]\nname = \"test\"\ndsn_file = \"dsn\"\nqueries = \"own.toml\"\n",
    );
    lab.write(
        "own.toml",
        "[[query]]\nname = \"q\"\nsql = \"SELECT variable_value <> '' AS n FROM information_schema.session_status \
         WHERE variable_name = 'Ssl_cipher'\"\n\
         [[query.metric]]\nname = \"own_encrypted\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"n\"\n",
    );
    let file = |name: &str| lab.path().join(name).display().to_string();
    let (ours, other) = (file("ours.pem"), file("other.pem"));
    for (parameters, encrypted) in [
        ("?ssl-mode=DISABLED", Some(0.0)),
        ("", Some(1.0)),
        ("?ssl-mode=REQUIRED", Some(1.0)),
        (&format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={ours}"), Some(1.0)),
        (&format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={other}"), None),
    ] {
        lab.write("dsn", &format!("{}{parameters}", server.address("root", "mysql")));
        let page = lab.once(&[]);
        assert_eq!(value(&page, "own_encrypted"), encrypted, "{parameters}\n{page}");
        let failed = errors(&page, "test/q", "connection");
        assert_eq!(failed, u64::from(encrypted.is_none()), "{parameters}\n{page}");
    }
}
