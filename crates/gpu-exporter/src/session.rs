//! NVML from one initialization to the next: a thread for each GPU, since a call that hangs cannot be cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::attendant::{Answer, Attendant};
use crate::driver::{Driver, Fault, Place, Reason};
use crate::known::Found;
use crate::reading::Reading;

/// More threads than this are never kept waiting for a driver that does not answer.
const MOST_THREADS: usize = 64;

type Read = Result<Reading, Fault>;

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
    pub(crate) fn ask(&mut self, places: Vec<Place>) -> (Vec<Reading>, Vec<(Place, Found)>) {
        self.attendants.retain(|place, _| places.contains(place));
        let (mut late, mut asked) = (Vec::new(), Vec::new());
        for place in places {
            let question = self.attendant(&place).map(Attendant::ask);
            asked.push((
                place,
                question.map(|answer| late.extend(answer.and_then(Result::ok))),
            ));
        }
        let deadline = Instant::now() + self.timeout;
        let found = asked.into_iter().map(|(place, question)| {
            let found = match question {
                Ok(()) => self.answer(&place, deadline),
                Err(error) => silent(format!("cannot be asked: {error}")),
            };
            (place, found)
        });
        let found = found.collect();
        (late, found)
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
        if self.threads.count() >= MOST_THREADS {
            let detail = format!("{MOST_THREADS} calls into the driver hang already; restart this exporter");
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
            Answer::InTime(Ok(reading)) => Found::Awake(reading.into()),
            Answer::InTime(Err(fault)) => Found::Silent(fault),
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
    /// Waits for the threads, since a library that is still in use would not be loaded anew.
    fn drop(&mut self) {
        self.attendants.clear();
        self.alive = None;
        // It never tells anything but that all are gone. One that hangs is left behind.
        let _ = self.ended.recv_timeout(self.timeout);
    }
}

fn silent(detail: String) -> Found {
    Found::Silent(Fault::new(Reason::Timeout, detail))
}
