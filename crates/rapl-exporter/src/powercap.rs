//! Reads the RAPL zones of the kernel's powercap framework, `<sysfs>/class/powercap/intel-rapl*` (AMD's too).
//!
//! Yields one [`Reading`] per zone with an energy counter. `energy_uj` is readable by root only on kernels since 5.10;
//! names, ranges and constraints are readable by everyone.
//! <https://docs.kernel.org/power/powercap/powercap.html>

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use exporter::fs::{self, ReadError};

use crate::energy::Raw;
use crate::found::Found;
use crate::limits::{Constraint, read_name};
use crate::meter::{Reading, Role};
use crate::power::since_boot;
use crate::source::{Absence, Reason, Sample};

/// One zone as it was found; only its counter and limits change.
#[derive(Debug)]
pub(crate) struct Zone {
    /// Unique and readable: `package-0`, `package-0-core`, `psys`.
    pub(crate) name: Arc<str>,
    /// The name of the zone that contains this one, or nothing.
    pub(crate) parent: Arc<str>,
    /// Set for the memory-mapped twin of a zone, to the name of that zone. It has the same counter and limits of
    /// its own.
    pub(crate) twin_of: Option<Arc<str>>,
    /// The limits that it has.
    pub(crate) constraints: Vec<Constraint>,
    /// The file that says whether they are in force.
    pub(crate) enabled: PathBuf,
    energy: PathBuf,
    role: Role,
    range: Option<u64>,
}

/// How long new zones may stay unnoticed. Zones that go away are noticed at once.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// All zones.
#[derive(Debug)]
pub(crate) struct Powercap {
    root: PathBuf,
    found: Found<Discovery>,
}

/// What one look at the folder of the zones found.
#[derive(Debug)]
struct Discovery {
    zones: Result<Arc<[Zone]>, Absence>,
    /// Something could not be read.
    is_partial: bool,
}

/// A folder's name taken apart: `intel-rapl-mmio:0:1` is a twin with the numbers 0 and 1. The order puts parents in
/// front of their children and twins behind all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    is_mmio: bool,
    numbers: Vec<u32>,
}

impl Powercap {
    /// The zones below this `/sys`.
    pub(crate) fn new(sysfs: &Path) -> Self {
        Self {
            root: sysfs.join("class/powercap"),
            found: Found::every(LOOK_AGAIN),
        }
    }

    /// The zones that are there now, at least one.
    pub(crate) fn zones(&self) -> Result<Arc<[Zone]>, Absence> {
        let found = self.found.get(|| discover(&self.root));
        if found.is_partial {
            self.found.forget();
        }
        found.zones.clone()
    }

    /// The highest value of the counter that turns fastest, in microjoules.
    pub(crate) fn smallest_range(&self) -> Option<u64> {
        self.zones().ok()?.iter().filter_map(|zone| zone.range).min()
    }

    /// Reads every zone's counter. One that cannot be read is left out; the reason says whether all packages could.
    pub(crate) fn sample(&self) -> Sample {
        let zones = match self.zones() {
            Ok(zones) => zones,
            Err(absence) => return Sample::unavailable(absence),
        };
        let mut sample = Sample::default();
        for zone in zones.iter().filter(|zone| zone.twin_of.is_none()) {
            let energy = fs::read_u64(&zone.energy);
            if energy.as_ref().is_err_and(ReadError::is_missing) {
                self.found.forget();
            }
            match energy {
                Ok(microjoules) => sample.add(zone.reading(microjoules)),
                Err(error) if zone.is_package() => sample.fail(&error),
                Err(error) => tracing::debug!(zone = &*zone.name, %error, "a zone could not be read"),
            }
        }
        if !zones.iter().any(Zone::is_package) {
            let detail = format!("no RAPL zone in {} is a CPU package", self.root.display());
            sample.problem = Some((Reason::NoEnergyCounter, detail));
        }
        sample
    }
}

impl Zone {
    /// It is a whole CPU package, and not a twin.
    pub(crate) fn is_package(&self) -> bool {
        self.role == Role::Package && self.twin_of.is_none()
    }

    /// The zone itself, or the one whose twin it is.
    pub(crate) fn original(&self) -> &str {
        self.twin_of.as_deref().unwrap_or(&self.name)
    }

