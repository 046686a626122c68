//! The real program with the files of trainers and of an LLM orchestra.

mod configuration;
mod documents;
mod golden;
mod lab;
mod metrics;
mod orchestra;
mod restarts;
mod run;
mod trouble;
