//! From a service of the compose file to what the engine is asked to create.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, EndpointSettings, HealthConfig, HostConfig,
    HostConfigLogConfig, Mount, MountBindOptions, MountTmpfsOptions, MountType, NetworkingConfig,
    PortBinding, PortMap, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use compose::{MountKind, Service};

use super::plan::Plan;

/// The container's name, as compose forms it.
pub(crate) fn name(plan: &Plan, service: &str) -> String {
    format!("{}-{service}-1", plan.compose.name)
}

/// The whole request.
pub(crate) fn body(
    plan: &Plan,
    service: &Service,
    image: &str,
    labels: HashMap<String, String>,
) -> ContainerCreateBody {
    let filled = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let environment: Vec<String> = service
        .environment
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    ContainerCreateBody {
        hostname: service.hostname.clone(),
        user: service.user.clone(),
        exposed_ports: filled(&exposed(service)),
        env: filled(&environment),
        cmd: service.command.clone(),
        entrypoint: service.entrypoint.clone(),
        healthcheck: service.healthcheck.as_ref().map(health),
        image: Some(image.to_owned()),
        working_dir: service.working_dir.clone(),
        labels: Some(labels),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: service.stop_grace_period.map(|grace| signed(grace.as_secs())),
        host_config: Some(host(plan, service)),
        networking_config: networking(plan, service),
        ..ContainerCreateBody::default()
    }
}

fn host(plan: &Plan, service: &Service) -> HostConfig {
    let filled = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let hosts: Vec<String> = service
        .extra_hosts
        .iter()
        .map(|(name, address)| format!("{name}:{address}"))
        .collect();
    HostConfig {
        memory: service.mem_limit.map(signed),
        memory_reservation: service.mem_reservation.map(signed),
        memory_swap: service.memswap_limit,
        shm_size: service.shm_size.map(signed),
        nano_cpus: service.cpus.map(nanos),
        pids_limit: service.pids_limit,
        oom_score_adj: service.oom_score_adj,
        ulimits: Some(ulimits(service)),
        sysctls: Some(service.sysctls.clone().into_iter().collect()),
        devices: Some(devices(service)),
        device_cgroup_rules: filled(&service.device_cgroup_rules),
        device_requests: Some(device_requests(service)),
        log_config: service.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: logging.driver.clone(),
            config: Some(logging.options.clone().into_iter().collect()),
        }),
        network_mode: network_mode(plan, service),
        port_bindings: Some(bindings(service)),
        restart_policy: Some(restart(service)),
        binds: Some(created_binds(service)),
        mounts: Some(mounts(plan, service)),
        tmpfs: Some(tmpfs(service)),
        cap_add: filled(&service.cap_add),
        cap_drop: filled(&service.cap_drop),
        security_opt: filled(&service.security_opt),
        group_add: filled(&service.group_add),
        extra_hosts: filled(&hosts),
        pid_mode: service.pid.clone(),
        uts_mode: service.uts.clone(),
        cgroupns_mode: service.cgroup.as_deref().and_then(|mode| mode.parse().ok()),
        userns_mode: service.userns_mode.clone(),
        runtime: service.runtime.clone(),
        init: service.init,
        privileged: Some(service.privileged),
        readonly_rootfs: Some(service.read_only),
        ..HostConfig::default()
    }
}

fn exposed(service: &Service) -> Vec<String> {
    let published = service
        .ports
        .iter()
        .map(|port| format!("{}/{}", port.target, port.protocol));
    let mut all: Vec<String> = published.chain(service.expose.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

fn bindings(service: &Service) -> PortMap {
    let mut bindings = PortMap::new();
    for port in &service.ports {
        let binding = PortBinding {
            host_ip: port.host_ip.map(|ip| ip.to_string()),
            host_port: Some(port.published.map_or_else(String::new, |port| port.to_string())),
        };
        bindings
            .entry(format!("{}/{}", port.target, port.protocol))
            .or_default()
            .get_or_insert_default()
            .push(binding);
    }
    bindings
}

fn health(health: &compose::Healthcheck) -> HealthConfig {
    HealthConfig {
        test: Some(health.test.clone()),
        interval: health.interval.map(nanoseconds),
        timeout: health.timeout.map(nanoseconds),
        start_period: health.start_period.map(nanoseconds),
        retries: health.retries.map(i64::from),
        ..HealthConfig::default()
    }
}

fn mounts(plan: &Plan, service: &Service) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = service
        .mounts
        .iter()
        .filter_map(|mount| self::mount(plan, mount))
        .collect();
    mounts.extend(service.secrets.iter().filter_map(|secret| {
        let file = &plan.compose.secrets.get(&secret.name)?.file;
        Some(Mount {
            typ: Some(MountType::BIND),
            source: Some(file.display().to_string()),
            target: Some(secret.target.clone()),
            read_only: Some(true),
            ..Mount::default()
        })
    }));
    mounts
}

fn mount(plan: &Plan, mount: &compose::Mount) -> Option<Mount> {
    let common = Mount {
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        ..Mount::default()
    };
    Some(match &mount.kind {
        MountKind::Bind {
            create_host_path: true,
            ..
        } => return None,
        MountKind::Bind {
            source, propagation, ..
        } => Mount {
            typ: Some(MountType::BIND),
            source: Some(source.display().to_string()),
            bind_options: propagation.as_ref().map(|propagation| MountBindOptions {
                propagation: propagation.parse().ok(),
                ..MountBindOptions::default()
            }),
            ..common
        },
        MountKind::Volume { name } => Mount {
            typ: Some(MountType::VOLUME),
            source: plan.compose.volumes.get(name).map(|volume| volume.name.clone()),
            ..common
        },
        MountKind::Tmpfs { size, mode } => Mount {
            typ: Some(MountType::TMPFS),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: size.map(signed),
                mode: mode.map(i64::from),
                ..MountTmpfsOptions::default()
            }),
            ..common
        },
    })
}

