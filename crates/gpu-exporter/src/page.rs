//! The page: what is known of the GPUs, as families. A value that is not known is absent.
//!
//! A MIG instance is a row of its own with the `gpu_id` that container engines take, such as `0:1`. Its memory is part
//! of its GPU's: sum over `gpu_id!~".*:.*"`.

use exporter::{Family, Metric};

use crate::known::{Row, State};
use crate::metrics::{
    AGE, DECODER, ECC, ENCODER, ENERGY, FAN, INFO, LINK_GENERATION, LINK_GENERATION_MAX, LINK_WIDTH,
    LINK_WIDTH_MAX, MEMORY_CLOCK, MEMORY_TOTAL, MEMORY_USED, PCIE_BYTES, POWER, POWER_LIMIT, PROCESS_MEMORY,
    SM_CLOCK, SUSPENDED, TEMPERATURE, TEMPERATURE_LIMIT, THROTTLE_ACTIVE, THROTTLED, UP, UTILIZATION, XID,
};
use crate::reading::{Count, Identity, Link, Reading};

/// All families of these GPUs.
pub(crate) fn families(rows: &[Row]) -> Vec<Family> {
    let readings = readings(rows);
    let mut families = state(rows, &readings);
    families.extend(figures(&readings));
    families.extend(links(&readings));
    families.extend(lists(&readings));
    families.extend(counters(rows));
    families
}

/// The GPUs that answered and their MIG instances, each under its `gpu_id`.
fn readings(rows: &[Row]) -> Vec<(String, &Reading)> {
    let mut readings = Vec::new();
    for row in rows {
        if let State::Up { reading, .. } = &row.state {
            readings.push((row.id.clone(), reading.as_ref()));
            let instance = |(index, instance)| (format!("{}:{index}", row.id), instance);
            readings.extend(
                reading
                    .instances
                    .iter()
                    .map(|(index, reading)| instance((index, reading))),
            );
        }
    }
    readings
}

fn state(rows: &[Row], readings: &[(String, &Reading)]) -> Vec<Family> {
    let flag = |is: bool| f64::from(u8::from(is));
    let is_known = |row: &&Row| row.identity != Identity::default();
    let info = |id: &str, identity: &Identity| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let labels = [
            id.to_owned(),
            text(&identity.uuid),
            text(&identity.name),
            identity.vendor.to_owned(),
            text(&identity.driver_version),
            text(&identity.pci_bus_id),
        ];
        (labels, 1.0)
    };
    let gpus = rows
        .iter()
        .filter(is_known)
        .map(|row| info(&row.id, &row.identity));
    let instances = readings.iter().filter(|(id, _)| id.contains(':'));
    let present = || rows.iter().filter(|row| row.state.is_present());
    let age = |row: &Row| match &row.state {
        State::Up { age, .. } => Some(age.as_secs_f64()),
        State::Asleep | State::Down => None,
    };
    vec![
        UP.family(rows.iter().map(|row| ([&row.id], flag(row.state.is_present())))),
        SUSPENDED.family(present().map(|row| ([&row.id], flag(matches!(row.state, State::Asleep))))),
        AGE.family(rows.iter().filter_map(|row| Some(([&row.id], age(row)?)))),
        INFO.family(gpus.chain(instances.map(|(id, reading)| info(id, &reading.identity)))),
    ]
}

fn one(
    metric: &Metric<1>,
    readings: &[(String, &Reading)],
    value: impl Fn(&Reading) -> Option<f64>,
) -> Family {
    metric.family(
        readings
            .iter()
            .filter_map(|(id, reading)| Some(([id], value(reading)?))),
    )
}

fn figures(readings: &[(String, &Reading)]) -> Vec<Family> {
    vec![
        one(&UTILIZATION, readings, |reading| reading.utilization),
        one(&ENCODER, readings, |reading| reading.encoder),
        one(&DECODER, readings, |reading| reading.decoder),
        one(&FAN, readings, |reading| reading.fan),
        one(&MEMORY_USED, readings, |reading| {
            Some(reading.memory_used_bytes? as f64)
        }),
        one(&MEMORY_TOTAL, readings, |reading| {
            Some(reading.memory_total_bytes? as f64)
        }),
        one(&TEMPERATURE, readings, |reading| reading.celsius),
        one(&POWER, readings, |reading| reading.watts),
        one(&POWER_LIMIT, readings, |reading| reading.watts_limit),
        one(&SM_CLOCK, readings, |reading| reading.sm_hertz),
        one(&MEMORY_CLOCK, readings, |reading| reading.memory_hertz),
    ]
}

fn links(readings: &[(String, &Reading)]) -> Vec<Family> {
    let link = |metric, part: fn(&Link) -> Option<u32>| {
        one(metric, readings, move |reading| {
            part(&reading.link).map(f64::from)
        })
    };
    vec![
        link(&LINK_GENERATION, |link| link.generation),
        link(&LINK_GENERATION_MAX, |link| link.generation_max),
        link(&LINK_WIDTH, |link| link.width),
        link(&LINK_WIDTH_MAX, |link| link.width_max),
    ]
}

fn lists(readings: &[(String, &Reading)]) -> Vec<Family> {
    let limits = readings.iter().flat_map(|(id, reading)| {
        reading
            .celsius_limits
            .iter()
            .map(move |&(threshold, celsius)| ([id.as_str(), threshold], celsius))
    });
    let active = readings.iter().flat_map(|(id, reading)| {
        let flag = |is: bool| f64::from(u8::from(is));
        reading
            .throttled
            .iter()
            .map(move |&(reason, is)| ([id.as_str(), reason], flag(is)))
    });
    let holders = readings.iter().flat_map(|(id, reading)| {
        reading.holders.iter().map(move |(holder, bytes)| {
            let labels = [id.as_str(), holder.process.as_str(), holder.unit.as_str()];
            (labels, *bytes as f64)
        })
    });
    vec![
        TEMPERATURE_LIMIT.family(limits),
        THROTTLE_ACTIVE.family(active),
        PROCESS_MEMORY.family(holders),
    ]
}

/// Counters stay on the page while their GPU is lost or asleep: they go on where they stopped.
fn counters(rows: &[Row]) -> Vec<Family> {
    let counts = || {
        rows.iter()
            .flat_map(|row| row.ledger.counts().map(move |count| (row.id.as_str(), count)))
    };
    let xids = rows.iter().flat_map(|row| {
        let xid = move |(code, times): (u64, u64)| ([row.id.clone(), code.to_string()], times as f64);
        row.ledger.xids().map(xid)
    });
    vec![
        ENERGY.family(counts().filter_map(|(id, (count, raw))| match count {
            Count::Energy => Some(([id], raw as f64 / 1e6)),
            _ => None,
        })),
        THROTTLED.family(counts().filter_map(|(id, (count, raw))| match count {
            Count::Throttled(reason) => Some(([id, reason], raw as f64 / 1e9)),
            _ => None,
        })),
        ECC.family(counts().filter_map(|(id, (count, raw))| match count {
            Count::Ecc { severity, location } => Some(([id, severity, location], raw as f64)),
            _ => None,
        })),
        PCIE_BYTES.family(counts().filter_map(|(id, (count, raw))| match count {
            Count::Pcie(direction) => Some(([id, direction], raw as f64)),
            _ => None,
        })),
        XID.family(xids),
    ]
}
