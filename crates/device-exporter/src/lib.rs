//! Prometheus exporter for embedded devices on serial lines and TCP.
//!
//! [`exporter()`] is the whole program; [`protocol`] reads what devices say, and [`config`] the configuration file.

mod aging;
mod allowance;
mod board;
pub mod config;
mod counts;
mod device;
mod driver;
mod hardware;
mod identity;
mod link;
mod logs;
mod memory;
mod metrics;
mod models;
mod page;
pub mod protocol;
mod scan;
mod serial;
mod session;
mod spans;
mod start;
mod tcp;
mod totals;
mod values;
mod watch;
mod wire;

pub use start::{Flags, exporter};
