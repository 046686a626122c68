use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use super::*;
use crate::driver::{Driver, Gpu};
use crate::known::{Row, State};
use crate::reading::{Count, Identity};

/// What each GPU does at its next reads, the last of it again and again, and the library at its next openings.
#[derive(Default)]
struct Script {
    openings: VecDeque<Fault>,
    opened: usize,
    gpus: Vec<VecDeque<Step>>,
    reads: Vec<usize>,
    is_released: bool,
}

#[derive(Clone, Copy)]
enum Step {
    Energy(u64),
    Busy,
    Fails(Reason),
    /// Until it is released.
    Hangs,
    Panics,
}
use Step::{Busy, Energy, Fails, Hangs, Panics};

#[derive(Clone)]
struct Fake(Arc<(Mutex<Script>, Condvar)>);

struct FakeGpu {
    script: Fake,
    index: usize,
}

/// Far above what any step takes.
const PATIENT: Duration = Duration::from_secs(90);
/// Too short for some answers on a busy machine, so no test may depend on one.
const HASTY: Duration = Duration::from_millis(50);

impl Fake {
    fn new(gpus: Vec<Vec<Step>>) -> Self {
        let script = Script {
            reads: vec![0; gpus.len()],
            gpus: gpus.into_iter().map(VecDeque::from).collect(),
            ..Script::default()
        };
        Self(Arc::new((Mutex::new(script), Condvar::new())))
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.0.lock().expect("a script")
    }

    fn release(&self) {
        self.script().is_released = true;
        self.0.1.notify_all();
    }

    fn nvidia(&self, timeout: Duration) -> Nvidia {
        self.nvidia_at(Path::new("/nonexistent"), timeout, Duration::ZERO)
    }

    fn nvidia_at(&self, root: &Path, timeout: Duration, rest: Duration) -> Nvidia {
        let options = Options {
            sysfs: root.join("sys"),
            procfs: root.join("proc"),
            timeout,
            rest,
        };
        Nvidia::new(Box::new(self.clone()), options)
    }
}

impl Library for Fake {
    fn open(&self) -> Result<Arc<dyn Driver>, Fault> {
        let mut script = self.script();
        script.opened += 1;
        match script.openings.pop_front() {
            Some(fault) => Err(fault),
            None => Ok(Arc::new(self.clone())),
        }
    }
}

impl Driver for Fake {
    fn count(&self) -> Result<u32, Fault> {
        Ok(u32::try_from(self.script().gpus.len()).expect("few"))
    }

    fn gpu<'a>(&'a self, place: &Place) -> Box<dyn Gpu + 'a> {
        let index = match place {
            Place::Index(index) => *index as usize,
            Place::Bus { address, .. } => address[5..7].parse().expect("a bus"),
        };
        Box::new(FakeGpu {
            script: self.clone(),
            index,
        })
    }
}

impl Gpu for FakeGpu {
    fn read(&mut self) -> Result<Reading, Fault> {
        let mut script = self.script.script();
        script.reads[self.index] += 1;
        let steps = &mut script.gpus[self.index];
        let step = if steps.len() > 1 {
            steps.pop_front()
        } else {
            steps.front().copied()
        };
        let (energy, utilization) = match step.expect("a step") {
            Energy(raw) => (raw, 0.0),
            Busy => (0, 50.0),
            Fails(reason) => return Err(Fault::new(reason, "as the script says")),
            Hangs => {
                let held = self.script.0.1.wait_while(script, |script| !script.is_released);
                drop(held.expect("a script"));
                (0, 0.0)
            }
            Panics => {
                drop(script);
                panic!("as the script says")
            }
        };
        Ok(Reading {
            index: u32::try_from(self.index).ok(),
            identity: Identity {
                uuid: Some(format!("GPU-{}", self.index)),
                ..Identity::default()
            },
            utilization: Some(utilization),
            counts: vec![(Count::Energy, energy)],
            ..Reading::default()
        })
    }
}

