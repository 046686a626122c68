//! The watched databases: folders whose sub-folders `<name>.lance` are tables.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use anyhow::Context as _;
use exporter::Labels;

use crate::args::Named;
use crate::page;
use crate::table::Table;

/// What the names of tables' folders end with.
const SUFFIX: &[u8] = b".lance";

/// All databases. They are looked at under one lock: concurrent scrapes share a look.
#[derive(Debug)]
pub(crate) struct Databases(Mutex<Vec<Database>>);

/// One database and its tables by folder name.
#[derive(Debug)]
pub(crate) struct Database {
    named: Named<PathBuf>,
    tables: BTreeMap<OsString, Watched>,
    /// When the folder was listed last.
    listed: Option<SystemTime>,
    /// Why it could not be listed now.
    pub(crate) error: Option<anyhow::Error>,
}

/// A table under its label.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) label: String,
    pub(crate) labels: Labels<1>,
    pub(crate) table: Table,
}

impl Databases {
    pub(crate) fn new(databases: Vec<Named<PathBuf>>) -> Self {
        let database = |named| Database {
            named,
            tables: BTreeMap::new(),
            listed: None,
            error: None,
        };
        Self(Mutex::new(databases.into_iter().map(database).collect()))
    }

    /// The databases as they are now.
    pub(crate) fn look(&self) -> MutexGuard<'_, Vec<Database>> {
        let mut databases = self.last();
        for database in &mut *databases {
            database.error = database.look().err();
        }
        databases
    }

    /// The databases as they were at the last look.
    pub(crate) fn last(&self) -> MutexGuard<'_, Vec<Database>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database {
    pub(crate) fn name(&self) -> &str {
        &self.named.name
    }

    /// The tables, none while the folder cannot be listed.
    pub(crate) fn tables(&mut self) -> impl Iterator<Item = &mut Watched> {
        let shown = self.error.is_none();
        self.tables.values_mut().filter(move |_| shown)
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let looked = SystemTime::now();
        let path = &self.named.place;
        let names = tables_in(path)
            .with_context(|| format!("read {}; is --lancedb.path right and readable?", path.display()))?;
        self.tables.retain(|name, _| names.contains(name));
        let now = Instant::now();
        for name in names {
            let watched = self.tables.entry(name).or_insert_with_key(|name| {
                let table = Table::new(path.join(name), self.listed, now);
                Watched::new(&self.named.prefix, name, table)
            });
            watched.table.look(now);
        }
        self.listed = Some(looked);
        Ok(())
    }
}

impl Watched {
    fn new(prefix: &str, folder: &OsStr, table: Table) -> Self {
        let name = name(folder).unwrap_or_default();
        // What is not UTF-8 is written as `\xff`, so that names that differ still do.
        let name = str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned);
        let label = format!("{prefix}{name}");
        Self {
            labels: page::TABLE_UP.labels([&label]),
            label,
            table,
        }
    }
}

/// The names of the sub-folders that are tables.
fn tables_in(path: &Path) -> io::Result<HashSet<OsString>> {
    let mut names = HashSet::new();
    for entry in path.read_dir()? {
        let entry = entry?;
        let folder = entry.file_name();
        // A link may lead to a folder.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if name(&folder).is_some() && !is_file {
            names.insert(folder);
        }
    }
    Ok(names)
}

/// The name of the table in a folder that is called so.
fn name(folder: &OsStr) -> Option<&[u8]> {
    let name = folder.as_bytes().strip_suffix(SUFFIX)?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_are_tables() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.lance", "a.lance", "notes", ".lance.tmp"] {
            std::fs::create_dir(folder.path().join(name)).expect("create");
        }
        std::fs::write(folder.path().join("file.lance"), "").expect("write");
        let databases = Databases::new(vec![Named {
            name: "brain".into(),
            prefix: "brain/".into(),
            place: folder.path().into(),
        }]);
        let labels = || -> Vec<String> {
            let mut databases = databases.look();
            databases[0]
                .tables()
                .map(|watched| watched.label.clone())
                .collect()
        };
        assert_eq!(labels(), ["brain/a", "brain/b"]);
        std::fs::remove_dir(folder.path().join("a.lance")).expect("remove");
        assert_eq!(labels(), ["brain/b"]);
        for name in [&b"caf\xe9.lance"[..], b"caf\xe8.lance"] {
            std::fs::create_dir(folder.path().join(OsStr::from_bytes(name))).expect("create");
        }
        assert_eq!(labels(), ["brain/b", "brain/caf\\xe8", "brain/caf\\xe9"]);
    }

    #[test]
    fn a_folder_that_is_missing_is_named_and_hides_its_tables() {
        let parent = tempfile::tempdir().expect("a folder");
        let path = parent.path().join("brain");
        std::fs::create_dir_all(path.join("a.lance")).expect("create");
        let databases = Databases::new(vec![Named {
            name: "brain".into(),
            prefix: String::new(),
            place: path.clone(),
        }]);
        assert_eq!(databases.look()[0].tables().count(), 1);
        std::fs::rename(&path, parent.path().join("away")).expect("rename");
        let mut looked = databases.look();
        assert_eq!(looked[0].tables().count(), 0);
        let error = format!("{:#}", looked[0].error.as_ref().expect("an error"));
        assert!(
            error.contains("brain; is --lancedb.path right") && error.contains("No such file"),
            "{error}"
        );
        assert!(!path.exists(), "nothing is created");
    }
}
