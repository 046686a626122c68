//! The made-up machine, as the real exporters see it.

mod devices;
mod gpu;
mod lab;
mod lancedb;
mod program;
mod rapl;
mod sql;
mod training;
