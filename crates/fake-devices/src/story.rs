//! What happens to the boards of the demo: one thing after another, in a round of ten minutes.

use std::time::Duration;

use crate::Bench;
use crate::fault::{Fault, Reset};

/// One round.
const ROUND: Duration = Duration::from_mins(10);

/// What happens when, in seconds from the beginning of a round, to which board (counted around).
const EVENTS: [(u64, usize, Happening); 12] = [
    (30, 0, Happening::Fault(Fault::Reset(Reset::Watchdog))),
    (60, 1, Happening::Fault(Fault::Noise(300))),
    // Longer than it takes until somebody is told.
    (90, 2, Happening::Unplug),
    (150, 2, Happening::Replug),
    (180, 0, Happening::Fault(Fault::Panic)),
    (210, 1, Happening::Fault(Fault::Session)),
    (225, 1, Happening::Fault(Fault::Session)),
    (240, 1, Happening::Fault(Fault::Session)),
    (255, 1, Happening::Fault(Fault::Session)),
    (300, 0, Happening::Fault(Fault::Heat(62.0))),
    (450, 0, Happening::Fault(Fault::Heat(0.0))),
    (480, 1, Happening::Fault(Fault::Lost(7))),
];

#[derive(Clone, Copy, Debug)]
enum Happening {
    Fault(Fault),
    Unplug,
    Replug,
}

/// How far the story has come.
#[derive(Debug, Default)]
pub struct Story {
    told: Duration,
    /// How often a board was plugged in again: its port has another name each time.
    replugs: u32,
}

impl Story {
    /// Lets happen what is due until `now`, counted from the beginning; says what it was.
    pub fn advance(&mut self, bench: &Bench, now: Duration) -> Vec<String> {
        let mut log = Vec::new();
        while self.told < now {
            let until = now.min(self.told + Duration::from_secs(1));
            let (from, to) = (
                self.told.as_secs() % ROUND.as_secs(),
                until.as_secs() % ROUND.as_secs(),
            );
            self.told = until;
            if from == to {
                continue;
            }
            for (_, board, happening) in EVENTS.iter().filter(|(second, ..)| *second == to) {
                log.extend(self.happen(bench, *board, *happening));
            }
        }
        log
    }

    fn happen(&mut self, bench: &Bench, board: usize, happening: Happening) -> Option<String> {
        let mut board = bench.board(board.checked_rem(bench.len())?)?;
        let what = match happening {
            Happening::Fault(fault) => {
                board.fail(fault);
                format!("{fault:?}")
            }
            Happening::Unplug => {
                board.unplug();
                "unplugged".into()
            }
            Happening::Replug => {
                self.replugs += 1;
                let name = format!("{}-port{}", board.port_name(), self.replugs);
                match board.replug(&name) {
                    Ok(()) => format!("plugged in as {name}"),
                    Err(error) => format!("{error:#}"),
                }
            }
        };
        Some(format!("{}: {what}", board.id()))
    }
}
