//! From bytes to events: cuts lines, finds out their protocol, counts what is missing.

use std::borrow::Cow;
use std::time::Duration;

use super::console::{self, Console, Heard};
use super::detect::{Detector, Verdict};
use super::lines::{Lines, Piece};
use super::mlperf::{Mlperf, Probe};
use super::out::{Described, Out, Refusal};
use super::sequence::Sequence;
use super::{Batch, LONGEST_LINE, Protocol, Reason, Settings, influx, json, plotter, reset};

/// The reader of one connection. A new connection takes a new one: half a line never meets another device's.
#[derive(Debug, Default)]
pub struct Decoder {
    lines: Lines,
    reader: Reader,
    probe: Option<Probe>,
}

impl Decoder {
    /// A reader for a connection that was just opened, maybe in the middle of a line.
    pub fn new(settings: Settings) -> Self {
        let probe = settings.probe.then(Probe::default);
        let detector = Detector::new(settings.protocol);
        Self {
            lines: Lines::default(),
            reader: Reader {
                detector,
                ..Reader::default()
            },
            probe,
        }
    }

    /// Takes bytes as they come, in pieces of any size, and adds to `batch` what they complete.
    pub fn feed(&mut self, bytes: &[u8], batch: &mut Batch) {
        let reader = &mut self.reader;
        self.lines.feed(bytes, |piece| reader.take(&piece, batch));
    }

    /// The connection is gone: counts a half line that is left.
    pub fn hang_up(&mut self, batch: &mut Batch) {
        if self.lines.has_begun() {
            batch.frames += 1;
            let mut out = Out::new(batch, &mut self.reader.described);
            out.reject(Reason::Partial, || {
                "the connection ended in the middle of a line".into()
            });
        }
        self.reader.detector.no_evidence();
        Out::new(batch, &mut self.reader.described).reject_held(self.reader.detector.take_refuted());
        self.lines = Lines::default();
    }

    /// What the device was found to speak, or is pinned to.
    pub fn protocol(&self) -> Option<Protocol> {
        self.reader.detector.protocol()
    }

    /// Bytes to send to the device now, if any; `now` is any clock that only goes forward.
    ///
    /// Only with [`Settings::probe`]. To be asked after each [`Decoder::feed`] and about once a second.
    pub fn to_send(&mut self, now: Duration) -> Option<&'static [u8]> {
        self.probe.as_mut()?.next(&mut self.reader.mlperf, now)
    }
}

/// What is remembered from line to line.
#[derive(Debug, Default)]
struct Reader {
    detector: Detector,
    described: Described,
    sequence: Sequence,
    console: Console,
    mlperf: Mlperf,
}

impl Reader {
    fn take(&mut self, piece: &Piece<'_>, batch: &mut Batch) {
        // Taken out for as long as `self` is needed beside it.
        let mut described = self.described;
        let mut out = Out::new(batch, &mut described);
        match piece {
            Piece::TooLong => out.reject(Reason::TooLong, || {
                format!("no line end in {LONGEST_LINE} bytes; is the baud rate right?")
            }),
            Piece::Line { line, whole } => match text(line) {
                Ok(line) if line.is_empty() => return,
                Ok(line) => self.line(&line, *whole, &mut out),
                Err(reason) => {
                    let reason = if *whole { reason } else { Reason::Partial };
                    out.reject(reason, || {
                        quoted(reason.describe(), &String::from_utf8_lossy(line))
                    });
                }
            },
        }
        out.reject_held(self.detector.take_refuted());
        self.described = described;
        batch.frames += 1;
    }

    fn line(&mut self, line: &str, whole: bool, out: &mut Out<'_>) {
        let Err(refusal) = self.read(line, whole, out) else {
            return;
        };
        out.undo();
        let reason = if whole { refusal.reason } else { Reason::Partial };
        out.reject(reason, || quoted(&refusal.to_string(), line));
        // A reset cuts the line that was being sent.
        if let Some(reason) = reset::in_line(line) {
            self.console.boot(reason, out);
            self.sequence.restart();
        }
    }

    fn read(&mut self, line: &str, whole: bool, out: &mut Out<'_>) -> Result<(), Refusal> {
        if line.starts_with('{') && self.detector.may_be(Protocol::Json) {
            json::read(line, &mut self.sequence, out)?;
            self.heard(Protocol::Json);
            return Ok(());
        }
        if Mlperf::claims(line) && self.detector.may_be(Protocol::MlperfTiny) {
            self.mlperf.read(line, out)?;
            self.heard(Protocol::MlperfTiny);
            return Ok(());
        }
        match self.console.read(line, out) {
            Heard::Nothing => Ok(self.read_weak(line, whole, out)?),
            Heard::Boot => {
                self.sequence.restart();
                self.detector.heard_console();
                Ok(())
            }
            Heard::Line => {
                self.detector.heard_console();
                Ok(())
            }
        }
    }

    fn heard(&mut self, protocol: Protocol) {
        self.console.spoke();
        self.detector.heard(protocol);
    }

    /// Protocols that ordinary text can look like: believed after some lines of evidence.
    fn read_weak(&mut self, line: &str, whole: bool, out: &mut Out<'_>) -> Result<(), Reason> {
        let mut why = Reason::Unknown;
        for (protocol, read) in WEAK {
            if !self.detector.may_be(protocol) {
                continue;
            }
            match read(line, out) {
                // The end of a line looks like a line.
                Ok(()) if !whole => return Err(Reason::Partial),
                Ok(()) => {
                    if self.detector.evidence(protocol, out) == Verdict::Take {
                        self.console.spoke();
                    }
                    return Ok(());
                }
                Err(reason) if self.detector.protocol() == Some(protocol) => why = reason,
                Err(_) => {}
            }
            out.undo();
        }
        self.detector.no_evidence();
        Err(why)
    }
}

type Read = fn(&str, &mut Out<'_>) -> Result<(), Reason>;

/// In the order in which they are tried: what both would read is Influx.
const WEAK: [(Protocol, Read); 2] = [
    (Protocol::Influx, influx::read),
    (Protocol::Plotter, plotter::read),
];

/// A line as text, without colours, the NULs of a break on the wire, and spaces at its ends.
fn text(line: &[u8]) -> Result<Cow<'_, str>, Reason> {
    let line = str::from_utf8(line).map_err(|_| Reason::Noise)?;
    let text = line.trim_matches('\0');
    if text.is_empty() {
        return Err(Reason::Noise);
    }
    let text = console::uncoloured(text);
    if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(Reason::Noise);
    }
    Ok(match text {
        Cow::Borrowed(text) => text.trim().into(),
        Cow::Owned(text) => text.trim().to_owned().into(),
    })
}

/// What is wrong, and with which line.
fn quoted(why: &str, line: &str) -> String {
    format!("{why}: {line:?}")
}
