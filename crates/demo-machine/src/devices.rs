//! Boards on pseudo-terminals, in a folder that looks like `/dev/serial/by-id`. They are fake-devices' own, and so is
//! what happens to them: resets, a panic, heat, an unplugged cable.

use std::path::Path;
use std::time::Duration;

use fake_devices::{Bench, Board, Protocol, Story};

use crate::machine::Part;
use crate::story::Moment;

/// How often a board says how it is. Ten times a second, as a real one might, shows nothing more in a dashboard.
const FRAMES: Duration = Duration::from_secs(1);

/// The boards of a folder. They are plugged in as long as this lives.
pub(crate) struct Devices {
    boards: Bench,
    story: Story,
    told: Duration,
}

impl Part for Devices {
    const NAME: &'static str = "embedded devices";
    const EVERY: Duration = Duration::from_secs(1);

    fn resume(folder: &Path) -> anyhow::Result<Self> {
        let ports = crate::devices(folder);
        let mut boards = [
            Board::esp32(1),
            Board::stm32(2),
            Board::riscv(3),
            Board::esp32(4).speaking(Protocol::EspIdf),
        ]
        .map(|board| board.every(FRAMES));
        for board in &mut boards {
            let name = board.port_name();
            board.plug(&ports, &name)?;
        }
        Ok(Self {
            boards: Bench::start(boards.into()),
            story: Story::default(),
            told: Duration::ZERO,
        })
    }

    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        self.told += moment.elapsed;
        self.story.advance(&self.boards, self.told);
        Ok(())
    }
}
