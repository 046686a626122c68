//! `missionctl` as its users run it: bad inventories, rendered files, and the real stack from `up` to `down`.

mod alerts;
mod demo;
mod disk;
mod grafana;
mod incidents;
mod inventory;
mod lab;
mod receiver;
mod recovery;
mod render;
mod tools;
mod up;
