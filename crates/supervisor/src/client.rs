//! The calls.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::answer::parse_answer;
use crate::endpoint::Endpoint;
use crate::error::{Error, FaultKind};
use crate::info::{ConfigChanges, GroupResult, LogTail, ProcessConfig, ProcessInfo};
use crate::request;
use crate::state::ServerState;
use crate::transport::Transport;
use crate::value::{Value, ValueError};

/// A client of one supervisord: one connection, kept as long as supervisord keeps it, one call at a time.
///
/// Calls run within a Tokio runtime that drives I/O and time. A call that waits (`wait: true`) occupies
/// the connection; share the client where that is welcome, make a second one where it is not.
pub struct Client {
    endpoint: Endpoint,
    timeout: Duration,
    transport: Mutex<Transport>,
}

impl Client {
    /// A client with a timeout of 5 s per call. Connects at the first call.
    pub fn new(endpoint: Endpoint) -> Self {
        let transport = Mutex::new(Transport::new(endpoint.clone()));
        Self {
            endpoint,
            timeout: Duration::from_secs(5),
            transport,
        }
    }

    /// Sets how long a call may take in all, the wait for the connection included. Calls that wait for a
    /// process need its `startsecs` or `stopwaitsecs` on top.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where this client asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Any method, untyped: for what this type lacks.
    pub async fn call(&self, method: &'static str, params: &[Value]) -> Result<Value, Error> {
        let answer = tokio::time::timeout(self.timeout, async {
            self.transport
                .lock()
                .await
                .call(method, request::write(method, params))
                .await
        });
        let address = || self.endpoint.to_string();
        let answer = answer.await.map_err(|_| Error::Timeout {
            address: address(),
            method,
            after: self.timeout,
        })??;
        match parse_answer(&answer) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) => Err(Error::Fault {
                address: address(),
                method,
                fault,
            }),
            Err(cause) => Err(Error::Answer {
                address: address(),
                method,
                cause,
            }),
        }
    }

    async fn typed<T>(
        &self,
        method: &'static str,
        params: &[Value],
        read: impl FnOnce(Value) -> Result<T, ValueError>,
    ) -> Result<T, Error> {
        let value = self.call(method, params).await?;
        read(value).map_err(|cause| Error::Unexpected {
            address: self.endpoint.to_string(),
            method,
            cause,
        })
    }

    async fn list<T>(
        &self,
        method: &'static str,
        params: &[Value],
        read: fn(Value) -> Result<T, ValueError>,
    ) -> Result<Vec<T>, Error> {
        self.typed(method, params, |value| {
            value.into_array(method)?.into_iter().map(read).collect()
        })
        .await
    }

    /// All processes, sorted by group and name.
    pub async fn all_process_info(&self) -> Result<Vec<ProcessInfo>, Error> {
        self.list("supervisor.getAllProcessInfo", &[], ProcessInfo::from_value)
            .await
    }

    /// One process, by `name` or `group:name`.
    pub async fn process_info(&self, name: &str) -> Result<ProcessInfo, Error> {
        self.typed(
            "supervisor.getProcessInfo",
            &[name.into()],
            ProcessInfo::from_value,
        )
        .await
    }

    /// The configuration of all processes, those not in use included; `None` when this supervisord is too
    /// old to tell.
    pub async fn all_config_info(&self) -> Result<Option<Vec<ProcessConfig>>, Error> {
        match self
            .list("supervisor.getAllConfigInfo", &[], ProcessConfig::from_value)
            .await
        {
            Ok(configs) => Ok(Some(configs)),
            Err(Error::Fault { fault, .. }) if fault.kind() == FaultKind::UnknownMethod => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The state of supervisord itself.
    pub async fn state(&self) -> Result<ServerState, Error> {
        self.typed("supervisor.getState", &[], ServerState::from_value)
            .await
    }

    /// The process id of supervisord.
    pub async fn pid(&self) -> Result<i64, Error> {
        self.typed("supervisor.getPID", &[], |value| value.as_int("pid"))
            .await
    }

    /// The `identifier` of its configuration.
    pub async fn identification(&self) -> Result<String, Error> {
        self.typed("supervisor.getIdentification", &[], |value| {
            value.into_string("identification")
        })
        .await
    }

    /// The version of supervisord.
    pub async fn version(&self) -> Result<String, Error> {
        self.typed("supervisor.getSupervisorVersion", &[], |value| {
            value.into_string("version")
        })
        .await
    }

    /// Reads the configuration file again and says what differs; changes nothing that runs.
    pub async fn reload_config(&self) -> Result<ConfigChanges, Error> {
        self.typed("supervisor.reloadConfig", &[], ConfigChanges::from_value)
            .await
    }

    /// Activates a group that is in the file.
    pub async fn add_process_group(&self, name: &str) -> Result<(), Error> {
        self.call("supervisor.addProcessGroup", &[name.into()])
            .await
            .map(drop)
    }

    /// Deactivates a group whose processes are all stopped.
    pub async fn remove_process_group(&self, name: &str) -> Result<(), Error> {
        self.call("supervisor.removeProcessGroup", &[name.into()])
            .await
            .map(drop)
    }

    /// Starts a process by `name` or `group:name`; with `wait` returns when it runs.
    pub async fn start_process(&self, name: &str, wait: bool) -> Result<(), Error> {
        self.call("supervisor.startProcess", &[name.into(), wait.into()])
            .await
            .map(drop)
    }

    /// Stops a process by `name` or `group:name`; with `wait` returns when it is gone.
    pub async fn stop_process(&self, name: &str, wait: bool) -> Result<(), Error> {
        self.call("supervisor.stopProcess", &[name.into(), wait.into()])
            .await
            .map(drop)
    }

    /// Starts all processes of a group that do not run; with `wait` returns when they run.
    pub async fn start_process_group(&self, group: &str, wait: bool) -> Result<Vec<GroupResult>, Error> {
        let params = [group.into(), wait.into()];
        self.list("supervisor.startProcessGroup", &params, GroupResult::from_value)
            .await
    }

    /// Stops all processes of a group that run; with `wait` returns when they are gone.
    pub async fn stop_process_group(&self, group: &str, wait: bool) -> Result<Vec<GroupResult>, Error> {
        let params = [group.into(), wait.into()];
        self.list("supervisor.stopProcessGroup", &params, GroupResult::from_value)
            .await
    }

    /// Sends a signal to a process, by name (`HUP`) or number (`1`).
    pub async fn signal_process(&self, name: &str, signal: &str) -> Result<(), Error> {
        self.call("supervisor.signalProcess", &[name.into(), signal.into()])
            .await
            .map(drop)
    }

    /// Stops all processes, then supervisord. Returns as soon as it agreed.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.call("supervisor.shutdown", &[]).await.map(drop)
    }

    /// Reads supervisord's own log: `length` bytes from `offset`, or with a negative `offset` and a
    /// `length` of 0 that many bytes from its end. Empty beyond the end.
    pub async fn read_log(&self, offset: i64, length: i64) -> Result<String, Error> {
        let params = [offset.into(), length.into()];
        self.typed("supervisor.readLog", &params, |value| value.into_string("log"))
            .await
    }

    /// The end of a process's standard output: at most `length` bytes from `offset` on.
    pub async fn tail_process_stdout_log(
        &self,
        name: &str,
        offset: i64,
        length: i64,
    ) -> Result<LogTail, Error> {
        let params = [name.into(), offset.into(), length.into()];
        self.typed("supervisor.tailProcessStdoutLog", &params, LogTail::from_value)
            .await
    }

    /// The end of a process's standard error: at most `length` bytes from `offset` on.
    pub async fn tail_process_stderr_log(
        &self,
        name: &str,
        offset: i64,
        length: i64,
    ) -> Result<LogTail, Error> {
        let params = [name.into(), offset.into(), length.into()];
        self.typed("supervisor.tailProcessStderrLog", &params, LogTail::from_value)
            .await
    }
}
