//! A real PostgreSQL, asked by the real postgres_exporter.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use exporter::testing::free_port;
use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Lab, eventually};

/// What has a meaning in addresses and in quotes.
pub(crate) const PASSWORD: &str = "open%sesame/@'\\?#\"";

/// A server with one role, `watcher`, that has to give its password.
pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    ip: &'static str,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1")
    }

    /// Listens at `ip`, for whoever knows the password.
    pub(crate) fn start_at(ip: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))
            .expect("change the mode");
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).expect("write");
        let output = program("initdb")
            .args([
                "--username=watcher",
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
        let rules = folder.path().join("data/pg_hba.conf");
        let everybody = "host all all 0.0.0.0/0 scram-sha-256\n";
        std::fs::write(&rules, everybody).expect("write");
        let mut postgres = Self {
            folder,
            ip,
            port: free_port(),
            child: None,
        };
        postgres.run();
        postgres
    }

    fn run(&mut self) {
        let child = program("postgres")
            .args(["-h", self.ip, "-p", &self.port.to_string(), "-k"])
            .arg(self.folder.path())
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .stderr(Stdio::null())
            .spawn()
            .expect("run postgres");
        self.child = Some(child);
    }

    fn stop(&mut self) {
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
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
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
        .map(|folder| folder.join(name))
        .filter(|program| program.is_file());
    found
        .next()
        .unwrap_or_else(|| panic!("{name} is not on the PATH: run `make test`"))
}

#[test]
fn a_server_and_its_end_are_seen() {
    let mut postgres = Postgres::start();
    let lab = Lab::new();
    // The exporter tries three times, a second apart, before it says that the server is away.
    lab.edit("prometheus/prometheus.yml", |text| {
        text.replace(
            "job_name: postgres-exporter",
            "job_name: postgres-exporter\n    scrape_interval: 5s\n    scrape_timeout: 5s",
        )
    });
    lab.write_secret("secrets/postgres", &format!("{PASSWORD}\n"), 0o600);
    lab.edit("mission.toml", |text| {
        format!(
            "{text}\n[postgres]\naddress = \"127.0.0.1:{}\"\nuser = \"watcher\"\npassword_file = \"secrets/postgres\"\n",
            postgres.port
        )
    });
    lab.up();
    let up = eventually("the server is seen", || lab.query("pg_up == 1").pop());
    assert_eq!(up.0["machine"], "bench");
    assert_eq!(up.0["job"], "postgres-exporter");
    let size = eventually("its databases are seen", || {
        lab.value("pg_database_size_bytes{datname=\"postgres\"}")
    });
    assert!(size > 1e6, "{size}");
    let shown = lab.read(".mission/run/supervisord.conf") + &lab.run(&["logs", "postgres-exporter"]).stdout;
    assert!(!shown.contains(PASSWORD), "{shown}");

    postgres.stop();
    eventually("its end is seen", || lab.query("pg_up == 0").pop());
    postgres.run();
    eventually("its return is seen", || lab.query("pg_up == 1").pop());
}

#[test]
fn a_server_elsewhere_counts_for_its_own_machine() {
    let lab = Lab::new();
    lab.edit("mission.toml", |text| {
        format!(
            "{text}\n[[machine]]\nname = \"nas\"\naddress = \"10.255.255.1\"\n\n[postgres]\naddress = \"10.255.255.1:5432\"\n\
             user = \"watcher\"\ndatabase = \"brain\"\n"
        )
    });
    assert_eq!(lab.run(&["render"]).code, 0);
    let targets = lab.read(".mission/run/prometheus/targets/postgres-exporter.json");
    assert!(targets.contains("\"nas\""), "{targets}");
    let configuration = lab.read(".mission/run/supervisord.conf");
    let program = configuration
        .split("[program:")
        .find(|part| part.starts_with("postgres-exporter]"));
    // What leaves the machine is encrypted unless the user says otherwise.
    let source = "DATA_SOURCE_URI=\"10.255.255.1:5432/brain?sslmode=require\"";
    assert!(
        program.is_some_and(|program| program.contains(source)),
        "{configuration}"
    );
}