    fn reading(&self, microjoules: u64) -> Reading {
        Reading {
            zone: Arc::clone(&self.name),
            parent: Arc::clone(&self.parent),
            role: self.role,
            raw: Raw::Energy {
                microjoules,
                range: self.range,
            },
            at: since_boot(),
        }
    }
}

impl Id {
    fn parse(folder: &str) -> Option<Self> {
        let (control_type, numbers) = folder.split_once(':')?;
        let is_mmio = match control_type {
            "intel-rapl" => false,
            "intel-rapl-mmio" => true,
            _ => return None,
        };
        let numbers = numbers
            .split(':')
            .map(|number| number.parse().ok())
            .collect::<Option<_>>()?;
        Some(Self { is_mmio, numbers })
    }

    fn folder(&self) -> String {
        let control_type = if self.is_mmio {
            "intel-rapl-mmio"
        } else {
            "intel-rapl"
        };
        self.numbers
            .iter()
            .fold(control_type.to_owned(), |folder, number| {
                format!("{folder}:{number}")
            })
    }

    fn parent(&self) -> Option<Self> {
        let (_, numbers) = self.numbers.split_last()?;
        (!numbers.is_empty()).then(|| Self {
            is_mmio: self.is_mmio,
            numbers: numbers.to_vec(),
        })
    }
}

/// Looks for zones.
fn discover(root: &Path) -> Discovery {
    let absent = |reason, detail| Discovery {
        zones: Err((reason, detail)),
        is_partial: false,
    };
    let mut ids: Vec<Id> = match fs::list(root) {
        Ok(names) => names.iter().filter_map(|name| Id::parse(name)).collect(),
        Err(error) => return absent(Reason::of_folder(&error), error.to_string()),
    };
    ids.sort_unstable();
    let (zones, is_partial) = describe(root, &ids);
    if zones.is_empty() {
        // Container engines put an empty folder over the zones, so that the links to them lead nowhere.
        let reason = if ids.is_empty() {
            Reason::Missing
        } else {
            Reason::Masked
        };
        return absent(reason, format!("no RAPL zone in {}", root.display()));
    }
    Discovery {
        zones: Ok(zones.into()),
        is_partial,
    }
}

