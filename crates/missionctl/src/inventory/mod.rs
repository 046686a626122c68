//! The inventory: what the user wants watched. Reading it either yields a valid [`Inventory`] or [`Findings`] that say
//! what is wrong where.

mod address;
mod amounts;
mod bridge;
mod choices;
mod devices;
mod expectation;
mod file;
mod lancedb;
mod machines;
mod notify;
mod postgres;
mod probes;
mod problem;
mod secret;
mod sql;
mod stack;
mod syntax;
mod targets;
mod training;
mod url;
mod windows;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub(crate) use self::address::{HostPort, connect, hostname};
pub(crate) use self::amounts::milliseconds;
pub(crate) use self::bridge::{Bridge, Centre};
pub(crate) use self::choices::{Backend, Extra};
pub(crate) use self::devices::{Device, Port};
pub(crate) use self::expectation::{Expectation, Leaf};
pub(crate) use self::lancedb::Lancedb;
pub(crate) use self::postgres::Postgres;
pub(crate) use self::probes::{Probe, Question};
pub(crate) use self::problem::{Findings, did_you_mean};
pub(crate) use self::sql::{Asked, Database, Server, Sql};
pub(crate) use self::stack::Stack;
pub(crate) use self::training::{Canary, Source, Training};
pub(crate) use self::url::Url;
pub(crate) use self::windows::Window;
use crate::project::Project;
use crate::service::Service;
use crate::text;

/// A valid inventory.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// What listens where.
    pub(crate) stack: Stack,
    /// In the order of the file.
    pub(crate) machines: Vec<Machine>,
    /// Whatever else speaks Prometheus.
    pub(crate) targets: Vec<Target>,
    /// What is asked from outside.
    pub(crate) probes: Vec<Probe>,
    /// The PostgreSQL server, when there is one.
    pub(crate) postgres: Option<Postgres>,
    /// Which workers to watch on this machine.
    pub(crate) workers: Workers,
    /// How many GPUs this machine must have, when it is said.
    pub(crate) expected_gpus: Option<u16>,
    /// Folders of LanceDB tables.
    pub(crate) lancedb: Vec<Lancedb>,
    /// Databases to ask.
    pub(crate) sql: Vec<Sql>,
    /// Training runs to follow.
    pub(crate) training: Option<Training>,
    /// Embedded devices to listen to.
    pub(crate) devices: Vec<Device>,
    /// Where this machine's metrics are brought.
    pub(crate) bridge: Option<Bridge>,
    /// How old a sample may be that others write to this Prometheus; none when nobody may.
    pub(crate) receiver: Option<String>,
    /// Slack, when configured.
    pub(crate) slack: Option<Slack>,
    /// The webhook, when configured.
    pub(crate) webhook: Option<Webhook>,
    /// Recurring times at which some alerts are not sent.
    pub(crate) windows: Vec<Window>,
    left_out: BTreeSet<Service>,
    hands_over_nvidia: bool,
}

/// A machine that is watched.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Value of the label `machine`.
    pub(crate) name: String,
    /// Host name or IP address.
    pub(crate) host: String,
    /// It is the machine that missionctl runs on.
    pub(crate) is_local: bool,
    /// What runs there, with its port.
    pub(crate) exporters: Vec<(Service, u16)>,
    /// Load over 15 minutes above which `HighCPULoad` fires.
    pub(crate) load15: Option<f64>,
    /// Where the inventory names its exporters.
    pub(crate) span: Range<usize>,
}

/// Something that already speaks Prometheus.
#[derive(Debug)]
pub(crate) struct Target {
    /// Scrape job.
    pub(crate) job: String,
    /// Where it listens.
    pub(crate) address: HostPort,
    /// Path of its page, when not `/metrics`.
    pub(crate) path: Option<String>,
    /// Scrape interval, when not the stack's.
    pub(crate) interval: Option<String>,
    /// Further labels of its series.
    pub(crate) labels: Vec<(String, String)>,
    /// Must answer before the stack is started; a typing error in an address shows at once.
    pub(crate) required: bool,
    /// Where the inventory names its address.
    pub(crate) span: Range<usize>,
}

/// `[workers]`
#[derive(Debug, Default)]
pub(crate) struct Workers {
    /// Supervisor sockets and addresses.
    pub(crate) supervisors: Vec<String>,
    /// Glob patterns of program names; none means all.
    pub(crate) patterns: Vec<String>,
    /// Patterns of units of this machine's systemd.
    pub(crate) systemd: Vec<String>,
    /// Patterns of units of the systemd of the user who starts the stack.
    pub(crate) systemd_user: Vec<String>,
    /// Patterns of containers; `None` when no engine is to be asked.
    pub(crate) docker: Option<Vec<String>>,
    /// Labels that those containers must have, `key` or `key=value`.
    pub(crate) docker_labels: Vec<String>,
    /// Path of the file that a worker touches, with `{worker}` for its name.
    pub(crate) heartbeat: Option<String>,
}

/// `[notify.slack]`
#[derive(Debug)]
pub(crate) struct Slack {
    /// File that holds the incoming webhook's URL.
    pub(crate) url_file: PathBuf,
    /// Channel, when not the webhook's own.
    pub(crate) channel: Option<String>,
}

/// `[notify.webhook]`
#[derive(Debug)]
pub(crate) struct Webhook {
    /// Where alerts are posted; may hold a token, so it is never printed.
    pub(crate) url: String,
}

impl Target {
    /// It listens on the machine that missionctl runs on.
    pub(crate) fn is_local(&self) -> bool {
        address::is_local(&self.address.host)
    }
}

