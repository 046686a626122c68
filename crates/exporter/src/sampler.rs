//! A thread that does something at a fixed rate: for sources that must be read more often than they are scraped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::scrape::panic_error;

/// A running sampler. Dropping it ends the thread after the tick that is under way; it is not waited for, since a
/// tick may hang in a read and the program must still end.
#[derive(Debug)]
pub struct Sampler {
    _stop: SyncSender<()>,
}

impl Sampler {
    /// Runs `tick` at once and then every `interval` on a thread called `name`. A tick that takes longer makes the
    /// next ones be skipped, never queue up. A tick that panics is logged, and the next one runs.
    pub fn every(
        name: &str,
        interval: Duration,
        tick: impl FnMut() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let thread_name = name.to_owned();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&thread_name, interval, tick, &stopped))?;
        Ok(Self { _stop: stop })
    }
}

fn run(name: &str, interval: Duration, mut tick: impl FnMut(), stopped: &Receiver<()>) {
    let mut next = Instant::now();
    loop {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(&mut tick)) {
            tracing::error!(sampler = name, error = %panic_error(panic.as_ref()), "a sample was lost");
        }
        let now = Instant::now();
        while next <= now {
            next += interval;
        }
        match stopped.recv_timeout(next - now) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn ticks_go_on_over_a_panic_and_end_with_the_sampler() {
        let (sender, ticks) = mpsc::channel();
        let mut count = 0;
        let sampler = Sampler::every("test", Duration::from_millis(1), move || {
            count += 1;
            assert!(count != 2, "the second tick");
            let _ = sender.send(count);
        })
        .expect("a thread");
        assert_eq!(ticks.recv(), Ok(1));
        assert_eq!(ticks.recv(), Ok(3));
        drop(sampler);
        assert!(
            ticks.iter().last().is_none_or(|last| last >= 3),
            "the channel is closed"
        );
    }
}
