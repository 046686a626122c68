//! Names, units and meanings of what the page lists. The readers convert; here all are base units.

use exporter::{Metric, Unit};

pub(crate) const UTILIZATION: Metric<1> = Metric::gauge(
    "gpu_utilization_percent",
    Unit::Percent,
    "Share of the last sample period in which the GPU was busy.",
    ["gpu_id"],
);
pub(crate) const MEMORY_USED: Metric<1> = Metric::gauge(
    "gpu_memory_used_bytes",
    Unit::Bytes,
    "Memory that is allocated, without what the driver reserves.",
    ["gpu_id"],
);
pub(crate) const MEMORY_TOTAL: Metric<1> =
    Metric::gauge("gpu_memory_total_bytes", Unit::Bytes, "All memory.", ["gpu_id"]);
pub(crate) const TEMPERATURE: Metric<1> = Metric::gauge(
    "gpu_temperature_celsius",
    Unit::Celsius,
    "Temperature of the GPU's core (AMD: of its edge, else of its hottest spot).",
    ["gpu_id"],
);
pub(crate) const TEMPERATURE_LIMIT: Metric<2> = Metric::contract(
    exporter::Kind::Gauge,
    "gpu_temperature_limit_celsius",
    "Temperature at which the GPU acts: slowdown, shutdown, max_operating, memory_max.",
    ["gpu_id", "threshold"],
);
pub(crate) const POWER: Metric<1> = Metric::gauge(
    "gpu_power_usage_watts",
    Unit::Watts,
    "Power of the whole board (AMD APUs: of the package); newer NVIDIA GPUs give the average of a second.",
    ["gpu_id"],
);
pub(crate) const POWER_LIMIT: Metric<1> = Metric::gauge(
    "gpu_power_limit_watts",
    Unit::Watts,
    "The limit in force.",
    ["gpu_id"],
);
pub(crate) const ENERGY: Metric<1> = Metric::counter(
    "gpu_energy_joules_total",
    Unit::Joules,
    "Energy since the driver was loaded before this exporter's start; goes on over reloads.",
    ["gpu_id"],
);
pub(crate) const SM_CLOCK: Metric<1> = Metric::gauge(
    "gpu_sm_clock_hertz",
    Unit::Hertz,
    "Clock of the processors (AMD: of the shaders).",
    ["gpu_id"],
);
pub(crate) const MEMORY_CLOCK: Metric<1> = Metric::gauge(
    "gpu_memory_clock_hertz",
    Unit::Hertz,
    "Clock of the memory.",
    ["gpu_id"],
);
pub(crate) const FAN: Metric<1> = Metric::gauge(
    "gpu_fan_speed_percent",
    Unit::Percent,
    "What the fastest fan is set to; may be above 100.",
    ["gpu_id"],
);
pub(crate) const ENCODER: Metric<1> = Metric::gauge(
    "gpu_encoder_utilization_percent",
    Unit::Percent,
    "How busy the video encoder is.",
    ["gpu_id"],
);
pub(crate) const DECODER: Metric<1> = Metric::gauge(
    "gpu_decoder_utilization_percent",
    Unit::Percent,
    "How busy the video decoder is.",
    ["gpu_id"],
);
pub(crate) const THROTTLED: Metric<2> = Metric::counter(
    "gpu_throttled_seconds_total",
    Unit::Seconds,
    "Time with the clocks held down, by reason; reasons overlap.",
    ["gpu_id", "reason"],
);
pub(crate) const THROTTLE_ACTIVE: Metric<2> = Metric::gauge(
    "gpu_throttle_active",
    Unit::None,
    "Whether the clocks are held down for this reason now.",
    ["gpu_id", "reason"],
);
pub(crate) const ECC: Metric<3> = Metric::counter(
    "gpu_ecc_errors_total",
    Unit::None,
    "Memory errors since the driver was loaded before this exporter's start; absent without ECC.",
    ["gpu_id", "severity", "location"],
);
pub(crate) const XID: Metric<2> = Metric::counter(
    "gpu_xid_errors_total",
    Unit::None,
    "Xid errors that the driver reported since this exporter's start.",
    ["gpu_id", "xid"],
);
pub(crate) const LINK_GENERATION: Metric<1> = Metric::gauge(
    "gpu_pcie_link_generation",
    Unit::None,
    "PCIe generation of the link now; an idle GPU may lower it.",
    ["gpu_id"],
);
pub(crate) const LINK_GENERATION_MAX: Metric<1> = Metric::gauge(
    "gpu_pcie_link_generation_max",
    Unit::None,
    "The highest PCIe generation that GPU and slot can do.",
    ["gpu_id"],
);
pub(crate) const LINK_WIDTH: Metric<1> = Metric::gauge(
    "gpu_pcie_link_width",
    Unit::None,
    "Lanes of the link now.",
    ["gpu_id"],
);
pub(crate) const LINK_WIDTH_MAX: Metric<1> = Metric::gauge(
    "gpu_pcie_link_width_max",
    Unit::None,
    "The most lanes that GPU and slot can do.",
    ["gpu_id"],
);
pub(crate) const PCIE_BYTES: Metric<2> = Metric::counter(
    "gpu_pcie_bytes_total",
    Unit::Bytes,
    "Bytes over the PCIe link as seen from the GPU, direction transmit or receive.",
    ["gpu_id", "direction"],
);
pub(crate) const PROCESS_MEMORY: Metric<3> = Metric::gauge(
    "gpu_process_memory_bytes",
    Unit::Bytes,
    "Memory by command and systemd unit or container; the smallest of more than 32 are process=\"other\".",
    ["gpu_id", "process", "unit"],
);
pub(crate) const UP: Metric<1> = Metric::gauge(
    "gpu_up",
    Unit::None,
    "Whether the GPU answered, or sleeps; 0 when it is known and lost, hangs, or lacks its library.",
    ["gpu_id"],
);
pub(crate) const SUSPENDED: Metric<1> = Metric::gauge(
    "gpu_suspended",
    Unit::None,
    "Whether the kernel suspended the GPU; it is not woken, so all else is unknown.",
    ["gpu_id"],
);
pub(crate) const AGE: Metric<1> = Metric::gauge(
    "gpu_reading_age_seconds",
    Unit::Seconds,
    "Age of the figures: above 0 while an idle GPU that may sleep is left alone so that it can.",
    ["gpu_id"],
);
pub(crate) const INFO: Metric<6> = Metric::gauge(
    "gpu_info",
    Unit::None,
    "What the GPU is; always 1.",
    ["gpu_id", "uuid", "name", "vendor", "driver_version", "pci_bus_id"],
);
