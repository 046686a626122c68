//! `[[maintenance]]`: recurring times at which some alerts are not sent.

use toml::Spanned;

use super::choices::one_of;
use super::problem::Findings;
use super::{Machine, file};

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const SEVERITIES: [&str; 4] = ["critical", "high", "warning", "info"];

/// A maintenance window, in the local time of the machine that runs Alertmanager.
#[derive(Debug)]
pub(crate) struct Window {
    /// Unique name.
    pub(crate) name: String,
    /// Names of days; none means every day.
    pub(crate) days: Vec<String>,
    /// Beginning and end, `HH:MM`; none means the whole day.
    pub(crate) times: Vec<(String, String)>,
    /// Severities that are muted; none means all.
    pub(crate) severities: Vec<String>,
    /// Machines that are muted; none means all.
    pub(crate) machines: Vec<String>,
}

/// Checks every window.
pub(crate) fn check(
    windows: &[file::Maintenance],
    machines: &[Machine],
    findings: &mut Findings,
) -> Vec<Window> {
    let mut checked: Vec<Window> = Vec::new();
    for window in windows {
        let name = window.name.get_ref();
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        {
            let what = format!("`{name}` is no name for a maintenance window");
            findings.refuse(Some(window.name.span()), what, "use letters, digits, hyphens");
        }
        if checked.iter().any(|other| other.name == *name) {
            let what = format!("two maintenance windows are named `{name}`");
            findings.refuse(Some(window.name.span()), what, "give each its own name");
        }
        if window.days.is_empty() && window.times.is_empty() {
            let what = format!("the maintenance window `{name}` never ends");
            findings.refuse(
                Some(window.name.span()),
                what,
                "give it days = [\"sunday\"] or times = [\"02:00-04:00\"]",
            );
        }
        let known: Vec<&str> = machines.iter().map(|machine| machine.name.as_str()).collect();
        checked.push(Window {
            name: name.clone(),
            days: words(&window.days, &DAYS, findings),
            times: window
                .times
                .iter()
                .filter_map(|time| range(time, findings))
                .collect(),
            severities: words(&window.mutes.severity, &SEVERITIES, findings),
            machines: words(&window.mutes.machine, &known, findings),
        });
    }
    checked
}

fn words(words: &[Spanned<String>], known: &[&str], findings: &mut Findings) -> Vec<String> {
    for word in words {
        if !known.contains(&word.get_ref().as_str()) {
            one_of(word.span(), word.get_ref(), known, findings);
        }
    }
    words.iter().map(|word| word.get_ref().clone()).collect()
}

/// Alertmanager knows no window across midnight.
fn range(text: &Spanned<String>, findings: &mut Findings) -> Option<(String, String)> {
    let parsed = text
        .get_ref()
        .split_once('-')
        .and_then(|(start, end)| Some((minutes(start)?, minutes(end)?)));
    match parsed {
        Some((start, end)) if start < end => {
            let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            Some((clock(start), clock(end)))
        }
        Some(_) => {
            let what = format!("`{}` ends before it begins", text.get_ref());
            let hint = "a window over midnight is written as two: [\"22:00-24:00\", \"00:00-02:00\"]";
            findings.refuse(Some(text.span()), what, hint);
            None
        }
        None => {
            let what = format!("`{}` is no time of day", text.get_ref());
            findings.refuse(Some(text.span()), what, "write \"02:00-04:00\"");
            None
        }
    }
}

/// Minutes since midnight; 24:00 is the end of the day.
fn minutes(clock: &str) -> Option<u16> {
    let (hours, minutes) = clock.trim().split_once(':')?;
    if hours.len() > 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 24 * 60).then_some(total)
}
