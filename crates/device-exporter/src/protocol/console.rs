//! What ESP chips and ESP-IDF print by themselves, beside whatever protocol the firmware speaks: the log, the ROM's
//! and the bootloader's banners, and crashes.
//!
//! Log lines are `I (12345) tag: text`, in colours or not. The time may be milliseconds, a time of day, a date and a
//! time, or missing (log version 2 without time).

use std::borrow::Cow;

use super::out::Out;
use super::{Event, Label, Level, Log, ResetReason, Text, reset};

/// Lines after a crash that are taken as its description. A register and stack dump has fewer.
const LONGEST_DUMP: u16 = 200;

/// Beginnings of the line that says that the firmware crashed.
const PANICS: [&str; 5] = [
    "Guru Meditation Error:",
    "abort() was called at PC",
    "assert failed:",
    "***ERROR*** A stack overflow in task",
    "Fatal exception",
];

/// Beginnings of what ROM and bootloader print on the way: nothing to report.
const CHATTER: [&str; 18] = [
    "ets ",
    "ESP-ROM:",
    "Build:",
    "rst:0x",
    "configsip:",
    "clk_drv:0x",
    "SPIWP:0x",
    "mode:DIO",
    "mode:QIO",
    "mode:DOUT",
    "mode:QOUT",
    "load:0x",
    "entry 0x",
    "Saved PC:0x",
    "ELF file SHA256:",
    "Backtrace:",
    "Rebooting...",
    "CPU halted.",
];

/// Beginnings of lines in which the ROM says why it cannot start.
const BOOT_FAILURES: [&str; 3] = ["invalid header: 0x", "flash read err", "ets_loader.c"];

/// What a line turned out to be.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// None of these.
    Nothing,
    /// One of these.
    Line,
    /// The device started anew.
    Boot,
}

/// What earlier lines said about the ones to come.
#[derive(Debug, Default)]
pub(super) struct Console {
    /// Lines since a crash, until the device starts again or speaks otherwise.
    dump: Option<u16>,
    /// Why the device is about to start again. The ROM will call it a software reset.
    cause: Option<ResetReason>,
}

impl Console {
    /// Takes a line if it is one of these.
    pub(super) fn read(&mut self, line: &str, out: &mut Out<'_>) -> Heard {
        if let Some(log) = log(line) {
            self.dump = None;
            self.note_cause(&log.text);
            out.push(Event::Log(Box::new(log)));
            return Heard::Line;
        }
        if line.starts_with("rst:0x")
            && let Some(reason) = reset::in_line(line)
        {
            self.boot(reason, out);
            return Heard::Boot;
        }
        if begins_with_any(line, &PANICS) {
            self.panic(line, out);
            return Heard::Line;
        }
        if line.starts_with("Brownout detector was triggered") {
            self.note_cause(line);
            out.push(rom_error(line));
            return Heard::Line;
        }
        if begins_with_any(line, &BOOT_FAILURES) {
            out.push(rom_error(line));
            return Heard::Line;
        }
        if begins_with_any(line, &CHATTER) || self.is_dump() {
            Heard::Line
        } else {
            Heard::Nothing
        }
    }

    /// The device started, for the reason that the ROM gave.
    pub(super) fn boot(&mut self, reason: ResetReason, out: &mut Out<'_>) {
        self.dump = None;
        let reason = match self.cause.take() {
            Some(cause) if reason == ResetReason::Software => cause,
            _ => reason,
        };
        out.push(Event::Boot { reason });
    }

    /// Something else was said: what follows is no dump.
    pub(super) fn spoke(&mut self) {
        self.dump = None;
    }

    fn panic(&mut self, line: &str, out: &mut Out<'_>) {
        // `assert` prints its own line and then aborts: one crash.
        if self.dump.is_none() {
            let watchdog = line.contains("wdt timeout");
            self.cause = Some(if watchdog {
                ResetReason::Watchdog
            } else {
                ResetReason::Panic
            });
            out.push(Event::Panic {
                text: Text::new(line),
            });
        }
        self.dump = Some(0);
    }

    fn note_cause(&mut self, text: &str) {
        if text.contains("Brownout detector was triggered") {
            self.cause = Some(ResetReason::Brownout);
        }
    }

    fn is_dump(&mut self) -> bool {
        let Some(lines) = &mut self.dump else { return false };
        *lines += 1;
        if *lines >= LONGEST_DUMP {
            self.dump = None;
        }
        true
    }
}

fn rom_error(line: &str) -> Event {
    Event::Log(Box::new(Log {
        level: Level::Error,
        tag: Some(Label::fixed("rom")),
        text: Text::new(line),
    }))
}

fn begins_with_any(line: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| line.starts_with(beginning))
}

/// A log line: level, time in parentheses, tag.
fn log(line: &str) -> Option<Log> {
    let level = match line.as_bytes() {
        [b'E', b' ', ..] => Level::Error,
        [b'W', b' ', ..] => Level::Warning,
        [b'I', b' ', ..] => Level::Info,
        [b'D', b' ', ..] => Level::Debug,
        [b'V', b' ', ..] => Level::Verbose,
        _ => return None,
    };
    let rest = line.get(2..)?;
    let timed = rest.strip_prefix('(');
    let rest = match timed {
        Some(timed) => {
            let (time, rest) = timed.split_once(") ")?;
            if !time
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.' | b'-' | b' '))
            {
                return None;
            }
            rest
        }
        None => rest,
    };
    let (tag, text) = rest.split_once(':')?;
    // The Wi-Fi driver prints no space after its tag, and some tags have one, as `wifi station`. Without a time the spaces
    // are what tells a log line from a sentence.
    let is_word = !tag.contains(' ') && (text.is_empty() || text.starts_with(' '));
    if tag.is_empty() || !(timed.is_some() || is_word) {
        return None;
    }
    Some(Log {
        level,
        tag: Label::new(tag),
        text: Text::new(text),
    })
}

/// A line without the escape sequences that colour it.
pub(super) fn uncoloured(line: &str) -> Cow<'_, str> {
    if !line.contains('\x1b') {
        return line.into();
    }
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, sequence)) = rest.split_once("\x1b[") {
        clean.push_str(before);
        rest = sequence.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        // The letter that ends the sequence.
        rest = rest
            .strip_prefix(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(rest);
    }
    clean.push_str(rest);
    clean.into()
}
