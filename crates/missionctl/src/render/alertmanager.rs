//! `alertmanager/`: the repository's routes and receivers with the user's channels in them.

use anyhow::Context;
use serde_yaml_ng::{Mapping, Value};

use super::{Place, Tree, mutes, reached, secrets};
use crate::inventory::{Inventory, Url};
use crate::project::Project;

const CONFIG: &str = "alertmanager/alertmanager.yml";

/// Adds everything below `alertmanager/`.
pub(super) fn render(
    project: &Project,
    inventory: &Inventory,
    place: Place,
    tree: &mut Tree,
) -> anyhow::Result<()> {
    tree.copy(&project.stack().join("alertmanager"), "alertmanager", |_| true)?;
    let mut config: Value = serde_yaml_ng::from_str(tree.text(CONFIG)?).with_context(|| CONFIG.to_owned())?;
    config.apply_merge().with_context(|| CONFIG.to_owned())?;
    let receivers = config
        .get_mut("receivers")
        .and_then(Value::as_sequence_mut)
        .with_context(|| format!("{CONFIG}: receivers is not a list"))?;
    for receiver in receivers.iter_mut().filter_map(Value::as_mapping_mut) {
        configure(receiver, "slack_configs", inventory.slack.is_some(), |channel| {
            let Some(slack) = &inventory.slack else { return };
            let file = place.secret(secrets::SLACK, &slack.url_file);
            channel.insert("api_url_file".into(), file.display().to_string().into());
            match &slack.channel {
                Some(name) => channel.insert("channel".into(), name.as_str().into()),
                None => channel.shift_remove("channel"),
            };
        });
        configure(
            receiver,
            "webhook_configs",
            inventory.webhook.is_some(),
            |channel| {
                let Some(webhook) = &inventory.webhook else { return };
                // Alertmanager 0.25 reads this one from no file, which is why the rendered file is kept from others.
                let url = Url::parse(&webhook.url).map(|url| reached(url, place).to_string());
                channel.insert("url".into(), url.unwrap_or_else(|_| webhook.url.clone()).into());
            },
        );
    }
    mutes::apply(&mut config, &inventory.windows).with_context(|| CONFIG.to_owned())?;
    let text = serde_yaml_ng::to_string(&config)?;
    let text = format!("# Rendered by missionctl from mission.toml and {CONFIG}.\n{text}");
    match place {
        Place::Processes { .. } => tree.add_secret(CONFIG, text),
        // The user of the container is another one; the folder above keeps everybody else away.
        Place::Containers { .. } => tree.add(CONFIG, text),
    }
    Ok(())
}

/// Fills in the channels of one kind, or takes them away when the user has none of it.
fn configure(receiver: &mut Mapping, kind: &str, is_wanted: bool, fill: impl Fn(&mut Mapping)) {
    if !is_wanted {
        receiver.shift_remove(kind);
        return;
    }
    let channels = receiver.get_mut(kind).and_then(Value::as_sequence_mut);
    channels
        .into_iter()
        .flatten()
        .filter_map(Value::as_mapping_mut)
        .for_each(fill);
}
