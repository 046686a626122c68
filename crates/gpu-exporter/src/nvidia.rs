//! All NVIDIA GPUs: loads the library when there is a driver and a GPU to ask, and starts anew when it was replaced.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::driver::{Fault, Library, Place, Reason};
use crate::known::{Found, Look, Roster};
use crate::pci::{self, Bus, Slot};
use crate::processes::Processes;
use crate::reading::Reading;
use crate::session::{Session, Threads};
use crate::sleep::Rests;

/// How often the library is initialized anew for the sake of a GPU that is lost: it only finds those that were there
/// when it was initialized.
const SEARCH: Duration = Duration::from_mins(5);

/// Where to look and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) sysfs: PathBuf,
    pub(crate) procfs: PathBuf,
    /// How long a GPU may take.
    pub(crate) timeout: Duration,
    /// How long an idle GPU that may sleep is left alone.
    pub(crate) rest: Duration,
}

/// The NVIDIA GPUs of this machine.
pub(crate) struct Nvidia {
    library: Box<dyn Library>,
    options: Options,
    bus: Bus,
    processes: Processes,
    session: Option<Session>,
    threads: Threads,
    search: Duration,
    roster: Roster,
    rests: Rests,
    /// What the library said when it was last asked.
    last: Option<Result<(), Fault>>,
    /// Why there are no GPUs, as it was last told.
    absence: String,
}

impl Nvidia {
    pub(crate) fn new(library: Box<dyn Library>, options: Options) -> Self {
        Self {
            library,
            bus: Bus::new(&options.sysfs),
            processes: Processes::new(&options.procfs),
            session: None,
            threads: Threads::default(),
            search: SEARCH,
            roster: Roster::new(""),
            rests: Rests::new(options.rest),
            last: None,
            absence: String::new(),
            options,
        }
    }

    /// Looks at all GPUs that may be asked.
    pub(crate) fn look(&mut self) -> Look {
        let all = self.bus.gpus();
        let slots: Vec<&Slot> = all.iter().filter(|slot| slot.has_driver).collect();
        if slots.is_empty() && !all.is_empty() {
            // Initializing the library would load the driver, which somebody may have taken away on purpose.
            self.session = None;
            let detail = "no NVIDIA GPU on the PCI bus belongs to NVIDIA's driver";
            return self.conclude(Vec::new(), Some(Err(Fault::new(Reason::DriverNotLoaded, detail))));
        }
        let (left_alone, awake) = self.divide(&slots);
        if awake.is_empty() && !left_alone.is_empty() {
            // Without the library nothing keeps the GPUs' devices open.
            self.session = None;
            let is_resting = |(_, found): &(Place, Found)| matches!(found, Found::Resting);
            let library = self.last.clone().filter(|_| left_alone.iter().any(is_resting));
            return self.conclude(left_alone, library);
        }
        let places: Vec<Place> = awake.iter().map(|slot| self.place(slot)).collect();
        let (mut found, mut library) = match self.read(places.clone()) {
            Ok(found) => (found, Ok(())),
            Err(fault) => {
                let silent = |place| (place, Found::Silent(fault.clone()));
                (places.into_iter().map(silent).collect(), Err(fault))
            }
        };
        self.rest(&awake, &found);
        if let Some(fault) = self.judge(&found, slots.len()) {
            library = Err(fault);
        }
        found.extend(left_alone);
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.last = Some(library.clone());
        self.conclude(found, Some(library))
    }

    /// The library is a fault of its own where there is a GPU, or was one: a machine without needs none.
    fn conclude(&mut self, found: Vec<(Place, Found)>, library: Option<Result<(), Fault>>) -> Look {
        let mut look = self.roster.look(found, Instant::now());
        if let Some(Err(fault)) = &library {
            look.problems.retain(|problem| !problem.ends_with(&fault.detail));
            if look.rows.is_empty() && fault.reason.is_absence() {
                if self.absence != fault.detail {
                    tracing::info!(reason = fault.detail, "no NVIDIA GPUs");
                    self.absence.clone_from(&fault.detail);
                }
            } else {
                look.problems.insert(0, fault.detail.clone());
            }
        }
        Look { library, ..look }
    }

