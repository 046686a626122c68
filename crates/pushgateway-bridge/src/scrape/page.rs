//! Pages as exporters send them: the text format 0.0.4 and OpenMetrics 1.0, read line by line without copying.
//!
//! A page is taken or refused as a whole, as Prometheus does: half a page would look as if the rest had vanished.
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt;

use super::labels::{Labels, scan};

/// What a not-a-number is written as; any other could be taken for a stale marker.
/// Prometheus, `model/value`: `NormalNaN`.
pub(crate) const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Characters of a refused line that the error shows.
const SHOWN: usize = 80;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What a family is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
    /// Buckets that may shrink (OpenMetrics).
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// Labels with the value 1 (OpenMetrics).
    Info,
    /// One series per state, 0 or 1 (OpenMetrics).
    StateSet,
    /// Nothing was said.
    Untyped,
}

impl Kind {
    /// The word behind TYPE in the text format 0.0.4.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Info | Self::StateSet => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::GaugeHistogram | Self::Untyped => "untyped",
        }
    }
}

/// A line that says something; comments and blank lines do not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line<'a> {
    /// Family and text, still escaped.
    Help(&'a str, &'a str),
    /// Family and type.
    Type(&'a str, Kind),
    /// Family and unit (OpenMetrics).
    Unit(&'a str, &'a str),
    /// One value.
    Sample(Sample<'a>),
}

/// One value of a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    /// The metric's name, with `_bucket` and the like.
    pub(crate) name: &'a str,
    /// What stands in the braces.
    pub(crate) labels: Labels<'a>,
    /// The value.
    pub(crate) value: f64,
    /// The page's own time, in milliseconds since 1970.
    pub(crate) time: Option<i64>,
}

/// Why a page is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    line: usize,
    what: &'static str,
    text: String,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)?;
        if self.text.is_empty() {
            return Ok(());
        }
        write!(f, ": {:?}", self.text)
    }
}

impl Refusal {
    fn new(line: usize, what: &'static str, text: &str) -> Self {
        Self {
            line,
            what,
            text: text.chars().take(SHOWN).collect(),
        }
    }
}

/// The lines of a page. It ends behind the first refusal.
pub(crate) struct Lines<'a> {
    rest: &'a str,
    format: Format,
    line: usize,
    ended: bool,
}

/// The page as text, or the line that is not UTF-8.
pub(crate) fn text(page: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(page).map_err(|error| {
        let (good, _) = page.split_at(error.valid_up_to());
        Refusal::new(good.split(|byte| *byte == b'\n').count(), "it is not UTF-8", "")
    })
}

impl<'a> Lines<'a> {
    /// The lines of this page.
    pub(crate) fn new(page: &'a str, format: Format) -> Self {
        Self {
            rest: page,
            format,
            line: 0,
            ended: false,
        }
    }

    fn refuse(&mut self, what: &'static str, text: &str) -> Result<Line<'a>, Refusal> {
        self.ended = true;
        Err(Refusal::new(self.line, what, text))
    }

    /// The page is at its end.
    fn finish(&mut self) -> Option<Result<Line<'a>, Refusal>> {
        if self.format == Format::OpenMetrics {
            return Some(self.refuse("the page ends without `# EOF`, so part of it is missing", ""));
        }
        self.ended = true;
        None
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            if self.rest.is_empty() {
                return self.finish();
            }
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.line += 1;
            let line_text = line.trim_matches(BLANK);
            if line_text.is_empty() {
                continue;
            }
            let read = match line_text.strip_prefix('#') {
                Some(_) if self.format == Format::OpenMetrics && line_text == "# EOF" => {
                    if !rest.is_empty() {
                        return Some(self.refuse("text behind `# EOF`", rest));
                    }
                    self.ended = true;
                    return None;
                }
                Some(comment) => meta(comment, self.format).transpose(),
                None => Some(sample(line_text, self.format).map(Line::Sample)),
            };
            match read {
                Some(Ok(line)) => return Some(Ok(line)),
                Some(Err(what)) => return Some(self.refuse(what, line_text)),
                None => {}
            }
        }
        None
    }
}

/// What separates words in both formats.
pub(super) const BLANK: [char; 2] = [' ', '\t'];

/// The words behind `#`, if they are not just a comment. `#TYPE` without a blank is one (Prometheus' lexer).
fn meta(comment: &str, format: Format) -> Result<Option<Line<'_>>, &'static str> {
    if !comment.starts_with(BLANK) {
        return Ok(None);
    }
    let (keyword, rest) = word(comment);
    let says = matches!(keyword, "HELP" | "TYPE") || (keyword == "UNIT" && format == Format::OpenMetrics);
    if !says {
        return Ok(None);
    }
    let (family, rest) = word(rest);
    if !is_metric_name(family) {
        return Err("no name of a metric behind HELP, TYPE or UNIT");
    }
    let rest = rest.strip_prefix(BLANK).unwrap_or(rest);
    Ok(Some(match keyword {
        "HELP" => Line::Help(family, rest),
        "UNIT" => Line::Unit(family, rest),
        _ => Line::Type(family, kind(rest).ok_or("there is no such type")?),
    }))
}

/// The first word, and what is behind it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(BLANK);
    text.split_at(text.find(BLANK).unwrap_or(text.len()))
}

fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        "gaugehistogram" => Kind::GaugeHistogram,
        "summary" => Kind::Summary,
        "info" => Kind::Info,
        "stateset" => Kind::StateSet,
        "untyped" | "unknown" => Kind::Untyped,
        _ => return None,
    })
}

fn sample(line: &str, format: Format) -> Result<Sample<'_>, &'static str> {
    let end = line
        .find(|c: char| c == '{' || BLANK.contains(&c))
        .ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    if !is_metric_name(name) {
        return Err("it does not begin with the name of a metric");
    }
    let rest = rest.trim_start_matches(BLANK);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => scan(inside)?,
        None => (Labels::default(), rest),
    };
    // An exemplar is no sample of its own.
    let rest = match (format, rest.split_once('#')) {
        (Format::OpenMetrics, Some((before, _))) => before,
        _ => rest,
    };
    let mut words = rest.split(BLANK).filter(|word| !word.is_empty());
    let value = number(words.next().ok_or("no value")?).ok_or("the value is no number")?;
    let time = words.next().map(|word| time(word, format)).transpose()?;
    if words.next().is_some() {
        return Err("more than a value and a time");
    }
    Ok(Sample {
        name,
        labels,
        value,
        time,
    })
}

fn number(word: &str) -> Option<f64> {
    let value: f64 = word.parse().ok()?;
    Some(if value.is_nan() { NAN } else { value })
}

/// Milliseconds in text 0.0.4, seconds with a fraction in OpenMetrics.
fn time(word: &str, format: Format) -> Result<i64, &'static str> {
    const WRONG: &str = "the time is no number";
    match format {
        Format::Text => word.parse().map_err(|_| WRONG),
        Format::OpenMetrics => {
            let millis = word.parse::<f64>().map_err(|_| WRONG)? * 1e3;
            // 2^53 milliseconds are far beyond any calendar.
            if millis.abs() < 9_007_199_254_740_992.0 {
                #[expect(clippy::cast_possible_truncation, reason = "it was checked to fit")]
                return Ok(millis.round() as i64);
            }
            Err(WRONG)
        }
    }
}

/// Whether a metric may be called so: <https://prometheus.io/docs/concepts/data_model/>.
pub(crate) fn is_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    bytes.next().is_some_and(first) && bytes.all(|byte| first(byte) || byte.is_ascii_digit())
}
