//! A real PostgreSQL.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use exporter::testing::free_port;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use crate::lab::{Lab, block_on, eventually};

/// Whom PostgreSQL runs as when root starts it.
pub(crate) const NOBODY: u32 = 65534;
pub(crate) const PASSWORD: &str = "open-sesame-4711";

/// A server on a port of its own, with the superuser `owner` and the role `watcher`, which may connect.
pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
    /// Further settings of the server, `name=value`.
    settings: Vec<String>,
    child: Option<Child>,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// The same with settings, which may name files in its folder.
    pub(crate) fn start_with(settings: impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))
            .expect("change the mode");
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).expect("write");
        let output = program("initdb")
            .args([
                "--username=owner",
                "--auth=scram-sha-256",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg(format!("--pwfile={}", password.display()))
            .arg(folder.path().join("data"))
            .output()
            .expect("run initdb");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut postgres = Self {
            settings: settings(folder.path()),
            folder,
            port: free_port(),
            child: None,
        };
        postgres.resume();
        postgres.run(&format!("CREATE ROLE watcher LOGIN PASSWORD '{PASSWORD}'"));
        postgres
    }

    /// Where its socket is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn address(&self, user: &str) -> String {
        format!("postgres://{user}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn resume(&mut self) {
        let child = program("postgres")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-F", "-k"])
            .arg(self.folder.path())
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .stderr(Stdio::null())
            .spawn()
            .expect("run postgres");
        self.child = Some(child);
        let address = self.address("owner");
        eventually("PostgreSQL answers", || {
            block_on(async { PgConnection::connect(&address).await.is_ok() })
        });
    }

    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a pid");
        kill_process(pid, Signal::INT).expect("end it");
        child.wait().expect("its end");
    }

    /// Runs statements as the superuser.
    pub(crate) fn run(&self, statements: &str) {
        let address = self.address("owner");
        block_on(async {
            let mut connection = PgConnection::connect(&address).await.expect("connect");
            connection.execute(statements).await.expect("run");
        });
    }

    /// The first column of what the superuser is told.
    pub(crate) fn rows(&self, statement: &str) -> Vec<String> {
        let address = self.address("owner");
        block_on(async {
            let mut connection = PgConnection::connect(&address).await.expect("connect");
            let rows = connection.fetch_all(statement).await.expect("rows");
            rows.iter().map(|row| row.get(0)).collect()
        })
    }

    /// A configuration that asks as `watcher`.
    pub(crate) fn configure(&self, lab: &Lab, what: &str) {
        lab.write("dsn", &format!("{}\n", self.address("watcher")));
        lab.write(
            "sql.toml",
            &format!(
                "[[database]]\nname = \"test\"\ndsn_file = \"dsn\"\nprobe_interval = \"100ms\"\n{what}\n"
            ),
        );
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Gives `watcher` the rights of the block of SQL in docs/sql.md that names this, and no others.
pub(crate) fn granted(postgres: &Postgres, about: &str) {
    let document = include_str!("../../../../docs/sql.md");
    let block = document
        .split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains(about) && block.contains("GRANT"))
        .expect("a block of SQL");
    if block.contains("CREATE ROLE") {
        assert!(block.contains("PASSWORD '…'"), "{block}");
        postgres.run("DROP ROLE watcher");
    }
    postgres.run(&block.replace('…', PASSWORD));
}

/// PostgreSQL does not run as root, so root runs it as nobody.
fn program(name: &str) -> Command {
    let path = find(name);
    if !rustix::process::geteuid().is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(path);
    command
}

fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let folders = installed.map(|version| version.path().join("bin"));
    let mut found = std::env::split_paths(&path)
        .chain(folders)
        .map(|folder| folder.join(name));
    found
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not here; `make test` puts it on the PATH"))
}
