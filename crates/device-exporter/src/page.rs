//! From what is known to the families of the page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::anyhow;
use exporter::{CollectError, Collector, Family, Labels};

use crate::board::{Board, Known};
use crate::metrics as m;
use crate::protocol::{Label, Level, Reason, ResetReason};
use crate::values::Series;

/// The loop over the ports turns every second.
const STUCK: Duration = Duration::from_mins(1);

/// The one collector. It reads no device: the page shows what their connections brought.
pub(crate) struct Devices(pub(crate) Arc<Mutex<Board>>);

impl Collector for Devices {
    fn name(&self) -> &'static str {
        "devices"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = board.ticked.elapsed();
        if silence > STUCK {
            let error = anyhow!("the ports have not been looked after for {silence:?}; restart the exporter");
            return Err(CollectError::Failed(error));
        }
        let mut families = own(&board);
        families.extend(board.totals.families()?);
        families.extend(states(&board));
        families.extend(counters(&board));
        families.extend(models(&board));
        families.extend(measured(&board));
        families.extend(results(&board));
        Ok(families)
    }
}

/// What the exporter says of itself.
fn own(board: &Board) -> Vec<Family> {
    let known = board.devices.iter();
    let conflicts = known.filter(|(name, known)| known.is_in_conflict(name)).count();
    let active: usize = board
        .devices
        .values()
        .map(|known| known.device.sessions.active())
        .sum();
    let blocked = board.blocked.iter();
    let mut families = vec![
        m::ACTIVE.value(active as f64),
        m::RULES.value(board.rules as f64),
        m::OPEN.value(board.open_links() as f64),
        m::CONFLICTS.value(conflicts as f64),
        m::BLOCKED.family(blocked.map(|(port, trouble)| ([port.as_str(), trouble.as_str()], 1.0))),
    ];
    families.extend(
        board
            .spans
            .dropped()
            .map(|dropped| m::SPANS_DROPPED.value(dropped as f64)),
    );
    families
}

fn states(board: &Board) -> Vec<Family> {
    let devices = || {
        board
            .devices
            .iter()
            .map(|(name, known)| (name.as_str(), &known.device))
    };
    let connected = devices().map(|(name, device)| {
        let labels = [name, device.platform.as_str(), device.port.as_str()];
        (labels, f64::from(u8::from(device.connected)))
    });
    let seen = devices().filter(|(_, device)| device.last_seen.is_some());
    let info = seen.map(|(name, device)| {
        let firmware = device.firmware.as_deref().unwrap_or_default();
        let serial = device.hardware.usb_serial.as_deref().unwrap_or_default();
        ([name, device.platform.as_str(), firmware, serial], 1.0)
    });
    let somebody = board.devices.iter().filter(|(_, known)| !known.is_nobody());
    let last_seen = somebody.filter_map(|(name, known)| {
        let since = known.device.last_seen?.duration_since(UNIX_EPOCH).ok()?;
        Some(([name.as_str()], since.as_secs_f64()))
    });
    vec![
        m::CONNECTED.family(connected),
        m::INFO.family(info),
        m::LAST_SEEN.family(last_seen),
    ]
}

/// What each device did. All reasons are there from the start, so that the first of each is an increase.
fn counters(board: &Board) -> Vec<Family> {
    // A port where nobody has been yet did nothing.
    let devices = || board.devices.iter().filter(|(_, known)| !known.is_placeholder());
    let plain =
        |count: fn(&Known) -> u64| devices().map(move |(name, known)| ([name.as_str()], count(known) as f64));
    let rejected = devices().flat_map(|(name, known)| {
        let counts = Reason::ALL.iter().zip(&known.device.counts.rejected);
        counts.map(|(reason, count)| ([name.as_str(), reason.as_str()], *count as f64))
    });
    let resets = devices().flat_map(|(name, known)| {
        let counts = &known.device.counts;
        let opened = [("opened", counts.opened)];
        let reasons = ResetReason::ALL.iter().map(|reason| reason.as_str());
        let resets = reasons.zip(counts.resets.iter().copied()).chain(opened);
        resets.map(|(reason, count)| ([name.as_str(), reason], count as f64))
    });
    let logs = devices().flat_map(|(name, known)| {
        let counts = Level::ALL.iter().zip(&known.device.counts.logs);
        counts.map(|(level, count)| ([name.as_str(), level.as_str()], *count as f64))
    });
    vec![
        m::FRAMES.family(plain(|known| known.device.counts.frames)),
        m::REJECTED.family(rejected),
        m::LOST.family(plain(|known| known.device.counts.lost)),
        m::RECONNECTS.family(plain(|known| known.device.counts.reconnects)),
        m::RESETS.family(resets),
        m::PANICS.family(plain(|known| known.device.counts.panics)),
        m::LOGS.family(logs),
        m::LOGS_DROPPED.family(plain(|known| known.device.counts.logs_dropped)),
        m::SERIES_DROPPED.family(plain(|known| known.device.counts.series_dropped)),
    ]
}

