//! Who is behind a connection, and what changes when that becomes known.
//!
//! A device is known by the id that it reports, else by the serial number of its USB adapter, else by the place where it is
//! plugged in. A connection whose device has not said who it is stays hidden for a moment ([`SETTLE`]); what it said until
//! then is not lost. When an id comes later, the device goes on under it: it is never on the page under two names. What
//! hung on an adapter is remembered, so that a device is known at once when it is plugged in again, under whatever name.

use std::time::Duration;

use crate::board::{Board, Known, Owner};
use crate::device::Device;
use crate::hardware::Hardware;
use crate::protocol::Label;
use crate::session::Clock;

/// How long a connection waits for its device's own id. An ESP32 has booted by then.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
/// Ids that one connection may report one after the other: boards may take turns on an adapter, but one that makes up a
/// new id each time must not push others out of the memory.
pub(crate) const IDS_AT_ONCE: f64 = 8.0;
pub(crate) const IDS_PER_SECOND: f64 = 1.0 / 60.0;

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) rank: Rank,
}

/// How a device is known, the surest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rank {
    Location,
    Usb,
    Reported,
    Configured,
}

impl Claim {
    pub(crate) fn configured(id: &Label) -> Self {
        Self {
            id: id.to_string(),
            rank: Rank::Configured,
        }
    }

    pub(crate) fn at(location: &str) -> Self {
        Self {
            id: location.to_owned(),
            rank: Rank::Location,
        }
    }
}

impl Board {
    /// The device behind a connection says who it is.
    pub(crate) fn report(&mut self, link: u64, id: &Label, clock: Clock) {
        let Some(connection) = self.links.get_mut(&link) else {
            return;
        };
        let claim = Claim {
            id: id.to_string(),
            rank: Rank::Reported,
        };
        if let Owner::Shown(name) = &connection.owner {
            let held = self.devices.get(name).map(|known| &known.claim);
            // Who had the name first may have gone meanwhile.
            let is_taken = || {
                self.devices
                    .get(&claim.id)
                    .is_some_and(|known| known.link.is_some())
            };
            if held.is_some_and(|held| held.rank == Rank::Configured || *held == claim && is_taken()) {
                return;
            }
        }
        if connection.ids.take(clock.now) {
            self.identify(link, claim, clock);
        }
    }

    /// Nobody said who it is in time: the adapter or the place tells.
    pub(crate) fn settle(&mut self, link: u64, clock: Clock) {
        if let Some(claim) = self.fallback(link) {
            self.identify(link, claim, clock);
        }
    }

    fn fallback(&self, link: u64) -> Option<Claim> {
        let Owner::Hidden(device) = &self.links.get(&link)?.owner else {
            return None;
        };
        let hardware = &device.hardware;
        let claim = self.remembered(hardware).or_else(|| {
            let id = hardware.usb_serial.clone()?;
            Some(Claim { id, rank: Rank::Usb })
        });
        Some(claim.unwrap_or_else(|| Claim::at(&hardware.location)))
    }

    /// The device that hung on this adapter before, if nobody else does now.
    pub(crate) fn remembered(&self, hardware: &Hardware) -> Option<Claim> {
        let (key, _) = hardware.key();
        let alike = || {
            self.devices
                .values()
                .filter(|known| known.device.hardware.key().0 == key)
        };
        let gone = || alike().filter(|known| known.link.is_none());
        // Adapters that share a serial number are told apart by their places.
        let here = gone().find(|known| known.device.hardware.location == hardware.location);
        let found = here.or_else(|| gone().next().filter(|_| alike().count() == 1));
        found
            .filter(|known| !known.is_placeholder())
            .map(|known| known.claim.clone())
    }

