//! The process of a trainer, from procfs: whether it is still the one that wrote the files.
//!
//! Needs to see the processes of the host: in a container its process numbers and its host name.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use exporter::fs;

use super::state::Process;

/// How much later than its file a process may seem to have started, in seconds: its start is known by the clock of the
/// kernel, which may have been set since.
const CLOCK: f64 = 60.0;

/// Who is said to write a run's files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Claim {
    /// `None` when it is not said, or when it is on another machine.
    pub(crate) pid: Option<u32>,
    /// By when it was running, in Unix seconds.
    pub(crate) since: f64,
}

/// The processes of this machine.
#[derive(Debug)]
pub(crate) struct Processes {
    procfs: PathBuf,
    host: String,
    /// When the machine started, in Unix seconds. Read once, since the kernel is slow to make the file it is in.
    boot_time: OnceLock<Option<f64>>,
}

impl Processes {
    pub(crate) fn new(procfs: &Path) -> Self {
        let uname = rustix::system::uname();
        Self {
            procfs: procfs.into(),
            host: uname.nodename().to_string_lossy().into_owned(),
            boot_time: OnceLock::new(),
        }
    }

    /// The name of this machine, as programs write it into file names.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// What became of those who are said to write the files: one of them is enough, else the latest says it.
    pub(crate) fn state(&self, claims: &[Claim]) -> Process {
        if claims.iter().any(|claim| self.is_alive(claim)) {
            return Process::Alive;
        }
        let latest = claims.iter().max_by(|a, b| a.since.total_cmp(&b.since));
        match latest {
            Some(Claim { pid: Some(_), .. }) if self.sees_others() => Process::Gone,
            Some(_) | None => Process::Unknown,
        }
    }

    /// Whether the process is there, is no zombie, and is not a later one with the same number.
    fn is_alive(&self, claim: &Claim) -> bool {
        let Some(pid) = claim.pid else { return false };
        let Ok(stat) = fs::read_text(&self.procfs.join(pid.to_string()).join("stat")) else {
            return false;
        };
        let Some((state, ticks)) = state_and_ticks(&stat) else {
            return false;
        };
        let rate = rustix::param::clock_ticks_per_second() as f64;
        let began = self.boot_time().map(|boot| boot + ticks / rate);
        !matches!(state, "Z" | "X") && began.is_none_or(|began| began <= claim.since + CLOCK)
    }

    /// Whether procfs shows processes of others: mounted with `hidepid`, it shows not even the first one.
    fn sees_others(&self) -> bool {
        self.procfs.join("1").exists()
    }

    fn boot_time(&self) -> Option<f64> {
        *self.boot_time.get_or_init(|| {
            let stat = fs::read_text(&self.procfs.join("stat")).ok()?;
            let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
            line.trim().parse().ok()
        })
    }
}

/// Fields 3 and 22 of `/proc/<pid>/stat`, see proc(5). The name in field 2 may hold blanks and brackets.
fn state_and_ticks(stat: &str) -> Option<(&str, f64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let ticks = fields.nth(22 - 4)?.parse().ok()?;
    Some((state, ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A procfs of a machine that started at 1000 s, with a process 7 that started 100 s later.
    fn machine(state: &str) -> (tempfile::TempDir, Processes) {
        let folder = tempfile::tempdir().expect("a folder");
        for pid in ["1", "7"] {
            std::fs::create_dir(folder.path().join(pid)).expect("create");
        }
        let ticks = 100 * rustix::param::clock_ticks_per_second();
        let stat = format!("7 (a) b) {state} 1 7 7 0 -1 0 1 0 0 0 2 5 0 0 20 0 3 0 {ticks} 1048576 64 0");
        std::fs::write(folder.path().join("7/stat"), stat).expect("write");
        std::fs::write(folder.path().join("stat"), "cpu 1 2\nbtime 1000\n").expect("write");
        let processes = Processes::new(folder.path());
        (folder, processes)
    }

    fn claim(pid: Option<u32>, since: f64) -> Claim {
        Claim { pid, since }
    }

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_number() {
        let (_folder, processes) = machine("S");
        assert_eq!(processes.state(&[claim(Some(7), 1100.0)]), Process::Alive);
        assert_eq!(processes.state(&[claim(Some(7), 1000.0)]), Process::Gone);
        assert_eq!(processes.state(&[claim(Some(8), 1100.0)]), Process::Gone);
    }

    #[test]
    fn a_stopped_process_is_alive_and_a_zombie_is_not() {
        for (state, expected) in [("T", Process::Alive), ("Z", Process::Gone)] {
            let (_folder, processes) = machine(state);
            assert_eq!(processes.state(&[claim(Some(7), 1200.0)]), expected, "{state}");
        }
    }

    #[test]
    fn one_of_several_is_enough_and_else_the_latest_says_it() {
        let (_folder, processes) = machine("R");
        let gone = claim(Some(8), 2000.0);
        assert_eq!(processes.state(&[gone, claim(Some(7), 1200.0)]), Process::Alive);
        assert_eq!(processes.state(&[gone, claim(None, 3000.0)]), Process::Unknown);
        assert_eq!(processes.state(&[gone, claim(None, 1000.0)]), Process::Gone);
        assert_eq!(processes.state(&[]), Process::Unknown);
    }

    #[test]
    fn nobody_is_gone_where_others_cannot_be_seen() {
        let (folder, processes) = machine("R");
        std::fs::remove_dir(folder.path().join("1")).expect("remove");
        assert_eq!(processes.state(&[claim(Some(8), 2000.0)]), Process::Unknown);
    }

    #[test]
    fn this_process_is_alive() {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970");
        let processes = Processes::new(Path::new("/proc"));
        let claims = [claim(Some(std::process::id()), now.as_secs_f64())];
        assert_eq!(processes.state(&claims), Process::Alive);
    }

    #[test]
    fn torn_lines_say_nothing() {
        for stat in ["", "7 (a", "7 (a) S", "7 (a) S 1 2 3 x"] {
            assert_eq!(state_and_ticks(stat), None, "{stat}");
        }
    }
}
