//! CPU time of a process tree as a counter that never goes backwards.
//!
//! The kernel adds the time of a child to its parent's `cutime` and `cstime` when the parent reaps it, so
//! a time that was already counted at the child comes back at the parent. What was counted at a child
//! that vanished is therefore taken off what its nearest surviving ancestor gained by reaping.

use std::collections::HashMap;

/// A process, safe against reuse of its number: pid and start time in clock ticks since boot.
pub(crate) type Identity = (u32, u64);

/// One process of a tree, in clock ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) parent: Option<Identity>,
    /// `utime` and `stime`.
    pub(crate) own: u64,
    /// `cutime` and `cstime`.
    pub(crate) reaped: u64,
}

/// The time that a worker's processes took, since the oldest of them started that was seen first.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuClock {
    ticks: u64,
    seen: HashMap<Identity, Times>,
}

impl CpuClock {
    /// Enters the tree as it is now; `lives` tells whether a process that left the tree still exists.
    pub(crate) fn advance(&mut self, tree: HashMap<Identity, Times>, lives: impl Fn(Identity) -> bool) {
        let mut counted: HashMap<Identity, u64> = HashMap::new();
        for (identity, times) in &self.seen {
            if tree.contains_key(identity) || lives(*identity) {
                continue;
            }
            let mut ancestor = times.parent;
            while let Some(candidate) = ancestor.filter(|candidate| !tree.contains_key(candidate)) {
                ancestor = self.seen.get(&candidate).and_then(|times| times.parent);
            }
            if let Some(ancestor) = ancestor {
                *counted.entry(ancestor).or_default() += times.own + times.reaped;
            }
        }
        for (identity, times) in &tree {
            let before = self.seen.get(identity);
            let own = times.own.saturating_sub(before.map_or(0, |times| times.own));
            let reaped = times
                .reaped
                .saturating_sub(before.map_or(0, |times| times.reaped));
            self.ticks += own + reaped.saturating_sub(counted.get(identity).copied().unwrap_or(0));
        }
        self.seen = tree;
    }

    pub(crate) fn ticks(&self) -> u64 {
        self.ticks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity(pid: u32) -> Identity {
        (pid, u64::from(pid) * 10)
    }

    fn tree(processes: &[(u32, u32, u64, u64)]) -> HashMap<Identity, Times> {
        let times = |&(pid, parent, own, reaped): &(u32, u32, u64, u64)| {
            let parent = (parent != 0).then(|| identity(parent));
            (identity(pid), Times { parent, own, reaped })
        };
        processes.iter().map(times).collect()
    }

    fn ticks(steps: &[&[(u32, u32, u64, u64)]]) -> u64 {
        let mut clock = CpuClock::default();
        for step in steps {
            clock.advance(tree(step), |_| false);
        }
        clock.ticks()
    }

    #[test]
    fn a_reaped_child_is_counted_once() {
        // The child had 50, took 5 more unseen, and was reaped.
        assert_eq!(ticks(&[&[(1, 0, 10, 0), (2, 1, 50, 0)], &[(1, 0, 11, 55)]]), 66);
    }

    #[test]
    fn a_child_that_nobody_saw_is_counted_when_it_is_reaped() {
        assert_eq!(ticks(&[&[(1, 0, 10, 0)], &[(1, 0, 10, 30)]]), 40);
    }

    #[test]
    fn a_grandchild_is_credited_to_the_survivor() {
        let before: &[_] = &[(1, 0, 1, 0), (2, 1, 20, 0), (3, 2, 300, 0)];
        assert_eq!(ticks(&[before, &[(1, 0, 1, 325)]]), 326);
    }

    #[test]
    fn a_child_that_is_never_reaped_is_kept() {
        // With SIGCHLD ignored the kernel drops a child's time.
        assert_eq!(ticks(&[&[(1, 0, 10, 0), (2, 1, 50, 0)], &[(1, 0, 12, 0)]]), 62);
    }

    #[test]
    fn a_child_that_left_the_tree_takes_nothing_off() {
        let mut clock = CpuClock::default();
        clock.advance(tree(&[(1, 0, 10, 0), (2, 1, 50, 0)]), |_| false);
        clock.advance(tree(&[(1, 0, 10, 7)]), |gone| gone == identity(2));
        assert_eq!(clock.ticks(), 67);
    }

    #[test]
    fn a_new_process_goes_on_from_the_total() {
        assert_eq!(ticks(&[&[(1, 0, 100, 0)], &[], &[(5, 0, 3, 0)]]), 103);
    }

    proptest! {
        /// A shell that runs children one after the other, sampled at random moments: the counter never
        /// exceeds the truth and misses nothing once all is reaped.
        #[test]
        fn never_backwards_and_exact_in_the_end(
            children in prop::collection::vec((1..50u64, 0..50u64, any::<bool>()), 1..20),
        ) {
            let mut clock = CpuClock::default();
            let (mut reaped, mut last) = (0, 0);
            for (pid, (seen, unseen, sampled)) in (2..).zip(children) {
                if sampled {
                    clock.advance(tree(&[(1, 0, 5, reaped), (pid, 1, seen, 0)]), |_| false);
                    prop_assert!(clock.ticks() >= last);
                    prop_assert_eq!(clock.ticks(), 5 + reaped + seen);
                    last = clock.ticks();
                }
                reaped += seen + unseen;
            }
            clock.advance(tree(&[(1, 0, 5, reaped)]), |_| false);
            prop_assert_eq!(clock.ticks(), 5 + reaped);
        }
    }
}