impl Inventory {
    /// Reads and checks the inventory of a project.
    pub(crate) fn load(project: &Project) -> (Option<Self>, Findings) {
        let mut findings = read(&project.inventory());
        let file = (!findings.refused())
            .then(|| syntax::parse(&mut findings))
            .flatten();
        let Some(file) = file else {
            return (None, findings);
        };

        let stack = stack::check(&file, &mut findings);
        let machines = machines::check(&file.machine, &stack, &mut findings);
        machines::demo(&file, &machines, &mut findings);
        machines::gpus(&file.gpu, &machines, &mut findings);
        bridge::agent(&file, &stack, &mut findings);
        let targets = targets::check(&file.target, &machines, &stack, &mut findings);
        let inventory = Self {
            workers: targets::workers(&file.workers, &mut findings),
            slack: file
                .notify
                .slack
                .as_ref()
                .and_then(|slack| notify::slack(slack, project, &mut findings)),
            webhook: file
                .notify
                .webhook
                .as_ref()
                .and_then(|webhook| notify::webhook(webhook, project, &mut findings)),
            windows: windows::check(&file.maintenance, &machines, &mut findings),
            probes: probes::check(&file.probe, &mut findings),
            postgres: file
                .postgres
                .as_ref()
                .and_then(|postgres| postgres::check(postgres, project, &mut findings)),
            expected_gpus: file.gpu.expected.as_ref().map(|expected| *expected.get_ref()),
            lancedb: file
                .lancedb
                .as_ref()
                .map_or_else(Vec::new, |folders| lancedb::check(folders, &mut findings)),
            sql: sql::check(&file.sql, project, &mut findings),
            training: file
                .training
                .as_ref()
                .and_then(|training| training::check(training, project.root(), &mut findings)),
            devices: devices::check(&file.device, &mut findings),
            bridge: file
                .bridge
                .as_ref()
                .and_then(|bridge| bridge::check(bridge, project.root(), &mut findings)),
            receiver: file
                .receiver
                .as_ref()
                .and_then(|receiver| bridge::receiver(receiver, &stack, &mut findings)),
            left_out: BTreeSet::new(),
            hands_over_nvidia: false,
            stack,
            machines,
            targets,
        };
        let valid = !findings.refused();
        (valid.then_some(inventory), findings)
    }

    /// The machine missionctl runs on, when the inventory names it.
    pub(crate) fn local(&self) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.is_local)
    }

    /// Value of the label `machine` for what this stack itself starts.
    pub(crate) fn local_name(&self) -> String {
        self.local()
            .map_or_else(address::hostname, |machine| machine.name.clone())
    }

    /// Value of the label `machine` for what is asked at a host: the machine that has it as its address, else the host
    /// itself.
    pub(crate) fn machine_of(&self, host: &str) -> String {
        if address::is_local(host) {
            return self.local_name();
        }
        let machine = self.machines.iter().find(|machine| machine.host == host);
        machine.map_or_else(|| host.to_owned(), |machine| machine.name.clone())
    }

    /// Services to start here, with the ports of those that have one, in starting order.
    pub(crate) fn services(&self) -> Vec<(Service, Option<u16>)> {
        let local = self.local();
        let port_here = |service| {
            let mut exporters = local?.exporters.iter();
            exporters.find_map(|(exporter, port)| (*exporter == service).then_some(*port))
        };
        Service::ALL
            .into_iter()
            .filter(|service| !self.left_out.contains(service))
            .filter_map(|service| match port_here(service) {
                Some(port) => Some((service, Some(port))),
                None => self
                    .stack
                    .wants(service)
                    .then(|| (service, self.stack.port(service))),
            })
            .collect()
    }

    /// Whether a service is to be started here.
    pub(crate) fn runs(&self, service: Service) -> bool {
        self.services().iter().any(|(running, _)| *running == service)
    }

    /// Goes on without a service that cannot run here: nothing scrapes it, and nothing is sent to it.
    pub(crate) fn leave_out(&mut self, service: Service) {
        self.left_out.insert(service);
    }

    /// Whether the container engine can give NVIDIA's GPUs to a container.
    pub(crate) const fn hands_over_nvidia(&self) -> bool {
        self.hands_over_nvidia
    }

    /// Goes on with an engine that can.
    pub(crate) fn hand_over_nvidia(&mut self) {
        self.hands_over_nvidia = true;
    }

    /// URL below which `docs/` can be read, with a slash at its end.
    pub(crate) fn runbook_base(&self, project: &Project) -> String {
        let own = || {
            format!(
                "file://{}/",
                project.stack().display().to_string().replace(' ', "%20")
            )
        };
        self.stack.runbook_base.clone().unwrap_or_else(own)
    }

    /// Address at which this machine reaches what it binds to [`Stack::bind`].
    pub(crate) fn dial(&self, port: u16) -> HostPort {
        let ip = match self.stack.bind {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        HostPort {
            host: ip.to_string(),
            port,
        }
    }
}

/// The file's text, or why there is none.
fn read(path: &Path) -> Findings {
    let error = match std::fs::read_to_string(path) {
        Ok(text) => return Findings::new(path, text),
        Err(error) => error,
    };
    let (what, hint) = match error.kind() {
        ErrorKind::NotFound => ("no such file".to_owned(), "missionctl init writes one"),
        ErrorKind::InvalidData => ("it is not UTF-8".to_owned(), "save it as UTF-8 in your editor"),
        _ => (
            text::io_reason(&error),
            "it must be a file that the user who runs missionctl may read",
        ),
    };
    let mut findings = Findings::new(path, String::new());
    findings.refuse(None, what, hint);
    findings
}
