//! One line of supervisord's main log.
//!
//! Tells what the interface hides: the exit code of a process that ended before `startsecs`, the signal
//! that killed one, and every start between two questions.

/// What happened to a process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// `spawned: 'x' with pid 42`
    Spawned(u32),
    /// `exited: x (…)` and `stopped: x (…)`
    Ended(End),
    /// `gave up: x entered FATAL state, …`
    GaveUp,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct End {
    pub(crate) reason: Reason,
    /// The exit code, 128 + n after signal n.
    pub(crate) code: Option<i64>,
}

/// Why a process is gone: the values of the label `reason`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Reason {
    /// By itself, with one of its `exitcodes`.
    Expected,
    /// By itself, with another code, or before `startsecs`.
    ExitCode,
    Sigabrt,
    Sigbus,
    Sigill,
    Sigkill,
    Sigsegv,
    Sigterm,
    /// Another signal, or one that nobody told.
    Signal,
    /// Killed by the kernel for want of memory.
    OomKill,
    /// Silent for longer than its watchdog allows.
    Watchdog,
    /// Stopped on request, by whatever means.
    Stopped,
    /// Never began: the command is missing, may not be run, or there was no process to be had.
    SpawnError,
    /// Its source gave up starting it.
    GaveUp,
    /// Gone, and nobody told how.
    Unknown,
}

impl Reason {
    pub(crate) const ALL: [Self; 15] = [
        Self::Expected,
        Self::ExitCode,
        Self::Sigabrt,
        Self::Sigbus,
        Self::Sigill,
        Self::Sigkill,
        Self::Sigsegv,
        Self::Sigterm,
        Self::Signal,
        Self::OomKill,
        Self::Watchdog,
        Self::Stopped,
        Self::SpawnError,
        Self::GaveUp,
        Self::Unknown,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::ExitCode => "exit_code",
            Self::Sigabrt => "sigabrt",
            Self::Sigbus => "sigbus",
            Self::Sigill => "sigill",
            Self::Sigkill => "sigkill",
            Self::Sigsegv => "sigsegv",
            Self::Sigterm => "sigterm",
            Self::Signal => "signal",
            Self::OomKill => "oom_kill",
            Self::Watchdog => "watchdog",
            Self::Stopped => "stopped",
            Self::SpawnError => "spawn_error",
            Self::GaveUp => "gave_up",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn of_signal(number: i64) -> Self {
        match number {
            4 => Self::Sigill,
            6 => Self::Sigabrt,
            7 => Self::Sigbus,
            9 => Self::Sigkill,
            11 => Self::Sigsegv,
            15 => Self::Sigterm,
            _ => Self::Signal,
        }
    }
}

/// Reads a line: the name of the process, without its group, and what happened to it. `None` for all
/// other lines, and for text that merely looks alike but lacks supervisord's own beginning.
pub(crate) fn parse(line: &str) -> Option<(&str, Event)> {
    let message = message(line)?;
    let (kind, rest) = message.split_once(": ")?;
    match kind {
        "spawned" => {
            let (name, pid) = rest.strip_prefix('\'')?.split_once("' with pid ")?;
            Some((name, Event::Spawned(pid.parse().ok()?)))
        }
        "exited" => {
            let (name, how) = parenthesised(rest)?;
            let (how, expected) = how.rsplit_once("; ")?;
            Some((name, Event::Ended(ended(how, expected == "expected")?)))
        }
        "stopped" => {
            let (name, how) = parenthesised(rest)?;
            let End { code, .. } = ended(how, true)?;
            Some((
                name,
                Event::Ended(End {
                    reason: Reason::Stopped,
                    code,
                }),
            ))
        }
        "gave up" => Some((rest.split_once(" entered FATAL state")?.0, Event::GaveUp)),
        _ => None,
    }
}

/// The message behind `2026-11-22 11:12:40,468 INFO `.
fn message(line: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"0000-00-00 00:00:00,000 ";
    let (time, rest) = line.split_at_checked(SHAPE.len())?;
    let fits = |(byte, shape): (u8, &u8)| {
        if *shape == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == *shape
        }
    };
    if !time.bytes().zip(SHAPE).all(fits) {
        return None;
    }
    let (level, message) = rest.split_once(' ')?;
    level
        .bytes()
        .all(|byte| byte.is_ascii_uppercase())
        .then_some(message)
}

/// `name (text)`; supervisord allows no blank in a name.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    text.trim_end().strip_suffix(')')?.split_once(" (")
}

