//! Checks that need the machine rather than the file: ports that others hold, targets that do not answer.

use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use crate::inventory::{
    Database, Findings, HostPort, Inventory, Port, Question, Server, Source, Sql, connect,
};
use crate::ports::{self, Holder};
use crate::process;
use crate::project::Project;
use crate::render::{common_folder, real, sqlite_files, training_files};
use crate::service::Service;
use crate::text;

const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// What runs as containers; nothing when the services run as processes.
pub(crate) type Containers = Option<Vec<(String, Vec<u16>)>>;

/// Adds what stands in the way of starting, and warnings about what does not answer from here.
pub(crate) fn check(
    inventory: &Inventory,
    project: &Project,
    containers: &Containers,
    findings: &mut Findings,
) {
    for (service, port) in inventory.services() {
        let Some(port) = port else { continue };
        if has_port(containers, service, port) {
            continue;
        }
        if let Some(holder) = foreign_holder(inventory, port, &project.run()) {
            taken(inventory, service, port, &holder, findings);
        }
    }
    unanswered(inventory, findings);
    missing(inventory, findings);
    if containers.is_some() {
        out_of_reach(inventory, findings);
        wide_open(inventory, findings);
    }
    for socket in inventory
        .workers
        .supervisors
        .iter()
        .filter_map(|url| url.strip_prefix("unix://"))
    {
        if !Path::new(socket).exists() {
            let what = format!("no supervisor at {socket} yet");
            let hint =
                "start supervisord, or correct [workers] supervisor; it is tried again at every scrape";
            findings.warn(findings.header("[workers]"), what, hint);
        }
    }
}

/// Whether a container of this very stack has the port. One in this machine's own network publishes none.
fn has_port(containers: &Containers, service: Service, port: u16) -> bool {
    let containers = containers.as_deref().unwrap_or_default();
    containers.iter().any(|(name, published)| {
        published.contains(&port) || (published.is_empty() && name == service.name())
    })
}

/// Containers reach this machine by another address than its loopback.
fn out_of_reach(inventory: &Inventory, findings: &mut Findings) {
    let hint = "let it listen on 0.0.0.0 or on the address of this machine in the containers' network, or write \
                backend = \"native\"";
    let own: Vec<u16> = inventory
        .services()
        .into_iter()
        .filter_map(|(_, port)| port)
        .collect();
    let is_hidden = |port: u16| !own.contains(&port) && ports::is_only_on_loopback(port);
    for target in inventory.targets.iter().filter(|target| target.is_local()) {
        if is_hidden(target.address.port) {
            let what = format!(
                "target {} listens on loopback alone, where containers do not reach it",
                target.job
            );
            findings.warn(Some(target.span.clone()), what, hint);
        }
    }
    for postgres in inventory
        .postgres
        .iter()
        .filter(|postgres| postgres.address.is_local())
    {
        if is_hidden(postgres.address.port) {
            let what = "PostgreSQL listens on loopback alone, where containers do not reach it";
            findings.warn(Some(postgres.span.clone()), what, hint);
        }
    }
    for (sql, server) in servers(inventory) {
        if server.address.is_none() {
            findings.refuse(
                Some(sql.span.clone()),
                format!("the socket of database {} is not seen by containers", sql.name),
                "write a host name and a port, or backend = \"native\"",
            );
        } else if server.names_files() {
            findings.warn(
                Some(sql.span.clone()),
                format!(
                    "the address of database {} names files that containers do not see",
                    sql.name
                ),
                "leave certificates of your own out of it, or write backend = \"native\"",
            );
        }
        let address = server.address.as_ref().filter(|address| address.is_local());
        if address.is_some_and(|address| is_hidden(address.port)) {
            let what = format!(
                "the server of database {} listens on loopback alone, where containers do not reach it",
                sql.name
            );
            findings.warn(Some(sql.span.clone()), what, hint);
        }
    }
    for device in &inventory.devices {
        if let Port::Tcp(address) = &device.port
            && address.has_own_name()
            && is_hidden(address.port)
        {
            let what = format!(
                "the device server {address} listens on loopback alone, where containers do not reach it"
            );
            findings.warn(Some(device.span.clone()), what, hint);
        }
    }
    let training = inventory.training.as_ref();
    let canary = training.and_then(|training| training.canary.as_ref());
    if let Some(canary) = canary.filter(|canary| matches!(canary.source, Source::Command(_))) {
        findings.warn(
            Some(canary.span.clone()),
            "the canary set is left out: a container has none of this machine's programs",
            "run the command on a schedule of your own and name its file with `results`, or write backend = \"native\"",
        );
    }
    if let Some(bridge) = inventory.bridge.as_ref().filter(|bridge| bridge.intake.is_some()) {
        findings.warn(
            Some(bridge.span.clone()),
            "a bridge in a container takes no pushes",
            "let the jobs push to the centre's Pushgateway, or write backend = \"native\"",
        );
    }
    for probe in &inventory.probes {
        let address = match &probe.question {
            Question::Http { url, .. } => url.address(),
            Question::Tcp(address) => address.clone(),
            Question::Icmp(_) => continue,
        };
        if address.has_own_name() && is_hidden(address.port) {
            let what = format!(
                "what the probe {} asks listens on loopback alone, where containers do not reach it",
                probe.name
            );
            findings.warn(Some(probe.span.clone()), what, hint);
        }
    }
}

