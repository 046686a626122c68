//! Groups on their way to the receiver, while jobs go on pushing and deleting.

use std::sync::Barrier;

use exporter::{Family, Instruments};

use super::store::Labels;
use super::*;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::tally::Tally;

/// A receiver that holds the first page up until the test says more, and notes what comes in which order.
struct Slow {
    steps: Barrier,
    log: Mutex<Vec<String>>,
}

impl Slow {
    fn note(&self, what: &str, source: &Source) -> usize {
        let job = source.labels.iter().find(|(name, _)| name == "job");
        let mut log = self.log.lock().expect("lock");
        log.push(format!("{what} {}", job.expect("a job").1));
        log.len()
    }
}

impl Delivery for Slow {
    fn page(&self, source: &Source, _: Page) -> bool {
        if self.note("page", source) == 1 {
            self.steps.wait();
            self.steps.wait();
        }
        true
    }

    fn end(&self, source: &Source) {
        self.note("end", source);
    }

    fn epoch(&self) -> Option<u64> {
        Some(0)
    }

    fn families(&self) -> Vec<Family> {
        Vec::new()
    }

    fn stop(&self, _: Instant) {}
}

fn labels(job: &str) -> Labels {
    vec![("job".to_owned(), job.to_owned())]
}

#[test]
fn a_group_that_is_deleted_during_a_round_does_not_come_after_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let slow = Arc::new(Slow {
        steps: Barrier::new(2),
        log: Mutex::default(),
    });
    let delivery: Arc<dyn Delivery> = Arc::clone(&slow) as Arc<dyn Delivery>;
    let jobs = Arc::new(Jobs {
        store: Store::open(folder.path()).expect("open"),
        machine: "pc".to_owned(),
        context: Context {
            clock: Arc::new(Clock::new()),
            delivery,
            tally: Tally::new(&Instruments::new()).expect("counts"),
            board: None,
        },
        round: Mutex::new(Round {
            epoch: 0,
            next: Instant::now(),
        }),
        at_receiver: Mutex::default(),
    });
    for job in ["a", "b"] {
        jobs.store
            .push(labels(job), push::Blocks::new(), true, 1.0)
            .expect("pushed");
    }
    let round = std::thread::spawn({
        let jobs = Arc::clone(&jobs);
        move || jobs.bring()
    });
    slow.steps.wait();
    let deletion = std::thread::spawn({
        let jobs = Arc::clone(&jobs);
        move || jobs.delete(&labels("b"))
    });
    // Only to let it come as far as it comes; it has to be right either way.
    std::thread::sleep(Duration::from_millis(50));
    slow.steps.wait();
    round.join().expect("no panic");
    deletion.join().expect("no panic").expect("deleted");
    let log = slow.log.lock().expect("lock");
    assert_eq!(log.last().map(String::as_str), Some("end b"), "{log:?}");
}