/// Number, whether it is up, and energy of each GPU.
fn states(look: &Look) -> Vec<(&str, bool, Option<u64>)> {
    let is_up = |row: &Row| matches!(row.state, State::Up { .. });
    let energy = |row: &Row| row.ledger.counts().next().map(|(_, total)| total);
    look.rows
        .iter()
        .map(|row| (row.id.as_str(), is_up(row), energy(row)))
        .collect()
}

fn fault(look: &Look) -> Option<Reason> {
    let fault = look.library.clone().and_then(Result::err)?;
    Some(fault.reason)
}

/// Looks until it is as wanted.
fn until(nvidia: &mut Nvidia, wanted: impl Fn(&Look) -> bool) -> Look {
    let start = Instant::now();
    loop {
        let look = nvidia.look();
        if wanted(&look) {
            return look;
        }
        assert!(start.elapsed() < PATIENT, "never came; the last look: {look:?}");
    }
}

/// A GPU on the bus that this driver has.
fn slot(root: &Path, bus: u8, driver: &str, files: &[(&str, &str)]) {
    let folder = root.join(format!("sys/bus/pci/devices/0000:{bus:02}:00.0"));
    std::fs::create_dir_all(folder.join("power")).expect("a folder");
    let uevent = format!("DRIVER={driver}");
    let all = [("vendor", "0x10de"), ("class", "0x030000"), ("uevent", &uevent)];
    for (file, text) in all.iter().chain(files) {
        std::fs::write(folder.join(file), text).expect("write");
    }
}

const SLEEPY: [(&str, &str); 2] = [("power/control", "auto"), ("power/runtime_status", "active")];

#[test]
fn a_lost_gpu_is_down_and_its_neighbour_goes_on() {
    let fake = Fake::new(vec![
        vec![Energy(10), Fails(Reason::Lost), Energy(4)],
        vec![Energy(1), Energy(2), Energy(3)],
    ]);
    let mut nvidia = fake.nvidia(PATIENT);
    assert_eq!(
        states(&nvidia.look()),
        [("0", true, Some(10)), ("1", true, Some(1))]
    );
    let lost = nvidia.look();
    assert_eq!(states(&lost), [("0", false, Some(10)), ("1", true, Some(2))]);
    assert_eq!(lost.problems, ["GPU 0: as the script says"]);
    assert_eq!(lost.library, Some(Ok(())));
    assert_eq!(
        states(&nvidia.look()),
        [("0", true, Some(14)), ("1", true, Some(3))]
    );
    assert_eq!(fake.script().opened, 1, "a short absence is no reason to search");
}

#[test]
fn the_library_is_initialized_anew_for_a_gpu_that_stays_lost() {
    let fake = Fake::new(vec![vec![Fails(Reason::Lost)], vec![Energy(1)]]);
    let mut nvidia = fake.nvidia(PATIENT);
    nvidia.search = Duration::ZERO;
    nvidia.look();
    assert_eq!(states(&nvidia.look()), [("0", false, None), ("1", true, Some(1))]);
    assert_eq!(fake.script().opened, 2);
}

#[test]
fn no_library_is_initialized_anew_for_a_lost_gpu_while_a_call_of_another_one_hangs() {
    let fake = Fake::new(vec![vec![Fails(Reason::Lost)], vec![Hangs, Energy(1)]]);
    let mut nvidia = fake.nvidia(HASTY);
    nvidia.search = Duration::ZERO;
    for _ in 0..3 {
        nvidia.look();
    }
    // On a busy machine the lost one may not have been told of before.
    until(&mut nvidia, |look| {
        look.problems
            .iter()
            .any(|problem| problem.contains("as the script says"))
    });
    assert_eq!(fake.script().opened, 1);
    fake.release();
    until(&mut nvidia, |_| fake.script().opened > 1);
}

