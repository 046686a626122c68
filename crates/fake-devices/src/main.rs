//! Keeps simulated boards going in a folder.

use std::process::ExitCode;

use clap::Parser as _;

mod args;

fn main() -> ExitCode {
    match args::run(&args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fake-devices: {error:#}");
            ExitCode::FAILURE
        }
    }
}
