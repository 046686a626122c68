//! What the lines of a page say about the metrics on it, found again for each sample.

use std::borrow::Cow;
use std::collections::HashMap;

use super::labels::unescape;
use super::page::{Kind, Line};
use crate::sample;

/// The families of a page, known once their HELP, TYPE and UNIT were read.
#[derive(Default)]
pub(crate) struct Families<'a>(HashMap<&'a str, Family<'a>>);

#[derive(Clone, Default)]
struct Family<'a> {
    kind: Option<Kind>,
    help: Cow<'a, str>,
    unit: &'a str,
}

/// The suffixes of a family's samples, and what these are. Those behind a type's own name are in [`plain`].
const SUFFIXES: [(&str, &[(Kind, sample::Kind)]); 7] = [
    (
        "_bucket",
        &[
            (Kind::Histogram, sample::Kind::Histogram),
            (Kind::GaugeHistogram, sample::Kind::Unknown),
        ],
    ),
    (
        "_sum",
        &[
            (Kind::Histogram, sample::Kind::Histogram),
            (Kind::Summary, sample::Kind::Summary),
        ],
    ),
    (
        "_count",
        &[
            (Kind::Histogram, sample::Kind::Histogram),
            (Kind::Summary, sample::Kind::Summary),
        ],
    ),
    ("_total", &[(Kind::Counter, sample::Kind::Counter)]),
    ("_info", &[(Kind::Info, sample::Kind::Gauge)]),
    ("_gsum", &[(Kind::GaugeHistogram, sample::Kind::Unknown)]),
    ("_gcount", &[(Kind::GaugeHistogram, sample::Kind::Unknown)]),
];

impl<'a> Families<'a> {
    /// Takes what a line says; the first word counts where a page says it twice.
    pub(crate) fn note(&mut self, line: &Line<'a>) {
        match *line {
            Line::Help(family, text) => {
                let family = self.0.entry(family).or_default();
                if family.help.is_empty() {
                    family.help = unescape(text);
                }
            }
            Line::Type(family, kind) => {
                self.0.entry(family).or_default().kind.get_or_insert(kind);
            }
            Line::Unit(family, unit) => self.0.entry(family).or_default().unit = unit,
            Line::Sample(_) => {}
        }
    }

    /// The family of the metric of this name, and what the page says about it.
    pub(crate) fn of<'n>(&self, name: &'n str) -> (&'n str, sample::Metadata<'_>) {
        if let Some(family) = self.0.get(name) {
            return (
                name,
                metadata(family, family.kind.map_or(sample::Kind::Unknown, plain)),
            );
        }
        for (suffix, kinds) in SUFFIXES {
            let Some(base) = name.strip_suffix(suffix) else {
                continue;
            };
            let Some(family) = self.0.get(base) else {
                continue;
            };
            if let Some((_, kind)) = kinds.iter().find(|(kind, _)| family.kind == Some(*kind)) {
                return (base, metadata(family, *kind));
            }
        }
        (name, sample::Metadata::default())
    }
}

/// The type of samples that are called as their family is.
const fn plain(kind: Kind) -> sample::Kind {
    match kind {
        Kind::Counter => sample::Kind::Counter,
        Kind::Gauge | Kind::StateSet | Kind::Info => sample::Kind::Gauge,
        Kind::Summary => sample::Kind::Summary,
        Kind::Histogram | Kind::GaugeHistogram | Kind::Untyped => sample::Kind::Unknown,
    }
}

fn metadata<'f>(family: &'f Family<'_>, kind: sample::Kind) -> sample::Metadata<'f> {
    sample::Metadata {
        kind,
        help: &family.help,
        unit: family.unit,
    }
}