fn models(board: &Board) -> Vec<Family> {
    let mut tokens = Vec::new();
    let mut seconds = Vec::new();
    let mut joules = Vec::new();
    for (name, known) in &board.devices {
        for (key, totals) in &known.device.models {
            let labels = m::TOKENS.labels([name.as_str(), &key.model, &key.platform, &key.quantization]);
            tokens.push((labels.clone(), totals.tokens as f64));
            seconds.push((labels.clone(), totals.seconds));
            joules.push((labels, totals.joules));
        }
    }
    let family = |metric: &exporter::Metric<4>, samples: &[(Labels<4>, f64)]| {
        metric.family(samples.iter().map(|(labels, value)| (labels, *value)))
    };
    vec![
        family(&m::TOKENS, &tokens),
        family(&m::INFERENCE, &seconds),
        family(&m::ENERGY, &joules),
    ]
}

/// The latest measurements of each device.
fn measured(board: &Board) -> Vec<Family> {
    let now = Instant::now();
    let mut cpu = Vec::new();
    let mut power = Vec::new();
    let mut used = Vec::new();
    let mut total = Vec::new();
    let mut temperature = Vec::new();
    let mut readings = Vec::new();
    for (name, known) in &board.devices {
        let (name, platform) = (name.as_str(), known.device.platform.as_str());
        for (series, value, _) in known.device.values.fresh(now, &board.limits) {
            match series {
                Series::Cpu => cpu.push(([name, platform], value)),
                Series::Power => power.push(([name, platform], value)),
                Series::MemoryUsed { memory_type } => used.push(([name, platform, memory_type], value)),
                Series::MemoryTotal { memory_type } => total.push(([name, platform, memory_type], value)),
                Series::Temperature { location } => temperature.push(([name, platform, location], value)),
                Series::Reading { name: reading, unit } => {
                    let unit = unit.as_deref().unwrap_or_default();
                    readings.push(([name, platform, reading, unit], value));
                }
                _ => {}
            }
        }
    }
    vec![
        m::CPU.family(cpu),
        m::POWER.family(power),
        m::MEMORY_USED.family(used),
        m::MEMORY_TOTAL.family(total),
        m::TEMPERATURE.family(temperature),
        m::READING.family(readings),
    ]
}

/// The latest results of each model on each platform. Their names are the contract's and have no device: of several
/// devices of a platform that run one model, the last word counts.
fn results(board: &Board) -> Vec<Family> {
    let now = Instant::now();
    let mut latest: HashMap<(Kind, [&str; 3]), (f64, Instant)> = HashMap::new();
    for known in board.devices.values() {
        let platform = &known.device.platform;
        for (series, value, at) in known.device.values.fresh(now, &board.limits) {
            let Some(key) = result(series, platform) else {
                continue;
            };
            let newest = latest.entry(key).or_insert((value, at));
            if at > newest.1 {
                *newest = (value, at);
            }
        }
    }
    let family = |kind: Kind, metric: &exporter::Metric<3>| {
        let of_kind = latest.iter().filter(|((of, _), _)| *of == kind);
        metric.family(of_kind.map(|((_, labels), (value, _))| (*labels, *value)))
    };
    vec![
        family(Kind::Speed, &m::TOKENS_PER_SECOND),
        family(Kind::Memory, &m::MODEL_MEMORY),
        family(Kind::Accuracy, &m::ACCURACY),
        family(Kind::Latency, &m::LATENCY),
        family(Kind::Quantization, &m::QUANTIZATION_ERROR),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Speed,
    Memory,
    Accuracy,
    Latency,
    Quantization,
}

/// The metric of a result, and its labels in their order.
fn result<'a>(series: &'a Series, platform: &'a Label) -> Option<(Kind, [&'a str; 3])> {
    let platform = platform.as_str();
    Some(match series {
        Series::TokensPerSecond { model, quantization } => (Kind::Speed, [model, platform, quantization]),
        Series::ModelMemory { model, memory_type } => (Kind::Memory, [model, platform, memory_type]),
        Series::Accuracy { model, dataset } => (Kind::Accuracy, [model, dataset, platform]),
        Series::Latency { model, input_length } => (Kind::Latency, [model, platform, input_length]),
        Series::QuantizationError { model, bits, method } => (Kind::Quantization, [model, bits, method]),
        _ => return None,
    })
}
