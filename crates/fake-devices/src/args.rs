//! The command line, and the boards it asks for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Parser;
use fake_devices::{Bench, Board, Chip, Protocol, Story};
use tokio::signal::unix::{SignalKind, signal};

/// Simulated embedded devices on pseudo-terminals and TCP: they run sessions, get warm, reset, and are unplugged, until
/// the program is stopped
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Where the ports go, as /dev/serial/by-id has them
    #[arg(long, default_value = "devices")]
    folder: PathBuf,
    /// Boards to plug in: esp32, stm32 or riscv, with a protocol after a colon (json, plotter, influx, esp-idf,
    /// mlperf-tiny), and a number of them after an x, as in "esp32,riscv:plotter,stm32x20"
    #[arg(long, default_value = "esp32,stm32,riscv", value_delimiter = ',')]
    boards: Vec<String>,
    /// One more ESP32 on TCP, as behind ser2net
    #[arg(long, value_name = "ADDRESS")]
    tcp: Option<SocketAddr>,
    /// What the boards say follows from it; also the first board's number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often each board sends its values, per second
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rate: u16,
    /// Let nothing go wrong: no resets, noise, heat, unplugging
    #[arg(long)]
    calm: bool,
}

/// More boards than this are a mistake in the number.
const MOST_BOARDS: usize = 4096;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let bench = Bench::start(boards(args)?);
        let mut story = Story::default();
        let began = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                // Dropping the bench takes the ports away.
                _ = terminated.recv() => return Ok(()),
                _ = interrupted.recv() => return Ok(()),
                _ = ticks.tick() => {}
            }
            if !args.calm {
                for happening in story.advance(&bench, began.elapsed()) {
                    println!("{happening}");
                }
            }
        }
    })
}

fn boards(args: &Args) -> anyhow::Result<Vec<Board>> {
    let every = Duration::from_secs(1) / u32::from(args.rate);
    let mut boards = Vec::new();
    let mut seed = args.seed;
    for wish in &args.boards {
        let (chip, protocol, count) = parse(wish)?;
        for _ in 0..count {
            let mut board = Board::new(chip, seed).speaking(protocol).every(every);
            board.plug(&args.folder, &board.port_name())?;
            println!(
                "{} on {}",
                board.id(),
                args.folder.join(board.port_name()).display()
            );
            boards.push(board);
            seed = seed.wrapping_add(1);
        }
        if boards.len() > MOST_BOARDS {
            bail!("more than {MOST_BOARDS} boards");
        }
    }
    if let Some(address) = args.tcp {
        let mut board = Board::esp32(seed).every(every);
        let address = board.listen(address)?;
        println!("{} on tcp://{address}", board.id());
        boards.push(board);
    }
    Ok(boards)
}

/// A kind of board, what it speaks, and how many of them.
fn parse(wish: &str) -> anyhow::Result<(Chip, Protocol, usize)> {
    let (kind, count) = match wish.rsplit_once('x') {
        Some((kind, count)) if count.bytes().all(|byte| byte.is_ascii_digit()) && !count.is_empty() => (
            kind,
            count
                .parse()
                .ok()
                .filter(|count| (1..=MOST_BOARDS).contains(count))
                .with_context(|| format!("board {wish:?}: {count} is not between 1 and {MOST_BOARDS}"))?,
        ),
        _ => (wish, 1),
    };
    let (chip, protocol) = kind.split_once(':').unwrap_or((kind, Protocol::default().name()));
    let chip = Chip::from_name(chip).with_context(|| {
        format!("board {wish:?}: {chip:?} is no kind of board; write esp32, stm32 or riscv")
    })?;
    let protocol = Protocol::from_name(protocol).with_context(|| {
        format!(
            "board {wish:?}: {protocol:?} is no protocol; write json, plotter, influx, esp-idf or mlperf-tiny"
        )
    })?;
    Ok((chip, protocol, count))
}
