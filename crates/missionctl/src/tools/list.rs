//! The programs of others that the stack can use.

/// One program, under the name by which it is run here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Canonical name.
    pub(crate) name: &'static str,
    /// What Debian calls the same program.
    pub(super) debian_name: Option<&'static str>,
    /// Debian packages that hold it, the first one the program itself.
    pub(super) packages: &'static [&'static str],
    /// Upstream project, the key of [`super::releases::find`].
    pub(super) project: Option<&'static str>,
    /// What is missed without it, for a program that the stack can do without.
    pub(crate) without: Option<&'static str>,
}

const fn tool(
    name: &'static str,
    debian_name: Option<&'static str>,
    package: &'static [&'static str],
) -> Tool {
    Tool {
        name,
        debian_name,
        packages: package,
        project: Some(name),
        without: None,
    }
}

/// Everything the stack can use.
pub(crate) const TOOLS: [Tool; 13] = [
    tool("prometheus", None, &["prometheus"]),
    Tool {
        project: Some("prometheus"),
        ..tool("promtool", None, &["prometheus"])
    },
    tool(
        "alertmanager",
        Some("prometheus-alertmanager"),
        &["prometheus-alertmanager"],
    ),
    Tool {
        project: Some("alertmanager"),
        ..tool("amtool", None, &["prometheus-alertmanager"])
    },
    tool(
        "node_exporter",
        Some("prometheus-node-exporter"),
        &["prometheus-node-exporter"],
    ),
    tool(
        "pushgateway",
        Some("prometheus-pushgateway"),
        &["prometheus-pushgateway"],
    ),
    tool(
        "blackbox_exporter",
        Some("prometheus-blackbox-exporter"),
        &["prometheus-blackbox-exporter"],
    ),
    tool(
        "postgres_exporter",
        Some("prometheus-postgres-exporter"),
        &["prometheus-postgres-exporter"],
    ),
    Tool {
        project: None,
        without: Some("nothing is kept for longer than Prometheus does"),
        ..tool("victoria-metrics", None, &["victoria-metrics"])
    },
    Tool {
        project: None,
        ..tool("supervisord", None, &["supervisor", "python3-pkg-resources"])
    },
    Tool {
        without: Some("there are no dashboards"),
        ..tool("grafana", None, &[])
    },
    Tool {
        without: Some("logs are not stored"),
        ..tool("loki", None, &[])
    },
    Tool {
        without: Some("logs are not collected"),
        ..tool("alloy", None, &[])
    },
];
