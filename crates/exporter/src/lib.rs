//! What every exporter shares: collectors, families, the text encoder, the HTTP server, flags and logs.
//!
//! An exporter is a list of collectors:
//!
//! ```no_run
//! use exporter::{App, CollectError, Collector, Exporter, Family, Metric, NoArgs, Unit};
//!
//! const APP: App = App { name: "uptime-exporter", about: "How long this machine is up.", port: 9499, version: "1.0.0" };
//! const UPTIME: Metric<0> = Metric::gauge("uptime_seconds", Unit::Seconds, "Since boot, from /proc/uptime.", []);
//!
//! struct Uptime(std::path::PathBuf);
//!
//! impl Collector for Uptime {
//!     fn name(&self) -> &'static str {
//!         "uptime"
//!     }
//!
//!     fn collect(&self) -> Result<Vec<Family>, CollectError> {
//!         let text = exporter::fs::read_text(&self.0)?;
//!         Ok(vec![UPTIME.maybe(text.split(' ').next().and_then(|seconds| seconds.parse().ok()))])
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     exporter::run(&APP, |_: &NoArgs, common| {
//!         Ok(Exporter::new(vec![Box::new(Uptime(common.procfs.join("uptime")))]))
//!     })
//! }
//! ```

mod app;
mod collector;
mod counter;
mod encode;
mod family;
pub mod fs;
mod health;
mod instruments;
pub mod log;
mod metric;
mod name;
mod process;
mod sampler;
mod scrape;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod units;
mod web;

pub use app::{App, Common, Exporter, NoArgs, run};
pub use collector::{CollectError, Collector};
pub use counter::{Advance, WrappingCounter};
pub use encode::{CONTENT_TYPE, encode};
pub use family::{Family, Kind, LabelValues, Labels};
pub use instruments::{Counter, CounterVec, Histogram, HistogramVec, InstrumentError, Instruments};
pub use metric::{Metric, Unit};
pub use name::NameError;
pub use sampler::Sampler;
