//! The client of one supervisord, for plain threads.

use std::time::Duration;

use supervisor::{Client, Endpoint, Error, ProcessInfo};
use tokio::runtime::{Builder, Runtime};

/// How long supervisord may take for an answer. It needs a second or two for a thousand processes; more
/// than this would not fit into the usual scrape's ten seconds.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A client with a runtime of its own, so that a look does not depend on the program's.
pub(crate) struct Link {
    client: Client,
    runtime: Option<Runtime>,
}

impl Link {
    pub(crate) fn new(endpoint: Endpoint) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            client: Client::new(endpoint).with_timeout(TIMEOUT),
            runtime: Some(runtime),
        })
    }

    pub(crate) fn processes(&self) -> Result<Vec<ProcessInfo>, Error> {
        self.runtime().block_on(self.client.all_process_info())
    }

    /// The last so many bytes of the main log.
    pub(crate) fn end_of_log(&self, bytes: usize) -> Result<String, Error> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.runtime().block_on(self.client.read_log(-bytes, 0))
    }

    /// supervisord's own process.
    pub(crate) fn pid(&self) -> Option<u32> {
        let pid = self.runtime().block_on(self.client.pid()).ok()?;
        u32::try_from(pid).ok()
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("there until dropped")
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A plain drop may not happen on the program's own runtime, where an exporter ends.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
