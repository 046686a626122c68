//! Keeps a made-up machine going in a folder.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// A made-up machine for Mission Control's exporters to watch: it idles, runs inference, draws more than its limit and
/// recovers, in a round of 7 minutes, until it is stopped
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Where its files go; it goes on from those that are there
    folder: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match demo_machine::run(&args.folder) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("demo-machine: {error:#}");
            ExitCode::FAILURE
        }
    }
}
