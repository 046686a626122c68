//! Xid errors, which the driver reports by number: <https://docs.nvidia.com/deploy/xid-errors/>.

/// The codes that tell of the GPU itself or of the programs that crashed it. They are on the page from the start: a
/// series that begins at 1 has no increase.
pub(crate) const KNOWN: [u64; 13] = [13, 31, 43, 48, 63, 64, 74, 79, 92, 94, 95, 119, 120];
