//! The model as a compose file, in the form in which docker compose prints its own.

use std::collections::BTreeMap;
use std::time::Duration;

use compose::{
    Condition, Dependency, Mount, MountKind, Network, Project, PullPolicy, RestartPolicy, Secret, Service,
    Volume,
};
use serde_json::{Map, Value, json};

/// The whole model. `null` stands for what is not there.
pub(crate) fn project(project: &Project) -> Value {
    let secret = |secret: &Secret| json!({"file": secret.file});
    json!({
        "name": project.name,
        "services": each(&project.services, service),
        "networks": each(&project.networks, network),
        "volumes": each(&project.volumes, volume),
        "secrets": each(&project.secrets, secret),
    })
}

fn each<T>(all: &BTreeMap<String, T>, render: impl Fn(&T) -> Value) -> Map<String, Value> {
    all.iter()
        .map(|(name, value)| (name.clone(), render(value)))
        .collect()
}

/// The maps as one.
fn together<const N: usize>(parts: [Value; N]) -> Value {
    let entries = |part| match part {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    };
    Value::Object(parts.into_iter().flat_map(entries).collect())
}

fn network(network: &Network) -> Value {
    if network.external {
        return json!({"name": network.name, "external": true});
    }
    let pool = |pool: &compose::Subnet| json!({"subnet": pool.subnet, "gateway": pool.gateway});
    json!({
        "name": network.name,
        "driver": network.driver,
        "driver_opts": network.driver_opts,
        "internal": yes(network.internal),
        "labels": network.labels,
        "ipam": {"config": network.subnets.iter().map(pool).collect::<Vec<_>>()},
    })
}

fn volume(volume: &Volume) -> Value {
    if volume.external {
        return json!({"name": volume.name, "external": true});
    }
    json!({
        "name": volume.name,
        "driver": volume.driver,
        "driver_opts": volume.driver_opts,
        "labels": volume.labels,
    })
}

fn service(service: &Service) -> Value {
    together([
        container(service),
        surroundings(service),
        life(service),
        limits(service),
    ])
}

fn container(service: &Service) -> Value {
    let build = service.build.as_ref().map(|build| {
        json!({
            "context": build.context,
            "dockerfile": build.dockerfile,
            "args": build.args,
            "target": build.target,
            "network": build.network,
            "labels": build.labels,
        })
    });
    json!({
        "image": service.image,
        "build": build,
        "pull_policy": service.pull_policy.map(|policy| match policy {
            PullPolicy::Always => "always",
            PullPolicy::Missing => "missing",
            PullPolicy::Never => "never",
            PullPolicy::Build => "build",
        }),
        "profiles": service.profiles,
        "command": service.command,
        "entrypoint": service.entrypoint,
        "environment": service.environment,
        "user": service.user,
        "working_dir": service.working_dir,
        "hostname": service.hostname,
        "read_only": yes(service.read_only),
        "init": service.init,
        "runtime": service.runtime,
        "labels": service.labels,
        "cap_add": service.cap_add,
        "cap_drop": service.cap_drop,
        "security_opt": service.security_opt,
        "privileged": yes(service.privileged),
        "group_add": service.group_add,
        "pid": service.pid,
        "uts": service.uts,
        "device_cgroup_rules": service.device_cgroup_rules,
        "userns_mode": service.userns_mode,
        "cgroup": service.cgroup,
    })
}

fn surroundings(service: &Service) -> Value {
    let port = |port: &compose::Port| {
        json!({
            "mode": "ingress",
            "host_ip": port.host_ip,
            "target": port.target,
            "published": port.published.map(|port| port.to_string()),
            "protocol": port.protocol.to_string(),
        })
    };
    let host = |(name, address): &(String, String)| format!("{name}={address}");
    let attached = |aliases: &Vec<String>| json!({"aliases": aliases});
    let networks = service
        .network_mode
        .is_none()
        .then(|| each(&service.networks, attached));
    let secret = |secret: &compose::SecretMount| json!({"source": secret.name, "target": secret.target});
    json!({
        "network_mode": service.network_mode.map(compose::NetworkMode::as_str),
        "networks": networks,
        "extra_hosts": service.extra_hosts.iter().map(host).collect::<Vec<_>>(),
        "ports": service.ports.iter().map(port).collect::<Vec<_>>(),
        "expose": service.expose,
        "volumes": service.mounts.iter().map(mount).collect::<Vec<_>>(),
        "tmpfs": service.tmpfs,
        "secrets": service.secrets.iter().map(secret).collect::<Vec<_>>(),
    })
}

