//! What `up` tells at its end.

use crate::inventory::Inventory;
use crate::native::{self, Outcome, Unit};
use crate::project::Project;
use crate::service::Service;
use crate::{status, table};

/// Results to standard output, complaints to standard error.
pub(crate) fn tell(project: &Project, inventory: &Inventory, outcome: &Outcome) -> anyhow::Result<()> {
    print!("{}", table::columns(&status::service_rows(project, outcome)?));
    print!("{}", table::columns(&addresses(outcome)));
    if find(outcome, Service::Grafana).is_some() {
        println!(
            "Grafana's user is admin, its password is in {}",
            native::password_file(project).display()
        );
    }
    if inventory.stack.demo {
        println!(
            "power, temperature and load of {} are made up: mission.toml says demo = true",
            inventory.local_name()
        );
    }
    if inventory.slack.is_none() && inventory.webhook.is_none() {
        eprintln!("alerts go nowhere yet: configure [notify.slack] or [notify.webhook] in mission.toml");
    }
    if outcome.touched.is_empty() {
        eprintln!("nothing had to be changed");
    }
    for sentence in &outcome.scrapes.elsewhere {
        eprintln!("{sentence}");
    }
    for (unit, failure) in outcome.units.iter().zip(&outcome.failures) {
        if let Some(failure) = failure {
            eprintln!("\n{}", native::explain(project, inventory, unit, failure));
        }
    }
    for sentence in &outcome.scrapes.failures {
        eprintln!("\n{sentence}");
    }
    Ok(())
}

/// What a person opens in a browser.
fn addresses(outcome: &Outcome) -> Vec<Vec<String>> {
    let pages = [
        (Service::Grafana, "dashboards"),
        (Service::Prometheus, "metrics and rules"),
        (Service::Alertmanager, "alerts and silences"),
    ];
    let mut rows = vec![vec![String::new()]];
    for (service, what) in pages {
        let url = find(outcome, service).and_then(Unit::url);
        rows.extend(url.map(|url| vec![what.to_owned(), url]));
    }
    rows
}

fn find(outcome: &Outcome, service: Service) -> Option<&Unit> {
    outcome.units.iter().find(|unit| unit.service == service)
}
