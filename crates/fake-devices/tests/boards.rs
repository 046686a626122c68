//! Boards as whoever reads their ports sees them.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fake_devices::{Bench, Board, Chip, Fault, Protocol, Reset};

const TICK: Duration = Duration::from_millis(20);
/// For a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(90);

fn open(port: &Path) -> File {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a small flag");
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nonblocking)
        .open(port)
        .expect("the port opens")
}

/// Reads until as many lines have come as the board has sent.
fn lines(board: &Board, reader: &mut impl Read, text: &mut Vec<u8>) -> Vec<String> {
    let began = Instant::now();
    loop {
        let mut buffer = [0; 4096];
        match reader.read(&mut buffer) {
            Ok(bytes) => text.extend_from_slice(&buffer[..bytes]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        }
        let lines: Vec<&[u8]> = text
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .filter(|line| !line.is_empty())
            .collect();
        if lines.len() as u64 >= board.frames_sent() && board.queued() == 0 {
            return lines
                .into_iter()
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{} lines of {}",
            lines.len(),
            board.frames_sent()
        );
    }
}

/// What a board says over a while.
fn said(mut board: Board, time: Duration, mut during: impl FnMut(u32, &mut Board, &mut File)) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    board.plug(folder.path(), "port").expect("a pseudo-terminal");
    let mut port = open(&folder.path().join("port"));
    let mut text = Vec::new();
    let mut all = Vec::new();
    let mut passed = Duration::ZERO;
    for tick in 0.. {
        if passed >= time {
            break;
        }
        passed += TICK;
        board.advance(TICK);
        during(tick, &mut board, &mut port);
        all = lines(&board, &mut port, &mut text);
    }
    all
}

fn messages(lines: &[String], kind: &str) -> Vec<serde_json::Value> {
    let objects = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    objects.filter(|object| object["type"] == kind).collect()
}

#[test]
fn the_same_seed_says_the_same_and_another_does_not() {
    let time = Duration::from_secs(20);
    let first = said(Board::stm32(7), time, |_, _, _| {});
    assert!(first.len() > 200);
    assert_eq!(first, said(Board::stm32(7), time, |_, _, _| {}));
    assert_ne!(first, said(Board::stm32(8), time, |_, _, _| {}));
}

#[test]
fn a_board_runs_sessions_from_start_to_end() {
    for chip in Chip::ALL {
        let lines = said(Board::new(chip, 3), Duration::from_secs(40), |_, _, _| {});
        assert_eq!(
            messages(&lines, "hello")[0]["id"],
            format!("{}-0003", chip.name())
        );
        let ends = messages(&lines, "session_end");
        assert!(!ends.is_empty());
        assert_eq!(
            ends[0]["session"],
            messages(&lines, "session_start")[0]["session"]
        );
        assert_eq!(ends[0]["ok"], true);
        let tokens: f64 = messages(&lines, "model")
            .iter()
            .map(|model| model["tokens"].as_f64().unwrap())
            .sum();
        assert!(tokens > 20.0, "{tokens}");
        assert!(!messages(&lines, "quality").is_empty());
        let metrics = messages(&lines, "metrics");
        let power = |metrics: &serde_json::Value| metrics["power_mw"].as_f64().unwrap();
        let most = metrics.iter().map(power).fold(0.0, f64::max);
        let least = metrics.iter().map(power).fold(f64::MAX, f64::min);
        assert!(most > 2.0 * least, "inference draws more: {least} to {most}");
        let degrees = |metrics: &serde_json::Value| metrics["temperature"]["die"].as_f64().unwrap();
        assert!(degrees(&metrics[metrics.len() / 2]) > degrees(&metrics[0]));
    }
}

#[test]
fn messages_are_numbered_without_gaps_until_some_are_lost() {
    let lines = said(Board::riscv(1), Duration::from_secs(30), |tick, board, _| {
        if tick == 500 {
            board.fail(Fault::Lost(5));
        }
    });
    let numbers: Vec<i64> = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["seq"].as_i64())
        .collect();
    let gaps: Vec<i64> = numbers
        .windows(2)
        .map(|pair| pair[1] - pair[0] - 1)
        .filter(|gap| *gap != 0)
        .collect();
    assert_eq!(gaps, [5]);
}