/// A container is given the one folder that all its files have in common.
fn wide_open(inventory: &Inventory, findings: &mut Findings) {
    let lancedb = common_folder(inventory.lancedb.iter().map(|folder| real(&folder.path)));
    let spans = inventory.lancedb.first().map(|folder| folder.span.clone());
    let sql = sqlite_files(inventory);
    let files = inventory
        .sql
        .iter()
        .find(|sql| matches!(sql.database, Database::File(_)));
    for (service, folder, at) in [
        (Service::LancedbExporter, lancedb, spans),
        (Service::SqlExporter, sql, files.map(|sql| sql.span.clone())),
        (
            Service::TrainingExporter,
            training_files(inventory),
            inventory.training.as_ref().map(|training| training.span.clone()),
        ),
    ] {
        if folder.is_some_and(|folder| folder == Path::new("/")) {
            findings.warn(
                at,
                format!("{service} is given all files of this machine to read, since what it watches lies in several trees"),
                "put them below one folder, or write backend = \"native\"",
            );
        }
    }
}

/// Who holds the port, unless it is a process of this very stack.
pub(crate) fn foreign_holder(inventory: &Inventory, port: u16, run: &Path) -> Option<Holder> {
    match ports::holder(inventory.stack.bind, port)? {
        Holder::Process { pid, .. } if process::is_ours(pid, run) => None,
        holder => Some(holder),
    }
}

fn taken(inventory: &Inventory, service: Service, port: u16, holder: &Holder, findings: &mut Findings) {
    let local = inventory
        .local()
        .filter(|_| service.exporter().is_some())
        .map(|machine| machine.span.clone());
    let hint = match other_project(holder) {
        Some(other) => format!(
            "stop it with missionctl --project {} down, or move {service}",
            text::shell_word(&other)
        ),
        None => format!("stop that process, or move {service}"),
    };
    let at = inventory
        .stack
        .port_span(service)
        .or_else(|| inventory.stack.wanted_at(service))
        .or(local)
        .or_else(|| findings.header("[stack]"));
    findings.refuse(
        at,
        format!("port {port} of {service} is taken by {holder}"),
        format!("{hint}: [stack.ports] {service} = {}", free_port(inventory, port)),
    );
}

/// The folder of another project's stack.
fn other_project(holder: &Holder) -> Option<PathBuf> {
    let Holder::Process { pid, .. } = holder else {
        return None;
    };
    // From <project>/.mission/run.
    Some(process::run_folder(*pid)?.parent()?.parent()?.to_path_buf())
}

/// The next port that nobody holds and no other service of the stack wants.
fn free_port(inventory: &Inventory, taken: u16) -> u16 {
    let wanted: Vec<u16> = inventory
        .services()
        .into_iter()
        .filter_map(|(_, port)| port)
        .collect();
    (taken.saturating_add(1)..u16::MAX)
        .find(|port| !wanted.contains(port) && ports::holder(inventory.stack.bind, *port).is_none())
        .unwrap_or(taken)
}

struct Wanted<'a> {
    address: HostPort,
    what: String,
    at: std::ops::Range<usize>,
    refuse: bool,
    hint: &'a str,
}

