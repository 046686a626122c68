//! Profiling sessions: the model is loaded, makes tokens, and is judged.

use std::io::Write as _;
use std::time::Duration;

use super::speech::say;
use crate::chip::Figures;
use crate::random::Random;

const IDLE: Duration = Duration::from_secs(12);
const LOADING: Duration = Duration::from_millis(1500);
const INFERENCE: Duration = Duration::from_secs(10);
/// Between two messages about the running inference.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Seconds in which a profiler finds its device.
const CONNECTION: f64 = 0.2;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Idle { until: Duration },
    Loading { until: Duration },
    Inference { until: Duration, reported: Duration },
}

/// The board's sessions, one after another.
#[derive(Debug)]
pub(super) struct Session {
    stage: Stage,
    number: u32,
    began: Duration,
    fails: bool,
    /// Tokens made since the last message; a part of one is carried over.
    tokens: f64,
}

impl Session {
    pub(super) fn new(seed: u64) -> Self {
        // The first one begins soon, but not with all boards at once.
        let until = Duration::from_millis(2000 + seed.wrapping_mul(617) % 6000);
        Self {
            stage: Stage::Idle { until },
            number: 0,
            began: Duration::ZERO,
            fails: false,
            tokens: 0.0,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Inference { .. })
    }

    /// The board starts again: what ran is gone without a word.
    pub(super) fn abort(&mut self, now: Duration) {
        self.stage = Stage::Idle { until: now + IDLE };
    }

    /// The next end of a session is a failure; with none running, one begins for it.
    pub(super) fn fail_next(&mut self) {
        self.fails = true;
        if let Stage::Idle { until } = &mut self.stage {
            *until = Duration::ZERO;
        }
    }

    /// Goes on to `now`; each message takes a number from `seq`.
    pub(super) fn step(
        &mut self,
        now: Duration,
        figures: &Figures,
        power: f64,
        random: &mut Random,
        seq: &mut impl FnMut() -> u32,
        out: &mut Vec<u8>,
    ) {
        match self.stage {
            Stage::Idle { until } if now >= until => {
                self.number += 1;
                self.began = now;
                self.stage = Stage::Loading { until: now + LOADING };
                self.start(figures, seq(), out);
            }
            Stage::Loading { until } if now >= until => {
                self.stage = Stage::Inference {
                    until: now + INFERENCE,
                    reported: now,
                };
                self.tokens = 0.0;
            }
            Stage::Inference { until, reported } if now >= reported + REPORT_EVERY || self.fails => {
                let seconds = now.saturating_sub(reported).as_secs_f64();
                self.stage = Stage::Inference { until, reported: now };
                if seconds > 0.0 {
                    let speed = figures.tokens_per_second * (1.0 + random.around_zero(0.06));
                    self.report(figures, speed, seconds, power, seq(), out);
                }
                if now >= until || self.fails {
                    self.stage = Stage::Idle { until: now + IDLE };
                    self.end(now, seq(), out);
                    quality(figures, random, seq(), out);
                }
            }
            _ => {}
        }
    }

    fn start(&self, figures: &Figures, seq: u32, out: &mut Vec<u8>) {
        let Figures {
            model_name,
            quantization,
            ..
        } = figures;
        say!(
            out,
            "{{\"type\":\"session_start\",\"seq\":{seq},\"session\":\"s-{}\",\"model_type\":\"llama\"",
            self.number
        );
        say!(
            out,
            ",\"model_name\":\"{model_name}\",\"quantization\":\"{quantization}\""
        );
        say!(out, ",\"test_type\":\"throughput\"}}\n");
    }

    fn report(
        &mut self,
        figures: &Figures,
        speed: f64,
        seconds: f64,
        power: f64,
        seq: u32,
        out: &mut Vec<u8>,
    ) {
        self.tokens += speed * seconds;
        let tokens = self.tokens.floor();
        self.tokens -= tokens;
        let energy = power / 1000.0 * seconds;
        let Figures {
            model_name,
            quantization,
            ..
        } = figures;
        say!(
            out,
            "{{\"type\":\"model\",\"seq\":{seq},\"model_name\":\"{model_name}\""
        );
        say!(
            out,
            ",\"quantization\":\"{quantization}\",\"tokens\":{tokens},\"seconds\":{seconds:.3}"
        );
        say!(
            out,
            ",\"tokens_per_second\":{speed:.2},\"energy_joules\":{energy:.4}"
        );
        let [(first, first_kb), (second, second_kb)] = figures.model_kb;
        say!(
            out,
            ",\"memory_kb\":{{\"{first}\":{first_kb},\"{second}\":{second_kb}}}"
        );
        let per_token = 1000.0 / speed;
        let (short, long) = (per_token * 1.2, per_token * 1.9);
        say!(
            out,
            ",\"latency_p95_ms\":{{\"16\":{short:.1},\"128\":{long:.1}}}}}\n"
        );
    }

    fn end(&mut self, now: Duration, seq: u32, out: &mut Vec<u8>) {
        let ok = !std::mem::take(&mut self.fails);
        let seconds = now.saturating_sub(self.began).as_secs_f64();
        let loading = LOADING.as_secs_f64();
        let inference = (seconds - loading).max(0.0);
        say!(
            out,
            "{{\"type\":\"session_end\",\"seq\":{seq},\"session\":\"s-{}\",\"ok\":{ok}",
            self.number
        );
        if !ok {
            say!(out, ",\"error\":\"out of memory while the cache grew\"");
        }
        say!(
            out,
            ",\"seconds\":{:.3},\"phases\":{{\"connection\":{CONNECTION}",
            seconds + CONNECTION
        );
        say!(
            out,
            ",\"model_loading\":{loading},\"inference\":{inference:.3}}}}}\n"
        );
    }
}

fn quality(figures: &Figures, random: &mut Random, seq: u32, out: &mut Vec<u8>) {
    let accuracy = figures.accuracy + random.around_zero(0.01);
    let rate = 0.08 / f64::from(figures.quantization_bits) + random.around_zero(0.001);
    say!(
        out,
        "{{\"type\":\"quality\",\"seq\":{seq},\"model_name\":\"{}\"",
        figures.model_name
    );
    say!(
        out,
        ",\"accuracy\":{{\"tinystories\":{accuracy:.4}}},\"quantization_errors\":"
    );
    say!(
        out,
        "[{{\"bits\":{},\"method\":\"round-to-nearest\",\"rate\":{rate:.5}}}]}}\n",
        figures.quantization_bits
    );
}
