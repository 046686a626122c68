//! What came of an `up`.

use std::collections::BTreeMap;

use super::run::Run;
use super::up::published;
use super::{addresses, containers, costs, engine};
use crate::inventory::Inventory;
use crate::outcome::Outcome;
use crate::render::Place;
use crate::scrapes::{Expected, Scrapes, until_scraped};
use crate::service::Service;

impl Run<'_> {
    /// Waits for the scrapes, and tells everything.
    pub(super) fn outcome(self, inventory: &Inventory, missing: Vec<String>) -> anyhow::Result<Outcome> {
        let scrapes = self.scrapes(inventory);
        let urls = self
            .ids
            .keys()
            .filter_map(|name| {
                let compose = self.plan.compose.services.get(name)?;
                let address = addresses::published(self.plan, inventory, compose)?;
                Some((Service::from_name(name)?, format!("http://{address}")))
            })
            .collect();
        // The stack is of no use without these.
        let (vital, left_out): (Vec<String>, Vec<String>) = self
            .images
            .missing
            .keys()
            .zip(missing)
            .map(|(name, sentence)| (costs::is_vital(name), sentence))
            .fold((Vec::new(), Vec::new()), |mut sorted, (is_vital, sentence)| {
                if is_vital { &mut sorted.0 } else { &mut sorted.1 }.push(sentence);
                sorted
            });
        let failures = self
            .failures
            .iter()
            .map(|(name, reason)| self.explain(name, reason));
        Ok(Outcome {
            table: self.table(inventory)?,
            urls,
            failures: vital
                .into_iter()
                .chain(self.images.stale.clone())
                .chain(failures)
                .collect(),
            left_out,
            scrapes,
            touched: self.touched.clone(),
        })
    }

    fn scrapes(&self, inventory: &Inventory) -> Scrapes {
        let works = |name: &str| self.ids.contains_key(name) && !self.failures.contains_key(name);
        let prometheus = Service::Prometheus;
        let url = self
            .plan
            .compose
            .services
            .get(prometheus.name())
            .filter(|_| works(prometheus.name()))
            .and_then(|compose| addresses::published(self.plan, inventory, compose));
        let Some(url) = url.map(|address| format!("http://{address}")) else {
            return Scrapes::default();
        };
        let published = published(inventory);
        let place = Place::Containers {
            published: &published,
        };
        let expected = Expected::of(inventory, place, |service| works(service.name()));
        until_scraped(&url, &expected, &self.touched, self.limit, self.progress)
    }

    /// State, address and image of each service.
    fn table(&self, inventory: &Inventory) -> anyhow::Result<Vec<Vec<String>>> {
        let header = ["SERVICE", "STATE", "CONTAINER", "ADDRESS", "IMAGE"].map(str::to_owned);
        let mut rows = vec![header.to_vec()];
        let ids: Vec<&str> = self.ids.values().map(String::as_str).collect();
        let conditions: BTreeMap<&str, String> = ids
            .iter()
            .zip(containers::conditions(self.engine, &ids)?)
            .map(|(id, condition)| {
                (
                    *id,
                    condition.map_or_else(|| "gone".to_owned(), |condition| condition.state),
                )
            })
            .collect();
        let unknown = || "-".to_owned();
        for service in self.plan.services() {
            let id = self.ids.get(&service.name);
            let state = match (self.failures.contains_key(&service.name), id) {
                (_, None) if self.images.missing.contains_key(&service.name) => "left out".to_owned(),
                (_, None) => "failed".to_owned(),
                (false, Some(_)) => "healthy".to_owned(),
                (true, Some(id)) => conditions.get(id.as_str()).cloned().unwrap_or_else(unknown),
            };
            let address = id.and_then(|_| addresses::published(self.plan, inventory, service));
            rows.push(vec![
                service.name.clone(),
                state,
                id.and_then(|id| id.get(..12)).map_or_else(unknown, str::to_owned),
                address.map_or_else(unknown, |address| format!("http://{address}")),
                service.image.clone().unwrap_or_else(unknown),
            ]);
        }
        Ok(rows)
    }

    /// What to tell about a service that is not healthy.
    fn explain(&self, name: &str, reason: &str) -> String {
        let mut lines = vec![format!("{name} is not healthy: {reason}")];
        let last = self
            .ids
            .get(name)
            .map(|id| containers::last_lines(self.engine, id, 8))
            .unwrap_or_default();
        if let Some(advice) = engine::advice(&last.join("\n"))
            && !reason.contains(advice)
        {
            lines.push(format!("  likely cause: {advice}"));
        }
        if !last.is_empty() {
            lines.push(format!("  last lines of missionctl logs {name}:"));
            lines.extend(last.iter().map(|line| format!("    {line}")));
        }
        lines.join("\n")
    }
}