/// Reads what is fixed about these zones, and whether something could not be read.
fn describe(root: &Path, ids: &[Id]) -> (Vec<Zone>, bool) {
    let mut names: BTreeMap<&Id, Arc<str>> = BTreeMap::new();
    let mut zones: Vec<Zone> = Vec::new();
    let mut is_partial = false;
    for id in ids {
        let dir = root.join(id.folder());
        let Some(own_name) = read_name(&dir.join("name")) else {
            is_partial = true;
            continue;
        };
        let parent = id
            .parent()
            .and_then(|parent| names.get(&parent).cloned())
            .unwrap_or_default();
        let name = if parent.is_empty() {
            own_name.clone()
        } else {
            format!("{parent}-{own_name}")
        };
        let same = zones
            .iter()
            .find(|zone| *zone.name == *name)
            .map(|zone| Arc::clone(&zone.name));
        let name: Arc<str> = match (&same, id.is_mmio, id.numbers.last()) {
            (None, ..) => name.into(),
            (Some(_), true, _) => format!("{name}-mmio").into(),
            (Some(_), false, number) => format!("{name}-{}", number.copied().unwrap_or_default()).into(),
        };
        let twin_of = same.filter(|_| id.is_mmio);
        names.insert(id, Arc::clone(twin_of.as_ref().unwrap_or(&name)));
        let range = fs::read_u64(&dir.join("max_energy_range_uj"));
        let constraints = Constraint::all(&dir, &name);
        is_partial |= range.is_err() || constraints.is_err();
        zones.push(Zone {
            role: match own_name.as_str() {
                "core" | "uncore" => Role::Part,
                name if name.starts_with("package") => Role::Package,
                _ => Role::Other,
            },
            twin_of,
            range: range.ok(),
            constraints: constraints.unwrap_or_default(),
            enabled: dir.join("enabled"),
            energy: dir.join("energy_uj"),
            name,
            parent,
        });
    }
    (zones, is_partial)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn machine(zones: &[(&str, &str)]) -> (TempDir, Powercap) {
        let sysfs = tempfile::tempdir().expect("a folder");
        for (folder, name) in zones {
            let dir = sysfs.path().join("class/powercap").join(folder);
            std::fs::create_dir_all(&dir).expect("a zone");
            std::fs::write(dir.join("name"), name).expect("its name");
        }
        let powercap = Powercap::new(sysfs.path());
        (sysfs, powercap)
    }

    fn names(zones: &[(&str, &str)]) -> Vec<(String, String)> {
        let (_sysfs, powercap) = machine(zones);
        let zones = powercap.zones().expect("zones");
        zones
            .iter()
            .map(|zone| (zone.name.to_string(), zone.parent.to_string()))
            .collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|&(name, parent)| (name.to_owned(), parent.to_owned()))
            .collect()
    }

    #[test]
    fn names_say_where_a_zone_belongs() {
        let zones = [
            ("intel-rapl", "not a zone"),
            ("intel-rapl:10", "package-1"),
            ("intel-rapl:2", "package-0"),
            ("intel-rapl:2:0", "core"),
            ("intel-rapl:2:0:1", "thread"),
            ("intel-rapl:10:0", "core"),
            ("dtpm:0", "package-0"),
        ];
        assert_eq!(
            names(&zones),
            owned(&[
                ("package-0", ""),
                ("package-0-core", "package-0"),
                ("package-0-core-thread", "package-0-core"),
                ("package-1", ""),
                ("package-1-core", "package-1"),
            ])
        );
    }

    #[test]
    fn equal_names_stay_apart() {
        let zones = [("intel-rapl:0", "psys"), ("intel-rapl:3", "psys")];
        assert_eq!(names(&zones), owned(&[("psys", ""), ("psys-3", "")]));
    }

    #[test]
    fn a_memory_mapped_zone_is_a_twin_only_of_a_zone_that_is_there() {
        let mmio = ("intel-rapl-mmio:0", "package-0");
        let mmio_dram = ("intel-rapl-mmio:0:0", "dram");
        assert_eq!(
            names(&[mmio, mmio_dram]),
            owned(&[("package-0", ""), ("package-0-dram", "package-0")])
        );
        let (_sysfs, powercap) = machine(&[("intel-rapl:0", "package-0"), mmio, mmio_dram]);
        let zones = powercap.zones().expect("zones");
        let twins: Vec<_> = zones
            .iter()
            .map(|zone| (&*zone.name, zone.twin_of.as_deref()))
            .collect();
        assert_eq!(
            twins,
            [
                ("package-0", None),
                ("package-0-mmio", Some("package-0")),
                ("package-0-dram", None)
            ]
        );
    }

    #[test]
    fn a_child_whose_parent_has_no_name_is_still_there() {
        assert_eq!(
            names(&[("intel-rapl:0", ""), ("intel-rapl:0:1", "dram")]),
            owned(&[("dram", "")])
        );
    }

    proptest! {
        #[test]
        fn a_folder_name_is_understood_or_refused(name: String, is_mmio: bool, numbers in prop::collection::vec(any::<u32>(), 1..4)) {
            Id::parse(&name);
            let id = Id { is_mmio, numbers };
            prop_assert_eq!(Id::parse(&id.folder()), Some(id));
        }

        #[test]
        fn any_bytes_in_any_file_are_survived(
            name: Vec<u8>, energy: Vec<u8>, range: Vec<u8>, constraint: Vec<u8>, limit in "[0-9]{1,25}",
        ) {
            let (sysfs, powercap) = machine(&[("intel-rapl:0", "package-0"), ("intel-rapl:1", "package-1")]);
            let dir = sysfs.path().join("class/powercap/intel-rapl:1");
            let files: [(&str, &[u8]); 6] = [
                ("name", &name),
                ("energy_uj", &energy),
                ("max_energy_range_uj", &range),
                ("constraint_0_name", &constraint),
                ("constraint_0_power_limit_uw", limit.as_bytes()),
                ("constraint_0_time_window_us", &energy),
            ];
            for (file, content) in files {
                std::fs::write(dir.join(file), content).expect("write");
            }
            std::fs::write(sysfs.path().join("class/powercap/intel-rapl:0/energy_uj"), "5").expect("write");
            let sample = powercap.sample();
            let raw = Raw::Energy { microjoules: 5, range: None };
            prop_assert!(sample.readings.iter().any(|reading| &*reading.zone == "package-0" && reading.raw == raw));
            let zones = powercap.zones().expect("zones");
            prop_assert!(zones.iter().flat_map(|zone| &zone.constraints).filter_map(Constraint::read).all(|limit| limit.power.0 > 0));
        }
    }
}
