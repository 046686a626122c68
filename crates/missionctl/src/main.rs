//! `missionctl`: the one command of Mission Control.

mod alerts;
mod backend;
mod canary;
mod cli;
mod commands;
mod demo;
mod docker;
mod exit;
mod http;
mod init;
mod inventory;
mod logs;
mod metrics;
mod native;
mod outcome;
mod ports;
mod preflight;
mod process;
mod progress;
mod project;
mod prometheus;
mod reload;
mod render;
mod scrapes;
mod service;
mod state;
mod status;
mod table;
mod text;
mod tools;
mod validate;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    commands::main(&cli::Cli::parse()).into()
}