#[test]
fn more_gpus_than_calls_may_hang_are_no_fault() {
    let fake = Fake::new(vec![vec![Energy(1)]; 81]);
    let mut nvidia = fake.nvidia(PATIENT);
    for _ in 0..2 {
        let look = nvidia.look();
        assert_eq!(look.problems, <[String; 0]>::default());
        assert_eq!(states(&look).iter().filter(|(_, is_up, _)| *is_up).count(), 81);
    }
}

#[test]
fn a_replaced_driver_is_loaded_again() {
    let fake = Fake::new(vec![vec![Energy(10), Fails(Reason::VersionMismatch), Energy(5)]]);
    let mut nvidia = fake.nvidia(PATIENT);
    assert_eq!(states(&nvidia.look()), [("0", true, Some(10))]);
    let ended = nvidia.look();
    assert_eq!(
        (states(&ended), fault(&ended)),
        (vec![("0", false, Some(10))], Some(Reason::VersionMismatch))
    );
    let not_yet = Fault::new(Reason::DriverNotLoaded, "not yet");
    fake.script().openings.push_back(not_yet);
    let gone = nvidia.look();
    assert_eq!(
        (states(&gone), fault(&gone)),
        (vec![("0", false, Some(10))], Some(Reason::DriverNotLoaded))
    );
    assert_eq!(states(&nvidia.look()), [("0", true, Some(15))]);
}

#[test]
fn a_gpu_that_hangs_costs_its_own_values_only_and_is_not_asked_twice() {
    let fake = Fake::new(vec![vec![Hangs, Energy(7)], vec![Energy(1)]]);
    let mut nvidia = fake.nvidia(HASTY);
    let look = until(&mut nvidia, |look| {
        assert_eq!(states(look)[0], ("0", false, None), "it hangs");
        states(look)[1].1
    });
    let problem = &look.problems[0];
    assert!(problem.starts_with("GPU 0: no answer within"), "{problem}");
    nvidia.look();
    assert_eq!(fake.script().reads[0], 1);
    fake.release();
    until(&mut nvidia, |look| states(look)[0] == ("0", true, Some(7)));
}

#[test]
fn a_thread_that_died_is_replaced() {
    let fake = Fake::new(vec![vec![Panics, Energy(7)]]);
    let mut nvidia = fake.nvidia(PATIENT);
    assert_eq!(states(&nvidia.look()), [("0", false, None)]);
    assert_eq!(states(&nvidia.look()), [("0", true, Some(7))]);
}

#[test]
fn threads_that_hang_do_not_pile_up() {
    let fake = Fake::new(vec![vec![Hangs], vec![Fails(Reason::Uninitialized)]]);
    let mut nvidia = fake.nvidia(HASTY);
    let is_ended = |look: &Look| fault(look) == Some(Reason::Uninitialized);
    for _ in 0..3 {
        until(&mut nvidia, is_ended);
    }
    assert!(nvidia.threads.count() >= 3, "each session left one behind");
    // As if there had been many more.
    let others: Vec<Threads> = std::iter::repeat_with(|| nvidia.threads.clone())
        .take(64)
        .collect();
    let look = nvidia.look();
    assert!(
        look.problems
            .iter()
            .any(|problem| problem.contains("hang already")),
        "{look:?}"
    );
    drop(others);
    fake.release();
}

#[test]
fn an_idle_gpu_that_may_sleep_rests_without_the_library() {
    let root = tempfile::tempdir().expect("a folder");
    slot(root.path(), 0, "nvidia", &SLEEPY);
    let fake = Fake::new(vec![vec![Energy(10)]]);
    let mut nvidia = fake.nvidia_at(root.path(), PATIENT, PATIENT);
    let up = [("0", true, Some(10))];
    assert_eq!(states(&nvidia.look()), up);
    let resting = nvidia.look();
    assert_eq!(states(&resting), up);
    assert!(matches!(resting.rows[0].state, State::Up { age, .. } if !age.is_zero()));
    assert_eq!(resting.library, Some(Ok(())), "as it was");
    assert_eq!(fake.script().reads[0], 1, "it is left alone");
    assert!(nvidia.session.is_none(), "and its device is closed");

    slot(root.path(), 0, "nvidia", &[("power/runtime_status", "suspended")]);
    let asleep = nvidia.look();
    assert!(matches!(asleep.rows[0].state, State::Asleep));
    assert_eq!((asleep.library, fake.script().reads[0]), (None, 1));

    slot(root.path(), 0, "nvidia", &SLEEPY);
    nvidia.look();
    assert_eq!(fake.script().reads[0], 2, "somebody woke it");
}

