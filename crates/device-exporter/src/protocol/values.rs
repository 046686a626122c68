//! Names that mean the same in every protocol, and what becomes of all others.

use super::out::{Limits, Out};
use super::{Event, Label};

/// The location of a temperature that does not say where it is measured.
pub(super) const DEFAULT_LOCATION: Label = Label::fixed("board");
/// The type of a memory that does not say what it is.
pub(super) const DEFAULT_MEMORY: Label = Label::fixed("ram");

/// A value by its name: `cpu`, `power_mw`, `temperature`, `temperature_<location>`, `memory_<type>_used`,
/// `memory_<type>_total`, or a reading.
pub(super) fn named(out: &mut Out<'_>, name: &str, unit: Option<&str>, value: f64) {
    match name {
        "cpu" => cpu(out, value),
        "power_mw" => power(out, value),
        "temperature" => temperature(out, Some(DEFAULT_LOCATION), value),
        _ => {
            if let Some(location) = name.strip_prefix("temperature_") {
                let location = out.label("location", location);
                return temperature(out, location, value);
            }
            let memory = name
                .strip_prefix("memory_")
                .and_then(|memory| memory.rsplit_once('_'));
            match memory {
                Some((kind, "used")) => {
                    let kind = out.label("memory type", kind);
                    memory_of(out, kind, Some(value), None);
                }
                Some((kind, "total")) => {
                    let kind = out.label("memory type", kind);
                    memory_of(out, kind, None, Some(value));
                }
                _ => reading(out, name, unit, value),
            }
        }
    }
}

pub(super) fn cpu(out: &mut Out<'_>, percent: f64) {
    if let Some(percent) = out.number("cpu", percent, Limits::PERCENT) {
        out.push(Event::Cpu { percent });
    }
}

pub(super) fn power(out: &mut Out<'_>, milliwatts: f64) {
    if let Some(milliwatts) = out.number("power_mw", milliwatts, Limits::MILLIWATTS) {
        out.push(Event::Power { milliwatts });
    }
}

pub(super) fn temperature(out: &mut Out<'_>, location: Option<Label>, celsius: f64) {
    if let (Some(celsius), Some(location)) = (out.number("temperature", celsius, Limits::CELSIUS), location) {
        out.push(Event::Temperature { location, celsius });
    }
}

/// A memory; nothing when neither figure is good.
pub(super) fn memory_of(
    out: &mut Out<'_>,
    memory_type: Option<Label>,
    used: Option<f64>,
    total: Option<f64>,
) {
    let used = used.and_then(|used| out.number("memory used", used, Limits::COUNT));
    let total = total.and_then(|total| out.number("memory total", total, Limits::COUNT));
    if let Some(memory_type) = memory_type
        && (used.is_some() || total.is_some())
    {
        out.push(Event::Memory {
            memory_type,
            used,
            total,
        });
    }
}

pub(super) fn reading(out: &mut Out<'_>, name: &str, unit: Option<&str>, value: f64) {
    let Some(value) = out.number(name, value, Limits::ANY) else {
        return;
    };
    let Some(name) = out.label("name", name) else {
        return;
    };
    let unit = unit
        .filter(|unit| !unit.trim().is_empty())
        .and_then(|unit| out.label("unit", unit));
    out.push(Event::Reading { name, unit, value });
}
