//! What NVML's errors mean for what comes next.

use std::path::Path;

use nvml_wrapper::error::NvmlError;

use crate::driver::{Fault, Reason};

/// Why what was tried failed.
pub(super) fn fault(tried: &str, error: &NvmlError) -> Fault {
    let reason = match error {
        NvmlError::LibraryNotFound => Reason::LibraryMissing,
        NvmlError::DriverNotLoaded => Reason::DriverNotLoaded,
        NvmlError::LibRmVersionMismatch => Reason::VersionMismatch,
        NvmlError::Uninitialized => Reason::Uninitialized,
        NvmlError::NoPermission | NvmlError::OperatingSystem => Reason::Permission,
        NvmlError::GpuLost | NvmlError::ResetRequired | NvmlError::NotFound => Reason::Lost,
        _ => Reason::Failed,
    };
    Fault::new(reason, format!("{tried}: {error}"))
}

/// Why the library could not be loaded, from what the dynamic linker says. One that is there and broken, or lacks
/// another library, is not missing.
pub(super) fn not_loaded(library: &Path, linker: &str) -> Fault {
    let library = library.display();
    let absences = [
        format!("{library}: cannot open shared object file: No such file or directory"),
        // The same in musl, and what it says in a program that is linked statically, for which there is no library.
        format!("Error loading shared library {library}: No such file or directory"),
        "Dynamic loading not supported".into(),
    ];
    let reason = if absences.iter().any(|absence| absence == linker) {
        Reason::LibraryMissing
    } else {
        Reason::Failed
    };
    Fault::new(reason, format!("load NVML: {linker}"))
}

/// What a GPU need not tell. That it does not know a question is no fault; that it is lost, or the driver gone, is.
pub(super) fn optional<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(
            error @ (NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::LibRmVersionMismatch),
        ) => Err(fault("read it", &error)),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_library_that_is_not_there_is_missing() {
        let reason = |linker: &str| not_loaded(Path::new("libnvidia-ml.so.1"), linker).reason;
        let none = "cannot open shared object file: No such file or directory";
        assert_eq!(
            reason(&format!("libnvidia-ml.so.1: {none}")),
            Reason::LibraryMissing
        );
        assert_eq!(reason("Dynamic loading not supported"), Reason::LibraryMissing);
        assert_eq!(reason(&format!("libm.so.6: {none}")), Reason::Failed);
        assert_eq!(reason("libnvidia-ml.so.1: file too short"), Reason::Failed);
    }

    #[test]
    fn unsupported_is_absent_and_lost_is_a_fault() {
        assert_eq!(optional(Ok(1)), Ok(Some(1)));
        assert_eq!(optional::<u32>(Err(NvmlError::NotSupported)), Ok(None));
        let missing = NvmlError::FailedToLoadSymbol("nvmlX".into());
        assert_eq!(optional::<u32>(Err(missing)), Ok(None));
        let lost = optional::<u32>(Err(NvmlError::GpuLost)).expect_err("lost");
        assert_eq!(lost.reason, Reason::Lost);
        let replaced = optional::<u32>(Err(NvmlError::LibRmVersionMismatch)).expect_err("replaced");
        assert!(replaced.reason.ends_session());
    }
}
