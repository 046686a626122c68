//! Has the programs' own tools read the configuration in a staging folder, before anything that runs
//! can see it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::native::Unit;
use crate::process;
use crate::project::Project;
use crate::render::{Tree, scratch};
use crate::service::Service;
use crate::tools::Programs;

/// Far more than thousands of rules take.
const LIMIT: Duration = Duration::from_mins(1);

/// Fails with the tool's own words when a file is not valid. A tool that is not there checks nothing.
pub(crate) fn staged(
    project: &Project,
    tree: &Tree,
    programs: &Programs,
    units: &[Unit],
) -> anyhow::Result<()> {
    let staging = scratch(&project.mission(), ".staging")?;
    tree.stage(staging.path(), |_| true)?;
    let checks: [(&str, &[&str], &str); 3] = [
        ("promtool", &["check", "config"], "prometheus/prometheus.yml"),
        ("amtool", &["check-config"], "alertmanager/alertmanager.yml"),
        (
            "blackbox_exporter",
            &["--config.check", "--config.file"],
            "blackbox-exporter/blackbox.yml",
        ),
    ];
    for (tool, words, file) in checks {
        if let Some(program) = programs.get(tool) {
            check(tool, &program.path, words, &staging.path().join(file))?;
        }
    }
    let checked = [
        Service::SqlExporter,
        Service::TrainingExporter,
        Service::DeviceExporter,
        Service::PushgatewayBridge,
    ];
    for unit in units.iter().filter(|unit| checked.contains(&unit.service)) {
        let name = unit.service.name();
        let file = staging.path().join(format!("{name}/{name}.toml"));
        check(name, &unit.program, &["--config.check", "--config.file"], &file)?;
    }
    Ok(())
}

fn check(tool: &str, program: &Path, words: &[&str], file: &Path) -> anyhow::Result<()> {
    let (status, text) = process::run(Command::new(program).args(words).arg(file), LIMIT)
        .with_context(|| format!("run {}", program.display()))?;
    if status.success() {
        return Ok(());
    }
    let staging = file
        .parent()
        .and_then(Path::parent)
        .unwrap_or(file)
        .display()
        .to_string();
    let said: Vec<String> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.contains("SUCCESS"))
        .map(|line| format!("  {}", line.replace(&format!("{staging}/"), "")))
        .collect();
    bail!(
        "{tool} refuses the rendered configuration; what runs was not touched\n{}",
        said.join("\n")
    )
}
