//! The real program with runs: those that real trainers wrote, and those that are being written.

mod folders;
mod golden;
mod lab;
mod live;
