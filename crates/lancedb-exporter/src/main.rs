//! Prometheus exporter for LanceDB tables, read from their folders without the library and without writing.

mod args;
mod collectors;
mod database;
mod disk;
#[cfg(feature = "engine")]
mod engine;
#[cfg(not(feature = "engine"))]
#[path = "engine_missing.rs"]
mod engine;
mod fragments;
mod history;
mod index;
mod ingestion;
mod listing;
mod manifest;
mod message;
mod page;
mod snapshot;
mod table;

use std::process::ExitCode;

const APP: exporter::App = exporter::App {
    name: "lancedb-exporter",
    about: "Exports rows, ingestion, versions, fragments, index coverage and disk space of LanceDB tables.",
    port: 9404,
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    exporter::run(&APP, collectors::build)
}
