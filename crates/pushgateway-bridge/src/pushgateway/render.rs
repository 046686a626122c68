//! Pages in the text format 0.0.4, as a Pushgateway takes them: no timestamps, every family once and with its type.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::group::Group;
use crate::sample::{Kind, Labels, NAME, Sample, is_stale};

/// A page for one group.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    pub(super) families: Vec<Text>,
    /// Samples that are left out, since another group has a family of the same name that they do not fit into.
    pub(super) conflicts: usize,
}

/// One family, written.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) samples: usize,
    pub(super) written: String,
}

struct Family<'p> {
    name: &'p str,
    kind: Kind,
    samples: Vec<Sample<'p>>,
}

/// Writes the samples for this group. A family that `elsewhere` knows by another type gets that one where it can: the
/// Pushgateway refuses a page that contradicts what other groups say.
pub(super) fn render<'p>(
    samples: impl Iterator<Item = Sample<'p>>,
    group: &Group,
    elsewhere: impl Fn(&str) -> Option<Kind>,
) -> Rendered {
    let mut rendered = Rendered::default();
    for mut family in families(samples, &mut rendered.conflicts) {
        if let Some(known) = elsewhere(family.name).filter(|known| *known != family.kind) {
            if is_composite(known) || is_composite(family.kind) {
                rendered.conflicts += family.samples.len();
                continue;
            }
            family.kind = known;
        }
        rendered.families.push(Text {
            name: family.name.to_owned(),
            kind: family.kind,
            samples: family.samples.len(),
            written: write(&family, group),
        });
    }
    rendered
}

/// Families in the order of their first samples. One that the page gives two types is what its first sample is; others
/// become that, or are conflicts.
fn families<'p>(samples: impl Iterator<Item = Sample<'p>>, conflicts: &mut usize) -> Vec<Family<'p>> {
    let mut families: Vec<Family<'p>> = Vec::new();
    let mut index: HashMap<&str, usize> = HashMap::new();
    let mut places: HashMap<Labels<'p>, usize> = HashMap::new();
    for sample in samples.filter(|sample| !is_stale(sample.value)) {
        let kind = sample.metadata.kind;
        let name = family_name(sample.labels.get(NAME), kind);
        let at = *index.entry(name).or_insert_with(|| {
            families.push(Family {
                name,
                kind,
                samples: Vec::new(),
            });
            families.len() - 1
        });
        let Some(family) = families.get_mut(at) else {
            continue;
        };
        if is_composite(family.kind) != is_composite(kind) {
            *conflicts += 1;
            continue;
        }
        // With times of its own a series may stand there twice; without them the last one counts.
        let place = *places.entry(sample.labels).or_insert(family.samples.len());
        match family.samples.get_mut(place) {
            Some(earlier) => *earlier = sample,
            None => family.samples.push(sample),
        }
    }
    families
}

/// Of several samples each.
const fn is_composite(kind: Kind) -> bool {
    matches!(kind, Kind::Histogram | Kind::Summary)
}

/// The name in front of a histogram's or summary's suffix.
fn family_name(name: &str, kind: Kind) -> &str {
    let suffixes: &[&str] = match kind {
        Kind::Histogram => &["_bucket", "_sum", "_count"],
        Kind::Summary => &["_sum", "_count"],
        Kind::Unknown | Kind::Counter | Kind::Gauge => &[],
    };
    let mut bases = suffixes.iter().filter_map(|suffix| name.strip_suffix(suffix));
    bases.next().unwrap_or(name)
}

fn write(family: &Family<'_>, group: &Group) -> String {
    let text = &mut String::new();
    let name = family.name;
    let help = family.samples.first().map_or("", |sample| sample.metadata.help);
    if !help.is_empty() {
        let _ = write!(text, "# HELP {name} ");
        escape(text, help, false);
        text.push('\n');
    }
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
        Kind::Summary => "summary",
        Kind::Unknown => "untyped",
    };
    let _ = writeln!(text, "# TYPE {name} {kind}");
    for sample in &family.samples {
        line(text, sample, group);
    }
    std::mem::take(text)
}

fn line(text: &mut String, sample: &Sample<'_>, group: &Group) {
    text.push_str(sample.labels.get(NAME));
    let mut before = '{';
    for (name, value) in sample.labels.iter() {
        if name == NAME || group.has(name) {
            continue;
        }
        let _ = write!(text, "{before}{name}=\"");
        escape(text, value, true);
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    text.push(' ');
    number(text, sample.value);
    text.push('\n');
}

fn number(text: &mut String, value: f64) {
    if value.is_nan() {
        text.push_str("NaN");
    } else if value.is_infinite() {
        text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        // The shortest text that reads back as the same value.
        let _ = write!(text, "{value:?}");
    }
}

fn escape(text: &mut String, value: &str, quotes: bool) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quotes => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}