#[test]
fn an_unplugged_board_hangs_its_reader_up_and_comes_back_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut board = Board::esp32(1);
    board.plug(folder.path(), "first").unwrap();
    let mut port = open(&folder.path().join("first"));
    board.advance(Duration::from_secs(1));
    let before = board.frames_sent();
    assert!(before > 5);

    board.unplug();
    assert!(!folder.path().join("first").is_symlink());
    // What was sent is read to its end, and then the end of the line: nothing, or an input error.
    let end = loop {
        match port.read(&mut [0; 512]) {
            Ok(1..) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() != ErrorKind::WouldBlock));
    drop(port);
    board.advance(Duration::from_secs(1));
    assert_eq!(board.frames_sent(), before);

    board.replug("second").unwrap();
    let mut port = open(&folder.path().join("second"));
    board.advance(Duration::from_secs(1));
    let mut text = Vec::new();
    let began = Instant::now();
    while !String::from_utf8_lossy(&text).contains("\"id\":\"esp32-0001\"") {
        assert!(began.elapsed() < PATIENCE);
        let mut buffer = [0; 4096];
        let bytes = port.read(&mut buffer).unwrap_or(0);
        text.extend_from_slice(&buffer[..bytes]);
    }
    assert!(board.frames_sent() > before);
}

#[test]
fn what_nobody_reads_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut board = Board::stm32(1);
    board.plug(folder.path(), "port").unwrap();
    board.advance(Duration::from_mins(1));
    assert!(!board.has_reader());
    assert_eq!((board.frames_sent(), board.queued()), (0, 0));
    let mut port = open(&folder.path().join("port"));
    assert!(board.has_reader());
    board.advance(TICK * 5);
    assert!(lines(&board, &mut port, &mut Vec::new())[0].contains("hello"));
    drop(port);
    assert!(!board.has_reader());
}

#[test]
fn an_esp32_prints_its_banner_and_describes_its_crashes() {
    let lines = said(
        Board::esp32(2),
        Duration::from_secs(3),
        |tick, board, _| match tick {
            50 => board.fail(Fault::Panic),
            100 => board.fail(Fault::Reset(Reset::Brownout)),
            _ => {}
        },
    );
    let resets: Vec<&String> = lines.iter().filter(|line| line.starts_with("rst:0x")).collect();
    assert_eq!(resets.len(), 3);
    assert!(resets[0].starts_with("rst:0x1 (POWERON)"));
    assert!(resets[1].starts_with("rst:0xc (RTC_SW_CPU_RST)"));
    assert!(resets[2].starts_with("rst:0xf (BROWNOUT_RST)"));
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("Guru Meditation Error"))
            .count(),
        1
    );
    assert_eq!(messages(&lines, "hello").len(), 3);
}

