//! What the exporter needs of NVML. Deadlines, lost GPUs, counters and the page know nothing else of it.

use std::fmt;
use std::sync::Arc;

use crate::reading::Reading;

/// Loads and initializes the library.
pub(crate) trait Library: Send + 'static {
    /// May block for long while the driver starts.
    fn open(&self) -> Result<Arc<dyn Driver>, Fault>;
}

/// The initialized library; the last reference unloads it.
pub(crate) trait Driver: Send + Sync {
    /// How many GPUs the driver knows, lost ones possibly included.
    fn count(&self) -> Result<u32, Fault>;

    /// Attends to one GPU from now on. Nothing is asked before the first read.
    fn gpu<'a>(&'a self, place: &Place) -> Box<dyn Gpu + 'a>;
}

/// One GPU.
pub(crate) trait Gpu {
    /// Reads everything; may block for ever.
    fn read(&mut self) -> Result<Reading, Fault>;
}

/// Where a GPU is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Its PCI address as sysfs writes it, such as `0000:01:00.0`.
    Bus {
        address: String,
        /// The kernel lets it sleep when nobody uses it.
        may_sleep: bool,
    },
    /// Its number in NVML, where sysfs does not show the bus (WSL 2).
    Index(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus { address, .. } => write!(f, "GPU at {address}"),
            Self::Index(index) => write!(f, "GPU {index}"),
        }
    }
}

/// Why a GPU or the whole library does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
    /// The Xid errors that the GPU reported before it fell silent.
    pub(crate) xids: Vec<u64>,
}

/// What a fault means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is no such library on this machine.
    LibraryMissing,
    /// The library is there and the kernel module is not.
    DriverNotLoaded,
    /// The library and the kernel module are of different versions: the driver was replaced.
    VersionMismatch,
    /// The library wants to be initialized anew.
    Uninitialized,
    /// This process may not.
    Permission,
    /// The GPU fell off the bus or needs a reset.
    Lost,
    /// No answer in time.
    Timeout,
    /// Anything else.
    Failed,
}

impl Reason {
    /// Its label value.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::LibraryMissing => "library_missing",
            Self::DriverNotLoaded => "driver_not_loaded",
            Self::VersionMismatch => "version_mismatch",
            Self::Uninitialized => "uninitialized",
            Self::Permission => "permission",
            Self::Lost => "gpu_lost",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
        }
    }

    /// Whether the library has to be loaded again before anything works.
    pub(crate) fn ends_session(self) -> bool {
        matches!(
            self,
            Self::LibraryMissing | Self::DriverNotLoaded | Self::VersionMismatch | Self::Uninitialized
        )
    }

    /// Whether a machine without NVIDIA GPUs looks like this.
    pub(crate) fn is_absence(self) -> bool {
        matches!(self, Self::LibraryMissing | Self::DriverNotLoaded)
    }
}

impl Fault {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            xids: Vec::new(),
        }
    }
}
