//! What needs the `lancedb` crate: databases in object stores and in namespaces, and the timed search.
//!
//! The library is asked on timers of its own, with a deadline for each answer; a scrape shows what is there. Nothing is
//! created or written: a folder that is missing is not handed to the library, which would make it.

mod latency;
mod probe;
mod read;
mod store;

use std::sync::Arc;

use exporter::{CollectError, Collector, Family, Sampler};

use self::probe::Probes;
use self::read::Readings;
use self::store::{Client, Store};
use crate::args::{Args, Databases};
use crate::collectors::one;

/// The collectors of what is asked for, with their timers running.
pub(crate) fn collectors(args: &Args, databases: &Databases) -> anyhow::Result<Vec<Box<dyn Collector>>> {
    let mut collectors: Vec<Box<dyn Collector>> = Vec::new();
    let stores: Vec<Store> = databases.stores.iter().map(Store::at_address).collect();
    if !stores.is_empty() {
        let client = Client::new()?;
        let readings = Arc::new(Readings::default());
        let written = Arc::clone(&readings);
        let all = stores.clone();
        let tick = move || written.replace(client.run(read::all(&all, &client)));
        collectors.push(Box::new(Timed {
            name: "stores",
            what: readings,
            _sampler: Sampler::every("stores", args.store_interval, tick)?,
        }));
    }
    if let Some(interval) = args.probe_interval {
        let client = Client::new()?;
        let mut all: Vec<Store> = databases.folders.iter().map(Store::in_folder).collect();
        all.extend(stores);
        anyhow::ensure!(
            !all.is_empty(),
            "--probe.interval: there is nothing to search; give --lancedb.path or --lancedb.uri"
        );
        let probes = Arc::new(Probes::default());
        let written = Arc::clone(&probes);
        let tick = move || client.run(probe::all(&all, &client, &written));
        collectors.push(Box::new(Timed {
            name: "probe",
            what: probes,
            _sampler: Sampler::every("probe", interval, tick)?,
        }));
    }
    Ok(collectors)
}

/// What a timer found last.
trait Found: Send + Sync + 'static {
    /// What is known, and what went wrong at the last tick.
    fn families(&self) -> (Vec<Family>, Vec<String>);
}

/// Shows what a timer found, as long as this lives.
struct Timed<T> {
    name: &'static str,
    what: Arc<T>,
    _sampler: Sampler,
}

impl<T: Found> Collector for Timed<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let (families, errors) = self.what.families();
        if errors.is_empty() {
            Ok(families)
        } else {
            Err(CollectError::Partly(families, one(&errors)))
        }
    }
}
