//! One service.

use std::collections::BTreeSet;

use super::fields::Fields;
use super::item::Item;
use super::{build, life, mounts, networks, ports, resources};
use crate::model::{NetworkMode, PullPolicy, Service};
use crate::words;
use crate::yaml::{Bare, Value};

/// The keys of a service that docker compose knows and this crate does not.
#[rustfmt::skip]
const KNOWN: [&str; 42] = [
    "annotations", "attach", "blkio_config", "cgroup_parent", "configs", "container_name", "cpu_count", "cpu_percent",
    "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares", "cpuset", "credential_spec",
    "develop", "dns", "dns_opt", "dns_search", "domainname", "env_file", "extends",
    "external_links", "gpus", "ipc", "isolation", "label_file", "links", "mac_address", "mem_swappiness", "models",
    "oom_kill_disable", "platform", "post_start", "pre_stop", "provider", "scale", "stdin_open", "storage_opt", "tty",
    "use_api_socket", "volumes_from",
];

/// Reads the service `name`.
pub(super) fn read(name: &str, item: &Item<'_>) -> Option<Service> {
    let mut fields = item.fields()?;
    let mut service = Service {
        name: name.to_owned(),
        ..Service::default()
    };
    image(&mut service, item, &mut fields);
    process(&mut service, &mut fields);
    rights(&mut service, &mut fields);
    networks::of_service(&mut service, item, &mut fields);
    service.ports = ports::published(&mut fields);
    if matches!(service.network_mode, Some(NetworkMode::Host | NetworkMode::None))
        && !service.ports.is_empty()
    {
        item.refuse("this `network_mode` publishes no ports: leave `ports` out");
    }
    service.expose = ports::exposed(&mut fields);
    mounts::of_service(&mut service, item, &mut fields);
    life::of_service(&mut service, &mut fields);
    resources::of_service(&mut service, &mut fields);
    fields.finish(&KNOWN);
    Some(service)
}

/// Where the image comes from, and which profiles start the service.
fn image(service: &mut Service, item: &Item<'_>, fields: &mut Fields<'_>) {
    let image = fields.take("image");
    let build = fields.take("build");
    if image.is_none() && build.is_none() {
        item.refuse("has neither `image` nor `build`");
    }
    service.image = image.and_then(|image| {
        let name = image.word()?;
        let odd = name.contains(|letter: char| letter.is_whitespace() || letter.is_control());
        if odd {
            image.refuse(format!("the image name {name:?} has blanks in it"));
        }
        (!odd).then_some(name)
    });
    service.build = build.and_then(|build| build::read(&build));
    service.pull_policy = fields.take("pull_policy").and_then(|policy| {
        policy.choice(&[
            ("always", PullPolicy::Always),
            ("missing", PullPolicy::Missing),
            ("never", PullPolicy::Never),
            ("build", PullPolicy::Build),
            ("if_not_present", PullPolicy::Missing),
        ])
    });
    service.profiles = fields.texts("profiles").into_iter().collect::<BTreeSet<_>>();
}

/// What runs, as whom and where.
fn process(service: &mut Service, fields: &mut Fields<'_>) {
    service.command = fields.take("command").and_then(|item| command(&item));
    service.entrypoint = fields.take("entrypoint").and_then(|item| command(&item));
    service.environment = fields.variables("environment");
    service.user = fields.text("user");
    service.working_dir = fields.text("working_dir");
    service.hostname = fields.text("hostname");
    service.labels = fields.labels("labels");
    service.init = fields.boolean("init");
    service.runtime = fields.text("runtime");
}

/// What the process may do beyond or below the usual.
fn rights(service: &mut Service, fields: &mut Fields<'_>) {
    service.read_only = fields.boolean("read_only").unwrap_or_default();
    service.privileged = fields.boolean("privileged").unwrap_or_default();
    service.cap_add = fields.texts("cap_add");
    service.cap_drop = fields.texts("cap_drop");
    service.security_opt = fields.texts("security_opt");
    service.group_add = fields.each("group_add", |item| match &item.node.value {
        Value::Bare(Bare::Integer(group), _) => Some(group.to_string()),
        _ => item.word(),
    });
    service.pid = namespace(fields, "pid", &["host"]);
    service.uts = namespace(fields, "uts", &["host"]);
    service.userns_mode = namespace(fields, "userns_mode", &["host"]);
    service.cgroup = namespace(fields, "cgroup", &["host", "private"]);
}

/// The namespace that `key` names, which must be one of `choices`.
fn namespace(fields: &mut Fields<'_>, key: &'static str, choices: &[&'static str]) -> Option<String> {
    let choices: Vec<_> = choices.iter().map(|choice| (*choice, *choice)).collect();
    fields.take(key)?.choice(&choices).map(str::to_owned)
}

/// A list of words, or one line that is cut into words. Nothing is like no command at all.
fn command(item: &Item<'_>) -> Option<Vec<String>> {
    if item.is_null() {
        return None;
    }
    if let Some(line) = item.as_text() {
        return item.accept(words::split(line));
    }
    Some(item.list()?.iter().filter_map(Item::text).collect())
}
