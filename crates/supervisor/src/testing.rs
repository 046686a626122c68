//! A real supervisord for tests (feature `testing`): the program `supervisord` on the PATH, run in the
//! foreground in a temporary folder, with its interface on a Unix socket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::{Client, Endpoint, ProcessInfo};

/// How long anything may take before a test gives up. Generous: it decides nothing on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A running supervisord. Ends with all its processes when dropped.
pub struct Supervisord {
    folder: TempDir,
    child: Child,
    /// Processes that outlive a killed supervisord.
    orphans: Vec<u32>,
}

impl Supervisord {
    /// Starts supervisord with these `[program:…]` sections and waits until it answers. `{folder}` in
    /// them becomes the temporary folder.
    ///
    /// # Panics
    ///
    /// When there is no supervisord on the PATH, or it does not answer.
    pub fn start(sections: &str) -> Self {
        Self::start_with("", sections)
    }

    /// As [`Supervisord::start`], with further lines in the section `[supervisord]`.
    ///
    /// # Panics
    ///
    /// When there is no supervisord on the PATH, or it does not answer.
    pub fn start_with(settings: &str, sections: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("supervisord-")
            .tempdir()
            .expect("temporary folder");
        write_configuration(folder.path(), settings, sections);
        let child = spawn(folder.path());
        let mut supervisord = Self {
            folder,
            child,
            orphans: Vec::new(),
        };
        supervisord.wait_until_it_answers();
        supervisord
    }

    /// Writes other sections into the configuration; supervisord does not know until it is told.
    pub fn configure(&self, sections: &str) {
        write_configuration(self.folder(), "", sections);
    }

    /// The temporary folder: configuration, socket, log and whatever the test puts there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The main log.
    pub fn log(&self) -> PathBuf {
        self.folder().join("supervisord.log")
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.folder().join("supervisor.sock")
    }

    /// The URL of its interface.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The process id of supervisord.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs calls on a client of their own.
    ///
    /// # Panics
    ///
    /// When no runtime can be made.
    pub fn call<T>(&self, calls: impl AsyncFnOnce(&Client) -> T) -> T {
        let client = Client::new(Endpoint::unix(self.socket())).with_timeout(PATIENCE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("runtime").block_on(calls(&client))
    }

    /// One process, once `accept` likes it.
    ///
    /// # Panics
    ///
    /// When that does not happen.
    pub fn wait_for(&self, name: &str, accept: impl Fn(&ProcessInfo) -> bool) -> ProcessInfo {
        eventually(name, || {
            self.call(async |client| client.process_info(name).await)
                .ok()
                .filter(|info| accept(info))
        })
    }

    /// Sends a signal to supervisord itself.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("signal supervisord");
    }

    /// Kills supervisord with SIGKILL; its processes live on until this value is dropped.
    ///
    /// # Panics
    ///
    /// When it is gone already.
    pub fn kill(&mut self) {
        let processes = self
            .call(async |client| client.all_process_info().await)
            .expect("processes");
        self.orphans
            .extend(processes.iter().filter_map(|process| process.pid));
        self.signal(Signal::KILL);
        self.child.wait().expect("supervisord ends");
    }

    /// Starts supervisord again in the same folder, after [`Supervisord::kill`].
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn start_again(&mut self) {
        self.child = spawn(self.folder.path());
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.call(async |client| client.pid().await).ok() != Some(i64::from(self.child.id())) {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("supervisord ended with {status}: {}", self.output());
            }
            assert!(
                Instant::now() < deadline,
                "supervisord does not answer: {}",
                self.output()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder().join("output")).unwrap_or_default()
    }
}

impl Drop for Supervisord {
    fn drop(&mut self) {
        // A stopped process takes no SIGTERM; SIGCONT is harmless otherwise.
        let _ = kill_process(pid(self.child.id()), Signal::CONT);
        let _ = kill_process(pid(self.child.id()), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for orphan in &self.orphans {
            // supervisord makes every process the leader of a group.
            let _ = kill_process_group(pid(*orphan), Signal::KILL);
        }
    }
}

/// Tries until there is a result.
///
/// # Panics
///
/// When there is none within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(
            Instant::now() < deadline,
            "not within {} s: {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn pid(raw: u32) -> Pid {
    i32::try_from(raw)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id")
}

fn spawn(folder: &Path) -> Child {
    let output = fs::File::create(folder.join("output")).expect("create output");
    let child = Command::new("supervisord")
        .args(["-n", "-c"])
        .arg(folder.join("supervisord.conf"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("duplicate output"))
        .stderr(output)
        .spawn();
    child.unwrap_or_else(|error| {
        panic!("start supervisord: {error}; these tests need it on the PATH: run make test")
    })
}

fn write_configuration(folder: &Path, settings: &str, sections: &str) {
    let configuration = format!(
        "[unix_http_server]\nfile={{folder}}/supervisor.sock\n\n\
         [supervisord]\nlogfile={{folder}}/supervisord.log\npidfile={{folder}}/supervisord.pid\n\
         childlogdir={{folder}}\n{settings}\n\n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n{sections}\n"
    );
    let configuration = configuration.replace("{folder}", &folder.display().to_string());
    fs::write(folder.join("supervisord.conf"), configuration).expect("write supervisord.conf");
}
