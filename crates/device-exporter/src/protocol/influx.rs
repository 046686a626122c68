//! Influx line protocol: `climate,room=lab temperature=21.5,humidity=40i 1700000000000000000`.
//!
//! Numbers (`1`, `1.5`, `1i`, `1u`) and booleans become values, strings do not. The time is checked and thrown away: the
//! value is as old as its arrival.

use std::borrow::Cow;

use super::Reason;
use super::out::Out;
use super::{plotter, values};

/// Tags that say who speaks, which is known already.
const OF_THE_DEVICE: [&str; 4] = ["host", "device", "device_id", "platform"];

/// A line in its three parts.
struct Point<'a> {
    measurement: Cow<'a, str>,
    unit: Option<Cow<'a, str>>,
    /// Of a temperature.
    location: Option<Cow<'a, str>>,
    /// Of a memory.
    memory_type: Option<Cow<'a, str>>,
    /// All other tags, as `,name=value`.
    tags: String,
}

/// Reads a line; an error says that it is none of this kind.
pub(super) fn read(line: &str, out: &mut Out<'_>) -> Result<(), Reason> {
    if !line.contains('=') {
        return Err(Reason::Unknown);
    }
    let (key, rest) = split(line, ' ').ok_or(Reason::Malformed)?;
    let point = point(key)?;
    let mut rest = rest.trim_start_matches(' ');
    loop {
        let (name, after) = split(rest, '=').ok_or(Reason::Malformed)?;
        let end = value_end(after).ok_or(Reason::Malformed)?;
        let (value, tail) = after.split_at(end);
        let name = unescaped(name);
        if name.is_empty() || value.is_empty() {
            return Err(Reason::Malformed);
        }
        if let Some(value) = number(value)? {
            yield_value(&point, &name, value, out);
        }
        match tail.strip_prefix(',') {
            Some(tail) => rest = tail,
            None => return time(tail),
        }
    }
}

fn point(key: &str) -> Result<Point<'_>, Reason> {
    let (measurement, mut rest) = split(key, ',').unwrap_or((key, ""));
    let measurement = unescaped(measurement);
    if !measurement.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(Reason::Malformed);
    }
    let mut point = Point {
        measurement,
        unit: None,
        location: None,
        memory_type: None,
        tags: String::new(),
    };
    while !rest.is_empty() {
        let (tag, tail) = split(rest, ',').unwrap_or((rest, ""));
        rest = tail;
        let (name, value) = split(tag, '=').ok_or(Reason::Malformed)?;
        if name.is_empty() || value.is_empty() {
            return Err(Reason::Malformed);
        }
        let value = unescaped(value);
        match (&*point.measurement, &*unescaped(name)) {
            (_, "unit") => point.unit = Some(value),
            ("temperature", "location" | "sensor_location") => point.location = Some(value),
            ("memory", "type" | "memory_type") => point.memory_type = Some(value),
            (_, name) if OF_THE_DEVICE.contains(&name) => {}
            (_, name) => point.tags.extend([",", name, "=", &value]),
        }
    }
    Ok(point)
}

fn yield_value(point: &Point<'_>, field: &str, value: f64, out: &mut Out<'_>) {
    let unit = point.unit.as_deref();
    match (&*point.measurement, field) {
        ("temperature", "value") if point.tags.is_empty() => {
            let location = match &point.location {
                Some(location) => out.label("location", location),
                None => Some(values::DEFAULT_LOCATION),
            };
            values::temperature(out, location, value);
        }
        ("memory", "used" | "total") if point.tags.is_empty() => {
            let memory_type = match &point.memory_type {
                Some(memory_type) => out.label("memory type", memory_type),
                None => Some(values::DEFAULT_MEMORY),
            };
            let (used, total) = if field == "used" {
                (Some(value), None)
            } else {
                (None, Some(value))
            };
            values::memory_of(out, memory_type, used, total);
        }
        (measurement, "value") if point.tags.is_empty() => values::named(out, measurement, unit, value),
        (measurement, "value") => values::reading(out, &format!("{measurement}{}", point.tags), unit, value),
        (measurement, _) => {
            values::reading(out, &format!("{measurement}_{field}{}", point.tags), unit, value);
        }
    }
}

/// A field's value; None for a string.
fn number(text: &str) -> Result<Option<f64>, Reason> {
    if text.starts_with('"') {
        return Ok(None);
    }
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(Some(1.0)),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(Some(0.0)),
        _ => {}
    }
    let digits = text.strip_suffix(['i', 'u']).unwrap_or(text);
    plotter::number(digits).map(Some).ok_or(Reason::Malformed)
}

/// What follows the fields: nothing, or a whole number.
fn time(rest: &str) -> Result<(), Reason> {
    let time = rest.trim();
    if time.is_empty() || time.parse::<i64>().is_ok() {
        Ok(())
    } else {
        Err(Reason::Malformed)
    }
}

/// Where a field's value ends; None when a string does not.
fn value_end(text: &str) -> Option<usize> {
    if !text.starts_with('"') {
        return Some(text.find([',', ' ']).unwrap_or(text.len()));
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Both sides of the first separator that no backslash stands before.
fn split(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == separator => return Some((&text[..at], &text[at + separator.len_utf8()..])),
            _ => {}
        }
    }
    None
}

/// Without the backslashes before comma, space and equals sign.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next @ (',' | ' ' | '=' | '\\')) if c == '\\' => {
                clean.push(next);
                chars.next();
            }
            _ => clean.push(c),
        }
    }
    clean.into()
}
