//! What all devices did together: sessions, their durations and errors.

use std::collections::BTreeMap;

use exporter::{Family, Kind, Metric, NameError, Unit};

use crate::protocol::{Label, Session};
use crate::session::Finished;

/// Combinations of labels; devices name them, so there is an end to it.
const MOST: usize = 1000;
/// As many of them may one device be the first to name, so that it leaves some to the others.
pub(crate) const MOST_OF_ONE: usize = 100;
const BOUNDS: [f64; 7] = [1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0];

const SESSIONS: Metric<3> = Metric::counter(
    "profiling_sessions_total",
    Unit::None,
    "Profiling sessions that ended, in whatever way.",
    ["platform", "model_type", "quantization"],
);
const ERRORS: Metric<1> = Metric::counter(
    "profiling_errors_total",
    Unit::None,
    "Profiling sessions that failed, or whose device restarted or went away before their end.",
    ["platform"],
);
const DURATION: &str = "profiling_duration_seconds";
const DURATION_HELP: &str = "Duration of profiling sessions that came to their end.";

/// Counters that no single device owns. They only grow.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    sessions: BTreeMap<[Label; 3], u64>,
    errors: BTreeMap<Label, u64>,
    durations: BTreeMap<[Label; 2], Durations>,
}

#[derive(Debug, Default)]
struct Durations {
    /// One for each bound, not cumulative.
    buckets: [u64; BOUNDS.len()],
    sum: f64,
    count: u64,
}

impl Totals {
    /// A device of this platform is there: its counters begin with 0, so that the first error is an increase.
    pub(crate) fn expect_platform(&mut self, platform: &Label, left: &mut usize) -> bool {
        slot(&mut self.errors, platform.clone(), left).is_some()
    }

    /// The same for a session that began. False when there are too many combinations of labels.
    pub(crate) fn expect(&mut self, session: &Session, platform: &Label, left: &mut usize) -> bool {
        let platform = session.platform.as_ref().unwrap_or(platform);
        let is_known = slot(&mut self.sessions, session_labels(session, platform), left).is_some();
        self.expect_platform(platform, left) && is_known
    }

    /// A session is over. False when there are too many combinations of labels.
    pub(crate) fn finish(&mut self, finished: &Finished, platform: &Label, left: &mut usize) -> bool {
        let session = &finished.session;
        let platform = session.platform.as_ref().unwrap_or(platform);
        let mut is_counted = add(&mut self.sessions, session_labels(session, platform), 1, left);
        let failed = u64::from(finished.error.is_some());
        is_counted &= add(&mut self.errors, platform.clone(), failed, left);
        if let Some(seconds) = finished.seconds {
            let labels = [platform.clone(), session.test_type.clone().unwrap_or_default()];
            match slot(&mut self.durations, labels, left) {
                Some(durations) => durations.observe(seconds),
                None => is_counted = false,
            }
        }
        is_counted
    }

    /// All of it for the page.
    pub(crate) fn families(&self) -> Result<Vec<Family>, NameError> {
        let mut durations = Family::new(Kind::Histogram, DURATION, DURATION_HELP)?;
        for ([platform, test_type], observed) in &self.durations {
            let labels = [("platform", platform.as_str()), ("test_type", test_type.as_str())];
            durations.push_histogram(&labels, &observed.cumulative(), observed.sum, observed.count)?;
        }
        let sessions = self.sessions.iter().map(|(labels, count)| {
            let [platform, model_type, quantization] = labels;
            let values = [platform.as_str(), model_type.as_str(), quantization.as_str()];
            (values, *count as f64)
        });
        let errors = self
            .errors
            .iter()
            .map(|(platform, count)| ([platform.as_str()], *count as f64));
        Ok(vec![SESSIONS.family(sessions), ERRORS.family(errors), durations])
    }
}

impl Durations {
    fn observe(&mut self, seconds: f64) {
        if let Some(at) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[at] += 1;
        }
        self.sum += seconds;
        self.count += 1;
    }

    fn cumulative(&self) -> Vec<(f64, u64)> {
        let mut sum = 0;
        let sums = self.buckets.iter().map(|count| {
            sum += count;
            sum
        });
        BOUNDS.into_iter().zip(sums).collect()
    }
}

