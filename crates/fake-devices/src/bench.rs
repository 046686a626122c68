//! Many boards in real time, on one thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Board;

/// The longest sleep: how long a command to a board may wait for its answer.
const TICK: Duration = Duration::from_millis(10);

/// Boards that live in real time until it is dropped.
#[derive(Debug)]
pub struct Bench {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    boards: Vec<Mutex<Board>>,
    stopped: Mutex<bool>,
}

impl Bench {
    /// Starts their clock.
    pub fn start(boards: Vec<Board>) -> Self {
        let boards = boards.into_iter().map(Mutex::new).collect();
        let shared = Arc::new(Shared {
            boards,
            stopped: Mutex::new(false),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// How many boards there are.
    pub fn len(&self) -> usize {
        self.shared.boards.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.shared.boards.is_empty()
    }

    /// One of the boards; its clock stands still for as long as it is held. None beyond the last.
    pub fn board(&self, index: usize) -> Option<MutexGuard<'_, Board>> {
        self.shared.boards.get(index).map(lock)
    }

    /// All of them, one after another.
    pub fn boards(&self) -> impl Iterator<Item = MutexGuard<'_, Board>> {
        self.shared.boards.iter().map(lock)
    }
}

impl Shared {
    fn run(&self) {
        let mut last = Instant::now();
        while !*lock(&self.stopped) {
            let now = Instant::now();
            let passed = now - last;
            last = now;
            for board in &self.boards {
                lock(board).advance(passed);
            }
            thread::sleep(TICK);
        }
    }
}

/// A test that failed while it held a board does not stop the others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Bench {
    fn drop(&mut self) {
        *lock(&self.shared.stopped) = true;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
