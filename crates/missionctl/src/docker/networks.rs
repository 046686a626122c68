//! Networks and volumes of the project: made when they are missing, kept when they are there.

use anyhow::{Context, anyhow, bail};
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect, VolumeCreateRequest};
use bollard::query_parameters::InspectNetworkOptions;
use compose::{MountKind, Network, Subnet};

use super::engine::{Engine, advice, is_unknown, reason};
use super::labels;
use super::plan::Plan;

/// Makes what the services to run need.
pub(crate) fn ensure(engine: &Engine, plan: &Plan) -> anyhow::Result<()> {
    for (name, network) in &plan.compose.networks {
        if plan.services().any(|service| service.networks.contains_key(name)) {
            ensure_network(engine, plan, name, network)
                .with_context(|| format!("network {}", network.name))?;
        }
    }
    for (name, volume) in &plan.compose.volumes {
        let is_used = plan
            .services()
            .flat_map(|service| &service.mounts)
            .any(|mount| matches!(&mount.kind, MountKind::Volume { name: used } if used == name));
        if !is_used || volume.external {
            continue;
        }
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            driver: volume.driver.clone(),
            driver_opts: Some(volume.driver_opts.clone().into_iter().collect()),
            labels: Some(labels::volume(plan, name)),
            ..VolumeCreateRequest::default()
        };
        // The engine answers with the one that is there when there is one.
        engine
            .wait(engine.docker().create_volume(request))
            .map_err(|error| anyhow!(reason(&error)))
            .with_context(|| format!("volume {}", volume.name))?;
    }
    Ok(())
}

fn ensure_network(engine: &Engine, plan: &Plan, name: &str, network: &Network) -> anyhow::Result<()> {
    let found = engine.wait(
        engine
            .docker()
            .inspect_network(&network.name, None::<InspectNetworkOptions>),
    );
    match found {
        Ok(found) => return fits(network, &found),
        Err(error) if is_unknown(&error) && network.external => {
            bail!("it is another project's and does not exist")
        }
        Err(error) if is_unknown(&error) => {}
        Err(error) => bail!(reason(&error)),
    }
    let pools = network.subnets.iter().map(|pool| IpamConfig {
        subnet: Some(pool.subnet.clone()),
        gateway: pool.gateway.map(|gateway| gateway.to_string()),
        ..IpamConfig::default()
    });
    let request = NetworkCreateRequest {
        name: network.name.clone(),
        driver: network.driver.clone(),
        internal: Some(network.internal),
        options: Some(network.driver_opts.clone().into_iter().collect()),
        ipam: (!network.subnets.is_empty()).then(|| Ipam {
            config: Some(pools.collect()),
            ..Ipam::default()
        }),
        labels: Some(labels::network(plan, name)),
        ..NetworkCreateRequest::default()
    };
    match engine.wait(engine.docker().create_network(request)) {
        Ok(_) => Ok(()),
        Err(error) => {
            let said = reason(&error);
            let advice = advice(&said)
                .map(|advice| format!("; {advice}"))
                .unwrap_or_default();
            bail!("{said}{advice}")
        }
    }
}

/// A network keeps its addresses as long as it lives, whatever the file says meanwhile.
fn fits(wanted: &Network, found: &NetworkInspect) -> anyhow::Result<()> {
    let pools = found
        .ipam
        .as_ref()
        .and_then(|ipam| ipam.config.as_deref())
        .unwrap_or_default();
    let has = |wanted: &Subnet| {
        pools.iter().any(|pool| {
            let gateway = pool.gateway.as_deref().and_then(|gateway| gateway.parse().ok());
            pool.subnet.as_deref() == Some(&wanted.subnet)
                && (wanted.gateway.is_none() || wanted.gateway == gateway)
        })
    };
    match wanted.subnets.iter().find(|pool| !has(pool)) {
        Some(pool) => bail!(
            "it exists with other addresses than {}; missionctl down removes it, and the next up makes it anew",
            pool.subnet
        ),
        None => Ok(()),
    }
}
