//! How an image is built.

use super::item::Item;
use crate::model::Build;

/// The keys of a build that docker compose knows and this crate does not.
#[rustfmt::skip]
const KNOWN: [&str; 16] = [
    "additional_contexts", "cache_from", "cache_to", "dockerfile_inline", "entitlements", "extra_hosts", "isolation",
    "no_cache", "platforms", "privileged", "pull", "secrets", "shm_size", "ssh", "tags", "ulimits",
];

/// Reads a build: its context alone, or a map.
pub(super) fn read(item: &Item<'_>) -> Option<Build> {
    if item.as_text().is_some() {
        return Some(Build {
            context: context(item)?,
            dockerfile: "Dockerfile".into(),
            ..Build::default()
        });
    }
    let mut fields = item.fields()?;
    let context = fields
        .take("context")
        .map_or_else(|| Some(item.context.folder.to_owned()), |item| context(&item));
    let build = Build {
        dockerfile: fields
            .text("dockerfile")
            .unwrap_or_else(|| "Dockerfile".to_owned())
            .into(),
        args: fields.variables("args"),
        target: fields.text("target"),
        network: fields.text("network"),
        labels: fields.labels("labels"),
        ..Build::default()
    };
    fields.finish(&KNOWN);
    Some(Build {
        context: context?,
        ..build
    })
}

/// The folder that the build sees.
fn context(item: &Item<'_>) -> Option<std::path::PathBuf> {
    let text = item.word()?;
    if text.contains("://") || text.starts_with("git@") || text.starts_with("github.com/") {
        item.refuse(format!("must be a folder of this machine, but is `{text}`"));
        return None;
    }
    item.accept(item.context.absolute(&text))
}
