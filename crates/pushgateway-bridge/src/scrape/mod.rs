//! Scrapes targets on this host, each on its own timer, as Prometheus would.
//!
//! Reads their pages over HTTP; yields their series with the labels `job`, `instance` and `machine`, and `up`,
//! `scrape_duration_seconds` and `scrape_samples_scraped` for each target, the last three whatever happened.

pub(crate) mod families;
mod labels;
pub(crate) mod page;
mod series;
mod target;
mod watch;

pub(crate) use labels::is_label_name;
pub(crate) use page::Format;
pub(crate) use series::{Clash, Identity};
pub(crate) use target::Target;
pub(crate) use watch::{Context, Schedule, Watch};

#[cfg(test)]
mod tests;
