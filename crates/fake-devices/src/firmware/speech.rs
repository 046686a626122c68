//! The board's values in each protocol.

use std::io::Write as _;
use std::time::Duration;

use super::Protocol;
use crate::chip::{Chip, Figures};
use crate::fault::Reset;

/// What the board measures at one time.
pub(super) struct Sample {
    /// Percent.
    pub(super) load: f64,
    /// Milliwatts.
    pub(super) power: f64,
    pub(super) celsius: f64,
    /// Used shares of the chip's memories.
    pub(super) shares: [f64; 2],
    /// Since it was started.
    pub(super) uptime: Duration,
}

/// Writes to memory, which cannot be refused.
macro_rules! say {
    ($out:expr, $($text:tt)+) => {
        let _ = write!($out, $($text)+);
    };
}
pub(super) use say;

pub(super) fn metrics(protocol: Protocol, figures: &Figures, sample: &Sample, seq: u32, out: &mut Vec<u8>) {
    match protocol {
        Protocol::Json => json(figures, sample, seq, out),
        Protocol::Plotter => {
            say!(
                out,
                "cpu:{:.1},power_mw:{:.1},temperature_die:{:.2}",
                sample.load,
                sample.power,
                sample.celsius
            );
            for ((name, total), used) in memories(figures, sample) {
                say!(out, ",memory_{name}_used:{used},memory_{name}_total:{total}");
            }
            say!(out, "\r\n");
        }
        Protocol::Influx => {
            say!(
                out,
                "cpu value={:.1}\npower_mw value={:.1}\n",
                sample.load,
                sample.power
            );
            say!(out, "temperature,location=die value={:.2}\n", sample.celsius);
            for ((name, total), used) in memories(figures, sample) {
                say!(out, "memory,type={name} used={used}i,total={total}i\n");
            }
        }
        Protocol::EspIdf => {
            let text = format!(
                "load {:.0} %, heap {:.0} %",
                sample.load,
                sample.shares[0] * 100.0
            );
            idf_log('I', sample.uptime, "stats", &text, out);
        }
        Protocol::MlperfTiny => {}
    }
}

fn json(figures: &Figures, sample: &Sample, seq: u32, out: &mut Vec<u8>) {
    let Sample {
        load,
        power,
        celsius,
        uptime,
        ..
    } = sample;
    say!(
        out,
        "{{\"type\":\"metrics\",\"seq\":{seq},\"cpu\":{load:.1},\"power_mw\":{power:.1}"
    );
    say!(out, ",\"temperature\":{{\"die\":{celsius:.2}}},\"memory\":{{");
    for (index, ((name, total), used)) in memories(figures, sample).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        say!(out, "{comma}\"{name}\":{{\"used\":{used},\"total\":{total}}}");
    }
    say!(
        out,
        "}},\"readings\":{{\"uptime\":{{\"value\":{:.1},\"unit\":\"seconds\"}}}}}}\n",
        uptime.as_secs_f64()
    );
}

fn memories(figures: &Figures, sample: &Sample) -> impl Iterator<Item = ((&'static str, u64), u64)> {
    figures
        .memories
        .into_iter()
        .zip(sample.shares)
        .map(|((name, total), share)| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of what fits"
            )]
            let used = (total as f64 * share) as u64;
            ((name, total), used)
        })
}

pub(super) fn hello(id: &str, chip: Chip, figures: &Figures, reset: Reset, seq: u32, out: &mut Vec<u8>) {
    let (platform, firmware, reset) = (chip.name(), figures.firmware, reset.name());
    say!(
        out,
        "{{\"type\":\"hello\",\"seq\":{seq},\"id\":\"{id}\",\"platform\":\"{platform}\""
    );
    // The ROM of an ESP32 has said already why it starts.
    if chip != Chip::Esp32 {
        say!(out, ",\"reset\":\"{reset}\"");
    }
    say!(out, ",\"firmware\":\"{firmware}\"}}\n");
}

pub(super) fn json_log(level: &str, tag: &str, text: &str, seq: u32, out: &mut Vec<u8>) {
    say!(
        out,
        "{{\"type\":\"log\",\"seq\":{seq},\"level\":\"{level}\",\"tag\":\"{tag}\",\"text\":\"{text}\"}}\n"
    );
}

/// A line of ESP-IDF's log, in the colour of its level.
pub(super) fn idf_log(level: char, uptime: Duration, tag: &str, text: &str, out: &mut Vec<u8>) {
    let colour = match level {
        'E' => 31,
        'W' => 33,
        _ => 32,
    };
    say!(
        out,
        "\x1b[0;{colour}m{level} ({}) {tag}: {text}\x1b[0m\r\n",
        uptime.as_millis()
    );
}
