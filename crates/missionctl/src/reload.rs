//! Configuration that a running service reads again, so that it need not be restarted.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::bail;

use crate::http::Http;
use crate::metrics;
use crate::project::Project;
use crate::render::Tree;
use crate::service::Service;
use crate::state::State;

const LIMIT: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(50);

/// What runs the services.
pub(crate) trait Runner {
    /// Sends SIGHUP to a service.
    fn hang_up(&self, name: &str) -> anyhow::Result<()>;
    /// The last lines that it wrote.
    fn last_lines(&self, name: &str, count: usize) -> Vec<String>;
}

/// Has a service load what it has not loaded yet, and tells whether that was needed. One that has just been started
/// has loaded everything. What is loaded is written down when that has worked, so an interrupted `up` is caught up by
/// the next.
pub(crate) fn reload(
    project: &Project,
    runner: &impl Runner,
    tree: &Tree,
    service: Service,
    url: &str,
    is_new: bool,
) -> anyhow::Result<bool> {
    let name = service.name();
    let digest = tree.digest(|path| is_loaded_by(service, path));
    let mut state = State::read(project);
    if state.loaded.get(name) == Some(&digest) {
        return Ok(false);
    }
    if !is_new && !hang_up(runner, name, url)? {
        return Ok(false);
    }
    state.loaded.insert(name.to_owned(), digest);
    state.write(project)?;
    Ok(!is_new)
}

/// Files that a service reads when it starts and on SIGHUP.
fn is_loaded_by(service: Service, path: &Path) -> bool {
    match service {
        // Target files are watched by Prometheus itself.
        Service::Prometheus => path.starts_with("prometheus") && !path.starts_with("prometheus/targets"),
        Service::Alertmanager => path.starts_with("alertmanager"),
        other => path.starts_with(other.name()),
    }
}

/// These programs publish when they last loaded a configuration; a reload is done when that time changes. One that does
/// not answer is not asked, and not taken for one that has loaded anything.
fn hang_up(runner: &impl Runner, name: &str, url: &str) -> anyhow::Result<bool> {
    let http = Http::new(Duration::from_secs(2));
    let url = format!("{url}/metrics");
    let prefix = name.replace('-', "_");
    let read = |suffix: &str| -> anyhow::Result<Option<f64>> {
        let (_, page) = http.get(&url)?;
        Ok(metrics::value(
            &page,
            &format!("{prefix}_config_last_reload_{suffix}"),
        ))
    };
    let Ok(before) = read("success_timestamp_seconds") else {
        return Ok(false);
    };
    // The time has whole seconds; a second reload within one would not show.
    while before.is_some_and(|before| before.floor() >= unix_seconds()) {
        std::thread::sleep(PAUSE);
    }
    let was_good = read("successful")? != Some(0.0);
    runner.hang_up(name)?;
    let deadline = Instant::now() + LIMIT;
    while read("success_timestamp_seconds")? == before {
        let is_refused = was_good && read("successful")? == Some(0.0);
        if is_refused || Instant::now() > deadline {
            let log = runner.last_lines(name, 3).join("\n  ");
            bail!("{name} did not take its new configuration and goes on with the old one\n  {log}");
        }
        std::thread::sleep(PAUSE);
    }
    Ok(true)
}

fn unix_seconds() -> f64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    now.as_secs() as f64
}
