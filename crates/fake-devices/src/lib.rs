//! Boards that are not there: they speak as embedded devices do, on real pseudo-terminals or TCP.
//!
//! A [`Board`] is a simulated chip with its firmware, and the wire it is plugged into. What it says follows from its
//! seed and from the time that its owner lets pass, so a test sees the same bytes every time:
//!
//! ```
//! use std::time::Duration;
//!
//! let folder = std::env::temp_dir().join(format!("fake-devices-{}", std::process::id()));
//! let mut board = fake_devices::Board::esp32(1);
//! board.plug(&folder, "usb-Espressif_ESP32-S3_0001").unwrap();
//! // … somebody opens the port …
//! board.advance(Duration::from_millis(100));
//! board.unplug();
//! # assert!(!folder.join("usb-Espressif_ESP32-S3_0001").is_symlink());
//! # std::fs::remove_dir(&folder).unwrap();
//! ```
//!
//! A [`Bench`] keeps many boards going in real time on one thread.

mod bench;
mod board;
mod chip;
mod fault;
mod firmware;
mod random;
mod story;
mod wire;

pub use bench::Bench;
pub use board::Board;
pub use chip::Chip;
pub use fault::{Fault, Reset};
pub use firmware::Protocol;
pub use story::Story;
