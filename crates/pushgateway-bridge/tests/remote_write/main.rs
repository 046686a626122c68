//! Remote write against a real Prometheus (`make test` puts it on the PATH) and against receivers that misbehave.

mod clocks;
mod disk;
mod faults;
mod lab;
mod loss;
mod order;
mod prometheus;
mod receiver;
mod target;
mod wire;
