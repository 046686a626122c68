//! A runtime for plain threads, so that a look does not depend on the program's own.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

/// Runs on the thread that waits.
pub(crate) struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self(Some(Builder::new_current_thread().enable_all().build()?)))
    }

    pub(crate) fn wait<T>(&self, calls: impl Future<Output = T>) -> T {
        self.0.as_ref().expect("there until dropped").block_on(calls)
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        // A plain drop may not happen on the program's own runtime, where an exporter ends.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
