//! What came of an `up`, and how it is told.

use std::collections::BTreeMap;

use crate::inventory::Inventory;
use crate::project::Project;
use crate::scrapes::Scrapes;
use crate::service::Service;
use crate::{render, table};

/// What came of an `up`, whatever the services run as.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// One line for each service, below a header.
    pub(crate) table: Vec<Vec<String>>,
    /// Base URLs of the services that have one.
    pub(crate) urls: BTreeMap<Service, String>,
    /// What is wrong with a service, some lines each.
    pub(crate) failures: Vec<String>,
    /// Services that could not be had and that the rest can do without. One sentence each.
    pub(crate) left_out: Vec<String>,
    /// Whether their numbers arrive.
    pub(crate) scrapes: Scrapes,
    /// Services that were started, restarted, reloaded or removed.
    pub(crate) touched: Vec<String>,
}

impl Outcome {
    /// Whether everything works.
    pub(crate) fn is_healthy(&self) -> bool {
        self.failures.is_empty() && self.scrapes.failures.is_empty()
    }

    /// Results to standard output, complaints to standard error.
    pub(crate) fn tell(&self, project: &Project, inventory: &Inventory) {
        print!("{}", table::columns(&self.table));
        print!("{}", table::columns(&self.pages()));
        if self.urls.contains_key(&Service::Grafana) {
            println!(
                "Grafana's user is admin, its password is in {}",
                render::password_file(project).display()
            );
        }
        if inventory.stack.demo {
            println!(
                "what the exporters say of {} is made up: mission.toml says demo = true",
                inventory.local_name()
            );
        }
        let alerts = inventory.runs(Service::Alertmanager);
        if alerts && inventory.slack.is_none() && inventory.webhook.is_none() {
            eprintln!("alerts go nowhere yet: configure [notify.slack] or [notify.webhook] in mission.toml");
        }
        if self.touched.is_empty() {
            eprintln!("nothing had to be changed");
        }
        for sentence in self.scrapes.elsewhere.iter().chain(&self.left_out) {
            eprintln!("{sentence}");
        }
        for failure in self.failures.iter().chain(&self.scrapes.failures) {
            eprintln!("\n{failure}");
        }
    }

    /// What a person opens in a browser.
    fn pages(&self) -> Vec<Vec<String>> {
        let pages = [
            (Service::Grafana, "dashboards"),
            (Service::Prometheus, "metrics and rules"),
            (Service::Alertmanager, "alerts and silences"),
            (Service::Jaeger, "traces"),
            (Service::Kibana, "documents"),
        ];
        let mut rows = vec![vec![String::new()]];
        for (service, what) in pages {
            let url = self.urls.get(&service);
            rows.extend(url.map(|url| vec![what.to_owned(), url.clone()]));
        }
        rows
    }
}
