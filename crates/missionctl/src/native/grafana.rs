//! Grafana: where its pages are, and what its environment says.

use std::path::{Path, PathBuf};

use crate::inventory::Inventory;
use crate::project::Project;
use crate::render::password_file;
use crate::service::Service;

/// Grafana's archive has its pages two folders above the program; its packages put them elsewhere.
pub(crate) fn home(program: &Path) -> PathBuf {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_path_buf());
    let archive = real
        .parent()
        .and_then(Path::parent)
        .filter(|home| home.join("conf/defaults.ini").is_file());
    archive.map_or_else(|| PathBuf::from("/usr/share/grafana"), Path::to_path_buf)
}

/// Its configuration, which it takes from its environment.
pub(crate) fn variables(project: &Project, inventory: &Inventory) -> Vec<(String, String)> {
    let data = project.data(Service::Grafana.name());
    let run = project.run().join("grafana");
    let shown = |path: PathBuf| path.display().to_string();
    let mut variables = vec![
        ("GF_SERVER_HTTP_ADDR", inventory.stack.bind.to_string()),
        ("GF_PATHS_LOGS", shown(data.join("log"))),
        ("GF_PATHS_PLUGINS", shown(data.join("plugins"))),
        ("GF_PATHS_DATA", shown(data)),
        ("GF_PATHS_PROVISIONING", shown(run.join("provisioning"))),
        // GF_SECURITY_ADMIN_PASSWORD__FILE is known to the start script of Grafana's container only.
        (
            "GF_SECURITY_ADMIN_PASSWORD",
            format!("$__file{{{}}}", password_file(project).display()),
        ),
        ("GF_ANALYTICS_REPORTING_ENABLED", "false".to_owned()),
        ("GF_ANALYTICS_CHECK_FOR_UPDATES", "false".to_owned()),
        ("GF_PLUGINS_PREINSTALL_AUTO_UPDATE", "false".to_owned()),
        ("DASHBOARDS_PATH", shown(run.join("dashboards"))),
    ];
    let port = |service| inventory.stack.port(service);
    let url = |port| format!("http://{}", inventory.dial(port));
    variables.extend(port(Service::Grafana).map(|port| ("GF_SERVER_HTTP_PORT", port.to_string())));
    variables.extend(port(Service::Prometheus).map(|port| ("PROMETHEUS_URL", url(port))));
    variables.extend(port(Service::Alertmanager).map(|port| ("ALERTMANAGER_URL", url(port))));
    variables.extend(port(Service::Loki).map(|port| ("LOKI_URL", url(port))));
    variables.extend(port(Service::VictoriaMetrics).map(|port| ("VICTORIA_METRICS_URL", url(port))));
    let owned = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    owned.collect()
}
