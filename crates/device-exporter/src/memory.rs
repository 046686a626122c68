//! What the program knows of devices from one start to the next: `devices.json` in the storage folder.
//!
//! A board says who it is when it starts, and it does not start when the exporter does. So what hung on which adapter is
//! written down; a device that went away while the exporter was down is missed as if it had been up.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::board::{Board, Known};
use crate::device::Device;
use crate::hardware::Hardware;
use crate::identity::{Claim, Rank};
use crate::protocol::Label;

const FILE: &str = "devices.json";
/// Far above what 10 000 devices need.
const LARGEST: u64 = 8 << 20;

/// Where it is written.
#[derive(Debug)]
pub(crate) struct Memory {
    folder: PathBuf,
    /// The last failure, so that each is logged once.
    said: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    name: String,
    id: String,
    rank: Rank,
    platform: String,
    said_platform: bool,
    firmware: Option<String>,
    port: String,
    expected: Option<String>,
    usb_serial: Option<String>,
    location: String,
    product: Option<String>,
    last_seen: u64,
}

impl Memory {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            said: None,
        }
    }

    /// Tells the board what was known at the end of the last life. A file that cannot be read is said and passed over.
    pub(crate) fn recall(&self, board: &mut Board) {
        let path = self.folder.join(FILE);
        match read(&path) {
            Ok(entries) => {
                for entry in entries {
                    entry.restore(board);
                }
            }
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "what was known of devices is lost; they are known again when they say who they are"
            ),
        }
    }

    /// What is to be written, if anything changed since the last time. Values and counters are not.
    pub(crate) fn gather(board: &mut Board) -> Option<Vec<u8>> {
        if !std::mem::take(&mut board.is_changed) {
            return None;
        }
        let entries = board
            .devices
            .iter()
            .filter_map(|(name, known)| entry(name, known));
        serde_json::to_vec_pretty(&entries.collect::<Vec<_>>()).ok()
    }

    /// Writes it, as a whole or not at all. Failures are logged once; the program goes on without.
    pub(crate) fn write(&mut self, text: &[u8]) {
        let said = replace(&self.folder, text)
            .err()
            .map(|error| format!("{error:#}"));
        if let Some(error) = said.as_ref().filter(|error| self.said.as_ref() != Some(error)) {
            tracing::warn!(
                error,
                "what is known of devices is not kept for the next start; see --storage.path"
            );
        }
        self.said = said;
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let place = || format!("read {}", path.display());
    let size = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.with_context(place)?.len(),
    };
    anyhow::ensure!(size <= LARGEST, "{}: larger than {} MiB", place(), LARGEST >> 20);
    let text = std::fs::read(path).with_context(place)?;
    serde_json::from_slice(&text).with_context(place)
}

fn replace(folder: &Path, text: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join(FILE);
    let new = folder.join(format!("{FILE}.new"));
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)
    };
    write().with_context(|| format!("write {}", path.display()))
}

fn entry(name: &str, known: &Known) -> Option<Entry> {
    let device = &known.device;
    let last_seen = device.last_seen?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Entry {
        name: name.to_owned(),
        id: known.claim.id.clone(),
        rank: known.claim.rank,
        platform: device.platform.to_string(),
        said_platform: device.said_platform,
        firmware: device.firmware.as_deref().map(str::to_owned),
        port: device.port.clone(),
        expected: device.expected.clone(),
        usb_serial: device.hardware.usb_serial.clone(),
        location: device.hardware.location.clone(),
        product: device.hardware.product.clone(),
        last_seen,
    })
}

impl Entry {
    fn restore(self, board: &mut Board) {
        let hardware = Hardware {
            usb_serial: self.usb_serial,
            location: self.location,
            product: self.product,
        };
        // How long it has been gone counts from now: the clock may have been set since.
        let mut device = Device::new(Label::new(&self.platform), self.port, hardware, Instant::now());
        device.said_platform = self.said_platform;
        device.expected = self.expected;
        device.firmware = self.firmware.as_deref().and_then(Label::new);
        let last_seen = UNIX_EPOCH.checked_add(Duration::from_secs(self.last_seen));
        device.last_seen = Some(last_seen.unwrap_or_else(SystemTime::now));
        let claim = Claim {
            id: self.id,
            rank: self.rank,
        };
        board.restore(self.name, claim, device);
    }
}
