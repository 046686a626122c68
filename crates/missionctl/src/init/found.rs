//! What can be watched on this machine, found without asking or waking anything.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::inventory::hostname;

/// Where distributions and users put the socket of their supervisord.
const SUPERVISOR_SOCKETS: [&str; 4] = [
    "/var/run/supervisor.sock",
    "/run/supervisor/supervisor.sock",
    "/var/run/supervisord.sock",
    "/tmp/supervisor.sock",
];

/// Where databases of applications are, below the root; the user's home is looked into too.
const DATA_FOLDERS: [&str; 3] = ["srv", "var/lib", "opt"];
/// How deep to look below these, and at how many entries in all.
const DEPTH: usize = 3;
const ENTRIES: usize = 20_000;

/// Names of serial ports, most telling first: by what the device says of itself, USB adapters, USB devices.
const SERIAL_PORTS: [(&str, &str); 3] = [("dev/serial/by-id", ""), ("dev", "ttyUSB"), ("dev", "ttyACM")];
/// What trainers leave in the folder of a run: Hugging Face's, TensorBoard's.
const RUN_FILES: [&str; 2] = ["trainer_state.json", "events.out.tfevents."];
/// More folders of runs than this are no suggestion any more.
const MOST_RUNS: usize = 8;

/// Vendors of PCI devices: NVIDIA, AMD.
const GPU_VENDORS: [&str; 2] = ["0x10de", "0x1002"];

/// Something that is here or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// Power or temperature can be read.
    Power,
    /// A GPU of NVIDIA or AMD.
    Gpu,
    /// A PostgreSQL server listens.
    Postgres,
    /// `LiteLLM`'s proxy listens.
    LiteLlm,
    /// systemd runs, and its bus can be reached.
    Systemd,
    /// A Docker engine.
    Engine,
    /// This is Linux inside Windows.
    Wsl,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The machine's name, as far as it is good as a label.
    pub(super) machine: String,
    things: BTreeSet<Thing>,
    /// Sockets of supervisords.
    pub(super) supervisors: Vec<String>,
    /// Folders with LanceDB tables.
    pub(super) lancedb: Vec<PathBuf>,
    /// Folders that have training runs below them.
    pub(super) runs: Vec<PathBuf>,
    /// Patterns of serial ports.
    pub(super) serial: Vec<String>,
}

impl Found {
    /// Looks below `root`, which is `/` but in tests, and into the user's home.
    pub(super) fn look(root: &Path, home: Option<&Path>) -> Self {
        let sockets = SUPERVISOR_SOCKETS
            .iter()
            .filter(|socket| root.join(&socket[1..]).exists());
        let mut supervisors: Vec<String> = sockets.map(|socket| (*socket).to_owned()).collect();
        // /var/run is mostly a link to /run.
        supervisors.dedup_by_key(|socket| root.join(&socket[1..]).canonicalize().ok());
        let data = DATA_FOLDERS.iter().map(|folder| root.join(folder));
        let data = data_folders(data.chain(home.map(Path::to_path_buf)).collect());
        Self {
            machine: hostname()
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
                .collect(),
            things: things(root),
            supervisors,
            lancedb: data.lancedb,
            runs: data.runs,
            serial: serial(root),
        }
    }

    pub(super) fn has(&self, thing: Thing) -> bool {
        self.things.contains(&thing)
    }
}

