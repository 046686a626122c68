//! The user's command: a process group of its own, with bounded time and output. Nothing here waits: whoever runs it
//! looks at it now and then.
//!
//! What the command started belongs to its group, unless it leaves it (`setsid`), and ends with it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::measurement::Measurement;
use super::results::{Attempt, Outcome};
use super::settings::Command;

/// Bytes of standard output. A result is far smaller.
const MOST_OUTPUT: usize = 1024 * 1024;
/// Bytes of standard error that are kept, the last ones.
const TAIL: usize = 4096;
/// Bytes that are taken from standard error at one look; the rest waits in the pipe.
const PER_LOOK: usize = 1024 * 1024;
/// How long a command may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// The same while the exporter ends, which itself has 5 s.
const SHORT_GRACE: Duration = Duration::from_secs(1);
/// Characters of the last line of standard error that go into the record.
const LONGEST_WORDS: usize = 200;

/// A command that runs.
pub(super) struct Job {
    child: Child,
    group: Pid,
    stdout: ChildStdout,
    stderr: ChildStderr,
    output: Vec<u8>,
    tail: Vec<u8>,
    deadline: Instant,
    timeout: Duration,
    /// Unix time in seconds.
    started_at: f64,
    ending: Option<Ending>,
}

/// A command that was told to end.
struct Ending {
    why: Outcome,
    kill_at: Instant,
}

impl Job {
    /// Starts the command. Its input is empty; the file there holds the lock as long as anything of it lives.
    pub(super) fn start(command: &Command, lock: Option<File>, now: f64) -> io::Result<Self> {
        let mut child = std::process::Command::new(&command.program)
            .args(&command.arguments)
            .current_dir(&command.directory)
            .stdin(lock.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (Some(stdout), Some(stderr), Some(group)) = (child.stdout.take(), child.stderr.take(), group)
        else {
            return Err(io::Error::other("the system started it without pipes"));
        };
        let job = Self {
            child,
            group,
            stdout,
            stderr,
            output: Vec::new(),
            tail: Vec::new(),
            deadline: Instant::now() + command.timeout,
            timeout: command.timeout,
            started_at: now,
            ending: None,
        };
        fcntl_setfl(&job.stdout, OFlags::NONBLOCK)?;
        fcntl_setfl(&job.stderr, OFlags::NONBLOCK)?;
        Ok(job)
    }

    /// Takes what it printed, holds it to its limits, and returns the run once it ended.
    pub(super) fn look(&mut self, now: f64) -> Option<Attempt> {
        self.read();
        if !self.has_ended() {
            self.hold_to_limits();
            return None;
        }
        // The dead command still holds the group's number, so the signal goes to no other group.
        self.signal(Signal::KILL);
        self.read();
        let status = self.child.wait();
        let ended = self.ended(status);
        let mut attempt = Attempt::new(self.started_at, now, ended);
        attempt.stderr = Some(String::from_utf8_lossy(&self.tail).into_owned());
        Some(attempt)
    }

    /// Ends the command and everything that it started, since the exporter ends or follows something else.
    pub(super) fn end(mut self) {
        self.signal(Signal::TERM);
        self.wait_until(Instant::now() + SHORT_GRACE);
        self.signal(Signal::KILL);
        self.wait_until(Instant::now() + SHORT_GRACE);
        if self.has_ended() {
            // It is not asked how it went.
            let _ = self.child.wait();
        }
    }

    fn wait_until(&self, end: Instant) {
        while !self.has_ended() && Instant::now() < end {
            sleep(Duration::from_millis(10));
        }
    }

    /// Whether the command itself ended. It is not reaped, so that its number stays taken.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.group), options), Ok(None))
    }

    fn signal(&self, signal: Signal) {
        // The only failure is that there is nobody left.
        let _ = kill_process_group(self.group, signal);
    }

    fn hold_to_limits(&mut self) {
        let now = Instant::now();
        match &self.ending {
            Some(ending) if now >= ending.kill_at => self.signal(Signal::KILL),
            Some(_) => {}
            None => {
                let why = if self.output.len() > MOST_OUTPUT {
                    Outcome::TooLarge
                } else if now >= self.deadline {
                    Outcome::Timeout
                } else {
                    return;
                };
                self.signal(Signal::TERM);
                let kill_at = now + GRACE;
                self.ending = Some(Ending { why, kill_at });
            }
        }
    }

    fn read(&mut self) {
        let Self { stdout, output, .. } = self;
        let room = (MOST_OUTPUT + 1).saturating_sub(output.len());
        take(stdout, output, room);
        if output.len() > MOST_OUTPUT {
            // A flood may go on, so that the command can come to its end.
            take(stdout, &mut Vec::new(), PER_LOOK);
        }
        take(&mut self.stderr, &mut self.tail, PER_LOOK);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }

    fn ended(&self, status: io::Result<ExitStatus>) -> Result<Measurement, (Outcome, String)> {
        let why = self.ending.as_ref().map(|ending| ending.why);
        if self.output.len() > MOST_OUTPUT {
            let text = format!("it printed more than {} MiB", MOST_OUTPUT >> 20);
            return Err((Outcome::TooLarge, text));
        }
        if let Some(why) = why {
            return Err((
                why,
                self.with_last_words(format!("it took longer than {:?}", self.timeout)),
            ));
        }
        match status {
            Ok(status) if status.success() => Measurement::parse_output(&self.output, self.started_at)
                .map_err(|error| (Outcome::Invalid, format!("what it printed is no result: {error}"))),
            Ok(status) => Err((Outcome::Failed, self.with_last_words(status.to_string()))),
            Err(error) => Err((Outcome::Failed, format!("it was lost: {error}"))),
        }
    }

    /// With the last line of standard error, which mostly is the reason.
    fn with_last_words(&self, text: String) -> String {
        let stderr = String::from_utf8_lossy(&self.tail);
        let Some(line) = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()) else {
            return text;
        };
        let line = line.replace(char::is_control, " ");
        format!("{text}: {}", exporter::text::cut(&line, LONGEST_WORDS))
    }
}

/// Reads what is there, up to `most` bytes. An error is an end: what the command meant is then seen by how it ended.
fn take(pipe: &mut impl Read, into: &mut Vec<u8>, most: usize) {
    let mut chunk = [0; 16 * 1024];
    let mut room = most;
    while room > 0 {
        let wanted = room.min(chunk.len());
        match pipe.read(&mut chunk[..wanted]) {
            Ok(0) => return,
            Ok(size) => {
                into.extend_from_slice(&chunk[..size]);
                room -= size;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
