//! What is found in sysfs and seldom changes: zones, sensors and their labels, CPUs. Looking for it opens many files,
//! so it is found once, and again from time to time or when a read says that something is gone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Something that was found.
#[derive(Debug)]
pub(crate) struct Found<T> {
    period: Duration,
    /// What was found last, and when; nothing when the next look has to be a new one.
    last: Mutex<Option<(Instant, Arc<T>)>>,
}

/// Whether something that was found is not there any more.
pub(crate) type IsGone = bool;

impl<T> Found<T> {
    /// Something new may stay unnoticed for this long.
    pub(crate) fn every(period: Duration) -> Self {
        Self {
            period,
            last: Mutex::default(),
        }
    }

    /// What was found last, or finds it.
    pub(crate) fn get(&self, find: impl FnOnce() -> T) -> Arc<T> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, found)) = &*last
            && at.elapsed() < self.period
        {
            return Arc::clone(found);
        }
        let found = Arc::new(find());
        *last = Some((Instant::now(), Arc::clone(&found)));
        found
    }

    /// Makes the next look a new one.
    pub(crate) fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What `read` makes of what was found. When it says that some of that is gone, it gets one more try after a new
    /// look.
    pub(crate) fn read<R>(&self, find: impl Fn() -> T, read: impl Fn(&T) -> (R, IsGone)) -> R {
        let (result, is_gone) = read(&self.get(&find));
        if !is_gone {
            return result;
        }
        self.forget();
        let (result, is_still_gone) = read(&self.get(find));
        if is_still_gone {
            self.forget();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often it was looked for.
    fn looks(found: &Found<u32>, count: &Cell<u32>) -> u32 {
        *found.get(|| {
            count.set(count.get() + 1);
            count.get()
        })
    }

    #[test]
    fn what_was_found_is_kept_until_it_is_old_or_forgotten() {
        let (found, count) = (Found::every(Duration::MAX), Cell::new(0));
        assert_eq!([looks(&found, &count), looks(&found, &count)], [1, 1]);
        found.forget();
        assert_eq!([looks(&found, &count), looks(&found, &count)], [2, 2]);

        let (found, count) = (Found::every(Duration::ZERO), Cell::new(0));
        assert_eq!([looks(&found, &count), looks(&found, &count)], [1, 2]);
    }

    #[test]
    fn what_is_gone_is_looked_for_once_more() {
        let (found, count) = (Found::every(Duration::MAX), Cell::new(0));
        let read = |gone_until: u32| {
            let find = || {
                count.set(count.get() + 1);
                count.get()
            };
            found.read(find, |&look| (look, look < gone_until))
        };
        assert_eq!([read(0), read(0)], [1, 1], "all is there");
        assert_eq!([read(2), read(2)], [2, 2], "gone, and found again");
        assert_eq!(read(9), 3, "gone, and not found again");
        assert_eq!(read(0), 4, "so the next look is a new one");
    }
}
