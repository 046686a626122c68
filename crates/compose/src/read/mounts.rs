//! What a service sees of this machine's files.

use std::collections::BTreeSet;
use std::path::Path;

use super::context::{Place, Section, clean};
use super::fields::Fields;
use super::item::Item;
use crate::model::{Mount, MountKind, SecretMount, Service};
use crate::yaml::{Bare, Value};

/// How mounts beneath a bind mount can travel.
const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "rshared", "rslave", "shared", "slave"];

/// Reads the service's mounts, memory file systems and secrets.
pub(super) fn of_service(service: &mut Service, item: &Item<'_>, fields: &mut Fields<'_>) {
    let mut targets = BTreeSet::new();
    let mut occupy = |target: &str, place: &Place| {
        if !targets.insert(target.to_owned()) {
            item.context
                .refuse(place, format!("something else is mounted on {target} already"));
        }
    };
    for (mount, place) in fields.each("volumes", |item| Some((mount(item)?, item.place.clone()))) {
        occupy(&mount.target, &place);
        service.mounts.push(mount);
    }
    let tmpfs = fields.take("tmpfs");
    let place = tmpfs
        .as_ref()
        .map_or_else(|| item.place.clone(), |item| item.place.clone());
    for text in tmpfs.and_then(|item| item.text_or_texts()).unwrap_or_default() {
        match container_path(text.split(':').next().unwrap_or_default()) {
            Ok(target) => occupy(&target, &place),
            Err(message) => item.context.refuse(&place, message),
        }
        service.tmpfs.push(text);
    }
    for (secret, place) in fields.each("secrets", |item| Some((secret(item)?, item.place.clone()))) {
        occupy(&secret.target, &place);
        service.secrets.push(secret);
    }
}

fn mount(item: &Item<'_>) -> Option<Mount> {
    if matches!(item.node.value, Value::Map(_)) {
        long(item)
    } else {
        short(item)
    }
}

/// `source:target[:options]`.
fn short(item: &Item<'_>) -> Option<Mount> {
    let text = item.word()?;
    let mut parts = text.split(':');
    let (Some(source), Some(target), options, None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        item.refuse(format!(
            "must be source:target or source:target:options, but is `{text}`"
        ));
        return None;
    };
    let mut read_only = false;
    let mut propagation = None;
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => read_only = true,
            "rw" => read_only = false,
            _ if PROPAGATIONS.contains(&option) => propagation = Some(option.to_owned()),
            "nocopy" | "z" | "Z" => item.refuse(format!(
                "`{option}`: not supported by missionctl; docker compose knows it"
            )),
            _ => item.refuse(format!(
                "`{option}` is no option of a mount: write ro, rw or a propagation such as rslave"
            )),
        }
    }
    let kind = if source.starts_with(['.', '/', '~']) {
        let source = item.accept(item.context.absolute(source))?;
        MountKind::Bind {
            source,
            create_host_path: true,
            propagation,
        }
    } else {
        if propagation.is_some() {
            item.refuse("a volume has no propagation");
        }
        volume(item, source)
    };
    Some(Mount {
        kind,
        target: item.accept(container_path(target))?,
        read_only,
    })
}

/// A volume by its name in the file.
fn volume(item: &Item<'_>, name: &str) -> MountKind {
    item.refer(Section::Volumes, name);
    MountKind::Volume {
        name: name.to_owned(),
    }
}

/// The map of a mount.
fn long(item: &Item<'_>) -> Option<Mount> {
    let mut fields = item.fields()?;
    let kind = fields.take("type");
    let source = fields.take("source");
    let target = fields.take("target");
    let read_only = fields.boolean("read_only").unwrap_or_default();
    let kind = match kind.as_ref().map(Item::text) {
        Some(Some(kind)) => match kind.as_str() {
            "bind" => bind(item, source, &mut fields),
            "volume" => named_volume(item, source, &mut fields),
            "tmpfs" => Some(tmpfs(source, &mut fields)),
            _ => {
                item.refuse(format!("`type` must be bind, volume or tmpfs, but is `{kind}`"));
                return None;
            }
        },
        Some(None) => return None,
        None => {
            item.refuse("has no `type`: bind, volume or tmpfs");
            return None;
        }
    };
    fields.finish(&["consistency"]);
    let Some(target) = target else {
        item.refuse("has no `target`");
        return None;
    };
    let target = target.accept(container_path(&target.word()?))?;
    Some(Mount {
        kind: kind?,
        target,
        read_only,
    })
}

fn bind(item: &Item<'_>, source: Option<Item<'_>>, fields: &mut Fields<'_>) -> Option<MountKind> {
    let options = fields.take("bind");
    let Some(source) = source else {
        item.refuse("has no `source`");
        return None;
    };
    let source = source.accept(source.context.absolute(&source.word()?));
    let mut create_host_path = false;
    let mut propagation = None;
    if let Some(mut options) = options.and_then(|options| options.fields()) {
        create_host_path = options.boolean("create_host_path").unwrap_or_default();
        let choices = PROPAGATIONS.map(|word| (word, word));
        propagation = options
            .take("propagation")
            .and_then(|item| item.choice(&choices))
            .map(str::to_owned);
        options.finish(&["recursive", "selinux"]);
    }
    Some(MountKind::Bind {
        source: source?,
        create_host_path,
        propagation,
    })
}

fn named_volume(item: &Item<'_>, source: Option<Item<'_>>, fields: &mut Fields<'_>) -> Option<MountKind> {
    if let Some(options) = fields.take("volume").and_then(|options| options.fields()) {
        options.finish(&["nocopy", "subpath"]);
    }
    let Some(source) = source else {
        item.refuse("has no `source`: a volume without a name is lost with its container");
        return None;
    };
    Some(volume(&source, &source.word()?))
}

fn tmpfs(source: Option<Item<'_>>, fields: &mut Fields<'_>) -> MountKind {
    if let Some(source) = source {
        source.refuse("memory has no source");
    }
    let Some(mut options) = fields.take("tmpfs").and_then(|options| options.fields()) else {
        return MountKind::Tmpfs {
            size: None,
            mode: None,
        };
    };
    let size = options.bytes("size");
    let mode = options.take("mode").and_then(|item| {
        let mode = match item.node.value {
            Value::Bare(Bare::Integer(mode), _) => u32::try_from(mode).ok(),
            _ => None,
        };
        if mode.is_none() {
            item.mismatch("a number such as 0o1777");
        }
        mode
    });
    options.finish(&[]);
    MountKind::Tmpfs { size, mode }
}

/// A secret's name, or a map of its name and its file in the container.
fn secret(item: &Item<'_>) -> Option<SecretMount> {
    let (name, target) = if item.as_text().is_some() {
        (item.word()?, None)
    } else {
        let mut fields = item.fields()?;
        let source = fields.text("source");
        let target = fields.text("target");
        fields.finish(&["gid", "mode", "uid"]);
        let Some(source) = source else {
            item.refuse("has no `source`");
            return None;
        };
        (source, target)
    };
    item.refer(Section::Secrets, &name);
    let target = Path::new("/run/secrets").join(target.as_deref().unwrap_or(&name));
    Some(SecretMount {
        name,
        target: clean(&target).display().to_string(),
    })
}

/// An absolute path in the container.
fn container_path(path: &str) -> Result<String, String> {
    if path.starts_with('/') {
        Ok(clean(Path::new(path)).display().to_string())
    } else {
        Err(format!("`{path}` must be an absolute path in the container"))
    }
}
