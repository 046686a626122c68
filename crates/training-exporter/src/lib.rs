//! Prometheus exporter for training runs, their quality and the canary set.
//!
//! The program is [`run`]; [`canary`] is also for `missionctl`, which shows the canary set and accepts its baseline.

pub mod canary;
mod cet;
mod clock;
mod config;
mod errors;
mod follow;
mod histogram;
mod json;
mod ledger;
mod orchestra;
mod program;
mod runs;
mod storage;

pub use program::run;
