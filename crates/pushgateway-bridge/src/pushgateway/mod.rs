//! Delivery to a Pushgateway: the latest values of each source, without their times.
//!
//! Every source is a group by its labels: `job`, `machine`, and `instance` for a target. A page replaces the group's
//! earlier one (PUT), a source that ends takes its group along (DELETE), and so does the bridge when it is stopped. What
//! cannot be brought is not kept: the next page has newer values. Requests pause while the Pushgateway is away.

pub(crate) mod group;
mod groups;
mod pause;
mod put;
mod render;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exporter::Family;
use ureq::http::Method;

use self::group::Group;
use self::groups::{Groups, groups_of};
use self::pause::Pause;
use self::put::Answer;
use crate::clock::Clock;
use crate::delivery::{Delivery, Source};
use crate::http::{self, Client};
use crate::sample::Page;
use crate::tally::{Loss, Tally};

/// How long a request may take at the end.
const HASTE: Duration = Duration::from_secs(2);

/// Brings pages to a Pushgateway.
pub(crate) struct Pushgateway {
    client: Client,
    /// For the end, when there is no time to wait.
    hasty: Client,
    /// Without a slash at its end.
    url: String,
    clock: Arc<Clock>,
    tally: Tally,
    groups: Mutex<Groups>,
    pause: Mutex<Pause>,
    has_stopped: AtomicBool,
}

impl Pushgateway {
    /// A delivery to the Pushgateway at this address.
    pub(crate) fn new(
        url: &str,
        settings: http::Settings,
        clock: Arc<Clock>,
        tally: Tally,
    ) -> Result<Self, http::Error> {
        http::check(url)?;
        let hasty = http::Settings {
            timeout: settings.timeout.min(HASTE),
            ..settings.clone()
        };
        Ok(Self {
            client: Client::new(settings)?,
            hasty: Client::new(hasty)?,
            url: url.trim_end_matches('/').to_owned(),
            clock,
            tally,
            groups: Mutex::default(),
            pause: Mutex::default(),
            has_stopped: AtomicBool::new(false),
        })
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes what is gone, as far as the Pushgateway can be reached until then.
    fn delete_gone(&self, client: &Client, deadline: Option<Instant>) {
        let gone = self.groups().gone();
        for group in gone {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return;
            }
            match self.send(client, &Method::DELETE, &group, "") {
                Answer::Unavailable => return,
                Answer::Refused(why) => tracing::warn!(error = why, "the Pushgateway keeps a group"),
                Answer::Accepted => {}
            }
            self.groups().deleted(&group);
        }
    }
}

impl Delivery for Pushgateway {
    fn page(&self, source: &Source, page: Page) -> bool {
        if self.has_stopped.load(Ordering::Relaxed) {
            return false;
        }
        if self.pause().is_on(Instant::now()) {
            self.tally.dropped(Loss::Superseded, page.len());
            return false;
        }
        let groups = groups_of(source, &page);
        let taken: Vec<bool> = groups
            .iter()
            .map(|group| self.put(source, group, &page))
            .collect();
        self.groups().leave(source, &groups);
        self.delete_gone(&self.client, None);
        !taken.contains(&false)
    }

    fn end(&self, source: &Source) {
        {
            let mut groups = self.groups();
            // It may be there since before this start.
            groups.own(source, Group(source.labels.clone()));
            groups.leave(source, &BTreeSet::new());
        }
        if !self.pause().is_on(Instant::now()) {
            self.delete_gone(&self.client, None);
        }
    }

    fn epoch(&self) -> Option<u64> {
        Some(self.pause().count())
    }

    fn families(&self) -> Vec<Family> {
        Vec::new()
    }

    fn stop(&self, deadline: Instant) {
        self.has_stopped.store(true, Ordering::Relaxed);
        self.groups().leave_all();
        self.delete_gone(&self.hasty, Some(deadline));
        let left = self.groups().gone().len();
        if left > 0 {
            tracing::warn!(
                groups = left,
                "the Pushgateway keeps groups that could not be deleted in time"
            );
        }
    }
}

#[cfg(test)]
mod tests;