#[test]
fn every_protocol_looks_like_itself() {
    let of = |protocol| {
        said(
            Board::riscv(4).speaking(protocol),
            Duration::from_secs(2),
            |_, _, _| {},
        )
    };
    assert!(
        of(Protocol::Plotter)
            .iter()
            .all(|line| line.starts_with("cpu:") && line.contains(",temperature_die:"))
    );
    let influx = of(Protocol::Influx);
    assert!(
        influx
            .iter()
            .any(|line| line.starts_with("temperature,location=die value="))
    );
    assert!(
        influx
            .iter()
            .any(|line| line.starts_with("memory,type=sram used="))
    );
    assert!(
        of(Protocol::EspIdf)
            .iter()
            .all(|line| line.starts_with("\x1b[0;32mI (") && line.ends_with("\x1b[0m"))
    );
    assert!(
        of(Protocol::Json)
            .iter()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
}

#[test]
fn a_test_harness_answers_what_it_is_asked() {
    let board = Board::stm32(1).speaking(Protocol::MlperfTiny);
    let lines = said(board, Duration::from_secs(5), |tick, _, port| match tick {
        10 => port.write_all(b"name%").unwrap(),
        20 => port.write_all(b"profile%").unwrap(),
        30 => port.write_all(b"nonsense%").unwrap(),
        40 => port.write_all(b"infer 4 1%").unwrap(),
        _ => {}
    });
    let text = lines.join("\n");
    assert!(text.contains("m-name-dut-[fake-devices]\nm-ready"), "{text}");
    assert!(text.contains("m-model-[kws01]"));
    assert!(text.contains("e-[Unknown command: \"nonsense\"]"));
    assert!(text.contains("m-infer-start-4\nm-lap-us-"));
    assert!(text.contains("m-infer-done\nm-results-[0.004,0.983,0.013]\nm-ready"));
}

#[test]
fn faults_are_what_they_are_called() {
    let lines = said(
        Board::stm32(1),
        Duration::from_secs(4),
        |tick, board, _| match tick {
            10 => board.fail(Fault::Noise(50)),
            20 => board.fail(Fault::Flood(10_000)),
            30 => board.fail(Fault::HalfFrame),
            40 => board.fail(Fault::NonFinite),
            50 => board.fail(Fault::OutOfRange),
            60 => board.fail(Fault::Nuls(8)),
            70 => board.fail(Fault::Session),
            80 => board.send_raw(b"as it is\n"),
            _ => {}
        },
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains('\u{fffd}') && line.chars().count() == 50)
    );
    assert!(lines.iter().any(|line| *line == "x".repeat(10_000)));
    assert!(
        lines
            .iter()
            .any(|line| line == "{\"type\":\"metrics\",\"power_mw\":4")
    );
    assert!(lines.iter().any(|line| line.contains("NaN")));
    assert!(lines.iter().any(|line| line.contains("\"cpu\":900")));
    assert!(lines.iter().any(|line| line == "\0\0\0\0\0\0\0\0"));
    assert!(lines.iter().any(|line| line == "as it is"));
    assert_eq!(messages(&lines, "session_end")[0]["ok"], false);
}

#[test]
fn silence_is_a_pause_and_heat_is_felt() {
    let lines = said(
        Board::stm32(1),
        Duration::from_mins(1),
        |tick, board, _| match tick {
            50 => board.fail(Fault::Silence(Duration::from_secs(10))),
            600 => board.fail(Fault::Heat(70.0)),
            _ => {}
        },
    );
    let metrics = messages(&lines, "metrics");
    assert_eq!(metrics.len(), 500);
    assert!(metrics[metrics.len() - 1]["temperature"]["die"].as_f64().unwrap() > 85.0);
}

#[test]
fn a_board_on_tcp_takes_one_reader_after_another() {
    let mut board = Board::riscv(5);
    let address = board.listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    for _ in 0..2 {
        let mut reader = TcpStream::connect(address).unwrap();
        reader.set_nonblocking(true).unwrap();
        let before = board.frames_sent();
        let began = Instant::now();
        while board.frames_sent() < before + 5 {
            board.advance(TICK);
            assert!(began.elapsed() < PATIENCE);
        }
        let mut text = Vec::new();
        while !text.ends_with(b"\n") {
            assert!(began.elapsed() < PATIENCE);
            let _ = reader.read_to_end(&mut text);
        }
        drop(reader);
        while board.has_reader() {
            assert!(began.elapsed() < PATIENCE);
        }
    }
    let mut reader = TcpStream::connect(address).unwrap();
    while !board.has_reader() {}
    board.unplug();
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_bench_keeps_many_boards_going() {
    let folder = tempfile::tempdir().unwrap();
    let boards = (0..50).map(|seed| {
        let mut board = Board::new(Chip::ALL[usize::try_from(seed).unwrap() % 3], seed);
        board.plug(folder.path(), &format!("port{seed}")).unwrap();
        board
    });
    let bench = Bench::start(boards.collect());
    let mut ports: Vec<File> = (0..50)
        .map(|seed| open(&folder.path().join(format!("port{seed}"))))
        .collect();
    let began = Instant::now();
    while bench.boards().any(|board| board.frames_sent() < 20) {
        assert!(began.elapsed() < PATIENCE);
        for port in &mut ports {
            let _ = port.read(&mut [0; 4096]);
        }
    }
    bench.board(3).unwrap().unplug();
    assert!(!folder.path().join("port3").is_symlink());
    assert!(bench.board(50).is_none());
    drop(bench);
    assert!(!folder.path().join("port4").is_symlink());
}
