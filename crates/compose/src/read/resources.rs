//! Devices, limits and logs of a service.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::Fields;
use super::item::Item;
use crate::model::{Device, DeviceRequest, Logging, Service, Ulimit};
use crate::yaml::{Bare, Value};

/// Reads the service's devices, limits and logs.
pub(super) fn of_service(service: &mut Service, fields: &mut Fields<'_>) {
    let mut targets = BTreeSet::new();
    for (device, item) in fields.each("devices", |item| Some((device(item)?, item.clone()))) {
        if !targets.insert(device.container.clone()) {
            item.refuse(format!(
                "another device is {} in the container already",
                device.container
            ));
        }
        service.devices.push(device);
    }
    service.device_cgroup_rules = fields.each("device_cgroup_rules", device_rule);
    service.mem_limit = fields.bytes("mem_limit");
    let reservation = fields.take("mem_reservation");
    service.mem_reservation = reservation.as_ref().and_then(Item::bytes);
    if let Some(requests) = fields.take("deploy").and_then(|item| deploy(&item)) {
        service.device_requests = requests;
        if let Some(reservation) = reservation {
            reservation.refuse("docker compose takes none beside deploy.resources.reservations");
        }
    }
    service.memswap_limit = fields
        .take("memswap_limit")
        .and_then(|item| match item.node.value {
            Value::Bare(Bare::Integer(-1), _) => Some(-1),
            _ => item.bytes().and_then(|bytes| i64::try_from(bytes).ok()),
        });
    service.shm_size = fields.bytes("shm_size");
    service.cpus = fields.take("cpus").and_then(|item| item.positive());
    service.pids_limit = fields.integer("pids_limit");
    service.oom_score_adj = fields.take("oom_score_adj").and_then(|item| score(&item));
    service.ulimits = fields
        .take("ulimits")
        .and_then(|item| ulimits(&item))
        .unwrap_or_default();
    service.sysctls = fields.labels("sysctls");
    service.logging = fields.take("logging").and_then(|item| logging(&item));
}

fn score(item: &Item<'_>) -> Option<i64> {
    let score = item.integer()?;
    let inside = (-1000..=1000).contains(&score);
    if !inside {
        item.refuse(format!("must be -1000 to 1000, but is {score}"));
    }
    inside.then_some(score)
}

/// `c 188:* rw`: a type, two numbers or stars, and what may be done.
fn device_rule(item: &Item<'_>) -> Option<String> {
    let rule = item.text()?;
    let is_number =
        |text: &str| text == "*" || (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit()));
    let parts: Vec<&str> = rule.split(' ').collect();
    let is_good = matches!(parts[..], [kind, numbers, permissions]
        if ["a", "b", "c"].contains(&kind)
            && numbers.split_once(':').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
            && !permissions.is_empty()
            && permissions.chars().all(|c| "rwm".contains(c)));
    if !is_good {
        item.refuse(format!("must be like `c 188:* rw`, but is `{rule}`"));
    }
    is_good.then_some(rule)
}

/// `host`, `host:container` or `host:container:permissions`, or a map of the three.
fn device(item: &Item<'_>) -> Option<Device> {
    let (host, container, permissions) = if item.as_text().is_some() {
        let text = item.word()?;
        let parts: Vec<_> = text.split(':').map(str::to_owned).collect();
        match parts.as_slice() {
            [host] => (host.clone(), None, None),
            [host, container] => (host.clone(), Some(container.clone()), None),
            [host, container, permissions] => {
                (host.clone(), Some(container.clone()), Some(permissions.clone()))
            }
            _ => {
                item.refuse(format!("must be host:container:permissions, but is `{text}`"));
                return None;
            }
        }
    } else {
        let mut fields = item.fields()?;
        let source = fields.text("source");
        let device = (fields.text("target"), fields.text("permissions"));
        fields.finish(&[]);
        let Some(source) = source else {
            item.refuse("has no `source`");
            return None;
        };
        (source, device.0, device.1)
    };
    let container = container.unwrap_or_else(|| host.clone());
    let permissions = permissions.unwrap_or_else(|| "rwm".to_owned());
    if !host.starts_with('/') || !container.starts_with('/') {
        item.refuse(format!(
            "must be absolute paths, but is `{host}` and `{container}`"
        ));
    }
    if permissions.is_empty() || !permissions.bytes().all(|byte| b"rwm".contains(&byte)) {
        item.refuse(format!(
            "the permissions must be of r, w and m, but are `{permissions}`"
        ));
    }
    Some(Device {
        host,
        container,
        permissions,
    })
}

/// `resources.reservations.devices`, the one part of a deployment that has no other key.
fn deploy(item: &Item<'_>) -> Option<Vec<DeviceRequest>> {
    let mut deploy = item.fields()?;
    let resources = deploy.take("resources");
    deploy.finish(&[
        "endpoint_mode",
        "labels",
        "mode",
        "placement",
        "replicas",
        "restart_policy",
        "rollback_config",
        "update_config",
    ]);
    let mut resources = resources?.fields()?;
    let reservations = resources.take("reservations");
    resources.finish(&["limits"]);
    let mut reservations = reservations?.fields()?;
    let requests = reservations.each("devices", device_request);
    reservations.finish(&["cpus", "generic_resources", "memory", "pids"]);
    Some(requests)
}

fn device_request(item: &Item<'_>) -> Option<DeviceRequest> {
    let mut fields = item.fields()?;
    let count = fields.take("count");
    let ids = fields.take("device_ids");
    if count.is_some() && ids.is_some() {
        item.refuse("`count` and `device_ids` contradict each other: leave one out");
    }
    let request = DeviceRequest {
        driver: fields.text("driver"),
        count: match (&count, &ids) {
            (Some(count), _)
                if count
                    .as_text()
                    .is_some_and(|text| text.eq_ignore_ascii_case("all")) =>
            {
                Some(-1)
            }
            (Some(count), _) => count.integer::<u32>().map(i64::from),
            (None, Some(_)) => None,
            (None, None) => Some(-1),
        },
        device_ids: ids.and_then(|ids| ids.texts()).unwrap_or_default(),
        capabilities: fields.texts("capabilities"),
        options: fields.labels("options"),
    };
    if request.capabilities.is_empty() {
        item.refuse("has no `capabilities`, such as [gpu]");
    }
    fields.finish(&[]);
    Some(request)
}

fn ulimits(item: &Item<'_>) -> Option<BTreeMap<String, Ulimit>> {
    let mut all = BTreeMap::new();
    for (name, item) in item.entries()? {
        if !matches!(item.node.value, Value::Map(_)) {
            all.extend(item.integer().map(|limit| {
                (
                    name.to_owned(),
                    Ulimit {
                        soft: limit,
                        hard: limit,
                    },
                )
            }));
            continue;
        }
        let Some(mut fields) = item.fields() else { continue };
        let (soft, hard) = (fields.take("soft"), fields.take("hard"));
        fields.finish(&[]);
        if soft.is_none() || hard.is_none() {
            item.refuse("needs both `soft` and `hard`");
        }
        let limit = soft
            .and_then(|soft| soft.integer())
            .zip(hard.and_then(|hard| hard.integer()));
        all.extend(limit.map(|(soft, hard)| (name.to_owned(), Ulimit { soft, hard })));
    }
    Some(all)
}

fn logging(item: &Item<'_>) -> Option<Logging> {
    let mut fields = item.fields()?;
    let logging = Logging {
        driver: fields.text("driver"),
        options: fields.labels("options"),
    };
    fields.finish(&[]);
    Some(logging)
}
