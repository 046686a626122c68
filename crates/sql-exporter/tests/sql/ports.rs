//! Ports for servers that cannot be told to take any free one.
//!
//! They lie below the range from which the kernel hands out ports (32768 and up, `ip_local_port_range`): between the
//! choice and the start of the server nobody else who runs at the same time is given the same one.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 12_000;
const COUNT: u16 = 8_000;

/// A port on which nobody listens, never handed out twice by this process.
pub(crate) fn free() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        // Two processes of tests begin far apart.
        let start = std::process::id().wrapping_mul(797) % u32::from(COUNT);
        AtomicU16::new(u16::try_from(start).expect("below COUNT"))
    });
    (0..COUNT)
        .map(|_| FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("a free port")
}
