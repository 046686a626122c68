//! What a job pushed: its families, each as text, so that a later push can replace one of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::scrape::families::Families;
use crate::scrape::page::{Format, Line, Lines, text};
use crate::scrape::{Clash, Identity};

/// What the receiver or the bridge says about a group; as in a Pushgateway a job cannot say it.
const RESERVED: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];
/// Samples of one push.
const SAMPLE_LIMIT: usize = 100_000;

/// Families by name, each with its HELP, TYPE and samples in the text format 0.0.4.
pub(super) type Blocks = BTreeMap<String, String>;

/// Reads a push, or says why it is refused.
pub(super) fn families(body: &[u8], labels: &[(String, String)]) -> Result<Blocks, String> {
    let page = text(body).map_err(|refusal| refusal.to_string())?;
    check(body, labels)?;
    let mut known = Families::default();
    let mut pushed = Blocks::new();
    for line in Lines::new(page, Format::Text) {
        let line = line.map_err(|refusal| refusal.to_string())?;
        known.note(&line);
        let (family, written) = match &line {
            Line::Help(family, help) => (*family, format!("# HELP {family} {help}\n")),
            Line::Type(family, kind) => (*family, format!("# TYPE {family} {}\n", kind.word())),
            Line::Unit(..) => continue,
            Line::Sample(sample) => {
                if sample.time.is_some() {
                    return Err(format!(
                        "{}: pushed metrics must not have timestamps",
                        sample.name
                    ));
                }
                let (family, _) = known.of(sample.name);
                if RESERVED.contains(&family) {
                    continue;
                }
                let mut written = String::new();
                let _ = writeln!(written, "{}{} {:?}", sample.name, sample.labels, sample.value);
                (family, written)
            }
        };
        pushed.entry(family.to_owned()).or_default().push_str(&written);
    }
    Ok(pushed)
}

/// Whether it can be delivered as it is.
fn check(body: &[u8], labels: &[(String, String)]) -> Result<(), String> {
    let identity = identity(labels.to_vec());
    let scraped = identity
        .read(body, Format::Text, 0, SAMPLE_LIMIT)
        .map_err(|refused| refused.to_string())?;
    if scraped.duplicates > 0 {
        return Err(format!("{} samples stand there twice", scraped.duplicates));
    }
    Ok(())
}

/// The labels of a group win over those of what it holds.
pub(super) fn identity(labels: Vec<(String, String)>) -> Identity {
    Identity {
        labels,
        clash: Clash::Override,
    }
}
