//! When to leave a GPU alone: while it sleeps, and for a while when it could.
//!
//! Most figures can only be read from a GPU that is awake. Asking one that sleeps wakes it; asking an idle one every
//! few seconds keeps it awake for ever. So a GPU that the kernel may suspend is not asked again for a rest after it was
//! found idle, long enough for the kernel and the driver to put it to sleep.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use exporter::fs;

/// No delay that a kernel is told is worth a longer rest.
const LONGEST: Duration = Duration::from_mins(10);

/// The kernel's power management of one device. Its files are the kernel's own: reading them wakes nothing.
/// <https://docs.kernel.org/power/runtime_pm.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sleep {
    /// It may be suspended when idle.
    pub(crate) is_allowed: bool,
    /// It is suspended, or on its way there.
    pub(crate) is_asleep: bool,
    /// How long it is idle before it is suspended, where that is set.
    delay: Option<Duration>,
}

impl Sleep {
    /// Of the device in this folder.
    pub(crate) fn of(device: &Path) -> Self {
        let power = device.join("power");
        let is = |file: &str, words: &[&str]| {
            fs::read_text(&power.join(file)).is_ok_and(|text| words.contains(&text.as_str()))
        };
        // Some drivers leave a wrong status behind when suspending is off.
        if !is("control", &["auto"]) {
            return Self::default();
        }
        let delay = match fs::read_i64(&power.join("autosuspend_delay_ms")).map(u64::try_from) {
            // A negative delay switches it off too.
            Ok(Err(_)) => return Self::default(),
            Ok(Ok(delay)) => Some(Duration::from_millis(delay)),
            Err(_) => None,
        };
        Self {
            is_allowed: true,
            is_asleep: is("runtime_status", &["suspended", "suspending"]),
            delay,
        }
    }
}

/// The GPUs that are left alone for now, by their address.
#[derive(Debug)]
pub(crate) struct Rests {
    /// How long at least; zero for never.
    least: Duration,
    ends: BTreeMap<String, Instant>,
}

impl Rests {
    pub(crate) fn new(least: Duration) -> Self {
        Self {
            least,
            ends: BTreeMap::new(),
        }
    }

    /// Whether this GPU is to be left alone at this moment.
    pub(crate) fn holds(&self, address: &str, now: Instant) -> bool {
        self.ends.get(address).is_some_and(|&end| now < end)
    }

    /// After a look: a GPU that may sleep and has nothing to do rests.
    pub(crate) fn consider(&mut self, address: &str, sleep: Sleep, is_idle: bool, now: Instant) {
        if self.least.is_zero() || !sleep.is_allowed || !is_idle {
            self.end(address);
            return;
        }
        // Twice the kernel's delay, which starts anew with our own look.
        let rest = self.least.max(sleep.delay.unwrap_or_default().saturating_mul(2));
        self.ends.insert(address.to_owned(), now + rest.min(LONGEST));
    }

    /// It is asleep: as soon as somebody wakes it, it may be asked.
    pub(crate) fn end(&mut self, address: &str) {
        self.ends.remove(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn device(files: Files) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("power")).expect("a folder");
        for (file, text) in files {
            std::fs::write(folder.path().join("power").join(file), text).expect("write");
        }
        folder
    }

    #[test]
    fn what_the_kernel_says_of_sleep() {
        let auto = ("control", "auto\n");
        let asleep = ("runtime_status", "suspended\n");
        let cases: [(Files, bool, bool); 6] = [
            (&[auto, asleep], true, true),
            (&[auto, ("runtime_status", "active\n")], true, false),
            (&[("control", "on\n"), asleep], false, false),
            (&[auto, asleep, ("autosuspend_delay_ms", "-1\n")], false, false),
            (&[auto, asleep, ("autosuspend_delay_ms", "5000\n")], true, true),
            (&[], false, false),
        ];
        for (files, is_allowed, is_asleep) in cases {
            let sleep = Sleep::of(device(files).path());
            assert_eq!(
                (sleep.is_allowed, sleep.is_asleep),
                (is_allowed, is_asleep),
                "{files:?}"
            );
        }
    }

    #[test]
    fn an_idle_gpu_that_may_sleep_rests_for_longer_than_the_kernel_waits() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let sleepy = |delay: u64| Sleep {
            is_allowed: true,
            is_asleep: false,
            delay: Some(Duration::from_secs(delay)),
        };
        let mut rests = Rests::new(Duration::from_mins(1));
        assert!(!rests.holds("a", now));
        rests.consider("a", sleepy(5), true, now);
        assert!(rests.holds("a", at(59)) && !rests.holds("a", at(60)) && !rests.holds("b", now));
        rests.consider("a", sleepy(100), true, now);
        assert!(rests.holds("a", at(199)) && !rests.holds("a", at(200)));
        rests.consider("a", sleepy(1 << 40), true, now);
        assert!(!rests.holds("a", at(600)), "not for ever");

        rests.end("a");
        assert!(!rests.holds("a", now));
        rests.consider("a", sleepy(5), false, now);
        assert!(!rests.holds("a", now), "it works");
        rests.consider("a", Sleep::default(), true, now);
        assert!(!rests.holds("a", now), "it may not sleep");
        let mut never = Rests::new(Duration::ZERO);
        never.consider("a", sleepy(5), true, now);
        assert!(!never.holds("a", now), "switched off");
    }
}
