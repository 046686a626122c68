//! What each command does, and the exit code it ends with.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use rustix::fs::{FlockOperation, flock};

use crate::backend::{self, Chosen};
use crate::cli::{Alerts, Canary, Cli, Command, Up};
use crate::docker::{self, Engine};
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::native::{self, Stopped};
use crate::progress::Progress;
use crate::project::{NoProject, Project};
use crate::state::{Backend, State};
use crate::tools::{self, Programs};
use crate::{alerts, canary, init, logs, preflight, status, table, text};

/// Runs a command, and says what went wrong.
pub(crate) fn main(cli: &Cli) -> Exit {
    match run(cli) {
        Ok(exit) => exit,
        // Whoever read the output has seen enough.
        Err(error) if is(&error, &[ErrorKind::BrokenPipe]) => Exit::Healthy,
        Err(error) => {
            eprintln!("missionctl: {error:#}");
            if is(&error, &[ErrorKind::StorageFull, ErrorKind::QuotaExceeded]) {
                eprintln!("the disk is full: free some space and run it again; what runs goes on as it was");
            }
            if error.is::<NoProject>() {
                Exit::Refused
            } else {
                Exit::Unhealthy
            }
        }
    }
}

/// Whether an operation of one of these kinds is behind it.
fn is(error: &anyhow::Error, kinds: &[ErrorKind]) -> bool {
    let mut causes = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| kinds.contains(&cause.kind()))
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let project = || Project::find(cli.project.as_deref());
    match &cli.command {
        Command::Init => init::write(&project()?).map(|()| Exit::Healthy),
        Command::Render => render(&project()?),
        Command::Check => check(&project()?),
        Command::Up(arguments) => up(&project()?, arguments),
        Command::Status(arguments) => status::show(&project()?, arguments.json),
        Command::Logs(arguments) => logs::show(&project()?, arguments.service.as_deref(), arguments.follow),
        Command::Down => down(&project()?),
        Command::Images(arguments) => images(&project()?, arguments.network.as_deref()),
        Command::Alerts {
            command: Alerts::Test(arguments),
        } => alerts::test(&project()?, arguments),
        Command::Canary {
            command: Canary::Status(arguments),
        } => canary::status(&project()?, arguments),
        Command::Canary {
            command: Canary::AcceptBaseline(arguments),
        } => canary::accept(&project()?, arguments),
        Command::Tools(arguments) => list_tools(arguments.path),
    }
}

/// One command at a time changes a project.
fn lock(project: &Project) -> anyhow::Result<File> {
    project
        .create_folders()
        .with_context(|| format!("create {}", project.mission().display()))?;
    let path = project.mission().join("lock");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        eprintln!(
            "another missionctl works on {}; waiting for it",
            project.root().display()
        );
        flock(&file, FlockOperation::LockExclusive).with_context(|| format!("lock {}", path.display()))?;
    }
    Ok(file)
}

/// Files and services of two users in one project would lock each other out.
fn is_of_another_user(project: &Project) -> bool {
    let (mine, mission) = (rustix::process::geteuid().as_raw(), project.mission());
    let Ok(metadata) = mission.metadata() else {
        return false;
    };
    if metadata.uid() == mine {
        return false;
    }
    eprintln!(
        "{} belongs to the user with id {}, and this is {mine}; run it as that user, or take it down and chown it",
        mission.display(),
        metadata.uid()
    );
    true
}

/// A valid inventory with the backend that is to run it; all findings have been said.
fn prepared(project: &Project, progress: &Progress) -> anyhow::Result<Option<(Inventory, Chosen)>> {
    let (mut inventory, mut findings) = Inventory::load(project);
    let mut chosen = None;
    if let Some(inventory) = &mut inventory {
        let backend = backend::choose(project, inventory, progress)?;
        let containers = match &backend {
            Chosen::Native => {
                native::narrow(inventory, &mut findings);
                None
            }
            Chosen::Docker(engine) => {
                docker::adapt(engine, inventory, &mut findings)?;
                docker::check_variables(project, inventory, &mut findings)?;
                Some(docker::own_containers(engine, project)?)
            }
        };
        preflight::check(inventory, project, &containers, &mut findings);
        chosen = Some(backend);
    }
    if !findings.is_empty() {
        progress.note(&findings.to_string());
    }
    if findings.refused() {
        progress.note("mission.toml was refused; nothing was touched");
        return Ok(None);
    }
    Ok(inventory.zip(chosen))
}

fn check(project: &Project) -> anyhow::Result<Exit> {
    let progress = Progress::new();
    let Some((inventory, chosen)) = prepared(project, &progress)? else {
        return Ok(Exit::Refused);
    };
    drop(progress);
    println!(
        "{} is good: {}, {} to start here with the {} backend, {}",
        project.inventory().display(),
        text::count(inventory.machines.len(), "machine"),
        text::count(inventory.services().len(), "service"),
        chosen.backend().name(),
        text::count(inventory.targets.len(), "further target"),
    );
    Ok(Exit::Healthy)
}

