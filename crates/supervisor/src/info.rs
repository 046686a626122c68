//! What supervisord tells about its processes and itself.

use crate::state::ProcessState;
use crate::value::{Members, Value, ValueError};

/// One process, as `supervisor.getAllProcessInfo` tells it. Times are whole seconds since 1970 by
/// supervisord's clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessInfo {
    /// The program's name.
    pub name: String,
    /// The group it belongs to; a program of its own has a group of the same name.
    pub group: String,
    /// Its state.
    pub state: ProcessState,
    /// supervisord's sentence on it.
    pub description: String,
    /// When it was last started. `None`: never.
    pub start: Option<i64>,
    /// When it last ended. `None`: never.
    pub stop: Option<i64>,
    /// supervisord's clock at the moment of the answer.
    pub now: i64,
    /// The process, while there is one.
    pub pid: Option<u32>,
    /// The last exit code; -1 after a signal. supervisord also says 0 when it does not know.
    pub exit_status: i64,
    /// Why the last start went wrong; empty when it did not.
    pub spawn_error: String,
    /// File of standard output; empty without one.
    pub stdout_logfile: String,
    /// File of standard error; empty without one.
    pub stderr_logfile: String,
}

impl ProcessInfo {
    /// `group:name`, or the name alone where both are the same: what `supervisorctl` shows and takes.
    pub fn full_name(&self) -> String {
        if self.group == self.name {
            self.name.clone()
        } else {
            format!("{}:{}", self.group, self.name)
        }
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, ValueError> {
        let mut members = value.into_members("process info")?;
        let time = |members: &mut Members, name| members.int(name).map(|at| (at > 0).then_some(at));
        Ok(Self {
            start: time(&mut members, "start")?,
            stop: time(&mut members, "stop")?,
            name: members.string("name")?,
            group: members.string("group")?,
            state: ProcessState::from_code(members.int("state")?),
            now: members.int("now")?,
            pid: u32::try_from(members.int("pid")?).ok().filter(|pid| *pid != 0),
            exit_status: members.int("exitstatus")?,
            spawn_error: members.string("spawnerr")?,
            description: members.optional_string("description").unwrap_or_default(),
            stdout_logfile: members.optional_string("stdout_logfile").unwrap_or_default(),
            stderr_logfile: members.optional_string("stderr_logfile").unwrap_or_default(),
        })
    }
}

/// One process's configuration, as `supervisor.getAllConfigInfo` tells it. `None` where this version of
/// supervisord says nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessConfig {
    /// The program's name.
    pub name: String,
    /// The group it belongs to.
    pub group: String,
    /// Whether the group is active; false when it is only in the file.
    pub in_use: Option<bool>,
    /// Whether it starts with supervisord.
    pub autostart: Option<bool>,
    /// The command line.
    pub command: Option<String>,
    /// The working directory.
    pub directory: Option<String>,
    /// The exit codes that are expected.
    pub exit_codes: Vec<i64>,
    /// How long it must stay up to count as running, in seconds.
    pub start_seconds: Option<i64>,
    /// How often a start is tried again.
    pub start_retries: Option<i64>,
    /// The number of the signal that stops it.
    pub stop_signal: Option<i64>,
    /// How long it may take to stop before it is killed, in seconds.
    pub stop_wait_seconds: Option<i64>,
    /// File of standard output.
    pub stdout_logfile: Option<String>,
    /// File of standard error.
    pub stderr_logfile: Option<String>,
}

impl ProcessConfig {
    pub(crate) fn from_value(value: Value) -> Result<Self, ValueError> {
        let mut members = value.into_members("config info")?;
        let exit_codes = match members.optional("exitcodes") {
            Some(Value::Array(codes)) => codes
                .iter()
                .map(|code| code.as_int("exitcodes"))
                .collect::<Result<_, _>>()?,
            _ => Vec::new(),
        };
        Ok(Self {
            name: members.string("name")?,
            group: members.string("group")?,
            in_use: members.optional_bool("inuse"),
            autostart: members.optional_bool("autostart"),
            command: members.optional_string("command"),
            directory: members.optional_string("directory"),
            exit_codes,
            start_seconds: members.optional_int("startsecs"),
            start_retries: members.optional_int("startretries"),
            stop_signal: members.optional_int("stopsignal"),
            stop_wait_seconds: members.optional_int("stopwaitsecs"),
            stdout_logfile: members.optional_string("stdout_logfile"),
            stderr_logfile: members.optional_string("stderr_logfile"),
        })
    }
}

/// What a reread of the configuration changed, by names of groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ConfigChanges {
    /// In the file, not yet active.
    pub added: Vec<String>,
    /// Active with other settings.
    pub changed: Vec<String>,
    /// Active, no longer in the file.
    pub removed: Vec<String>,
}

impl ConfigChanges {
    pub(crate) fn from_value(value: Value) -> Result<Self, ValueError> {
        // [[added, changed, removed]]: the outer array has this one element.
        let lists = value
            .into_array("reloadConfig")?
            .into_iter()
            .next()
            .unwrap_or(Value::Array(Vec::new()));
        let mut lists = lists.into_array("reloadConfig")?.into_iter();
        let mut next = |what| {
            lists
                .next()
                .unwrap_or(Value::Array(Vec::new()))
                .into_strings(what)
        };
        Ok(Self {
            added: next("added")?,
            changed: next("changed")?,
            removed: next("removed")?,
        })
    }
}

/// How a call on a group ended for one of its processes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupResult {
    /// The program's name.
    pub name: String,
    /// The group.
    pub group: String,
    /// The fault, or `None` when all went well.
    pub fault: Option<crate::Fault>,
}

impl GroupResult {
    pub(crate) fn from_value(value: Value) -> Result<Self, ValueError> {
        let mut members = value.into_members("group result")?;
        let fault = crate::Fault {
            code: members.int("status")?,
            text: members.string("description")?,
        };
        Ok(Self {
            name: members.string("name")?,
            group: members.string("group")?,
            fault: (fault.kind() != crate::FaultKind::Success).then_some(fault),
        })
    }
}

/// The end of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogTail {
    /// The text. Bytes that are not UTF-8 make supervisord itself fail.
    pub text: String,
    /// Where the next read goes on, in bytes.
    pub offset: i64,
    /// Whether more was written than asked for, so that some of it is missing here.
    pub overflow: bool,
}

impl LogTail {
    pub(crate) fn from_value(value: Value) -> Result<Self, ValueError> {
        let mut parts = value.into_array("log tail")?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Array(Vec::new()));
        Ok(Self {
            text: next().into_string("log text")?,
            offset: next().as_int("log offset")?,
            overflow: next().as_bool("log overflow")?,
        })
    }
}