fn mount(mount: &Mount) -> Value {
    let kind = match &mount.kind {
        MountKind::Bind {
            source,
            create_host_path,
            propagation,
        } => json!({
            "type": "bind",
            "source": source,
            "bind": {"create_host_path": yes(*create_host_path), "propagation": propagation},
        }),
        MountKind::Volume { name } => json!({"type": "volume", "source": name}),
        MountKind::Tmpfs { size, mode } => json!({"type": "tmpfs", "tmpfs": {"size": size, "mode": mode}}),
    };
    together([
        json!({"target": mount.target, "read_only": yes(mount.read_only)}),
        kind,
    ])
}

fn life(service: &Service) -> Value {
    let healthcheck = service.healthcheck.as_ref().map(|check| {
        json!({
            "test": (!check.test.is_empty()).then_some(&check.test),
            "interval": check.interval.map(duration),
            "timeout": check.timeout.map(duration),
            "start_period": check.start_period.map(duration),
            "retries": check.retries,
        })
    });
    let dependency = |dependency: &Dependency| {
        let condition = match dependency.condition {
            Condition::Started => "service_started",
            Condition::Healthy => "service_healthy",
            Condition::Completed => "service_completed_successfully",
        };
        json!({"condition": condition, "required": dependency.required, "restart": yes(dependency.restart)})
    };
    json!({
        "healthcheck": healthcheck,
        "depends_on": each(&service.depends_on, dependency),
        "restart": match service.restart {
            RestartPolicy::No => "no".to_owned(),
            RestartPolicy::Always => "always".to_owned(),
            RestartPolicy::UnlessStopped => "unless-stopped".to_owned(),
            RestartPolicy::OnFailure { retries: None } => "on-failure".to_owned(),
            RestartPolicy::OnFailure { retries: Some(retries) } => format!("on-failure:{retries}"),
        },
        "stop_grace_period": service.stop_grace_period.map(duration),
        "stop_signal": service.stop_signal,
    })
}

fn limits(service: &Service) -> Value {
    let device = |device: &compose::Device| json!({"source": device.host, "target": device.container, "permissions": device.permissions});
    let request = |request: &compose::DeviceRequest| {
        json!({
            "driver": request.driver,
            "count": if request.count == Some(-1) { json!("all") } else { json!(request.count) },
            "device_ids": (!request.device_ids.is_empty()).then_some(&request.device_ids),
            "capabilities": request.capabilities,
            "options": request.options,
        })
    };
    let requests: Vec<_> = service.device_requests.iter().map(request).collect();
    let deploy =
        (!requests.is_empty()).then(|| json!({"resources": {"reservations": {"devices": requests}}}));
    let ulimit = |limit: &compose::Ulimit| json!({"soft": limit.soft, "hard": limit.hard});
    let logging = service.logging.as_ref();
    json!({
        "devices": service.devices.iter().map(device).collect::<Vec<_>>(),
        "deploy": deploy,
        "mem_limit": service.mem_limit,
        "mem_reservation": service.mem_reservation,
        "memswap_limit": service.memswap_limit,
        "shm_size": service.shm_size,
        "cpus": service.cpus,
        "pids_limit": service.pids_limit,
        "oom_score_adj": service.oom_score_adj,
        "ulimits": each(&service.ulimits, ulimit),
        "sysctls": service.sysctls,
        "logging": logging.map(|logging| json!({"driver": logging.driver, "options": logging.options})),
    })
}

/// What docker compose leaves out when it is false.
fn yes(value: bool) -> Option<bool> {
    value.then_some(true)
}

/// A duration as Go prints it, such as `1m30s`.
fn duration(duration: Duration) -> String {
    let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 && nanoseconds > 0 {
        return match nanoseconds {
            0..1_000 => format!("{nanoseconds}ns"),
            1_000..1_000_000 => format!("{}µs", f64::from(nanoseconds) / 1e3),
            _ => format!("{}ms", f64::from(nanoseconds) / 1e6),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = format!("{}.{nanoseconds:09}", seconds % 60);
    let rest = rest.trim_end_matches('0').trim_end_matches('.');
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// Leaves `null` out.
pub(crate) fn without_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