fn render(project: &Project) -> anyhow::Result<Exit> {
    if is_of_another_user(project) {
        return Ok(Exit::Refused);
    }
    let _lock = lock(project)?;
    let progress = Progress::new();
    let Some((mut inventory, chosen)) = prepared(project, &progress)? else {
        return Ok(Exit::Refused);
    };
    drop(progress);
    let tree = match chosen {
        Chosen::Native => {
            let programs = tools::locate()?;
            for (tool, reason) in programs.missing.iter().filter(|(tool, _)| tool.without.is_none()) {
                eprintln!(
                    "{} is left out of supervisord.conf, or checks nothing: {reason}",
                    tool.name
                );
            }
            native::leave_out_missing(&mut inventory, &programs);
            native::rendered(project, &inventory, &programs)?.0
        }
        Chosen::Docker(_) => {
            project.link_environment().context("link compose/.env")?;
            docker::rendered(project, &inventory)?
        }
    };
    let changed = tree.apply(&project.run())?;
    for path in &changed {
        writeln!(std::io::stdout(), "{}", project.run().join(path).display())?;
    }
    if changed.is_empty() {
        println!("{}: unchanged", project.run().display());
    }
    Ok(Exit::Healthy)
}

fn up(project: &Project, arguments: &Up) -> anyhow::Result<Exit> {
    if is_of_another_user(project) {
        return Ok(Exit::Refused);
    }
    let _lock = lock(project)?;
    if !project.inventory().exists() {
        init::write(project)?;
    }
    let progress = Progress::new();
    let Some((mut inventory, chosen)) = prepared(project, &progress)? else {
        return Ok(Exit::Refused);
    };
    let outcome = match chosen {
        Chosen::Native => {
            let programs = tools::ensure(|tool| tools::is_needed(tool, &inventory), &progress)?;
            native::leave_out_missing(&mut inventory, &programs);
            native::up(project, &inventory, &programs, arguments.timeout, &progress)?
        }
        Chosen::Docker(engine) => {
            let options = docker::Options {
                limit: arguments.timeout,
                is_strict: arguments.strict,
            };
            docker::up(project, &mut inventory, &engine, options, &progress)?
        }
    };
    drop(progress);
    outcome.tell(project, &inventory);
    Ok(if outcome.is_healthy() {
        Exit::Healthy
    } else {
        Exit::Unhealthy
    })
}

fn down(project: &Project) -> anyhow::Result<Exit> {
    let backend = backend::last(project)?;
    if !project.mission().exists() && backend == Backend::Native {
        println!("nothing was running");
        return Ok(Exit::Healthy);
    }
    let _lock = lock(project)?;
    let progress = Progress::new();
    if backend == Backend::Docker {
        let gone = docker::down(&Engine::connect()??, project, &progress)?;
        State::forget_backend(project)?;
        drop(progress);
        if gone.containers == 0 {
            println!("nothing was running");
        } else {
            println!(
                "removed {}; data stays in the volumes {}",
                text::count(gone.containers, "container"),
                gone.volumes.join(", ")
            );
        }
        return Ok(Exit::Healthy);
    }
    let stopped = native::down(project, &progress)?;
    drop(progress);
    match stopped {
        Stopped::Nothing => println!("nothing was running"),
        Stopped::All => println!(
            "stopped; data stays in {}",
            project.mission().join("data").display()
        ),
        Stopped::Orphans(count) => println!(
            "stopped {} that had outlived their supervisord",
            text::processes(count)
        ),
    }
    Ok(Exit::Healthy)
}

fn images(project: &Project, network: Option<&str>) -> anyhow::Result<Exit> {
    let engine = Engine::connect()??;
    let progress = Progress::new();
    let names = docker::build_images(&engine, project, network, &progress)?;
    drop(progress);
    for name in names {
        println!("{name}");
    }
    Ok(Exit::Healthy)
}

fn list_tools(only_path: bool) -> anyhow::Result<Exit> {
    let progress = Progress::new();
    let programs = tools::ensure(|_| true, &progress)?;
    drop(progress);
    if only_path {
        println!(
            "{}",
            programs
                .bin()
                .map(Path::display)
                .map(|bin| bin.to_string())
                .unwrap_or_default()
        );
        return Ok(Exit::Healthy);
    }
    let mut rows = vec![["NAME", "VERSION", "PATH", "ORIGIN"].map(str::to_owned).to_vec()];
    for program in programs.iter() {
        let version = tools::version(&program.path).unwrap_or_else(|| "unknown".to_owned());
        rows.push(vec![
            program.name.to_owned(),
            version,
            program.path.display().to_string(),
            program.origin.to_string(),
        ]);
    }
    print!("{}", table::columns(&rows));
    say_missing(&programs);
    Ok(Exit::Healthy)
}

/// Only programs that the stack can do without are ever missing here.
fn say_missing(programs: &Programs) {
    for (tool, reason) in &programs.missing {
        eprintln!(
            "{} could not be had, so {} ({reason})",
            tool.name,
            tool.without.unwrap_or_default()
        );
    }
}
