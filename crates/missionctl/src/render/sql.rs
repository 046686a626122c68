//! `sql-exporter/`: which databases to ask, the user's own queries, and for containers the addresses, in which this
//! machine has another name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use super::place::{common_folder, real};
use super::{Place, Tree};
use crate::demo;
use crate::inventory::{Asked, Database, Inventory, Sql};
use crate::project::Project;
use crate::service::Service;

/// The folder of what is rendered, and where a container has it.
const FOLDER: &str = "sql-exporter";
const IN_CONTAINER: &str = "/etc/sql-exporter";
/// Where a container has the folder of SQLite files.
const FILES_IN_CONTAINER: &str = "/files";

#[derive(Serialize)]
struct File {
    database: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dsn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dsn_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queries: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe_interval: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parameters: BTreeMap<String, String>,
}

pub(super) fn render(
    project: &Project,
    inventory: &Inventory,
    place: Place,
    tree: &mut Tree,
) -> anyhow::Result<()> {
    // Addresses of databases that are asked no more go away.
    tree.claim(FOLDER);
    let mut database = Vec::new();
    for sql in &inventory.sql {
        database.push(entry(inventory, sql, place, tree).with_context(|| sql.name.clone())?);
    }
    if inventory.stack.demo {
        let machine = project.data(Service::DemoMachine.name());
        for (name, file) in demo::databases(&machine) {
            database.push(Entry {
                dsn: Some(sqlite(&file)),
                pack: Some(name.to_owned()),
                ..Entry::named(name)
            });
        }
    }
    let text = toml::to_string(&File { database }).context("sql-exporter.toml")?;
    tree.add(
        format!("{FOLDER}/sql-exporter.toml"),
        format!("# Rendered by missionctl from mission.toml.\n{text}"),
    );
    Ok(())
}

impl Entry {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            dsn: None,
            dsn_file: None,
            pack: None,
            queries: None,
            probe_interval: None,
            labels: BTreeMap::new(),
            parameters: BTreeMap::new(),
        }
    }
}

fn entry(inventory: &Inventory, sql: &Sql, place: Place, tree: &mut Tree) -> anyhow::Result<Entry> {
    let mut entry = Entry {
        probe_interval: sql.probe_interval.clone(),
        labels: sql.labels.clone(),
        parameters: sql.parameters.clone(),
        ..Entry::named(&sql.name)
    };
    match &sql.asked {
        Asked::Pack(pack) => entry.pack = Some(pack.clone()),
        Asked::File(path) => {
            let text = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
            // A copy, so that a change of it is a change of the configuration.
            let copy = format!("queries/{}.toml", sql.name);
            tree.add(format!("{FOLDER}/{copy}"), text);
            entry.queries = Some(PathBuf::from(copy));
        }
    }
    match (&sql.database, place) {
        (Database::File(path), Place::Processes { .. }) => entry.dsn = Some(sqlite(path)),
        (Database::File(path), Place::Containers { .. }) => {
            entry.dsn = Some(sqlite(&in_container(inventory, path)));
        }
        (Database::Server(server), _) => {
            let text = match &server.address {
                Some(address) => server.at(&place.reached(address)),
                None => server.secret().to_owned(),
            };
            match (&server.file, place) {
                (None, _) => entry.dsn = Some(text),
                (Some(file), Place::Processes { .. }) => {
                    entry.dsn_file = Some(file.clone());
                    // What the exporter reads when it starts belongs to what its start depends on.
                    tree.add_secret(
                        format!("{FOLDER}/addresses/{}.sha256", sql.name),
                        digest(server.secret()),
                    );
                }
                (Some(_), Place::Containers { .. }) => {
                    let copy = format!("addresses/{}", sql.name);
                    tree.add(format!("{FOLDER}/{copy}"), text);
                    entry.dsn_file = Some(Path::new(IN_CONTAINER).join(copy));
                }
            }
        }
    }
    Ok(entry)
}

/// Characters that would end the path are written as the URL's syntax asks for.
fn sqlite(path: &Path) -> String {
    let path = path.display().to_string();
    let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite:{path}")
}

fn digest(text: &str) -> String {
    use sha2::Digest;
    super::hex(&sha2::Sha256::digest(text))
}

/// The folder that all SQLite files have in common, for a container to be given.
pub(crate) fn files(inventory: &Inventory) -> Option<PathBuf> {
    common_folder(inventory.sql.iter().filter_map(|sql| match &sql.database {
        Database::File(path) => Some(real(path).parent()?.to_path_buf()),
        Database::Server(_) => None,
    }))
}

fn in_container(inventory: &Inventory, path: &Path) -> PathBuf {
    let real = real(path);
    let folder = files(inventory).unwrap_or_default();
    Path::new(FILES_IN_CONTAINER).join(real.strip_prefix(folder).unwrap_or(&real))
}
