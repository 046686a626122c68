//! The exporter needs no rights but those that its README names.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use exporter::testing::value;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::lab::{Lab, PROGRAM, block_on, errors};

const QUERY: &str = "[[query]]\nname = \"q\"\nsql = \"SELECT sum(n) AS n FROM t\"\n\
     [[query.metric]]\nname = \"own_count\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"n\"\n";

/// What is in the folder of the databases: names, contents and times of change.
fn contents(lab: &Lab) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let entries = fs::read_dir(lab.path().join("data")).expect("read the folder");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let changed = path.metadata().and_then(|metadata| metadata.modified());
            (
                path.clone(),
                fs::read(&path).expect("read"),
                changed.expect("a time"),
            )
        })
        .collect();
    files.sort();
    files
}

/// A folder that everybody may enter and nobody but its owner may write to.
fn lab(journal: &str) -> Lab {
    let lab = Lab::new();
    fs::create_dir(lab.path().join("data")).expect("create a folder");
    lab.run_sqlite(
        "data/test.db",
        &format!(
            "PRAGMA journal_mode = {journal}; CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (40), (2);"
        ),
    );
    lab.write(
        "sql.toml",
        &format!(
            "[[database]]\nname = \"test\"\ndsn = \"{}\"\nqueries = \"own.toml\"\n",
            lab.sqlite("data/test.db")
        ),
    );
    lab.write("own.toml", QUERY);
    for folder in [lab.path().to_owned(), lab.path().join("data")] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("change the mode");
    }
    lab
}

/// The page and the log of one run, as nobody when the tests run as root.
fn run(lab: &Lab) -> (String, String) {
    let program = lab.path().join("sql-exporter");
    fs::copy(PROGRAM, &program).expect("copy the program to where everyone may run it");
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    // For who is not root it is its own folder, closed to itself for the while.
    let data = lab.path().join("data");
    fs::set_permissions(&data, Permissions::from_mode(0o555)).expect("change the mode");
    let output = command
        .arg("--once")
        .arg(format!("--config.file={}", lab.path().join("sql.toml").display()))
        .output()
        .expect("run the program");
    fs::set_permissions(&data, Permissions::from_mode(0o755)).expect("change the mode");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let (page, log) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{log}");
    (page, log)
}

#[test]
fn an_sqlite_file_is_read_by_who_may_only_read_and_nothing_is_written() {
    let lab = lab("DELETE");
    let before = contents(&lab);
    let (page, log) = run(&lab);
    assert_eq!(value(&page, "own_count"), Some(42.0), "{log}{page}");
    assert_eq!(contents(&lab), before);
}

#[test]
fn an_sqlite_file_in_wal_mode_is_read_while_it_is_written_to() {
    let lab = lab("WAL");
    let address = lab.sqlite("data/test.db");
    block_on(async {
        let mut writer = SqliteConnection::connect(&address).await.expect("open");
        writer.execute("INSERT INTO t VALUES (100)").await.expect("write");
        let (page, log) = run(&lab);
        assert_eq!(value(&page, "own_count"), Some(142.0), "{log}{page}");
        writer
            .execute("INSERT INTO t VALUES (1)")
            .await
            .expect("write on");
        writer.close().await.expect("close");
    });
    // Nobody has it open, so its shared memory is gone, and who may not write cannot make another.
    let before = contents(&lab);
    let (page, log) = run(&lab);
    assert_eq!(errors(&page, "test/q", "permission"), 1, "{log}{page}");
    assert!(log.contains("WAL"), "the log says what to do: {log}");
    assert_eq!(contents(&lab), before);
}

/// Its owner, who may write to the folder, reads it without writing too.
#[test]
fn an_sqlite_file_in_wal_mode_is_left_alone_by_its_owner() {
    let lab = lab("WAL");
    let page_and_log = || {
        let output = lab.output();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (text(output.stdout), text(output.stderr))
    };
    let before = contents(&lab);
    let (page, log) = page_and_log();
    assert_eq!(errors(&page, "test/q", "permission"), 1, "{log}{page}");
    assert!(log.contains("WAL"), "the log says what to do: {log}");
    assert_eq!(contents(&lab), before);
    let address = lab.sqlite("data/test.db");
    block_on(async {
        let mut writer = SqliteConnection::connect(&address).await.expect("open");
        writer.execute("INSERT INTO t VALUES (100)").await.expect("write");
        let before = contents(&lab);
        let (page, log) = page_and_log();
        assert_eq!(value(&page, "own_count"), Some(142.0), "{log}{page}");
        assert_eq!(contents(&lab), before);
        // What a program leaves behind that was killed.
        for suffix in ["", "-wal", "-shm"] {
            let file = |name| lab.path().join(format!("data/{name}.db{suffix}"));
            fs::copy(file("test"), file("left")).expect("copy");
        }
        writer.close().await.expect("close");
    });
    let configuration = fs::read_to_string(lab.path().join("sql.toml")).expect("read");
    lab.write("sql.toml", &configuration.replace("test.db", "left.db"));
    let before = contents(&lab);
    let (page, log) = page_and_log();
    assert_eq!(value(&page, "own_count"), Some(142.0), "{log}{page}");
    assert_eq!(contents(&lab), before);
}