    /// The device behind a connection is this one: from now on it is on the page under that name.
    pub(crate) fn identify(&mut self, link: u64, claim: Claim, clock: Clock) {
        let Some(connection) = self.links.get(&link) else {
            return;
        };
        let (place, earlier) = match &connection.owner {
            Owner::Hidden(device) => (&device.hardware.location, None),
            Owner::Shown(name) => match self.devices.get(name) {
                Some(known) => (&known.device.hardware.location, Some(name.clone())),
                None => return,
            },
        };
        let holder = self.devices.get(&claim.id).and_then(|known| known.link);
        let name = if holder.is_some_and(|holder| holder != link) {
            format!("{}@{place}", claim.id)
        } else {
            claim.id.clone()
        };
        if name != claim.id {
            tracing::warn!(
                device_id = name,
                "another device that is connected has the id {:?} too; this one is told from it by its place",
                claim.id
            );
        }
        if let Some(earlier) = earlier.as_ref().filter(|earlier| **earlier == name) {
            if let Some(known) = self.devices.get_mut(earlier) {
                known.claim = claim;
            }
            return;
        }
        let is_free = match self.devices.get(&name) {
            // Somebody reports a name that is made for telling two others apart.
            Some(known) => known.link.is_none(),
            None => self.make_room(),
        };
        if !is_free {
            return;
        }
        let device = match earlier {
            Some(earlier) => self.part_from(&earlier, &claim, clock),
            None => self.unhide(link),
        };
        if let Some(device) = device {
            self.show(link, name, claim, device, clock);
        }
    }

    /// Takes a device off its earlier name. One that had reported another id is another device and stays, as gone.
    fn part_from(&mut self, earlier: &str, claim: &Claim, clock: Clock) -> Option<Device> {
        let known = self.devices.get_mut(earlier)?;
        if known.claim.rank < Rank::Reported || known.claim == *claim {
            return self.devices.remove(earlier).map(|known| known.device);
        }
        let left = &known.device;
        let platform = Some(left.platform.clone());
        let mut device = Device::new(platform, left.port.clone(), left.hardware.clone(), clock.now);
        device.expected = known.device.expected.take();
        known.leave(clock.now);
        // The adapter is the other one's now.
        known.device.hardware = Hardware::default();
        tracing::warn!(device_id = earlier, "another device answers in its place");
        Some(device)
    }

    fn unhide(&mut self, link: u64) -> Option<Device> {
        let connection = self.links.get_mut(&link)?;
        let owner = std::mem::replace(&mut connection.owner, Owner::Shown(String::new()));
        match owner {
            Owner::Hidden(device) => Some(*device),
            Owner::Shown(_) => None,
        }
    }

    fn show(&mut self, link: u64, name: String, claim: Claim, device: Device, clock: Clock) {
        let mut over = Vec::new();
        let mut known = match self.devices.remove(&name) {
            None => Known::gone(device, claim),
            Some(mut earlier) => {
                over = earlier.device.absorb(device, &self.limits);
                earlier.device.counts.reconnects += u64::from(earlier.was_connected);
                Known { claim, ..earlier }
            }
        };
        known.link = Some(link);
        known.was_connected = true;
        let device = &mut known.device;
        device.connected = true;
        device.since = clock.now;
        device.last_seen.get_or_insert(clock.time);
        let platform = device.platform.as_str();
        let firmware_version = device.firmware.as_deref();
        tracing::info!(
            device_id = name,
            platform,
            port = device.port,
            firmware_version,
            "device connected"
        );
        self.totals
            .expect_platform(&device.platform, &mut device.combinations);
        // Who was missed at this port, and what this same device was called as it had not said its id, or in a conflict that is
        // over.
        self.devices.retain(|_, other| {
            let is_missed = other.is_placeholder() && other.device.expected == known.device.expected;
            let was_this = other.link.is_none()
                && (other.claim == known.claim || other.claim.rank < Rank::Reported)
                && other.device.hardware.key() == known.device.hardware.key();
            !is_missed && !was_this
        });
        self.devices.insert(name.clone(), known);
        if let Some(connection) = self.links.get_mut(&link) {
            connection.owner = Owner::Shown(name);
        }
        self.with(link, clock, |device, context| device.finish(over, context));
        self.is_changed = true;
    }

    /// Whether there is room for one more device, at the expense of the one that has been gone longest.
    fn make_room(&mut self) -> bool {
        if self.devices.len() < self.max_devices {
            self.is_full = false;
            return true;
        }
        let gone = self.devices.iter().filter(|(_, known)| known.link.is_none());
        let oldest = gone
            .min_by_key(|(_, known)| known.device.since)
            .map(|(name, _)| name.clone());
        if let Some(oldest) = &oldest {
            self.devices.remove(oldest);
        } else if !std::mem::replace(&mut self.is_full, true) {
            tracing::warn!(
                "there are {} devices; further ones are not shown: raise max_devices",
                self.max_devices
            );
        }
        oldest.is_some()
    }
}
