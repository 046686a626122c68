//! Has the programs' own tools read the configuration in a staging folder, before anything that runs
//! can see it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::process;
use crate::project::Project;
use crate::render::{Tree, scratch};
use crate::tools::Programs;

/// Far more than thousands of rules take.
const LIMIT: Duration = Duration::from_mins(1);

/// Fails with the tool's own words when a file is not valid. A tool that is not there checks nothing.
pub(crate) fn staged(project: &Project, tree: &Tree, programs: &Programs) -> anyhow::Result<()> {
    let staging = scratch(&project.mission(), ".staging")?;
    tree.stage(staging.path(), |_| true)?;
    check(
        programs,
        "promtool",
        &["check", "config"],
        &staging.path().join("prometheus/prometheus.yml"),
    )?;
    check(
        programs,
        "amtool",
        &["check-config"],
        &staging.path().join("alertmanager/alertmanager.yml"),
    )?;
    check(
        programs,
        "blackbox_exporter",
        &["--config.check", "--config.file"],
        &staging.path().join("blackbox-exporter/blackbox.yml"),
    )
}

fn check(programs: &Programs, tool: &str, words: &[&str], file: &Path) -> anyhow::Result<()> {
    let Some(program) = programs.get(tool) else {
        return Ok(());
    };
    let (status, text) = process::run(Command::new(&program.path).args(words).arg(file), LIMIT)
        .with_context(|| format!("run {}", program.path.display()))?;
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
