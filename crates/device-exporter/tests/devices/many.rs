//! Many devices at once: nothing that they say is lost, and memory has an end.

use std::time::Duration;

use exporter::testing::resident_kib;
use fake_devices::{Board, Chip};

use crate::lab::{Lab, eventually};

const BOARDS: u64 = 60;
const STEP: Duration = Duration::from_millis(10);
/// Two seconds of the boards' time.
const STEPS: usize = 200;

#[test]
fn no_line_of_many_devices_is_lost() {
    let lab = Lab::new("");
    let chips = [Chip::Esp32, Chip::Stm32, Chip::Riscv];
    let mut boards: Vec<Board> = (1..=BOARDS)
        .zip(chips.into_iter().cycle())
        .map(|(seed, chip)| Board::new(chip, seed).every(STEP))
        .collect();
    for board in &mut boards {
        let name = board.port_name();
        board.plug(&lab.path("ports"), &name).expect("plug in");
    }
    let running = lab.start();
    eventually(&running, "all ports are open", |page| {
        exporter::testing::value(page, "device_ports_open") == Some(BOARDS as f64)
    });
    for _ in 0..STEPS {
        for board in &mut boards {
            board.advance(STEP);
        }
        // A device in the field has its own clock; here the next step waits for the slowest reader.
        while boards.iter().any(|board| board.queued() > 0) {
            std::thread::sleep(Duration::from_millis(1));
            for board in &mut boards {
                board.advance(Duration::ZERO);
            }
        }
    }
    let sent: u64 = boards.iter().map(Board::frames_sent).sum();
    assert!(sent > BOARDS * 100, "{sent} lines");
    let sum = |page: &str, name: &str| -> f64 {
        let lines = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        lines
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    };
    let page = eventually(&running, &format!("{sent} lines"), |page| {
        sum(page, "device_frames_total") >= sent as f64
    });
    assert_eq!(sum(&page, "device_frames_total"), sent as f64);
    assert_eq!(
        sum(&page, "device_frames_lost_total"),
        0.0,
        "by their sequence numbers"
    );
    assert_eq!(sum(&page, "device_frames_rejected_total"), 0.0);
    let devices = page
        .lines()
        .filter(|line| line.starts_with("device_connection_status{"))
        .count();
    assert_eq!(devices, usize::try_from(BOARDS).expect("a few"), "{page}");
    assert!(
        resident_kib(running.pid()) < 40 * 1024,
        "{} KiB",
        resident_kib(running.pid())
    );
}
