//! A LanceDB database as lancedb-exporter reads it: tables that grow by appends while there is inference, forget old rows,
//! are indexed late and compacted now and then. The files have the sizes that the manifests say, and nothing else of
//! what a reader of rows would need.

mod folder;
mod message;
mod table;
mod version;

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::table::{Plan, Table};
use crate::machine::Part;
use crate::story::Moment;

/// Their sizes and intervals keep the whole database below 10 MB.
const PLANS: [Plan; 3] = [
    Plan {
        name: "memories",
        row: 192,
        rows: 3_000,
        append: (9, Duration::from_secs(4)),
        index: Some(("vector_idx", "Vector")),
    },
    Plan {
        name: "documents",
        row: 320,
        rows: 2_000,
        append: (8, Duration::from_secs(7)),
        index: Some(("text_idx", "Inverted")),
    },
    Plan {
        name: "events",
        row: 64,
        rows: 5_000,
        append: (25, Duration::from_secs(5)),
        index: None,
    },
];

/// The tables of a folder.
pub(crate) struct Brain(Vec<Table>);

/// Makes the tables that are not there.
pub(crate) fn prepare(folder: &Path) -> anyhow::Result<()> {
    Brain::resume(folder).map(drop)
}

impl Part for Brain {
    const NAME: &'static str = "LanceDB tables";
    const EVERY: Duration = Duration::from_secs(1);

    fn resume(folder: &Path) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let database = crate::brain(folder);
        let tables = PLANS.iter().map(|plan| Table::resume(&database, plan, now));
        Ok(Self(tables.collect::<Result<_, _>>()?))
    }

    fn advance(&mut self, moment: &Moment) -> anyhow::Result<()> {
        self.0.iter_mut().try_for_each(|table| table.advance(moment))
    }
}
