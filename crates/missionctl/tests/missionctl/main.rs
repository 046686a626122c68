//! `missionctl` as its users run it: bad inventories, rendered files, and the real stack from `up` to `down`.

mod alerts;
mod bridge;
#[cfg(feature = "engine-tests")]
mod containers;
mod demo;
mod devices;
mod disk;
mod examples;
mod exporters;
mod grafana;
mod incidents;
mod inventory;
mod lab;
mod logging;
mod longterm;
mod postgres;
mod probes;
mod receiver;
mod recovery;
mod render;
mod tools;
mod training;
mod up;