/// All at once, so that ten machines that are switched off cost as much time as one.
fn unanswered(inventory: &Inventory, findings: &mut Findings) {
    let wanted = wanted(inventory);
    let answers: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let started: Vec<_> = wanted
            .iter()
            .map(|one| scope.spawn(|| connect(&one.address, CONNECT_LIMIT)))
            .collect();
        let ended = started.into_iter().map(ScopedJoinHandle::join);
        ended
            .map(|answer| answer.unwrap_or_else(|_| Err("the check did not end".to_owned())))
            .collect()
    });
    for (one, answer) in wanted.into_iter().zip(answers) {
        let Err(reason) = answer else { continue };
        let what = format!("{} at {} does not answer: {reason}", one.what, one.address);
        if one.refuse {
            findings.refuse(Some(one.at), what, one.hint);
        } else {
            findings.warn(Some(one.at), what, one.hint);
        }
    }
}

fn wanted(inventory: &Inventory) -> Vec<Wanted<'static>> {
    let remote = inventory
        .machines
        .iter()
        .filter(|machine| !machine.is_local)
        .flat_map(|machine| {
            machine.exporters.iter().map(|(service, port)| Wanted {
            address: HostPort { host: machine.host.clone(), port: *port },
            what: format!("{service} on {}", machine.name),
            at: machine.span.clone(),
            refuse: false,
            hint: "its alerts fire until it does; is the exporter running there, and reachable from here?",
        })
        });
    let targets = inventory.targets.iter().map(|target| {
        let refuse = target.required && target.is_local();
        Wanted {
            address: target.address.clone(),
            what: format!("target {}", target.job),
            at: target.span.clone(),
            refuse,
            hint: if refuse {
                "correct the address or start it; `required = false` in this [[target]] lets it come later"
            } else {
                "its alerts fire until it does"
            },
        }
    });
    let postgres = inventory.postgres.iter().map(|postgres| Wanted {
        address: postgres.address.clone(),
        what: "PostgreSQL".to_owned(),
        at: postgres.span.clone(),
        refuse: false,
        hint: "nothing is known about it until it does",
    });
    let databases = servers(inventory).filter_map(|(sql, server)| {
        Some(Wanted {
            address: server.address.clone()?,
            what: format!("the server of database {}", sql.name),
            at: sql.span.clone(),
            refuse: false,
            hint: "its queries fail until it does, and its values go stale",
        })
    });
    let centre = inventory.bridge.iter().map(|bridge| Wanted {
        address: bridge.centre.url().address(),
        what: "the centre of [bridge]".to_owned(),
        at: bridge.span.clone(),
        refuse: false,
        hint: "what is collected is kept until it does, as long as [bridge] spool allows",
    });
    // A proxy may reach what this machine does not.
    let centre = centre.filter(|_| inventory.bridge.iter().all(|bridge| bridge.proxy.is_none()));
    remote
        .chain(targets)
        .chain(postgres)
        .chain(databases)
        .chain(centre)
        .collect()
}

/// The databases that are asked over the network.
fn servers(inventory: &Inventory) -> impl Iterator<Item = (&Sql, &Server)> {
    inventory.sql.iter().filter_map(|sql| match &sql.database {
        Database::Server(server) => Some((sql, server)),
        Database::File(_) => None,
    })
}

/// Folders and files that are not there may come later, with a disk that is mounted, say.
fn missing(inventory: &Inventory, findings: &mut Findings) {
    for folder in &inventory.lancedb {
        if !folder.path.is_dir() {
            let what = format!("there is no folder {} yet", folder.path.display());
            let hint = "make it, or correct [lancedb] path; it is looked for at every scrape";
            findings.warn(Some(folder.span.clone()), what, hint);
        }
    }
    if let Some(training) = &inventory.training {
        let files = training.metrics.iter().filter(|path| !path.is_file());
        let folders = training.runs.iter().filter(|path| !path.is_dir());
        for path in files.chain(folders) {
            let what = format!("there is no {} yet", path.display());
            let hint = "start the training, or correct [training]; it is looked for all the time";
            findings.warn(Some(training.span.clone()), what, hint);
        }
        if let Some(canary) = &training.canary
            && let Source::Command(words) = &canary.source
            && let Some(program) = words.first().filter(|program| program.contains('/'))
            && !is_executable(Path::new(program))
        {
            let what = format!("{program} is no program that this user may run");
            let hint =
                "write it, and make it executable with chmod +x; until then the canary set is inconclusive";
            findings.warn(Some(canary.span.clone()), what, hint);
        }
    }
    for sql in &inventory.sql {
        if let Database::File(path) = &sql.database
            && !path.is_file()
        {
            let what = format!("there is no SQLite file {} yet", path.display());
            let hint = "its queries fail until it is there; it is never created";
            findings.warn(Some(sql.span.clone()), what, hint);
        }
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