fn ended(how: &str, expected: bool) -> Option<End> {
    if let Some(status) = how.strip_prefix("exit status ") {
        let code = status.parse().ok()?;
        let reason = if expected {
            Reason::Expected
        } else {
            Reason::ExitCode
        };
        return Some(End {
            reason,
            code: Some(code),
        });
    }
    if let Some(signal) = how.strip_prefix("terminated by ") {
        let signal = signal.strip_suffix(" (core dumped)").unwrap_or(signal);
        let number = signal_number(signal);
        let reason = number.map_or(Reason::Signal, Reason::of_signal);
        return Some(End {
            reason,
            code: number.map(|number| 128 + number),
        });
    }
    how.starts_with("unknown termination").then_some(End {
        reason: Reason::Unknown,
        code: None,
    })
}

/// The number of a signal on Linux, by the name that Python gives it or as `signal 35`.
fn signal_number(name: &str) -> Option<i64> {
    Some(match name {
        "SIGHUP" => 1,
        "SIGINT" => 2,
        "SIGQUIT" => 3,
        "SIGILL" => 4,
        "SIGTRAP" => 5,
        "SIGABRT" | "SIGIOT" => 6,
        "SIGBUS" => 7,
        "SIGFPE" => 8,
        "SIGKILL" => 9,
        "SIGUSR1" => 10,
        "SIGSEGV" => 11,
        "SIGUSR2" => 12,
        "SIGPIPE" => 13,
        "SIGALRM" => 14,
        "SIGTERM" => 15,
        "SIGSTKFLT" => 16,
        "SIGXCPU" => 24,
        "SIGXFSZ" => 25,
        "SIGVTALRM" => 26,
        "SIGPROF" => 27,
        "SIGIO" | "SIGPOLL" => 29,
        "SIGPWR" => 30,
        "SIGSYS" => 31,
        _ => {
            return name
                .strip_prefix("signal ")?
                .parse()
                .ok()
                .filter(|number| (1..=64).contains(number));
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(message: &str) -> Option<(String, Event)> {
        let line = format!("2026-11-22 11:12:40,468 INFO {message}");
        parse(&line).map(|(name, event)| (name.to_owned(), event))
    }

    fn end(reason: Reason, code: Option<i64>) -> Event {
        Event::Ended(End { reason, code })
    }

    #[test]
    fn every_kind_of_line() {
        for (message, event) in [
            ("spawned: 'w' with pid 42", Event::Spawned(42)),
            (
                "exited: w (exit status 0; expected)",
                end(Reason::Expected, Some(0)),
            ),
            (
                "exited: w (exit status 9; not expected)",
                end(Reason::ExitCode, Some(9)),
            ),
            (
                "exited: w (terminated by SIGKILL; not expected)",
                end(Reason::Sigkill, Some(137)),
            ),
            (
                "exited: w (terminated by SIGSEGV (core dumped); not expected)",
                end(Reason::Sigsegv, Some(139)),
            ),
            (
                "exited: w (terminated by SIGIOT; not expected)",
                end(Reason::Sigabrt, Some(134)),
            ),
            (
                "exited: w (terminated by SIGUSR1; not expected)",
                end(Reason::Signal, Some(138)),
            ),
            (
                "exited: w (terminated by signal 35; not expected)",
                end(Reason::Signal, Some(163)),
            ),
            (
                "exited: w (unknown termination cause 0x00ff; not expected)",
                end(Reason::Unknown, None),
            ),
            ("stopped: w (exit status 3)", end(Reason::Stopped, Some(3))),
            (
                "stopped: w (terminated by SIGTERM)",
                end(Reason::Stopped, Some(143)),
            ),
            (
                "gave up: w entered FATAL state, too many start retries too quickly",
                Event::GaveUp,
            ),
        ] {
            assert_eq!(read(message), Some(("w".to_owned(), event)), "{message}");
        }
    }

    #[test]
    fn other_lines_say_nothing() {
        for message in [
            "success: w entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)",
            "waiting for w to stop",
            "spawned: 'w' with pid",
            "spawned: 'w' with pid -1",
            "exited: w",
            "exited: w (exit status many; expected)",
            "reaped unknown pid 17 (exit status 0)",
        ] {
            assert_eq!(read(message), None, "{message}");
        }
        for line in [
            "spawned: 'w' with pid 42",
            "2026-11-22 11:12:40 INFO spawned: 'w' with pid 42",
            "2026-11-22 11:12:40,468 info spawned: 'w' with pid 42",
            "x2026-11-22 11:12:40,468 INFO spawned: 'w' with pid 42",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_line(text in ".*", name in "[^ :/]{1,9}", pid in any::<u32>()) {
            let _ = parse(&text);
            let _ = read(&text);
            prop_assert_eq!(read(&format!("spawned: '{name}' with pid {pid}")), Some((name, Event::Spawned(pid))));
        }
    }
}
