//! What is missed without a service.

/// Says why a service is left out, and what that costs.
pub(crate) fn sentence(name: &str, reason: &str) -> String {
    format!("{name} is left out, so {}: {reason}", cost(name))
}

/// The stack does nothing without it.
pub(crate) fn is_vital(name: &str) -> bool {
    let can_be_missed = [
        "grafana",
        "loki",
        "alloy",
        "cadvisor",
        "jaeger",
        "elasticsearch",
        "kibana",
        "victoria-metrics",
    ];
    !can_be_missed.contains(&name)
}

fn cost(name: &str) -> &'static str {
    match name {
        "prometheus" => "nothing is collected, and no alert fires",
        "alertmanager" => "nobody is told when an alert fires",
        "pushgateway" => "nothing can be pushed",
        "grafana" => "there are no dashboards",
        "node-exporter" => "the machine's load, memory, disks and network are not watched",
        "rapl-exporter" => "power and heat of the CPU are not watched",
        "gpu-exporter" => "GPUs are not watched",
        "worker-exporter" => "workers are not watched",
        "lancedb-exporter" => "LanceDB tables are not watched",
        "sql-exporter" => "databases are not asked",
        "training-exporter" => "training runs are not followed",
        "device-exporter" => "devices are not listened to",
        "pushgateway-bridge" => "nothing is brought to the centre",
        "blackbox-exporter" => "no probe is made",
        "postgres-exporter" => "PostgreSQL is not watched",
        "loki" => "logs are not kept beyond the containers' own",
        "alloy" => "no logs are collected",
        "cadvisor" => "containers are not watched one by one",
        "jaeger" => "traces are not kept",
        "victoria-metrics" => "nothing is kept for longer than Prometheus does",
        "elasticsearch" => "documents are not kept",
        "kibana" => "Elasticsearch has no pages",
        _ => "what it does is missing",
    }
}
