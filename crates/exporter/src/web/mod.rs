//! The HTTP server: an accept loop of our own on hyper.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` (or `--web.telemetry-path`) | the page; 503 with `Retry-After` when too many scrapes run |
//! | `/healthz` | 200 while the process works |
//! | `/readyz` | 200 while it takes scrapes, 503 while it shuts down |
//! | `/` | a landing page |
//!
//! GET and HEAD only. No request body is read.

mod answer;
mod connections;
mod server;

pub(crate) use answer::{Site, healthcheck};
pub(crate) use server::{Limits, Server, bind};