fn session_labels(session: &Session, platform: &Label) -> [Label; 3] {
    [
        platform.clone(),
        session.model_type.clone().unwrap_or_default(),
        session.quantization.clone().unwrap_or_default(),
    ]
}

fn add<K: Ord>(map: &mut BTreeMap<K, u64>, key: K, amount: u64, left: &mut usize) -> bool {
    slot(map, key, left).map(|count| *count += amount).is_some()
}

/// The entry, new if there is room, and `left` for this device.
fn slot<'a, K: Ord, V: Default>(map: &'a mut BTreeMap<K, V>, key: K, left: &mut usize) -> Option<&'a mut V> {
    if !map.contains_key(&key) {
        if map.len() >= MOST || *left == 0 {
            return None;
        }
        *left -= 1;
    }
    Some(map.entry(key).or_default())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::protocol::Phases;

    fn finished(seconds: Option<f64>, error: Option<&str>) -> Finished {
        Finished {
            session: Session {
                test_type: Label::new("latency"),
                ..Session::default()
            },
            began: SystemTime::UNIX_EPOCH,
            seconds,
            phases: Phases::default(),
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn one_device_leaves_room_for_the_others() {
        let mut totals = Totals::default();
        let (mut rogue, mut other) = (MOST_OF_ONE, MOST_OF_ONE);
        for i in 0..MOST {
            let platform = Label::new(&format!("p{i}")).expect("a label");
            totals.finish(&finished(Some(1.0), None), &platform, &mut rogue);
        }
        let esp32 = Label::new("esp32").expect("a label");
        assert!(totals.finish(&finished(Some(1.0), None), &esp32, &mut other));
        assert_eq!(other, MOST_OF_ONE - 3);
        assert!(
            totals.finish(&finished(Some(1.0), None), &esp32, &mut rogue),
            "a known one goes on"
        );
    }

    #[test]
    fn sessions_errors_and_durations_add_up() {
        let mut totals = Totals::default();
        let esp32 = Label::new("esp32").expect("a label");
        let mut left = MOST_OF_ONE;
        assert!(totals.expect(&Session::default(), &esp32, &mut left));
        let page = |totals: &Totals| {
            let mut page = Vec::new();
            exporter::encode(&totals.families().expect("good names"), &mut page);
            String::from_utf8(page).expect("UTF-8")
        };
        let has = |page: &str, line: &str| assert!(page.lines().any(|l| l == line), "{line} in\n{page}");
        has(&page(&totals), "profiling_errors_total{platform=\"esp32\"} 0");
        for (seconds, error) in [(Some(5.0), None), (Some(700.0), None), (None, Some("unplugged"))] {
            assert!(totals.finish(&finished(seconds, error), &esp32, &mut left));
        }
        let page = page(&totals);
        let labels = "platform=\"esp32\",model_type=\"unknown\",quantization=\"unknown\"";
        has(&page, &format!("profiling_sessions_total{{{labels}}} 3"));
        has(&page, "profiling_errors_total{platform=\"esp32\"} 1");
        let duration = "profiling_duration_seconds";
        let labels = "platform=\"esp32\",test_type=\"latency\"";
        has(&page, &format!("{duration}_bucket{{{labels},le=\"1\"}} 0"));
        has(&page, &format!("{duration}_bucket{{{labels},le=\"5\"}} 1"));
        has(&page, &format!("{duration}_bucket{{{labels},le=\"+Inf\"}} 2"));
        has(&page, &format!("{duration}_sum{{{labels}}} 705"));
    }

    #[test]
    fn labels_from_devices_never_pile_up() {
        let mut totals = Totals::default();
        let names = (0..2 * MOST).filter_map(|i| Label::new(&format!("p{i}")));
        let counted = names.filter(|name| totals.expect_platform(name, &mut usize::MAX.clone()));
        assert_eq!(counted.count(), MOST);
    }
}
