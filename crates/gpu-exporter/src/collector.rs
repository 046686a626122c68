//! The one collector: NVIDIA's GPUs from NVML and AMD's from sysfs, each within a deadline, all on one page.
//!
//! Yields `gpu_count`, `gpu_expected_count` and `gpu_nvml_up{reason}` beside what the page lists.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use exporter::{CollectError, Collector, Common, Exporter, Family, Metric, Unit};

use crate::amd::Amd;
use crate::args::Args;
use crate::attendant::{Answer, Attendant};
use crate::driver::Fault;
use crate::known::Look;
use crate::nvidia::{Nvidia, Options};
use crate::nvml::Shared;
use crate::page;

const COUNT: Metric<0> = Metric::contract(
    exporter::Kind::Gauge,
    "gpu_count",
    "GPUs that answer or sleep.",
    [],
);
const EXPECTED: Metric<0> = Metric::contract(
    exporter::Kind::Gauge,
    "gpu_expected_count",
    "GPUs that this machine should have: as configured, or as many as were seen since the start.",
    [],
);
const NVML_UP: Metric<1> = Metric::gauge(
    "gpu_nvml_up",
    Unit::None,
    "Whether NVIDIA's library works (1), or why not (0); absent while all NVIDIA GPUs sleep.",
    ["reason"],
);

/// All GPUs of this machine.
struct Gpus {
    nvidia: Mutex<Desk>,
    amd: Mutex<Desk>,
    timeout: Duration,
    expected: usize,
}

/// Where the GPUs of one vendor are asked for. A call that hangs before or between them counts against all of these.
struct Desk {
    attendant: Attendant<Look>,
    last: Look,
}

/// Makes the collector from the flags.
pub(crate) fn build(args: &Args, common: &Common) -> anyhow::Result<Exporter> {
    let options = Options {
        sysfs: common.sysfs.clone(),
        procfs: common.procfs.clone(),
        timeout: args.timeout()?,
        rest: args.rest()?,
    };
    // One answer for all GPUs, after each of them had its time.
    let timeout = options.timeout * 2;
    let mut amd = Amd::new(&options.sysfs, options.rest);
    let mut nvidia = Nvidia::new(Box::new(Shared(args.library().into())), options);
    Ok(Exporter::new(vec![Box::new(Gpus {
        nvidia: Desk::open("nvml", move || nvidia.look())?,
        amd: Desk::open("amd", move || amd.look())?,
        timeout,
        expected: args.expected,
    })]))
}

impl Desk {
    fn open(name: &str, mut look: impl FnMut() -> Look + Send + 'static) -> std::io::Result<Mutex<Self>> {
        Ok(Mutex::new(Self {
            attendant: Attendant::start(name, move |questions| questions.answer_with(&mut look))?,
            last: Look::default(),
        }))
    }

    fn ask(&mut self) {
        // An old answer is of no use; what it counted is in the next one too.
        drop(self.attendant.ask());
    }

    fn answer(&mut self, deadline: Instant, timeout: Duration) -> Look {
        match self.attendant.answer(deadline) {
            Answer::InTime(look) => {
                self.last = look.clone();
                look
            }
            Answer::Late | Answer::Never => self.last.stuck(timeout),
        }
    }
}

impl Collector for Gpus {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn collect(&self) -> Result<Vec<Family>, CollectError> {
        let desk = |desk| Mutex::lock(desk).unwrap_or_else(PoisonError::into_inner);
        let (mut nvidia, mut amd) = (desk(&self.nvidia), desk(&self.amd));
        nvidia.ask();
        amd.ask();
        let deadline = Instant::now() + self.timeout;
        let Look {
            mut rows,
            library,
            mut problems,
        } = nvidia.answer(deadline, self.timeout);
        let amd = amd.answer(deadline, self.timeout);
        rows.extend(amd.rows);
        problems.extend(amd.problems);
        let mut families = page::families(&rows);
        let present = rows.iter().filter(|row| row.state.is_present()).count();
        let state = |library: Result<(), Fault>| match library {
            Ok(()) => (["ok"], 1.0),
            Err(fault) => ([fault.reason.word()], 0.0),
        };
        families.push(COUNT.value(present as f64));
        families.push(EXPECTED.value(self.expected.max(rows.len()) as f64));
        families.push(NVML_UP.family(library.map(state)));
        if problems.is_empty() {
            Ok(families)
        } else {
            Err(CollectError::Partly(
                families,
                anyhow::anyhow!(problems.join("; ")),
            ))
        }
    }
}
