//! An MLPerf Tiny test harness: takes commands that end with `%`, and measures by itself once in a while.

use std::io::Write as _;
use std::time::Duration;

use super::speech::say;
use crate::chip::Figures;

/// The harness's command buffer.
const LONGEST_COMMAND: usize = 80;
const MEASURE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Harness {
    command: Vec<u8>,
    /// When the running measurement ends.
    running: Option<Duration>,
    next: Duration,
}

impl Harness {
    pub(super) fn starting(now: Duration) -> Self {
        Self {
            next: now + MEASURE_EVERY,
            ..Self::default()
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Time passes: a measurement ends, or one begins as if a runner had asked for it.
    pub(super) fn step(&mut self, now: Duration, figures: &Figures, out: &mut Vec<u8>) {
        if let Some(ends) = self.running
            && now >= ends
        {
            self.running = None;
            self.next = now + MEASURE_EVERY;
            say!(
                out,
                "m-lap-us-{}\r\nm-infer-done\r\nm-results-[0.004,0.983,0.013]\r\nm-ready\r\n",
                ends.as_micros()
            );
        } else if self.running.is_none() && now >= self.next {
            self.infer(10, now, figures, out);
        }
    }

    pub(super) fn hear(&mut self, bytes: &[u8], now: Duration, figures: &Figures, out: &mut Vec<u8>) {
        for byte in bytes {
            match byte {
                b'%' => {
                    let command = std::mem::take(&mut self.command);
                    self.run(&String::from_utf8_lossy(&command), now, figures, out);
                }
                b'\r' | b'\n' => {}
                _ if self.command.len() < LONGEST_COMMAND => self.command.push(*byte),
                _ => {}
            }
        }
    }

    fn run(&mut self, command: &str, now: Duration, figures: &Figures, out: &mut Vec<u8>) {
        let mut words = command.split(' ');
        match words.next() {
            Some("name") => {
                say!(out, "m-name-dut-[fake-devices]\r\nm-ready\r\n");
            }
            Some("profile") => {
                say!(
                    out,
                    "m-profile-[{}]\r\nm-model-[kws01]\r\nm-ready\r\n",
                    figures.firmware
                );
            }
            Some("results") => {
                say!(out, "m-results-[0.004,0.983,0.013]\r\nm-ready\r\n");
            }
            // The answer ends with the measurement.
            Some("infer") => match words.next().map_or(Some(1), |count| count.parse().ok()) {
                Some(count @ 1..) => self.infer(count, now, figures, out),
                _ => {
                    say!(out, "e-[Inference iterations must be >0]\r\nm-ready\r\n");
                }
            },
            _ => {
                say!(out, "e-[Unknown command: {command:?}]\r\nm-ready\r\n");
            }
        }
    }

    fn infer(&mut self, count: u32, now: Duration, figures: &Figures, out: &mut Vec<u8>) {
        let took = Duration::from_secs_f64(f64::from(count.min(1000)) / (figures.tokens_per_second * 2.0));
        self.running = Some(now + took);
        say!(
            out,
            "m-warmup-start-1\r\nm-warmup-done\r\nm-infer-start-{count}\r\n"
        );
        say!(out, "m-lap-us-{}\r\n", now.as_micros());
    }
}
