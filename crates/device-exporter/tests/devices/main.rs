//! The whole program with real ports.

#![expect(
    clippy::float_cmp,
    reason = "the numbers on the page are the ones that were sent"
)]

mod golden;
mod hotplug;
mod input;
mod lab;
mod many;
mod sessions;
mod tcp;
