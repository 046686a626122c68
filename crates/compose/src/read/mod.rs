//! From the tree to the model: what compose's keys mean.

mod build;
pub(crate) mod context;
mod fields;
mod item;
mod life;
mod mounts;
mod networks;
mod ports;
mod resources;
mod service;
mod storage;

use std::collections::BTreeMap;
use std::path::Path;

use context::Context;
pub(crate) use fields::nearest;
use item::Item;

use crate::model::{Network, Project};
use crate::yaml::Node;

/// The variable that names the project, before the file does.
pub(crate) const PROJECT_NAME: &str = "COMPOSE_PROJECT_NAME";

/// The keys of the whole document that docker compose knows and this crate does not.
const KNOWN: [&str; 3] = ["configs", "include", "version"];

/// Reads the whole document of `file`. `None` when it is no map.
pub(crate) fn project(file: &Path, root: &Node, context: &Context<'_>) -> Option<Project> {
    let root = Item::new(root, String::new(), context);
    let mut fields = root.fields()?;
    let name = name(&root, fields.take("name").as_ref());
    let project = name.as_deref().unwrap_or_default();
    let services = fields.take("services");
    if services.as_ref().is_none_or(Item::is_empty) {
        root.refuse("has no services");
    }
    let services = named(services, service::read);
    let mut networks = named(fields.take("networks"), |name, item| {
        networks::network(project, name, item)
    });
    if services
        .values()
        .any(|service| service.networks.contains_key("default"))
    {
        let default = || Network {
            name: format!("{project}_default"),
            ..Network::default()
        };
        networks.entry("default".to_owned()).or_insert_with(default);
    }
    let volumes = named(fields.take("volumes"), |name, item| {
        storage::volume(project, name, item)
    });
    let secrets = named(fields.take("secrets"), |_, item| storage::secret(item));
    fields.finish(&KNOWN);
    let (file, folder) = (file.to_owned(), context.folder.to_owned());
    Some(Project {
        name: name.unwrap_or_default(),
        file,
        folder,
        services,
        networks,
        volumes,
        secrets,
    })
}

/// The name of the project: the environment's, else the file's.
fn name(root: &Item<'_>, item: Option<&Item<'_>>) -> Option<String> {
    let written = item.map(Item::text);
    let name = match (
        root.context
            .environment
            .get(PROJECT_NAME)
            .filter(|name| !name.is_empty()),
        written,
    ) {
        (Some(name), _) => name.clone(),
        (None, Some(name)) => name?,
        (None, None) => {
            root.refuse("has no `name`, which every container, network and volume is named after");
            return None;
        }
    };
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if begins_well && name.bytes().all(allowed) {
        return Some(name);
    }
    let rule = "must be lower-case letters, digits, `-` and `_`, and begin with a letter or digit";
    item.unwrap_or(root)
        .refuse(format!("the project's name {rule}, but is `{name}`"));
    None
}

/// The entries of a map from names of the user's, each read by `read`.
fn named<'a, T>(item: Option<Item<'a>>, read: impl Fn(&str, &Item<'a>) -> Option<T>) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for (name, item) in item.and_then(|item| item.entries()).unwrap_or_default() {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || !name.bytes().all(allowed) {
            item.refuse("a name must be letters, digits, `.`, `-` and `_`");
        }
        all.extend(read(name, &item).map(|value| (name.to_owned(), value)));
    }
    all
}
