//! `canary`: how the canary set does, and what it is compared with. training-exporter decides; people act, here.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use training_exporter::canary::{self, Acceptance, Comparison, State, Status};

use crate::cli::{AcceptBaseline, CanaryStatus};
use crate::demo;
use crate::exit::Exit;
use crate::inventory::{Inventory, hostname};
use crate::project::Project;
use crate::service::Service;
use crate::{table, text};

/// Shows how it does; well only when it passes.
pub(crate) fn status(project: &Project, arguments: &CanaryStatus) -> anyhow::Result<Exit> {
    let Some(folder) = folder(project) else {
        return Ok(Exit::Refused);
    };
    let status = canary::status(&folder)?;
    let shown = if arguments.json {
        format!("{:#}\n", document(&status))
    } else {
        lines(&status)
    };
    std::io::stdout().write_all(shown.as_bytes())?;
    Ok(match status.decision.state {
        State::Pass => Exit::Healthy,
        _ => Exit::Unhealthy,
    })
}

/// Makes the last result what others are compared with.
pub(crate) fn accept(project: &Project, arguments: &AcceptBaseline) -> anyhow::Result<Exit> {
    let Some(folder) = folder(project) else {
        return Ok(Exit::Refused);
    };
    let who = arguments.who.clone().unwrap_or_else(|| {
        let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
        format!("{user}@{}", hostname())
    });
    let acceptance = Acceptance {
        who: &who,
        why: &arguments.why,
        force: arguments.force,
    };
    let accepted = canary::accept_baseline(&folder, acceptance)?;
    for reason in &accepted.overruled {
        eprintln!("accepted although {}", reason.text);
    }
    let performance = accepted.baseline.result.performance;
    let hash = accepted.baseline.sha256.get(..12).unwrap_or_default();
    if !accepted.is_new {
        println!("{performance} is the baseline already ({hash})");
        return Ok(Exit::Healthy);
    }
    let instead = accepted.replaced.map_or_else(String::new, |replaced| {
        format!(", instead of {}", replaced.result.performance)
    });
    println!("{performance} is the baseline now ({hash}){instead}");
    Ok(Exit::Healthy)
}

/// Where the canary set keeps its files; none, and that said, where the inventory has no such set.
fn folder(project: &Project) -> Option<PathBuf> {
    let (inventory, findings) = Inventory::load(project);
    let Some(inventory) = inventory else {
        eprintln!("{findings}");
        return None;
    };
    let canary = inventory
        .training
        .as_ref()
        .and_then(|training| training.canary.as_ref());
    match canary {
        Some(canary) => Some(canary.folder.clone()),
        None if inventory.stack.demo => Some(demo::canary(&project.data(Service::DemoMachine.name()))),
        None => {
            eprintln!(
                "{} names no canary set: add `canary = {{ command = [\"./canary.sh\"] }}` to [training]",
                project.inventory().display()
            );
            None
        }
    }
}

fn document(status: &Status) -> serde_json::Value {
    json!({
        "folder": status.folder,
        "state": status.decision.state,
        "recommendation": status.decision.recommendation,
        "decision": status.decision,
        "baseline": status.pin.baseline(),
        "result": status.results.result,
    })
}

fn lines(status: &Status) -> String {
    let decision = &status.decision;
    let mut lines = vec![format!("canary set: {}", decision.state.word())];
    lines.extend(decision.reasons.iter().map(|reason| format!("  {}", reason.text)));
    lines.push(format!("  {}", decision.recommendation));
    let mut rows = vec![
        ["", "PERFORMANCE", "SAMPLES", "CHECKPOINT", "MEASURED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let measured = [
        ("result", status.results.result.as_ref()),
        ("baseline", status.pin.baseline().map(|baseline| &baseline.result)),
    ];
    for (name, result) in measured {
        let Some(result) = result else { continue };
        let unknown = || "-".to_owned();
        rows.push(vec![
            name.to_owned(),
            result.performance.to_string(),
            result.samples.map_or_else(unknown, |samples| samples.to_string()),
            result
                .checkpoint
                .as_ref()
                .map_or_else(unknown, ToString::to_string),
            ago(result.timestamp),
        ]);
    }
    let mut text = lines.join("\n") + "\n";
    if rows.len() > 1 {
        text += "\n";
        text += &table::columns(&rows);
    }
    if let Some(comparison) = &decision.comparison {
        text += &apps(comparison);
    }
    text + &format!("\nfiles: {}\n", status.folder.display())
}

fn apps(comparison: &Comparison) -> String {
    let worst = comparison.worst_app.as_ref();
    worst
        .filter(|worst| worst.degradation > 0.0)
        .map_or_else(String::new, |worst| {
            format!(
                "\nworst app: {}, {:.1} % worse than its baseline\n",
                worst.app,
                worst.degradation * 100.0
            )
        })
}

fn ago(timestamp: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = Duration::try_from_secs_f64(timestamp).unwrap_or_default();
    format!("{} ago", text::duration(now.saturating_sub(then)))
}
