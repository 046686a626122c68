//! What a board says: bytes that follow from its seed and the time that passes.

mod boot;
mod commands;
mod heat;
mod session;
mod speech;

use std::time::Duration;

use crate::chip::{Chip, Figures};
use crate::fault::{Fault, Reset};
use crate::random::Random;
use commands::Harness;
use heat::Heat;
use session::Session;
use speech::Sample;

/// A language that the simulated firmware speaks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Protocol {
    /// Mission Control's JSON lines; an ESP32 prints ESP-IDF's log beside them.
    #[default]
    Json,
    /// `name:value` pairs.
    Plotter,
    /// Influx line protocol.
    Influx,
    /// Nothing but ESP-IDF's log.
    EspIdf,
    /// MLPerf Tiny test harness: answers commands, and measures by itself once in a while as if a runner had asked.
    MlperfTiny,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] = [
        Self::Json,
        Self::Plotter,
        Self::Influx,
        Self::EspIdf,
        Self::MlperfTiny,
    ];

    /// As device-exporter's configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Plotter => "plotter",
            Self::Influx => "influx",
            Self::EspIdf => "esp-idf",
            Self::MlperfTiny => "mlperf-tiny",
        }
    }

    /// The protocol of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }
}

/// Seconds between two log lines.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// A chip with its firmware.
#[derive(Debug)]
pub(crate) struct Firmware {
    pub(crate) chip: Chip,
    pub(crate) id: String,
    pub(crate) protocol: Protocol,
    pub(crate) frame_every: Duration,
    random: Random,
    /// Since the board was made.
    now: Duration,
    /// When it was last started.
    started: Duration,
    next_frame: Duration,
    next_log: Duration,
    silent_until: Duration,
    /// The number of the next message.
    seq: u32,
    heat: Heat,
    session: Session,
    harness: Harness,
}

impl Firmware {
    pub(crate) fn new(chip: Chip, seed: u64) -> Self {
        let mut random = Random::new(seed ^ ((chip as u64) << 56));
        let frame_every = Duration::from_millis(100);
        // Boards that start together do not speak together.
        let phase = Duration::from_micros(random.below(100_000));
        Self {
            chip,
            id: format!("{}-{seed:04}", chip.name()),
            protocol: Protocol::default(),
            frame_every,
            random,
            now: Duration::ZERO,
            started: Duration::ZERO,
            next_frame: phase,
            next_log: LOG_EVERY,
            silent_until: Duration::ZERO,
            seq: 0,
            heat: Heat::new(chip.figures()),
            session: Session::new(seed),
            harness: Harness::default(),
        }
    }

