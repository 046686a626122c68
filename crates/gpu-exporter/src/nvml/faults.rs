//! What NVML's errors mean for what comes next.

use nvml_wrapper::error::NvmlError;

use crate::driver::{Fault, Reason};

/// Why what was tried failed.
pub(super) fn fault(tried: &str, error: &NvmlError) -> Fault {
    let reason = match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => Reason::LibraryMissing,
        NvmlError::DriverNotLoaded => Reason::DriverNotLoaded,
        NvmlError::LibRmVersionMismatch => Reason::VersionMismatch,
        NvmlError::Uninitialized => Reason::Uninitialized,
        NvmlError::NoPermission | NvmlError::OperatingSystem => Reason::Permission,
        NvmlError::GpuLost | NvmlError::ResetRequired | NvmlError::NotFound => Reason::Lost,
        _ => Reason::Failed,
    };
    Fault::new(reason, format!("{tried}: {error}"))
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
