//! What systemd says of one service.

use supervisor::ProcessState;
use zbus::zvariant::OwnedValue;

use super::bus::Properties;
use crate::main_log::line::{End, Reason};

/// `CLD_EXITED` of `waitid(2)`; the others mean a signal.
const EXITED: i32 = 1;
/// systemd's own codes for what went wrong before the program began, `systemd.exec(5)`.
const NEVER_BEGAN: std::ops::RangeInclusive<i32> = 200..=243;

/// The properties that matter, under systemd's names in `org.freedesktop.systemd1(5)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// `ActiveState`
    pub(crate) active: String,
    /// `SubState`
    pub(crate) sub: String,
    /// `Result`: why it is no more.
    pub(crate) result: String,
    /// `NRestarts`: by systemd itself, since the last start by hand.
    pub(crate) restarts: u64,
    /// `ExecMainStartTimestamp`, microseconds since 1970; 0 before the first.
    pub(crate) started: u64,
    /// `ExecMainExitTimestamp`; 0 while it runs.
    pub(crate) ended: u64,
    /// `ControlGroup`
    pub(crate) control_group: String,
    main_pid: u32,
    code: i32,
    status: i32,
}

impl Facts {
    /// Takes over what is among these properties.
    pub(crate) fn update(&mut self, properties: &Properties) {
        for (name, value) in properties {
            match name.as_str() {
                "ActiveState" => text(value, &mut self.active),
                "SubState" => text(value, &mut self.sub),
                "Result" => text(value, &mut self.result),
                "ControlGroup" => text(value, &mut self.control_group),
                "NRestarts" => number::<u32>(value, |restarts| self.restarts = restarts.into()),
                "ExecMainStartTimestamp" => number(value, |time| self.started = time),
                "ExecMainExitTimestamp" => number(value, |time| self.ended = time),
                "MainPID" => number(value, |pid| self.main_pid = pid),
                "ExecMainCode" => number(value, |code| self.code = code),
                "ExecMainStatus" => number(value, |status| self.status = status),
                _ => {}
            }
        }
    }

    pub(crate) fn main_pid(&self) -> Option<u32> {
        (self.main_pid != 0).then_some(self.main_pid)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.active == "deactivating"
    }

    pub(crate) fn is_inactive(&self) -> bool {
        self.active == "inactive"
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.active == "failed"
    }

    pub(crate) fn waits_to_restart(&self) -> bool {
        self.sub.starts_with("auto-restart")
    }

    /// A start by hand that systemd thought too many.
    pub(crate) fn was_refused(&self) -> bool {
        self.result == "start-limit-hit"
    }

    /// The state in supervisord's words.
    pub(crate) fn state(&self) -> ProcessState {
        match self.active.as_str() {
            "active" | "reloading" | "refreshing" => ProcessState::Running,
            "activating" if self.waits_to_restart() => ProcessState::Backoff,
            "activating" => ProcessState::Starting,
            "deactivating" => ProcessState::Stopping,
            "inactive" => ProcessState::Stopped,
            "failed" => ProcessState::Fatal,
            _ => ProcessState::Unknown,
        }
    }

    /// How its main process ended; `asked` when systemd was asked to stop it.
    pub(crate) fn end(&self, asked: bool) -> End {
        let exited = self.code == EXITED;
        let signal = i64::from(self.status);
        let reason = match self.result.as_str() {
            "oom-kill" => Reason::OomKill,
            "watchdog" => Reason::Watchdog,
            _ if asked => Reason::Stopped,
            // A signal that is no failure is the one that systemd sends to stop.
            "success" if exited => Reason::Expected,
            "success" => Reason::Stopped,
            _ if exited && NEVER_BEGAN.contains(&self.status) => Reason::SpawnError,
            _ if exited => Reason::ExitCode,
            _ => Reason::of_signal(signal),
        };
        let code = if exited { signal } else { 128 + signal };
        End {
            reason,
            code: Some(code),
        }
    }
}

fn text(value: &OwnedValue, place: &mut String) {
    if let Ok(text) = value.downcast_ref::<&str>() {
        text.clone_into(place);
    }
}

fn number<T>(value: &OwnedValue, set: impl FnOnce(T))
where
    T: for<'a> TryFrom<&'a zbus::zvariant::Value<'a>>,
{
    if let Ok(number) = T::try_from(&**value) {
        set(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(result: &str, code: i32, status: i32) -> Facts {
        Facts {
            result: result.to_owned(),
            code,
            status,
            ..Facts::default()
        }
    }

    #[test]
    fn ends_by_result_and_code() {
        for (result, code, status, stopping, reason, exit_code) in [
            ("success", 1, 0, false, Reason::Expected, 0),
            ("success", 2, 15, false, Reason::Stopped, 143),
            ("success", 1, 0, true, Reason::Stopped, 0),
            ("exit-code", 1, 7, false, Reason::ExitCode, 7),
            ("exit-code", 1, 203, false, Reason::SpawnError, 203),
            ("signal", 2, 9, false, Reason::Sigkill, 137),
            ("core-dump", 3, 11, false, Reason::Sigsegv, 139),
            ("oom-kill", 2, 9, false, Reason::OomKill, 137),
            ("watchdog", 2, 6, true, Reason::Watchdog, 134),
            ("timeout", 2, 9, true, Reason::Stopped, 137),
        ] {
            let end = facts(result, code, status).end(stopping);
            assert_eq!(
                (end.reason, end.code),
                (reason, Some(exit_code)),
                "{result} {code}"
            );
        }
    }

    #[test]
    fn states_in_the_words_of_supervisord() {
        for (active, sub, state) in [
            ("active", "running", ProcessState::Running),
            ("activating", "auto-restart", ProcessState::Backoff),
            ("activating", "auto-restart-queued", ProcessState::Backoff),
            ("activating", "start-pre", ProcessState::Starting),
            ("deactivating", "stop-sigterm", ProcessState::Stopping),
            ("inactive", "dead", ProcessState::Stopped),
            ("failed", "failed", ProcessState::Fatal),
            ("", "", ProcessState::Unknown),
        ] {
            let facts = Facts {
                active: active.to_owned(),
                sub: sub.to_owned(),
                ..Facts::default()
            };
            assert_eq!(facts.state(), state, "{active} {sub}");
        }
    }
}