    pub(crate) fn figures(&self) -> &'static Figures {
        self.chip.figures()
    }

    /// When there is something to say again.
    pub(crate) fn due(&self) -> Duration {
        self.next_frame
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// Time passes; what the board says goes to `out`.
    pub(crate) fn advance(&mut self, to: Duration, out: &mut Vec<u8>) {
        while self.next_frame <= to {
            self.now = self.next_frame;
            self.next_frame += self.frame_every;
            if self.now >= self.silent_until {
                self.tick(out);
            }
        }
        self.now = self.now.max(to);
    }

    fn tick(&mut self, out: &mut Vec<u8>) {
        let figures = self.figures();
        let busy = self.session.is_busy() || self.harness.is_busy();
        let power = if busy { figures.busy_mw } else { figures.idle_mw };
        let power = power * (1.0 + self.random.around_zero(0.03));
        let celsius = self.heat.step(self.now, power);
        match self.protocol {
            Protocol::Json => {
                let mut ids = || {
                    self.seq = self.seq.wrapping_add(1);
                    self.seq
                };
                self.session
                    .step(self.now, figures, power, &mut self.random, &mut ids, out);
            }
            Protocol::MlperfTiny => return self.harness.step(self.now, figures, out),
            _ => {}
        }
        let load = if busy { 92.0 } else { 11.0 } + self.random.around_zero(5.0);
        let shares = if busy { [0.83, 0.58] } else { [0.41, 0.35] };
        let sample = Sample {
            load,
            power,
            celsius,
            shares,
            uptime: self.now.saturating_sub(self.started),
        };
        self.seq = self.seq.wrapping_add(1);
        speech::metrics(self.protocol, figures, &sample, self.seq, out);
        if self.now >= self.next_log {
            self.next_log = self.now + LOG_EVERY;
            self.log(&sample, out);
        }
    }

    fn log(&mut self, sample: &Sample, out: &mut Vec<u8>) {
        let hot = sample.celsius > 80.0;
        let (level, tag) = if hot { ('W', "thermal") } else { ('I', "main") };
        let text = format!("{:.1} degrees, {:.0} milliwatts", sample.celsius, sample.power);
        match (self.chip, self.protocol) {
            (Chip::Esp32, Protocol::Json) | (_, Protocol::EspIdf) => {
                speech::idf_log(level, sample.uptime, tag, &text, out);
            }
            (_, Protocol::Json) => {
                self.seq = self.seq.wrapping_add(1);
                speech::json_log(if hot { "warning" } else { "info" }, tag, &text, self.seq, out);
            }
            _ => {}
        }
    }

    /// What the board says when it starts.
    pub(crate) fn boot(&mut self, reset: Reset, out: &mut Vec<u8>) {
        self.started = self.now;
        self.silent_until = Duration::ZERO;
        self.next_log = self.now + LOG_EVERY;
        self.session.abort(self.now);
        self.harness = Harness::starting(self.now);
        // What a reset cut off is ended first, so that the next line stands alone.
        out.extend_from_slice(b"\r\n");
        if self.chip == Chip::Esp32 {
            boot::rom(reset, out);
            boot::esp_idf(out);
        }
        self.seq = 1;
        match self.protocol {
            Protocol::Json => speech::hello(&self.id, self.chip, self.figures(), reset, self.seq, out),
            Protocol::MlperfTiny => {
                out.extend_from_slice(b"m-timestamp-mode-performance\r\nm-init-done\r\nm-ready\r\n");
            }
            _ => {}
        }
    }

    /// Something goes wrong.
    pub(crate) fn fail(&mut self, fault: Fault, out: &mut Vec<u8>) {
        match fault {
            Fault::Reset(reset) => {
                out.extend_from_slice(b"{\"type\":\"metrics\",\"seq\":");
                self.boot(reset, out);
            }
            Fault::Panic => {
                boot::panic(out);
                self.boot(Reset::Software, out);
            }
            Fault::Noise(bytes) => self.noise(bytes, out),
            Fault::Flood(bytes) => {
                out.resize(out.len() + bytes, b'x');
                out.push(b'\n');
            }
            Fault::Nuls(bytes) => {
                out.resize(out.len() + bytes, 0);
                out.push(b'\n');
            }
            Fault::HalfFrame => out.extend_from_slice(b"{\"type\":\"metrics\",\"power_mw\":4\n"),
            Fault::NonFinite => out.extend_from_slice(b"{\"type\":\"metrics\",\"power_mw\":NaN}\n"),
            Fault::OutOfRange => out.extend_from_slice(b"{\"type\":\"metrics\",\"cpu\":900}\n"),
            Fault::Lost(messages) => self.seq = self.seq.wrapping_add(messages),
            Fault::Heat(celsius) => self.heat.around(celsius),
            Fault::Session => self.session.fail_next(),
            Fault::Silence(time) => self.silent_until = self.now + time,
        }
    }

    fn noise(&mut self, bytes: usize, out: &mut Vec<u8>) {
        for _ in 0..bytes {
            // No line ends, and never valid UTF-8.
            let byte = 0x80 | self.random.below(0x40);
            out.push(u8::try_from(byte).unwrap_or(0xff));
        }
        out.push(b'\n');
    }

    /// Somebody sent bytes to the board.
    pub(crate) fn hear(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.protocol == Protocol::MlperfTiny {
            self.harness.hear(bytes, self.now, self.chip.figures(), out);
        }
    }
}
