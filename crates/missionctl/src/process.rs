//! Processes: which ones are ours, what they use, how they are stopped.
//!
//! supervisord is started with [`MARKER`] in its environment and every service inherits it, so a process that outlived
//! a killed supervisord is still known, by something that no reused pid can imitate.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Environment variable that holds the project's `.mission/run` folder.
pub(crate) const MARKER: &str = "MISSION_CONTROL_RUN";

/// What a running process is and uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory in bytes, from `/proc/<pid>/statm`.
    pub(crate) memory_bytes: u64,
    /// Time since it started, from `/proc/<pid>/stat` and `/proc/uptime`.
    pub(crate) uptime: Duration,
}

/// Runs a program of others to its end, and kills it when that takes too long. Returns what it wrote to both outputs.
pub(crate) fn run(command: &mut Command, limit: Duration) -> io::Result<(ExitStatus, String)> {
    // A file takes any amount of text without anybody reading, and does not wait for what a killed program started.
    let mut file = tempfile::tempfile()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file.try_clone()?)
        .spawn()?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            let reason = format!("it did not end within {} s and was killed", limit.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Pids of all processes that were started for the project whose run folder this is.
pub(crate) fn ours(run: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_ours(*pid, run))
        .collect()
}

/// Whether the process was started for the project whose run folder this is.
pub(crate) fn is_ours(pid: u32, run: &Path) -> bool {
    run_folder(pid).is_some_and(|folder| folder == run)
}

/// The run folder of the project that a process was started for; none of other processes, of those that have ended,
/// and of those of other users.
pub(crate) fn run_folder(pid: u32) -> Option<PathBuf> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environ.split(|byte| *byte == 0);
    let value = entries.find_map(|entry| entry.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"="))?;
    Some(PathBuf::from(OsStr::from_bytes(value)))
}

/// The process' command name.
pub(crate) fn name(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .ok()
        .map(|name| name.trim().to_owned())
}

/// What the process uses; none when it is gone.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold blanks; fields are counted from behind it. Start time is field 22.
    let ticks: u64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let uptime: f64 = fs::read_to_string("/proc/uptime")
        .ok()?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    let started = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Some(Usage {
        memory_bytes: pages * rustix::param::page_size() as u64,
        uptime: Duration::try_from_secs_f64(uptime - started).unwrap_or_default(),
    })
}

/// Stops every process of the project: SIGTERM, then SIGKILL for what is left after `grace`. Returns how many there were.
pub(crate) fn stop_ours(run: &Path, grace: Duration) -> anyhow::Result<usize> {
    let found = ours(run).len();
    signal_ours(run, Signal::TERM);
    if !gone_within(run, grace) {
        signal_ours(run, Signal::KILL);
        anyhow::ensure!(
            gone_within(run, Duration::from_secs(5)),
            "processes {:?} do not end, even after SIGKILL",
            ours(run)
        );
    }
    Ok(found)
}

/// Waits until no process of the project is left.
pub(crate) fn gone_within(run: &Path, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while !ours(run).is_empty() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// The handle is opened first and the marker read after, so the signal cannot reach a process that took over the pid.
fn signal_ours(run: &Path, signal: Signal) {
    for pid in ours(run) {
        let Some(handle) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            continue;
        };
        let Ok(handle) = pidfd_open(handle, PidfdFlags::empty()) else {
            continue;
        };
        if is_ours(pid, run) {
            // It may end by itself in between; `gone_within` tells.
            let _ = pidfd_send_signal(&handle, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_killed_and_one_that_writes_much_is_not() {
        let error = run(Command::new("sleep").arg("600"), Duration::from_millis(50)).expect_err("it hangs");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let mut talkative = Command::new("sh");
        talkative.args(["-c", "seq 100000; echo oh >&2; exit 3"]);
        let (status, text) = run(&mut talkative, Duration::from_mins(1)).expect("it ends");
        assert_eq!(status.code(), Some(3));
        assert_eq!(text.lines().count(), 100_001);
        assert_eq!(text.lines().last(), Some("oh"));
    }
}
