//! One `up` while it goes on: which containers are kept, made anew, started, told to read their files again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::CreateContainerOptions;
use compose::{Condition, Service};

use super::containers::{self, Found};
use super::engine::{Engine, reason};
use super::images::Images;
use super::plan::Plan;
use super::wait::{self, Watched};
use super::{addresses, container, labels};
use crate::inventory::Inventory;
use crate::progress::Progress;
use crate::project::Project;
use crate::reload::{Runner, reload};
use crate::render::Tree;
use crate::service;

/// One `up` while it goes on.
pub(super) struct Run<'a> {
    pub(super) engine: &'a Engine,
    pub(super) plan: &'a Plan,
    pub(super) images: &'a Images,
    pub(super) tree: &'a Tree,
    pub(super) limit: Duration,
    pub(super) progress: &'a Progress,
    /// Id of the container of each service that has one.
    pub(super) ids: BTreeMap<String, String>,
    pub(super) touched: Vec<String>,
    /// Why a service does not work, by its name.
    pub(super) failures: BTreeMap<String, String>,
}

impl Run<'_> {
    /// Removes containers of services that are not wanted any more.
    pub(super) fn remove_others(&mut self, present: &[Found]) -> anyhow::Result<()> {
        let wanted: BTreeSet<&str> = self.plan.wanted.iter().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        for found in present {
            // The second of one service is left from an `up` that was interrupted, or from `--scale`.
            let is_wanted = wanted.contains(found.service.as_str()) && seen.insert(found.service.as_str());
            if !is_wanted {
                self.progress.step(&format!("removing {}", found.service));
                containers::remove(self.engine, &found.id)?;
                self.touched.push(found.service.clone());
            }
        }
        Ok(())
    }

    /// Makes sure that a service runs in a container that is as the file and the rendered configuration say. What is
    /// wrong with one does not stop the others.
    pub(super) fn bring(&mut self, service: &Service, present: &[Found]) {
        if let Err(error) = self.try_to_bring(service, present) {
            self.failures.insert(service.name.clone(), format!("{error:#}"));
        }
    }

    fn try_to_bring(&mut self, service: &Service, present: &[Found]) -> anyhow::Result<()> {
        let name = &service.name;
        let Some(image) = self.images.ids.get(name) else {
            return Ok(());
        };
        self.await_dependencies(service)?;
        let found = present.iter().find(|found| found.service == *name);
        let wanted = labels::container(self.plan, service, image, &self.files(service));
        let is_current =
            |found: &Found| self.images.kept.contains(name) || labels::is_current(&found.labels, &wanted);
        let id = match found {
            Some(found) if is_current(found) => found.id.clone(),
            _ => self.replace(service, image, wanted, present)?,
        };
        self.ids.insert(name.clone(), id.clone());
        let conditions = containers::conditions(self.engine, &[&id])?;
        let condition = conditions.into_iter().flatten().next().unwrap_or_default();
        if condition.runs() {
            return Ok(());
        }
        if !self.touched.contains(name) {
            self.progress
                .step(&format!("starting {name}, which was {}", condition.state));
            self.touched.push(name.clone());
        }
        containers::start(self.engine, &id, condition.state == "paused").map_err(|reason| anyhow!(reason))
    }

    /// Makes a container in place of the one that is there, and of those not looked at yet that have its ports.
    fn replace(
        &mut self,
        service: &Service,
        image: &str,
        labels: HashMap<String, String>,
        present: &[Found],
    ) -> anyhow::Result<String> {
        let ports: Vec<u16> = service.ports.iter().filter_map(|port| port.published).collect();
        let is_in_the_way = |found: &&Found| {
            found.service == service.name
                || (!self.ids.contains_key(&found.service)
                    && found.published.iter().any(|port| ports.contains(port)))
        };
        let old: Vec<&Found> = present.iter().filter(is_in_the_way).collect();
        let what = if old.is_empty() { "creating" } else { "replacing" };
        self.progress.step(&format!("{what} {}", service.name));
        self.touched.push(service.name.clone());
        for found in old {
            containers::remove(self.engine, &found.id)?;
        }
        self.create(service, image, labels)
    }

    /// Waits until what the service depends on is as the file says; fails when the service cannot start.
    fn await_dependencies(&self, service: &Service) -> anyhow::Result<()> {
        for (name, dependency) in &service.depends_on {
            let must_be_ready = dependency.required && dependency.condition != Condition::Started;
            let Some(id) = self.ids.get(name) else {
                ensure!(!must_be_ready, "it needs {name}, which does not run");
                continue;
            };
            let watched = self.watched(name, id);
            let waited = match dependency.condition {
                Condition::Started => continue,
                Condition::Healthy => {
                    wait::until_answering(self.engine, &watched, self.limit, self.progress)?
                }
                Condition::Completed => {
                    wait::until_completed(self.engine, &watched, self.limit, self.progress)?
                }
            };
            if let Err(reason) = waited {
                ensure!(!must_be_ready, "it needs {name}, which is not ready: {reason}");
            }
        }
        Ok(())
    }

    fn create(
        &self,
        service: &Service,
        image: &str,
        labels: HashMap<String, String>,
    ) -> anyhow::Result<String> {
        let options = CreateContainerOptions {
            name: Some(container::name(self.plan, &service.name)),
            ..CreateContainerOptions::default()
        };
        // By its name, which is what lists of containers show; the label says which image that was.
        let image = service.image.as_deref().unwrap_or(image);
        let body = container::body(self.plan, service, image, labels);
        let docker = self.engine.docker();
        let failed = |error: &bollard::errors::Error| anyhow!(containers::with_advice(&reason(error)));
        let created = self
            .engine
            .wait(docker.create_container(Some(options), body))
            .map_err(|error| failed(&error))
            .context("create its container")?;
        for (network, endpoint) in container::endpoints(self.plan, service).into_iter().skip(1) {
            let request = NetworkConnectRequest {
                container: created.id.clone(),
                endpoint_config: Some(endpoint),
            };
            if let Err(error) = self.engine.wait(docker.connect_network(&network, request)) {
                // The next `up` would take it for complete.
                containers::remove(self.engine, &created.id)?;
                return Err(failed(&error)).with_context(|| format!("connect it to the network {network}"));
            }
        }
        Ok(created.id)
    }

    /// A digest of the rendered files that the service reads only when it starts: those of the folder of its name, and
    /// its secrets, of which it goes on seeing the file that was there when the container was made.
    fn files(&self, service: &Service) -> String {
        let folder: Option<&str> = match service.name.as_str() {
            name if service::Service::from_name(name).is_some_and(service::Service::reloads) => None,
            // Dashboards are looked at again every few seconds.
            "grafana" => Some("grafana/provisioning"),
            name => Some(name),
        };
        let is_secret = |path: &Path| {
            let mut secrets = service.secrets.iter();
            secrets.any(|secret| path == Path::new("secrets").join(&secret.name))
        };
        self.tree
            .digest(|path| folder.is_some_and(|folder| path.starts_with(folder)) || is_secret(path))
    }

    fn watched(&self, name: &str, id: &str) -> Watched {
        let compose = self.plan.compose.services.get(name);
        Watched {
            name: name.to_owned(),
            id: id.to_owned(),
            page: compose.and_then(addresses::health_page),
        }
    }

    /// Has services that can do so load what has changed.
    pub(super) fn reload(&mut self, project: &Project, inventory: &Inventory) {
        for compose in self.plan.services() {
            let known = service::Service::from_name(&compose.name).filter(|service| service.reloads());
            let address = addresses::published(self.plan, inventory, compose);
            let (Some(service), Some(address)) = (known, address) else {
                continue;
            };
            let name = service.name();
            if !self.ids.contains_key(name) || self.failures.contains_key(name) {
                continue;
            }
            let is_new = self.touched.iter().any(|touched| touched == name);
            let url = format!("http://{address}");
            match reload(project, self, self.tree, service, &url, is_new) {
                Ok(true) => {
                    self.progress
                        .step(&format!("{name} has read its configuration again"));
                    self.touched.push(name.to_owned());
                }
                Ok(false) => {}
                Err(error) => {
                    self.failures.insert(name.to_owned(), format!("{error:#}"));
                }
            }
        }
    }

    /// Waits until every service works or it is clear that it will not.
    pub(super) fn watch(&mut self) -> anyhow::Result<()> {
        let watched: Vec<Watched> = self
            .ids
            .iter()
            .filter(|(name, _)| !self.failures.contains_key(*name))
            .map(|(name, id)| self.watched(name, id))
            .collect();
        let verdicts = wait::until_healthy(self.engine, &watched, self.limit, self.progress)?;
        for (watched, verdict) in watched.iter().zip(verdicts) {
            if let Some(reason) = verdict {
                self.failures.insert(watched.name.clone(), reason);
            }
        }
        Ok(())
    }
}

impl Runner for Run<'_> {
    fn hang_up(&self, name: &str) -> anyhow::Result<()> {
        let id = self
            .ids
            .get(name)
            .with_context(|| format!("{name} has no container"))?;
        containers::hang_up(self.engine, id)
    }

    fn last_lines(&self, name: &str, count: usize) -> Vec<String> {
        let id = self.ids.get(name);
        id.map(|id| containers::last_lines(self.engine, id, count))
            .unwrap_or_default()
    }
}
