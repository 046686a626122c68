//! The bridge's own page, which it delivers too: how the targets are, the spool, the clock, and what the tally counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use exporter::{CollectError, Collector, Family, Instruments, Metric, Unit, encode};

use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::tally::Tally;

const TARGET_UP: Metric<1> = Metric::gauge(
    "bridge_target_up",
    Unit::None,
    "Whether the last scrape of the local target, job/instance, yielded its page.",
    ["target"],
);
const SKEW: Metric<0> = Metric::gauge(
    "bridge_clock_skew_seconds",
    Unit::Seconds,
    "How far this machine's clock is ahead of the receiver's; samples are stamped by the receiver's.",
    [],
);

/// What the page shows.
pub(crate) struct Board {
    targets: Mutex<BTreeMap<String, bool>>,
    delivery: Mutex<Option<Arc<dyn Delivery>>>,
    clock: Arc<Clock>,
    tally: Tally,
    instruments: Instruments,
}

impl Board {
    /// A board without targets.
    pub(crate) fn new(clock: Arc<Clock>, tally: Tally, instruments: Instruments) -> Self {
        Self {
            targets: Mutex::default(),
            delivery: Mutex::default(),
            clock,
            tally,
            instruments,
        }
    }

    /// A target was scraped.
    pub(crate) fn target(&self, name: &str, up: bool) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = targets.get_mut(name) {
            *known = up;
        } else {
            targets.insert(name.to_owned(), up);
        }
    }

    /// A target is scraped no longer.
    pub(crate) fn forget(&self, name: &str) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.remove(name);
    }

    /// How many targets were scraped.
    pub(crate) fn targets(&self) -> usize {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Shows what the delivery has to show.
    pub(crate) fn show(&self, delivery: Arc<dyn Delivery>) {
        *self.delivery.lock().unwrap_or_else(PoisonError::into_inner) = Some(delivery);
    }

    fn families(&self) -> Vec<Family> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let up = targets
            .iter()
            .map(|(name, up)| ([name.as_str()], f64::from(u8::from(*up))));
        let mut families = vec![
            TARGET_UP.family(up),
            SKEW.maybe(self.clock.skew()),
            self.tally.last_push(),
        ];
        let delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
        families.extend(delivery.iter().flat_map(|delivery| delivery.families()));
        families
    }

    /// The page in text, with what the tally counts.
    pub(crate) fn page(&self) -> Vec<u8> {
        let mut families = self.families();
        families.extend(self.instruments.gather());
        let mut page = Vec::new();
        encode(&families, &mut page);
        page
    }
}

/// The collector of the bridge's own page.
pub(crate) struct Own(pub(crate) Arc<Board>);

impl Collector for Own {
    fn name(&self) -> &'static str {
        "bridge"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        Ok(self.0.families())
    }
}