fn things(root: &Path) -> BTreeSet<Thing> {
    let exists = |path: &str| root.join(path).exists();
    let folder_has = |path: &str, prefix: &str| {
        let mut entries = fs::read_dir(root.join(path)).into_iter().flatten().flatten();
        entries.any(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
    };
    let has_power = folder_has("sys/class/powercap", "intel-rapl")
        || folder_has("sys/class/thermal", "thermal_zone")
        || folder_has("sys/class/hwmon", "hwmon");
    let looks = [
        (Thing::Power, has_power),
        (Thing::Gpu, has_gpu(root)),
        (Thing::Postgres, listens(root, 5432)),
        (Thing::LiteLlm, listens(root, 4000)),
        // The folder is what sd_booted(3) looks at.
        (
            Thing::Systemd,
            exists("run/systemd/system") && exists("run/dbus/system_bus_socket"),
        ),
        (Thing::Engine, exists("var/run/docker.sock")),
        (Thing::Wsl, is_wsl(root)),
    ];
    let here = looks.into_iter().filter(|(_, is_here)| *is_here);
    here.map(|(thing, _)| thing).collect()
}

/// A display controller (PCI class 0x03) of a vendor that gpu-exporter knows, or NVIDIA's driver without one (WSL2).
fn has_gpu(root: &Path) -> bool {
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let devices = fs::read_dir(root.join("sys/bus/pci/devices"))
        .into_iter()
        .flatten();
    let mut devices = devices.flatten().map(|device| device.path());
    devices.any(|device| {
        let vendor = read(device.join("vendor"));
        GPU_VENDORS.contains(&vendor.trim()) && read(device.join("class")).starts_with("0x03")
    }) || fs::read_dir(root.join("proc/driver/nvidia/gpus")).is_ok_and(|mut gpus| gpus.next().is_some())
        || root.join("dev/dxg").exists()
}

/// Whether something listens on the port of this machine: `/proc/net/tcp`, kernel documentation `proc_net_tcp`.
fn listens(root: &Path, port: u16) -> bool {
    let local = format!(":{port:04X}");
    ["proc/net/tcp", "proc/net/tcp6"].iter().any(|table| {
        let table = fs::read_to_string(root.join(table)).unwrap_or_default();
        let mut sockets = table.lines().map(|line| line.split_whitespace());
        sockets.any(|mut fields| {
            fields.nth(1).is_some_and(|at| at.ends_with(&local)) && fields.nth(1) == Some("0A")
        })
    })
}

/// The kernel that Microsoft builds for WSL2 says so in its version: proc(5), `/proc/sys/kernel/osrelease`.
fn is_wsl(root: &Path) -> bool {
    let version = fs::read_to_string(root.join("proc/sys/kernel/osrelease")).unwrap_or_default();
    version.to_lowercase().contains("microsoft")
}

/// Patterns for the serial ports that are there. By-id names stay the same wherever a device is plugged in, so where
/// there are some, the others are the same devices again.
fn serial(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (folder, prefix) in SERIAL_PORTS {
        let mut entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        if entries.any(|entry| entry.file_name().to_string_lossy().starts_with(prefix)) {
            found.push(format!("/{folder}/{prefix}*"));
        }
        if prefix.is_empty() && !found.is_empty() {
            break;
        }
    }
    found
}

#[derive(Debug, Default)]
struct Data {
    lancedb: Vec<PathBuf>,
    runs: Vec<PathBuf>,
}

/// Folders below these that have a LanceDB table in them, `<name>.lance` with `_versions`, or training runs. Links are
/// not followed.
fn data_folders(folders: Vec<PathBuf>) -> Data {
    let mut found = Data::default();
    let mut seen = 0;
    let mut open: VecDeque<(PathBuf, usize)> = folders.into_iter().map(|folder| (folder, 0)).collect();
    'all: while let Some((folder, depth)) = open.pop_front() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries {
            seen += 1;
            if seen > ENTRIES {
                break 'all;
            }
            let (path, name) = (entry.path(), entry.file_name());
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = name.to_string_lossy();
                if RUN_FILES.iter().any(|file| name.starts_with(file)) {
                    let above = folder_of_runs(&folder);
                    found.runs.extend(above.map(Path::to_path_buf));
                }
            } else if path.extension() == Some(OsStr::new("lance")) {
                if path.join("_versions").is_dir() && !found.lancedb.contains(&folder) {
                    found.lancedb.push(folder.clone());
                }
            } else if depth < DEPTH && is_worth_a_look(&name) {
                open.push_back((path, depth + 1));
            }
        }
    }
    found.lancedb.sort();
    found.runs.sort();
    // A folder below another one is seen with it.
    found.runs.dedup_by(|below, above| below.starts_with(above));
    found.runs.truncate(MOST_RUNS);
    found
}

/// The folder above a run, whose checkpoints are folders of their own.
fn folder_of_runs(run: &Path) -> Option<&Path> {
    let name = run.file_name()?.to_string_lossy();
    let run = if name.starts_with("checkpoint-") {
        run.parent()?
    } else {
        run
    };
    run.parent()
}

