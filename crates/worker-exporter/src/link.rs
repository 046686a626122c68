//! The client of one supervisord, for plain threads.

use std::time::Duration;

use supervisor::{Client, Endpoint, Error, ProcessInfo};

use crate::own_runtime::OwnRuntime;

/// How long a source may take for an answer. supervisord needs a second or two for a thousand processes; more
/// than this would not fit into the usual scrape's ten seconds.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);

/// A client with a runtime of its own.
pub(crate) struct Link {
    client: Client,
    runtime: OwnRuntime,
}

impl Link {
    pub(crate) fn new(endpoint: Endpoint) -> std::io::Result<Self> {
        Ok(Self {
            client: Client::new(endpoint).with_timeout(TIMEOUT),
            runtime: OwnRuntime::new()?,
        })
    }

    pub(crate) fn processes(&self) -> Result<Vec<ProcessInfo>, Error> {
        self.runtime.wait(self.client.all_process_info())
    }

    /// The last so many bytes of the main log.
    pub(crate) fn end_of_log(&self, bytes: usize) -> Result<String, Error> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.runtime.wait(self.client.read_log(-bytes, 0))
    }

    /// supervisord's own process as it is known here, also where it lives in a container; `None` behind a port of the
    /// network.
    pub(crate) fn peer(&self) -> Option<u32> {
        let address = self.client.endpoint().to_string();
        let stream = tokio::net::UnixStream::connect(address.strip_prefix("unix://")?);
        let stream = self.runtime.wait(stream).ok()?;
        u32::try_from(stream.peer_cred().ok()?.pid()?).ok()
    }

    /// supervisord's own process as it knows it itself.
    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = self.runtime.wait(self.client.pid()).ok()?;
        u32::try_from(pid).ok()
    }
}
