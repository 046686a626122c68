//! Volumes and secrets of the project.

use super::fields::Fields;
use super::item::Item;
use crate::model::{Secret, Volume};

/// A volume. Nothing stands for one with nothing special.
pub(super) fn volume(project: &str, name: &str, item: &Item<'_>) -> Option<Volume> {
    let mut volume = Volume {
        name: format!("{project}_{name}"),
        ..Volume::default()
    };
    if item.is_null() {
        return Some(volume);
    }
    let mut fields = item.fields()?;
    (volume.name, volume.external) = identity(project, name, item, &mut fields);
    if volume.external {
        fields.finish_external("volume");
        return Some(volume);
    }
    volume.driver = fields.text("driver");
    volume.driver_opts = fields.labels("driver_opts");
    volume.labels = fields.labels("labels");
    fields.finish(&[]);
    Some(volume)
}

/// The name in the engine and whether the thing exists already.
pub(super) fn identity(
    project: &str,
    name: &str,
    item: &Item<'_>,
    fields: &mut Fields<'_>,
) -> (String, bool) {
    let external = match fields.take("external") {
        Some(external) if matches!(external.node.value, crate::yaml::Value::Map(_)) => {
            item.refuse("`external.name` is obsolete: write `external: true` and `name`");
            true
        }
        external => external
            .and_then(|external| external.boolean())
            .unwrap_or_default(),
    };
    let own = || {
        if external {
            name.to_owned()
        } else {
            format!("{project}_{name}")
        }
    };
    (fields.text("name").unwrap_or_else(own), external)
}

/// A secret, which must be a file.
pub(super) fn secret(item: &Item<'_>) -> Option<Secret> {
    let mut fields = item.fields()?;
    let file = fields.take("file");
    if fields.take("environment").is_some() {
        item.refuse(
            "a secret from the environment would be readable in the container's description: write `file`",
        );
    } else if file.is_none() {
        item.refuse("has no `file`");
    }
    fields.finish(&[
        "driver",
        "driver_opts",
        "external",
        "labels",
        "name",
        "template_driver",
    ]);
    let file = file?;
    Some(Secret {
        file: file.accept(item.context.absolute(&file.word()?))?,
    })
}