/// Hidden folders hold caches and the like, but for the one that LanceDB's examples use.
fn is_worth_a_look(name: &OsStr) -> bool {
    !name.as_encoded_bytes().starts_with(b".") || name == ".lancedb"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(path: &Path) {
        fs::create_dir_all(path).expect("a folder");
    }

    #[test]
    fn tables_are_found_where_applications_keep_them() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |path: &str| root.path().join(path);
        for table in [
            "srv/brain/memory.lance/_versions",
            "srv/brain/facts.lance/_versions",
            "home/me/.lancedb/notes.lance/_versions",
            "home/me/.cache/hidden.lance/_versions",
            "srv/a/b/c/d/too-deep.lance/_versions",
            "opt/app/half.lance",
        ] {
            make(&at(table));
        }
        std::os::unix::fs::symlink(at("srv"), at("srv/brain/round")).expect("a link");
        let found = Found::look(root.path(), Some(&at("home/me"))).lancedb;
        // A table directly in a hidden folder is found only below .lancedb.
        assert_eq!(found, [at("home/me/.lancedb"), at("srv/brain")]);
    }

    #[test]
    fn runs_are_found_by_what_trainers_leave() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |path: &str| root.path().join(path);
        for file in [
            "srv/runs/lora/checkpoint-500/trainer_state.json",
            "srv/runs/lora/events.out.tfevents.1.pc.2.0",
            "home/me/tb/first/events.out.tfevents.1.pc.2.0",
            "opt/app/config.json",
        ] {
            make(at(file).parent().expect("a folder"));
            fs::write(at(file), "").expect("a file");
        }
        let found = Found::look(root.path(), Some(&at("home/me"))).runs;
        assert_eq!(found, [at("home/me/tb"), at("srv/runs")]);
    }

    #[test]
    fn serial_ports_are_named_by_what_stays_the_same() {
        let root = tempfile::tempdir().expect("a folder");
        make(&root.path().join("dev"));
        assert_eq!(Found::look(root.path(), None).serial, [] as [&str; 0]);
        for port in ["ttyUSB0", "ttyUSB1", "ttyACM0", "ttyS0"] {
            fs::write(root.path().join("dev").join(port), "").expect("a port");
        }
        let found = Found::look(root.path(), None).serial;
        assert_eq!(found, ["/dev/ttyUSB*", "/dev/ttyACM*"]);
        make(&root.path().join("dev/serial/by-id"));
        fs::write(root.path().join("dev/serial/by-id/usb-Espressif"), "").expect("a port");
        assert_eq!(Found::look(root.path(), None).serial, ["/dev/serial/by-id/*"]);
    }

    #[test]
    fn a_display_controller_of_a_known_vendor_is_a_gpu() {
        let root = tempfile::tempdir().expect("a folder");
        let device = root.path().join("sys/bus/pci/devices/0000:01:00.0");
        make(&device);
        for (vendor, class, is_gpu) in [
            ("0x10de", "0x030000", true),
            ("0x1002", "0x038000", true),
            ("0x10de", "0x040300", false), // its sound
            ("0x8086", "0x030000", false),
        ] {
            fs::write(device.join("vendor"), format!("{vendor}\n")).expect("write");
            fs::write(device.join("class"), format!("{class}\n")).expect("write");
            assert_eq!(
                Found::look(root.path(), None).has(Thing::Gpu),
                is_gpu,
                "{vendor} {class}"
            );
        }
    }

    #[test]
    fn a_server_is_found_by_its_port_on_either_protocol() {
        let root = tempfile::tempdir().expect("a folder");
        make(&root.path().join("proc/net"));
        let head = "  sl  local_address rem_address   st\n";
        let write = |table: &str, line: &str| {
            fs::write(root.path().join(table), format!("{head}{line}\n")).expect("a table");
        };
        write("proc/net/tcp", "   0: 0100007F:1538 0100007F:A000 01");
        assert!(
            !Found::look(root.path(), None).has(Thing::Postgres),
            "a connection"
        );
        write("proc/net/tcp", "   0: 0100007F:1538 00000000:0000 0A");
        write(
            "proc/net/tcp6",
            "   0: 00000000000000000000000000000000:0FA0 00000000000000000000000000000000:0000 0A",
        );
        let found = Found::look(root.path(), None);
        assert!(found.has(Thing::Postgres) && found.has(Thing::LiteLlm));
    }
}