    /// The GPUs to leave alone, and those to ask.
    fn divide<'a>(&mut self, slots: &[&'a Slot]) -> (Vec<(Place, Found)>, Vec<&'a Slot>) {
        let (mut left_alone, mut awake) = (Vec::new(), Vec::new());
        for &slot in slots {
            let place = || Place::Bus {
                address: slot.address.clone(),
                may_sleep: true,
            };
            if slot.sleep.is_asleep {
                self.rests.end(&slot.address);
                left_alone.push((place(), Found::Asleep));
            } else if self.rests.holds(&slot.address, Instant::now()) {
                left_alone.push((place(), Found::Resting));
            } else {
                awake.push(slot);
            }
        }
        (left_alone, awake)
    }

    /// Of one that is awake: it is not asked, but its driver is.
    fn place(&self, slot: &Slot) -> Place {
        Place::Bus {
            address: slot.address.clone(),
            may_sleep: slot.sleep.is_allowed && !pci::stays_awake(&self.options.procfs, &slot.address),
        }
    }

    /// Reads the GPUs in these places, or all that NVML knows when sysfs shows none.
    fn read(&mut self, places: Vec<Place>) -> Result<Vec<(Place, Found)>, Fault> {
        let session = match &mut self.session {
            Some(session) => session,
            none => none.insert(Session::new(
                self.library.open()?,
                &self.threads,
                self.options.timeout,
            )),
        };
        let places = match session.driver.count() {
            Ok(count) if places.is_empty() => (0..count).map(Place::Index).collect(),
            Ok(_) => places,
            Err(fault) => {
                self.session = None;
                return Err(fault);
            }
        };
        let (late, mut found) = session.ask(places);
        for (place, found) in &late {
            self.roster.post_late(place, found);
        }
        for (_, found) in &mut found {
            if let Found::Awake(reading) = found {
                Arc::make_mut(reading).name_holders(&self.processes);
            }
        }
        Ok(found)
    }

    /// Lets those that are idle rest.
    fn rest(&mut self, awake: &[&Slot], found: &[(Place, Found)]) {
        for (place, found) in found {
            let (Place::Bus { address, may_sleep }, Found::Awake(reading)) = (place, found) else {
                continue;
            };
            if let Some(slot) = awake.iter().find(|slot| slot.address == *address) {
                let is_idle = *may_sleep && reading.is_idle();
                self.rests.consider(address, slot.sleep, is_idle, Instant::now());
            }
        }
    }

    /// Ends the session when nobody needs it or it is of no use; returns the fault that ended it.
    fn judge(&mut self, found: &[(Place, Found)], slots: usize) -> Option<Fault> {
        let faults = || {
            found.iter().filter_map(|(_, found)| match found {
                Found::Silent(fault) => Some(fault),
                Found::Awake(_) | Found::Asleep | Found::Resting => None,
            })
        };
        let ended = faults().find(|fault| fault.reason.ends_session()).cloned();
        let can_search = |session: &Session| session.opened.elapsed() >= self.search && !session.is_stuck();
        let search = faults().any(|fault| fault.reason == Reason::Lost)
            && self.session.as_ref().is_some_and(can_search);
        let now = Instant::now();
        let rests =
            |place: &Place| matches!(place, Place::Bus { address, .. } if self.rests.holds(address, now));
        let all_rest = slots > 0 && found.iter().all(|(place, _)| rests(place));
        if ended.is_some() || search || all_rest {
            self.session = None;
        }
        ended
    }
}

impl Reading {
    /// Who holds its memory. Known while the processes run, which may end before the reading is shown.
    fn name_holders(&mut self, processes: &Processes) {
        self.holders = processes.holders(&self.processes);
        for (_, instance) in &mut self.instances {
            instance.name_holders(processes);
        }
    }
}

#[cfg(test)]
#[path = "nvidia/tests.rs"]
mod tests;
