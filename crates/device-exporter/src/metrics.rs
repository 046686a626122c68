//! The metrics of devices and their models: names, labels and meaning. `docs/metrics.md` is the contract.

use exporter::{Kind, Metric, Unit};

pub(crate) const CONNECTED: Metric<3> = Metric::contract(
    Kind::Gauge,
    "device_connection_status",
    "Whether the device is connected.",
    ["device_id", "platform", "port"],
);
pub(crate) const INFO: Metric<4> = Metric::gauge(
    "device_info",
    Unit::None,
    "What the device says of itself; always 1.",
    ["device_id", "platform", "firmware_version", "usb_serial"],
);
pub(crate) const LAST_SEEN: Metric<1> = Metric::gauge(
    "device_last_seen_timestamp_seconds",
    Unit::Seconds,
    "When the device last said something that was understood, or was first connected, Unix time.",
    ["device_id"],
);
pub(crate) const CPU: Metric<2> = Metric::contract(
    Kind::Gauge,
    "device_cpu_utilization_percent",
    "Load of the device, 0 to 100.",
    ["device_id", "platform"],
);
pub(crate) const MEMORY_USED: Metric<3> = Metric::gauge(
    "device_memory_usage_bytes",
    Unit::Bytes,
    "Memory in use on the device.",
    ["device_id", "platform", "memory_type"],
);
pub(crate) const MEMORY_TOTAL: Metric<3> = Metric::contract(
    Kind::Gauge,
    "device_memory_total_bytes",
    "All memory of the device.",
    ["device_id", "platform", "memory_type"],
);
pub(crate) const POWER: Metric<2> = Metric::contract(
    Kind::Gauge,
    "device_power_consumption_mw",
    "Power that the device draws, in milliwatts.",
    ["device_id", "platform"],
);
pub(crate) const TEMPERATURE: Metric<3> = Metric::gauge(
    "device_temperature_celsius",
    Unit::Celsius,
    "Temperature on the device.",
    ["device_id", "platform", "sensor_location"],
);
pub(crate) const READING: Metric<4> = Metric::gauge(
    "device_reading",
    Unit::None,
    "A value with a name of the firmware's own.",
    ["device_id", "platform", "name", "unit"],
);
pub(crate) const TOKENS_PER_SECOND: Metric<3> = Metric::contract(
    Kind::Gauge,
    "model_tokens_per_second",
    "Speed of the model in its last run on this platform.",
    ["model_name", "platform", "quantization"],
);
pub(crate) const MODEL_MEMORY: Metric<3> = Metric::contract(
    Kind::Gauge,
    "model_memory_usage_kb",
    "Memory of the model in its last run on this platform, in units of 1,024 bytes.",
    ["model_name", "platform", "memory_type"],
);
pub(crate) const ACCURACY: Metric<3> = Metric::contract(
    Kind::Gauge,
    "model_accuracy_score",
    "Share of right answers on a data set, 0 to 1, last measured on this platform.",
    ["model_name", "dataset", "platform"],
);
pub(crate) const LATENCY: Metric<3> = Metric::contract(
    Kind::Gauge,
    "model_latency_p95_ms",
    "95th percentile of the latency in the last run on this platform, in milliseconds.",
    ["model_name", "platform", "input_length"],
);
pub(crate) const QUANTIZATION_ERROR: Metric<3> = Metric::contract(
    Kind::Gauge,
    "quantization_error_rate",
    "Share of answers that quantization makes wrong, 0 to 1, last measured.",
    ["model_name", "quantization_bits", "method"],
);
pub(crate) const TOKENS: Metric<4> = Metric::counter(
    "model_tokens_total",
    Unit::None,
    "Tokens that the model made.",
    ["device_id", "model_name", "platform", "quantization"],
);
pub(crate) const INFERENCE: Metric<4> = Metric::counter(
    "model_inference_seconds_total",
    Unit::Seconds,
    "Time that the model took for its answers.",
    ["device_id", "model_name", "platform", "quantization"],
);
pub(crate) const ENERGY: Metric<4> = Metric::counter(
    "model_energy_joules_total",
    Unit::Joules,
    "Energy that the model took for its answers.",
    ["device_id", "model_name", "platform", "quantization"],
);
pub(crate) const FRAMES: Metric<1> = Metric::counter(
    "device_frames_total",
    Unit::None,
    "Lines from the device, understood or not.",
    ["device_id"],
);
pub(crate) const REJECTED: Metric<2> = Metric::counter(
    "device_frames_rejected_total",
    Unit::None,
    "Lines and values from the device that were not taken.",
    ["device_id", "reason"],
);
pub(crate) const LOST: Metric<1> = Metric::counter(
    "device_frames_lost_total",
    Unit::None,
    "Lines that did not arrive, by the device's own sequence numbers.",
    ["device_id"],
);
pub(crate) const RECONNECTS: Metric<1> = Metric::counter(
    "device_reconnects_total",
    Unit::None,
    "How often the device came back after it was gone.",
    ["device_id"],
);
pub(crate) const RESETS: Metric<2> = Metric::counter(
    "device_resets_total",
    Unit::None,
    "Starts of the device; those that opening its port caused have the reason opened.",
    ["device_id", "reason"],
);
pub(crate) const PANICS: Metric<1> = Metric::counter(
    "device_panics_total",
    Unit::None,
    "Crashes that the device reported.",
    ["device_id"],
);
pub(crate) const LOGS: Metric<2> = Metric::counter(
    "device_log_messages_total",
    Unit::None,
    "Log lines of the device.",
    ["device_id", "level"],
);
pub(crate) const LOGS_DROPPED: Metric<1> = Metric::counter(
    "device_log_messages_dropped_total",
    Unit::None,
    "Log lines about the device that were not written, since there were too many.",
    ["device_id"],
);
pub(crate) const SERIES_DROPPED: Metric<1> = Metric::counter(
    "device_series_dropped_total",
    Unit::None,
    "Values from the device that were left out, since there would have been too many series.",
    ["device_id"],
);
pub(crate) const ACTIVE: Metric<0> = Metric::gauge(
    "profiling_sessions_active",
    Unit::None,
    "Profiling sessions that began and have not ended.",
    [],
);
pub(crate) const RULES: Metric<0> = Metric::gauge(
    "device_ports_configured",
    Unit::None,
    "Ports and patterns of ports that the configuration names.",
    [],
);
pub(crate) const OPEN: Metric<0> = Metric::gauge("device_ports_open", Unit::None, "Ports that are open.", []);
pub(crate) const BLOCKED: Metric<2> = Metric::gauge(
    "device_port_blocked",
    Unit::None,
    "A port that should be open and cannot be, and why; always 1.",
    ["port", "reason"],
);
pub(crate) const CONFLICTS: Metric<0> = Metric::gauge(
    "device_id_conflicts",
    Unit::None,
    "Connected devices whose id belongs to another one that is connected.",
    [],
);
pub(crate) const SPANS_DROPPED: Metric<0> = Metric::counter(
    "device_spans_dropped_total",
    Unit::None,
    "Spans of profiling sessions that did not reach the collector.",
    [],
);
