//! The made-up laptop of `[stack] demo = true`: a sysfs and a procfs in a folder that tell a [`story`] over and over,
//! for rapl-exporter to watch where nobody wants to heat a real one.

mod machine;
mod story;
mod tree;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::machine::Machine;

/// rapl-exporter takes a sample each second. Counters that move much more often show it no jump and no standstill,
/// wherever in between it looks.
const STEP: Duration = Duration::from_millis(200);

/// The laptop's `/sys`.
pub(crate) fn sysfs(folder: &Path) -> PathBuf {
    folder.join("sys")
}

/// The laptop's `/proc`.
pub(crate) fn procfs(folder: &Path) -> PathBuf {
    folder.join("proc")
}

/// Makes the laptop, unless it is there: the counters of one that runs must not go back.
pub(crate) fn prepare(folder: &Path) -> anyhow::Result<()> {
    if tree::is_complete(folder) {
        return Ok(());
    }
    tree::write_fixed(folder)?;
    tree::write_moving(folder, &Machine::resume(folder))
}

/// Keeps the laptop going until the process is stopped.
pub(crate) fn run(folder: &Path) -> anyhow::Result<Infallible> {
    tree::write_fixed(folder)?;
    let mut machine = Machine::resume(folder);
    println!("a made-up laptop runs in {}", folder.display());
    let started = Instant::now();
    let (mut last, mut next) = (started, started);
    loop {
        tree::write_moving(folder, &machine)?;
        next += STEP;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        machine.advance(story::at(now - started), now - last);
        last = now;
    }
}
