//! All parts of the machine, kept going.

use std::convert::Infallible;
use std::fs::{self, File, TryLockError};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow, bail};

use crate::brain::Brain;
use crate::business::Business;
use crate::devices::Devices;
use crate::gpus::Gpus;
use crate::laptop::Laptop;
use crate::queue::Queue;
use crate::story::{Moment, Scene};
use crate::training::Training;
use crate::usage::Usage;

/// rapl-exporter takes a sample each second. Counters that move much more often show it no jump and no standstill,
/// wherever in between it looks.
const STEP: Duration = Duration::from_millis(200);
/// What was held up for longer goes on as if it had stood still.
const LONGEST_STEP: Duration = Duration::from_secs(10);
/// A part that failed is well again when it has not failed for so long: some of its steps write nothing.
const CONVALESCENCE: Duration = Duration::from_mins(1);

/// Something of the machine that moves.
pub(crate) trait Part: Sized {
    /// What it is called where its troubles are told.
    const NAME: &'static str;
    /// How often it moves at most.
    const EVERY: Duration;

    /// As it is in the folder, or new.
    fn resume(folder: &Path) -> anyhow::Result<Self>;

    /// Lets time pass.
    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()>;
}

/// The made-up machine of a folder, which is nobody else's as long as this lives.
pub struct Machine {
    told: Duration,
    parts: Vec<Box<dyn Keep>>,
    _lock: File,
}

impl Machine {
    /// The machine of the folder, just switched on; its counters go on from where they were.
    pub fn resume(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let lock = File::open(folder).with_context(|| format!("open {}", folder.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another demo-machine runs in {}", folder.display()),
            Err(TryLockError::Error(error)) => {
                return Err(anyhow!(error).context(format!("lock {}", folder.display())));
            }
        }
        Ok(Self {
            told: Duration::ZERO,
            parts: vec![
                kept::<Laptop>(folder),
                kept::<Gpus>(folder),
                kept::<Brain>(folder),
                kept::<Usage>(folder),
                kept::<Queue>(folder),
                kept::<Business>(folder),
                kept::<Training>(folder),
                kept::<Devices>(folder),
            ],
            _lock: lock,
        })
    }

    /// Lets time pass, at the end of which the clock shows `now`. Returns what there is to tell: a part that cannot be
    /// written is told once, and again when it goes on.
    pub fn advance(&mut self, elapsed: Duration, now: SystemTime) -> Vec<String> {
        let elapsed = elapsed.min(LONGEST_STEP);
        self.told += elapsed;
        let moment = Moment {
            scene: Scene::at(self.told),
            elapsed,
            now,
        };
        self.parts
            .iter_mut()
            .filter_map(|part| part.advance(&moment))
            .collect()
    }
}

/// Keeps the machine of the folder going until the process is stopped.
pub fn run(folder: &Path) -> anyhow::Result<Infallible> {
    let mut machine = Machine::resume(folder)?;
    println!("a made-up machine runs in {}", folder.display());
    let mut last = Instant::now();
    let mut next = last;
    loop {
        let now = Instant::now();
        for news in machine.advance(now - last, SystemTime::now()) {
            eprintln!("demo-machine: {news}");
        }
        last = now;
        next = (next + STEP).max(now);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

trait Keep {
    fn advance(&mut self, moment: &Moment) -> Option<String>;
}

/// A part that outlives its errors.
struct Kept<P> {
    folder: PathBuf,
    waited: Duration,
    /// `None` at first and after an error: what is in the folder counts.
    part: Option<P>,
    /// How long ago it failed, until it is well again.
    failed: Option<Duration>,
}

fn kept<P: Part + 'static>(folder: &Path) -> Box<dyn Keep> {
    Box::new(Kept::<P> {
        folder: folder.into(),
        waited: P::EVERY,
        part: None,
        failed: None,
    })
}

impl<P: Part> Kept<P> {
    fn step(&mut self, moment: &Moment) -> anyhow::Result<()> {
        let mut part = match self.part.take() {
            Some(part) => part,
            None => P::resume(&self.folder)?,
        };
        part.advance(moment)?;
        self.part = Some(part);
        Ok(())
    }
}

impl<P: Part> Keep for Kept<P> {
    fn advance(&mut self, moment: &Moment) -> Option<String> {
        self.waited += moment.elapsed;
        if self.waited < P::EVERY {
            return None;
        }
        let moment = Moment {
            elapsed: mem::take(&mut self.waited),
            ..*moment
        };
        match (self.step(&moment), self.failed) {
            (Err(error), before) => {
                self.failed = Some(Duration::ZERO);
                let news = || format!("{} stand still: {error:#}; trying again", P::NAME);
                before.is_none().then(news)
            }
            (Ok(()), None) => None,
            (Ok(()), Some(ago)) => {
                self.failed = Some(ago + moment.elapsed).filter(|ago| *ago < CONVALESCENCE);
                let news = || format!("{} move again", P::NAME);
                self.failed.is_none().then(news)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Fails while a file is there.
    struct Fragile(PathBuf);

    impl Part for Fragile {
        const NAME: &'static str = "fragile things";
        const EVERY: Duration = Duration::from_secs(1);

        fn resume(folder: &Path) -> anyhow::Result<Self> {
            Ok(Self(folder.join("broken")))
        }

        fn advance(&mut self, _: &Moment) -> anyhow::Result<()> {
            anyhow::ensure!(!self.0.exists(), "no space");
            Ok(())
        }
    }

    #[test]
    fn trouble_is_told_once_and_ends_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut part = kept::<Fragile>(folder.path());
        let mut news = || {
            let moment = Moment {
                scene: Scene::at(Duration::ZERO),
                elapsed: Fragile::EVERY,
                now: UNIX_EPOCH,
            };
            part.advance(&moment)
        };
        assert_eq!(news(), None);
        fs::write(folder.path().join("broken"), "").expect("write");
        let told = news().expect("the trouble");
        assert_eq!(told, "fragile things stand still: no space; trying again");
        fs::remove_file(folder.path().join("broken")).expect("remove");
        assert_eq!(news(), None, "it may fail again at once");
        fs::write(folder.path().join("broken"), "").expect("write");
        assert_eq!(news(), None);
        fs::remove_file(folder.path().join("broken")).expect("remove");
        let told: Vec<String> = (0..100).filter_map(|_| news()).collect();
        assert_eq!(told, ["fragile things move again"]);
    }

    #[test]
    fn a_folder_has_one_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = Machine::resume(folder.path()).expect("the first");
        let error = Machine::resume(folder.path()).err().expect("no second");
        assert!(
            error.to_string().contains("another demo-machine runs in"),
            "{error}"
        );
        drop(machine);
        Machine::resume(folder.path()).expect("the next");
    }
}