/// In the engine's older form, which makes a folder of a path that is missing.
fn created_binds(service: &Service) -> Vec<String> {
    let binds = service.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Bind {
            source,
            create_host_path: true,
            propagation,
        } => {
            let mode = if mount.read_only { "ro" } else { "rw" };
            let propagation = propagation
                .as_ref()
                .map(|word| format!(",{word}"))
                .unwrap_or_default();
            Some(format!(
                "{}:{}:{mode}{propagation}",
                source.display(),
                mount.target
            ))
        }
        _ => None,
    });
    binds.collect()
}

fn tmpfs(service: &Service) -> HashMap<String, String> {
    let entries = service.tmpfs.iter().map(|entry| {
        let (path, options) = entry.split_once(':').unwrap_or((entry, ""));
        (path.to_owned(), options.to_owned())
    });
    entries.collect()
}

/// Its first network; the engine takes the others only once the container exists.
fn network_mode(plan: &Plan, service: &Service) -> Option<String> {
    if let Some(mode) = service.network_mode {
        return Some(mode.as_str().to_owned());
    }
    let first = service.networks.keys().next()?;
    plan.compose
        .networks
        .get(first)
        .map(|network| network.name.clone())
}

fn networking(plan: &Plan, service: &Service) -> Option<NetworkingConfig> {
    let (name, endpoint) = endpoints(plan, service).into_iter().next()?;
    Some(NetworkingConfig {
        endpoints_config: Some(HashMap::from([(name, endpoint)])),
    })
}

/// The networks of a service by the engine's names, with the names it has in each.
pub(crate) fn endpoints(plan: &Plan, service: &Service) -> Vec<(String, EndpointSettings)> {
    let named = service.networks.iter().filter_map(|(network, aliases)| {
        let network = plan.compose.networks.get(network)?.name.clone();
        let aliases = std::iter::once(service.name.clone()).chain(aliases.iter().cloned());
        let endpoint = EndpointSettings {
            aliases: Some(aliases.collect()),
            ..EndpointSettings::default()
        };
        Some((network, endpoint))
    });
    named.collect()
}

fn restart(service: &Service) -> RestartPolicy {
    let (name, retries) = match service.restart {
        compose::RestartPolicy::No => (RestartPolicyNameEnum::NO, None),
        compose::RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, None),
        compose::RestartPolicy::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        compose::RestartPolicy::OnFailure { retries } => (RestartPolicyNameEnum::ON_FAILURE, retries),
    };
    RestartPolicy {
        name: Some(name),
        maximum_retry_count: retries.map(i64::from),
    }
}

fn devices(service: &Service) -> Vec<DeviceMapping> {
    let devices = service.devices.iter().map(|device| DeviceMapping {
        path_on_host: Some(device.host.clone()),
        path_in_container: Some(device.container.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    });
    devices.collect()
}

fn device_requests(service: &Service) -> Vec<DeviceRequest> {
    let requests = service.device_requests.iter().map(|request| DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: Some(request.device_ids.clone()),
        capabilities: Some(vec![request.capabilities.clone()]),
        options: Some(request.options.clone().into_iter().collect()),
    });
    requests.collect()
}

fn ulimits(service: &Service) -> Vec<ResourcesUlimits> {
    let limits = service.ulimits.iter().map(|(name, limit)| ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    });
    limits.collect()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number of processors, in billionths"
)]
fn nanos(cpus: f64) -> i64 {
    (cpus * 1e9).round() as i64
}
