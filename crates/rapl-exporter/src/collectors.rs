//! The collectors of this exporter and what they share: zones, samples, load and temperature.

use std::sync::Arc;

use exporter::{Common, Exporter};

use crate::args::Args;
use crate::limits::Limits;
use crate::load::{self, Load};
use crate::power::Power;
use crate::powercap::Powercap;
use crate::source::Source;
use crate::temperature::Temperature;
use crate::throttle::Throttle;

/// Starts the samplers and makes the collectors.
pub(crate) fn build(args: &Args, common: &Common) -> anyhow::Result<Exporter> {
    let model = args.model()?;
    let powercap = Arc::new(Powercap::new(&common.sysfs));
    let power = Power::start(&powercap, args, common)?;
    let load = Load::start(&common.procfs)?;
    let temperature = Temperature::new(&common.sysfs);
    Ok(Exporter::new(vec![
        Box::new(power.clone()),
        Box::new(Limits::new(&powercap)),
        Box::new(Source::new(
            power,
            load.clone(),
            temperature.clone(),
            model,
            args.sources.clone(),
        )),
        Box::new(load),
        Box::new(temperature),
        Box::new(Throttle::new(&common.sysfs)),
    ])
    .warm_up(load::WARM_UP))
}
