//! What time brings about: values, sessions and devices that are too old, and ports where nobody is.

use crate::board::{Board, Known, Owner};
use crate::device::{Context, Device, Opening};
use crate::hardware::Hardware;
use crate::identity::Claim;
use crate::session::{Clock, GRACE};

impl Board {
    /// To be called about every second.
    pub(crate) fn tick(&mut self, clock: Clock) {
        self.ticked = clock.now;
        for known in self.devices.values_mut() {
            known.device.values.expire(clock.now, &self.limits);
        }
        self.count_series();
        self.end_sessions(clock);
        let before = self.devices.len();
        let is_old = |known: &Known| known.link.is_none() && clock.is_beyond(known.device.since, self.forget);
        self.devices.retain(|_, known| !is_old(known));
        self.is_changed |= self.devices.len() != before;
        self.miss(clock);
    }

    pub(crate) fn count_series(&mut self) {
        let hidden = self.links.values().filter_map(|link| match &link.owner {
            Owner::Hidden(device) => Some(device.series()),
            Owner::Shown(_) => None,
        });
        let shown = self.devices.values().map(|known| known.device.series());
        self.room = self.most_series.saturating_sub(shown.chain(hidden).sum());
    }

    /// Sessions whose end will not come.
    fn end_sessions(&mut self, clock: Clock) {
        let mut no_boot = Opening {
            at: clock.now,
            may_reset: false,
        };
        for (id, known) in &mut self.devices {
            let device = &mut known.device;
            if device.sessions.active() == 0 {
                continue;
            }
            let is_gone = !device.connected && clock.is_beyond(device.since, GRACE);
            let over = if is_gone {
                device.sessions.abandon("the device went away")
            } else {
                device.sessions.expire(clock)
            };
            let mut context = Context {
                id,
                clock,
                limits: &self.limits,
                room: &mut self.room,
                opening: &mut no_boot,
                totals: &mut self.totals,
                logs: &self.logs,
                spans: &self.spans,
            };
            device.finish(over, &mut context);
        }
    }

    /// Shows ports that the configuration names and where nobody is.
    pub(crate) fn miss(&mut self, clock: Clock) {
        for expected in &self.expected {
            let here = Some(&expected.port);
            let is_there = self
                .devices
                .values()
                .any(|known| known.device.expected.as_ref() == here);
            if is_there || self.devices.len() >= self.max_devices {
                continue;
            }
            let name = expected.id.as_deref().unwrap_or(&expected.port);
            if self.devices.contains_key(name) {
                continue;
            }
            let hardware = Hardware::named(&expected.port);
            let port = expected.port.clone();
            let mut device = Device::new(expected.platform.clone(), port.clone(), hardware, clock.now);
            device.expected = Some(port);
            let claim = match &expected.id {
                Some(id) => Claim::configured(id),
                None => Claim::at(&device.hardware.location),
            };
            self.devices.insert(name.to_owned(), Known::gone(device, claim));
        }
    }
}
