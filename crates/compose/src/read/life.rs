//! When a service starts, is well and starts again.

use std::collections::BTreeMap;

use super::context::Section;
use super::fields::Fields;
use super::item::Item;
use crate::model::{Condition, Dependency, Healthcheck, RestartPolicy, Service};

/// Reads what says when the service starts, is well, stops and starts again.
pub(super) fn of_service(service: &mut Service, fields: &mut Fields<'_>) {
    service.healthcheck = fields.take("healthcheck").and_then(|item| healthcheck(&item));
    service.depends_on = fields
        .take("depends_on")
        .and_then(|item| depends_on(&item))
        .unwrap_or_default();
    service.restart = fields
        .take("restart")
        .and_then(|item| restart(&item))
        .unwrap_or_default();
    service.stop_grace_period = fields.duration("stop_grace_period");
    service.stop_signal = fields.text("stop_signal");
}

fn healthcheck(item: &Item<'_>) -> Option<Healthcheck> {
    let mut fields = item.fields()?;
    let disabled = fields.boolean("disable").unwrap_or_default();
    let test = fields.take("test");
    if disabled && test.is_some() {
        item.refuse("`disable: true` and `test` contradict each other: leave one out");
    }
    let healthcheck = Healthcheck {
        test: if disabled {
            vec!["NONE".to_owned()]
        } else {
            test.and_then(|item| self::test(&item)).unwrap_or_default()
        },
        interval: fields.duration("interval"),
        timeout: fields.duration("timeout"),
        start_period: fields.duration("start_period"),
        retries: fields.integer("retries"),
    };
    fields.finish(&["start_interval"]);
    Some(healthcheck)
}

/// The question, in the engine's form.
fn test(item: &Item<'_>) -> Option<Vec<String>> {
    if item.as_text().is_some() {
        return Some(vec!["CMD-SHELL".to_owned(), item.word()?]);
    }
    let words: Vec<_> = item.list()?.iter().filter_map(Item::text).collect();
    let form = match words.first().map(String::as_str) {
        Some("NONE") => words.len() == 1,
        Some("CMD-SHELL") => words.len() == 2,
        Some("CMD") => words.len() > 1,
        _ => false,
    };
    if !form {
        item.refuse("must be [CMD, program, arguments…], [CMD-SHELL, line] [NONE] or a line for the shell");
    }
    form.then_some(words)
}

fn depends_on(item: &Item<'_>) -> Option<BTreeMap<String, Dependency>> {
    let mut all = BTreeMap::new();
    if matches!(item.node.value, crate::yaml::Value::List(_)) {
        for name in item.texts()? {
            item.refer(Section::Services, &name);
            all.insert(
                name,
                Dependency {
                    condition: Condition::Started,
                    required: true,
                    restart: false,
                },
            );
        }
        return Some(all);
    }
    for (name, item) in item.entries()? {
        item.refer(Section::Services, name);
        let Some(mut fields) = item.fields() else { continue };
        let Some(condition) = fields.take("condition") else {
            item.refuse("has no `condition`");
            continue;
        };
        let condition = condition.choice(&[
            ("service_started", Condition::Started),
            ("service_healthy", Condition::Healthy),
            ("service_completed_successfully", Condition::Completed),
        ]);
        let required = fields.boolean("required").unwrap_or(true);
        let restart = fields.boolean("restart").unwrap_or_default();
        fields.finish(&[]);
        all.extend(condition.map(|condition| {
            (
                name.to_owned(),
                Dependency {
                    condition,
                    required,
                    restart,
                },
            )
        }));
    }
    Some(all)
}

fn restart(item: &Item<'_>) -> Option<RestartPolicy> {
    let text = item.text()?;
    let policy = match text
        .split_once(':')
        .map_or((text.as_str(), None), |(word, count)| (word, Some(count)))
    {
        ("no", None) => Some(RestartPolicy::No),
        ("always", None) => Some(RestartPolicy::Always),
        ("unless-stopped", None) => Some(RestartPolicy::UnlessStopped),
        ("on-failure", None) => Some(RestartPolicy::OnFailure { retries: None }),
        ("on-failure", Some(count)) => count.parse().ok().map(|retries| RestartPolicy::OnFailure {
            retries: Some(retries),
        }),
        _ => None,
    };
    if policy.is_none() {
        item.mismatch("no, always, unless-stopped, on-failure or on-failure:NUMBER");
    }
    policy
}
