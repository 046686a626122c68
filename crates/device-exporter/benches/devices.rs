//! 500 boards on pseudo-terminals, each sending ten lines a second, and the release build of the exporter: which part of a
//! core it takes, whether it misses a line, and its memory.

use std::path::Path;
use std::time::{Duration, Instant};

use exporter::testing::{Running, cpu_ticks, resident_kib, value};
use fake_devices::{Bench, Board, Chip};

const BOARDS: u32 = 500;
const MEASURED: Duration = Duration::from_secs(20);
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let ports = folder.path().join("ports");
    std::fs::create_dir(&ports).expect("a folder");
    let config = folder.path().join("devices.toml");
    std::fs::write(&config, "[[device]]\nport = \"ports/*\"\n").expect("write");
    let running = start(&config, &folder.path().join("data"));
    let bench = Bench::start(boards(&ports));
    wait("all ports are open", || {
        value(&running.metrics(), "device_ports_open") == Some(f64::from(BOARDS))
    });
    wait("all boards are known", || {
        named(&running.metrics()) == BOARDS as usize
    });

    let (ticks, frames) = (cpu_ticks(running.pid()), received(&running));
    let started = Instant::now();
    while started.elapsed() < MEASURED {
        std::thread::sleep(Duration::from_secs(1));
        running.metrics();
    }
    let seconds = started.elapsed().as_secs_f64();
    let ticks = f64::from(cpu_ticks(running.pid()) - ticks) / TICKS_PER_SECOND;
    let frames = received(&running) - frames;
    let memory = resident_kib(running.pid());

    // The boards' time stands still while they are held.
    let mut boards: Vec<_> = bench.boards().collect();
    wait("all is sent", || {
        for board in &mut boards {
            board.advance(Duration::ZERO);
        }
        boards.iter().all(|board| board.queued() == 0)
    });
    let sent: u64 = boards.iter().map(|board| board.frames_sent()).sum();
    wait("all lines", || received(&running) >= sent as f64);
    let page = running.metrics();
    let (all, lost) = (received(&running), sum(&page, "device_frames_lost_total{"));
    let rejected = sum(&page, "device_frames_rejected_total{");
    println!(
        "{BOARDS} boards, {:.0} lines a second, a scrape a second",
        frames / seconds
    );
    println!(
        "  {:.1} % of a core ({:.1} µs CPU per line)",
        100.0 * ticks / seconds,
        1e6 * ticks / frames
    );
    println!("  {memory} KiB resident");
    println!(
        "  {sent} lines sent, {all} read, {lost} missing by their sequence numbers, {rejected} rejected"
    );
}

fn start(config: &Path, data: &Path) -> Running {
    let config = format!("--config.file={}", config.display());
    let data = format!("--storage.path={}", data.display());
    Running::start(env!("CARGO_BIN_EXE_device-exporter"), &[&config, &data])
}

fn boards(ports: &Path) -> Vec<Board> {
    let chips = [Chip::Esp32, Chip::Stm32, Chip::Riscv];
    let boards = (1..=u64::from(BOARDS)).zip(chips.into_iter().cycle());
    boards
        .map(|(seed, chip)| {
            let mut board = Board::new(chip, seed);
            let name = board.port_name();
            board.plug(ports, &name).expect("plug in");
            board
        })
        .collect()
}

fn named(page: &str) -> usize {
    let lines = page.lines().filter(|line| line.starts_with("device_info{"));
    lines
        .filter(|line| !line.contains("platform=\"unknown\""))
        .count()
}

fn received(running: &Running) -> f64 {
    sum(&running.metrics(), "device_frames_total{")
}

fn sum(page: &str, start: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(start));
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(90), "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