#[test]
fn a_gpu_that_works_or_never_sleeps_is_asked_each_time() {
    let root = tempfile::tempdir().expect("a folder");
    slot(root.path(), 0, "nvidia", &SLEEPY);
    slot(root.path(), 1, "nvidia", &[("power/control", "on")]);
    slot(root.path(), 2, "nvidia", &SLEEPY);
    slot(root.path(), 3, "nvidia", &SLEEPY);
    let driver = root.path().join("proc/driver/nvidia/gpus/0000:02:00.0");
    std::fs::create_dir_all(&driver).expect("a folder");
    std::fs::write(
        driver.join("power"),
        "Runtime D3 status:          Not supported\n",
    )
    .expect("write");
    let fake = Fake::new(vec![
        vec![Busy],
        vec![Energy(1)],
        vec![Energy(1)],
        vec![Energy(1)],
    ]);
    let mut nvidia = fake.nvidia_at(root.path(), PATIENT, PATIENT);
    for _ in 0..3 {
        assert!(states(&nvidia.look()).iter().all(|(_, is_up, _)| *is_up));
    }
    assert_eq!(fake.script().reads, [3, 3, 3, 1], "only the last one rests");
    assert_eq!(fake.script().opened, 1);
}

#[test]
fn a_gpu_whose_library_fails_is_down_and_one_that_sleeps_is_not() {
    let root = tempfile::tempdir().expect("a folder");
    slot(root.path(), 0, "nvidia", &[]);
    slot(
        root.path(),
        1,
        "nvidia",
        &[SLEEPY[0], ("power/runtime_status", "suspended")],
    );
    let fake = Fake::new(vec![vec![Energy(10)], vec![Panics]]);
    let missing = Fault::new(Reason::LibraryMissing, "no such file");
    fake.script().openings.push_back(missing);
    let mut nvidia = fake.nvidia_at(root.path(), PATIENT, PATIENT);
    let look = nvidia.look();
    assert!(matches!(look.rows[0].state, State::Down), "{look:?}");
    assert!(matches!(look.rows[1].state, State::Asleep), "{look:?}");
    assert_eq!(look.problems, ["no such file"], "once, and no absence");
    assert_eq!(states(&nvidia.look())[0], ("0", true, Some(10)));
}

#[test]
fn a_machine_without_gpus_has_no_problem() {
    let fake = Fake::new(Vec::new());
    let missing = Fault::new(Reason::LibraryMissing, "no such file");
    fake.script().openings.push_back(missing);
    let look = fake.nvidia(PATIENT).look();
    assert_eq!(
        (fault(&look), look.problems.len()),
        (Some(Reason::LibraryMissing), 0)
    );
}

#[test]
fn a_driver_that_has_no_gpu_is_not_loaded() {
    let root = tempfile::tempdir().expect("a folder");
    slot(root.path(), 0, "vfio-pci", &SLEEPY);
    let fake = Fake::new(vec![vec![Energy(10)]]);
    let mut nvidia = fake.nvidia_at(root.path(), PATIENT, PATIENT);
    assert_eq!(fault(&nvidia.look()), Some(Reason::DriverNotLoaded));
    assert_eq!(fake.script().opened, 0);
    slot(root.path(), 0, "nvidia", &SLEEPY);
    assert_eq!(states(&nvidia.look()), [("0", true, Some(10))]);
}
