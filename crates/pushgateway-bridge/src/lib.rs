//! Brings the metrics of a host that Prometheus cannot reach to a Pushgateway or by remote write.

mod board;
mod bridge;
pub mod clock;
mod config;
mod delivery;
pub mod http;
mod intake;
mod pushgateway;
pub mod remote_write;
pub mod sample;
mod scrape;
pub mod spool;
pub mod tally;
mod written;

use std::process::{ExitCode, exit};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use exporter::App;
use tokio::signal::unix::{SignalKind, signal};

use self::bridge::Bridge;
use self::config::Flags;

const APP: App = App {
    name: "pushgateway-bridge",
    about: "Brings the metrics of a host that Prometheus cannot reach to a Pushgateway or by remote write.",
    port: 9407,
    version: env!("CARGO_PKG_VERSION"),
};

/// From the signal to the program's end, with half a second to spare of what is promised.
const TIME_TO_STOP: Duration = Duration::from_millis(4500);

/// The whole life of the program.
pub fn run() -> ExitCode {
    let running: OnceLock<Arc<Bridge>> = OnceLock::new();
    let code = exporter::run(&APP, |flags: &Flags, common| {
        let settings = config::read(common)?;
        if flags.check {
            // Nothing was begun yet that would have to be ended.
            exit(0);
        }
        let bridge = Bridge::start(flags, common, settings)?;
        tokio::spawn(stop_when_told(Arc::clone(&bridge))?);
        Ok(running.get_or_init(|| bridge).exporter(common))
    });
    if let Some(bridge) = running.get() {
        bridge.stop(Instant::now() + TIME_TO_STOP);
    }
    code
}

/// The last things are brought away while the server finishes its requests: together there is not more time.
fn stop_when_told(bridge: Arc<Bridge>) -> anyhow::Result<impl Future<Output = ()> + Send> {
    let listen = |kind| signal(kind).context("listen for signals");
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let deadline = Instant::now() + TIME_TO_STOP;
        // A thread of its own, since the runtime may end before it.
        std::thread::spawn(move || bridge.stop(deadline));
    })
}
