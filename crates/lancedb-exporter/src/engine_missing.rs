//! Stands in for the module `engine` where the feature of this name is off: refuses what needs it.

use anyhow::ensure;
use exporter::Collector;

use crate::args::{Args, Databases};

/// No collectors.
pub(crate) fn collectors(args: &Args, databases: &Databases) -> anyhow::Result<Vec<Box<dyn Collector>>> {
    let missing = "the feature `engine`, which this program was built without: \
                   `cargo build --release -p lancedb-exporter --features engine`";
    if let Some(store) = databases.stores.first() {
        anyhow::bail!("--lancedb.uri {}: needs {missing}", store.place);
    }
    ensure!(args.probe_interval.is_none(), "--probe.interval: needs {missing}");
    Ok(Vec::new())
}
