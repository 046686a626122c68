//! NVML from one initialization to the next: a thread for each GPU, since a call that hangs cannot be cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::attendant::{Answer, Attendant};
use crate::driver::{Driver, Fault, Place, Reason};
use crate::known::Found;
use crate::reading::Reading;

/// As many threads may be left behind in calls that hang; then none is started any more.
const MOST_LEFT_BEHIND: usize = 64;

type Read = Result<Reading, Fault>;

/// What was found, and where.
type Finds = Vec<(Place, Found)>;

/// Counts the threads of all sessions, those that nobody waits for any more among them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads(Arc<()>);

impl Threads {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// The initialized library and who asks it. Dropping it unloads the library, unless a call hangs.
pub(crate) struct Session {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) opened: Instant,
    timeout: Duration,
    attendants: BTreeMap<Place, Attendant<Read>>,
    threads: Threads,
    /// Every thread has the one and drops it at its end, which the other then tells.
    alive: Option<Sender<()>>,
    ended: Receiver<()>,
}

impl Session {
    /// The timeout is what each GPU has for an answer.
    pub(crate) fn new(driver: Arc<dyn Driver>, threads: &Threads, timeout: Duration) -> Self {
        let (alive, ended) = channel();
        Self {
            driver,
            opened: Instant::now(),
            timeout,
            attendants: BTreeMap::new(),
            threads: threads.clone(),
            alive: Some(alive),
            ended,
        }
    }

    /// Asks all GPUs at the same time: one that hangs costs its own values only. Also returns answers to the questions
    /// before, which come too late to be shown.
    pub(crate) fn ask(&mut self, places: Vec<Place>) -> (Finds, Finds) {
        self.attendants.retain(|place, _| places.contains(place));
        let (mut late, mut asked) = (Vec::new(), Vec::new());
        for place in places {
            let question = self.attendant(&place).map(Attendant::ask);
            let question =
                question.map(|answer| late.extend(answer.map(|read| (place.clone(), found(read)))));
            asked.push((place, question));
        }
        let deadline = Instant::now() + self.timeout;
        let answers = asked.into_iter().map(|(place, question)| {
            let found = match question {
                Ok(()) => self.answer(&place, deadline),
                Err(error) => silent(format!("cannot be asked: {error}")),
            };
            (place, found)
        });
        let answers = answers.collect();
        (late, answers)
    }

    /// Whether a call hangs. Until it returns the library stays as it is: no other session initializes it anew.
    pub(crate) fn is_stuck(&self) -> bool {
        self.attendants.values().any(Attendant::is_busy)
    }

    fn attendant(&mut self, place: &Place) -> std::io::Result<&mut Attendant<Read>> {
        if !self.attendants.contains_key(place) {
            let attendant = self.attend(place)?;
            self.attendants.insert(place.clone(), attendant);
        }
        let missing = || std::io::Error::other("it has no thread");
        self.attendants.get_mut(place).ok_or_else(missing)
    }

    fn attend(&self, place: &Place) -> std::io::Result<Attendant<Read>> {
        // All but this session's: earlier ones ended without them. The session itself counts as one.
        let left_behind = self.threads.count().saturating_sub(1 + self.attendants.len());
        if left_behind >= MOST_LEFT_BEHIND {
            let detail = format!("{left_behind} calls into the driver hang already; restart this exporter");
            return Err(std::io::Error::other(detail));
        }
        let (driver, place) = (Arc::clone(&self.driver), place.clone());
        let (threads, alive) = (self.threads.clone(), self.alive.clone());
        Attendant::start("gpu", move |questions| {
            let mut gpu = driver.gpu(&place);
            questions.answer_with(|| gpu.read());
            drop(gpu);
            // The library goes first: who waits for the end of this thread waits for that.
            drop(driver);
            drop((threads, alive));
        })
    }

    fn answer(&mut self, place: &Place, deadline: Instant) -> Found {
        let Some(attendant) = self.attendants.get_mut(place) else {
            return silent("it has no thread".into());
        };
        match attendant.answer(deadline) {
            Answer::InTime(read) => found(read),
            Answer::Late => silent(format!(
                "no answer within {:?}; a call into the driver hangs",
                self.timeout
            )),
            Answer::Never => {
                self.attendants.remove(place);
                silent("its thread ended; the next look begins a new one".into())
            }
        }
    }
}

impl Drop for Session {
    /// Waits for the threads, since a library that is still in use would not be loaded anew. Where a call hangs it stays
    /// in use, and the look has already waited: such threads are left behind.
    fn drop(&mut self) {
        let is_stuck = self.is_stuck();
        self.attendants.clear();
        self.alive = None;
        if !is_stuck {
            // It never tells anything but that all are gone.
            let _ = self.ended.recv_timeout(self.timeout);
        }
    }
}

fn found(read: Read) -> Found {
    match read {
        Ok(reading) => Found::Awake(reading.into()),
        Err(fault) => Found::Silent(fault),
    }
}

fn silent(detail: String) -> Found {
    Found::Silent(Fault::new(Reason::Timeout, detail))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::driver::Gpu;

    /// A driver whose calls never return while the other end of the channel is there.
    struct Stuck(Mutex<Receiver<()>>);

    impl Driver for Stuck {
        fn count(&self) -> Result<u32, Fault> {
            Ok(1)
        }

        fn gpu<'a>(&'a self, _: &Place) -> Box<dyn Gpu + 'a> {
            Box::new(self)
        }
    }

    impl Gpu for &Stuck {
        fn read(&mut self) -> Read {
            let _ = self.0.lock().expect("the only reader").recv();
            Err(Fault::new(Reason::Failed, "released"))
        }
    }

    #[test]
    fn who_hangs_was_waited_for_once_and_not_again_at_the_end() {
        let (release, held) = channel();
        let threads = Threads::default();
        let driver = Arc::new(Stuck(Mutex::new(held)));
        let mut session = Session::new(driver, &threads, Duration::from_millis(10));
        assert!(!session.is_stuck());
        session.ask(vec![Place::Index(0)]);
        assert!(session.is_stuck());
        // Whoever waited would wait for this long.
        session.timeout = Duration::from_secs(90);
        let start = Instant::now();
        drop(session);
        assert!(start.elapsed() < Duration::from_secs(90), "it waited");
        assert!(threads.count() > 0, "the call still hangs");
        drop(release);
    }
}
