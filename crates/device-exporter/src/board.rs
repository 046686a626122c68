//! All devices, and which connection belongs to which of them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::allowance::Allowance;
use crate::config::Settings;
use crate::device::{Context, Device, Opening};
use crate::hardware::Hardware;
use crate::identity::{Claim, IDS_AT_ONCE, IDS_PER_SECOND, Rank};
use crate::logs::Logs;
use crate::protocol::{Batch, Event, Label};
use crate::session::Clock;
use crate::spans::Spans;
use crate::totals::Totals;
use crate::values::Limits;
use crate::wire::Trouble;

/// Everything that is known.
pub(crate) struct Board {
    pub(crate) devices: BTreeMap<String, Known>,
    pub(crate) links: HashMap<u64, Link>,
    last_link: u64,
    pub(crate) totals: Totals,
    pub(crate) blocked: BTreeMap<String, Trouble>,
    pub(crate) limits: Limits,
    pub(crate) most_series: usize,
    /// Series that may still be made, as of the last tick.
    pub(crate) room: usize,
    pub(crate) forget: Duration,
    pub(crate) max_devices: usize,
    /// Ports that the configuration names one by one: missed when no device is there.
    pub(crate) expected: Vec<Expected>,
    pub(crate) rules: usize,
    pub(crate) spans: Spans,
    pub(crate) logs: Logs,
    /// There was no room for a device, and that was said.
    pub(crate) is_full: bool,
    /// Something changed that the next start should know.
    pub(crate) is_changed: bool,
    /// When the ports were last looked after.
    pub(crate) ticked: Instant,
}

/// A device on the page.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) device: Device,
    /// What it is called; another one may have had that name first.
    pub(crate) claim: Claim,
    /// The connection, while there is one.
    pub(crate) link: Option<u64>,
    /// It was connected since the program began.
    pub(crate) was_connected: bool,
}

/// A port that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// As the label `port` has it.
    pub(crate) port: String,
    /// As [`Expected`] has it, if the configuration names this port.
    pub(crate) expected: Option<String>,
    pub(crate) hardware: Hardware,
    pub(crate) id: Option<Label>,
    pub(crate) platform: Option<Label>,
    /// A boot now is our doing.
    pub(crate) may_reset: bool,
}

/// A port that the configuration names.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) port: String,
    pub(crate) id: Option<Label>,
    pub(crate) platform: Option<Label>,
}

/// A connection.
pub(crate) struct Link {
    opening: Opening,
    pub(crate) owner: Owner,
    /// Ids that it may still report.
    pub(crate) ids: Allowance,
}

/// Whom a connection belongs to.
pub(crate) enum Owner {
    /// On the page, under this name.
    Shown(String),
    /// Not yet known who it is.
    Hidden(Box<Device>),
}

impl Board {
    pub(crate) fn new(logs: Logs, spans: Spans) -> Self {
        let settings = Settings::default();
        Self {
            devices: BTreeMap::new(),
            links: HashMap::new(),
            last_link: 0,
            totals: Totals::default(),
            blocked: BTreeMap::new(),
            limits: limits(&settings),
            most_series: settings.max_series_total,
            room: settings.max_series_total,
            forget: settings.forget,
            max_devices: settings.max_devices,
            expected: Vec::new(),
            rules: 0,
            spans,
            logs,
            is_full: false,
            is_changed: false,
            ticked: Instant::now(),
        }
    }

    /// Changes to these settings.
    pub(crate) fn configure(&mut self, settings: &Settings, expected: Vec<Expected>, clock: Clock) {
        self.limits = limits(settings);
        self.most_series = settings.max_series_total;
        self.count_series();
        self.forget = settings.forget;
        self.max_devices = settings.max_devices;
        self.rules = settings.rules.len();
        self.expected = expected;
        // Who is gone and was only missed because of a port or an id that the configuration does not name any more.
        self.devices.retain(|_, known| {
            known.link.is_some() || (!known.is_placeholder() && known.is_wanted(&self.expected))
        });
        self.miss(clock);
    }

    /// A port was opened; the number is for all that comes of it.
    pub(crate) fn open(&mut self, opened: Opened, clock: Clock) -> u64 {
        self.last_link += 1;
        let link = self.last_link;
        let opening = Opening {
            at: clock.now,
            may_reset: opened.may_reset,
        };
        let mut device = Device::new(opened.platform, opened.port, opened.hardware, clock.now);
        device.expected = opened.expected;
        let sure = match opened.id {
            Some(id) => Some(Claim::configured(&id)),
            // Another adapter may be in this place now; its serial number is its own everywhere.
            None if device.hardware.key().1 => self.remembered(&device.hardware),
            None => None,
        };
        let owner = Owner::Hidden(Box::new(device));
        self.links.insert(
            link,
            Link {
                opening,
                owner,
                ids: Allowance::new(IDS_AT_ONCE, IDS_PER_SECOND, clock.now),
            },
        );
        if let Some(claim) = sure {
            self.identify(link, claim, clock);
        }
        link
    }

    /// Takes what a piece of input came to.
    pub(crate) fn take(&mut self, link: u64, batch: &mut Batch, clock: Clock) {
        for event in &batch.events {
            if let Event::Hello(hello) = event
                && let Some(id) = &hello.id
            {
                self.report(link, id, clock);
            }
        }
        self.with(link, clock, |device, context| device.take(batch, context));
    }

    /// Runs something with a connection's device.
    pub(crate) fn with<T>(
        &mut self,
        link: u64,
        clock: Clock,
        run: impl FnOnce(&mut Device, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let connection = self.links.get_mut(&link)?;
        let place;
        let (id, device) = match &mut connection.owner {
            Owner::Shown(name) => (name.as_str(), &mut self.devices.get_mut(name)?.device),
            Owner::Hidden(device) => {
                place = device.hardware.location.clone();
                (place.as_str(), &mut **device)
            }
        };
        let mut context = Context {
            id,
            clock,
            limits: &self.limits,
            room: &mut self.room,
            opening: &mut connection.opening,
            totals: &mut self.totals,
            logs: &self.logs,
            spans: &self.spans,
        };
        Some(run(device, &mut context))
    }

    /// The connection ended. `forget` says that its device is not to be missed: nobody is to watch it any more.
    pub(crate) fn close(&mut self, link: u64, forget: bool, clock: Clock) {
        if !forget && self.is_hidden_with_frames(link) {
            self.settle(link, clock);
        }
        let Some(connection) = self.links.remove(&link) else {
            return;
        };
        // Whoever sat at this port for a moment without a word was not there.
        let Owner::Shown(name) = connection.owner else {
            return;
        };
        self.is_changed = true;
        if forget || self.devices.get(&name).is_some_and(Known::is_nobody) {
            self.devices.remove(&name);
        } else if let Some(known) = self.devices.get_mut(&name) {
            known.leave(clock.now);
            tracing::warn!(device_id = name, port = known.device.port, "device disconnected");
        }
    }

    fn is_hidden_with_frames(&self, link: u64) -> bool {
        let owner = self.links.get(&link).map(|link| &link.owner);
        matches!(owner, Some(Owner::Hidden(device)) if device.counts.frames > 0)
    }

    /// Connections that are open.
    pub(crate) fn open_links(&self) -> usize {
        self.links.len()
    }

    /// What is known about a device that is not there, from an earlier life of this program.
    pub(crate) fn restore(&mut self, name: String, claim: Claim, device: Device) {
        if self.devices.len() < self.max_devices {
            self.devices.entry(name).or_insert(Known::gone(device, claim));
        }
    }
}

impl Known {
    /// A device that is not there.
    pub(crate) fn gone(device: Device, claim: Claim) -> Self {
        Self {
            device,
            claim,
            link: None,
            was_connected: false,
        }
    }

    /// Nobody has been seen here; the configuration says that somebody should be.
    pub(crate) fn is_placeholder(&self) -> bool {
        self.link.is_none() && self.device.last_seen.is_none()
    }

    /// A port that was found, where nobody ever said a word: there is no device to be missed, or to be silent.
    pub(crate) fn is_nobody(&self) -> bool {
        let device = &self.device;
        self.claim.rank == Rank::Location && device.counts.frames == 0 && device.expected.is_none()
    }

    /// Whether the configuration names the port still, or the id if that is its own; of what it never named, always.
    fn is_wanted(&self, expected: &[Expected]) -> bool {
        self.device.expected.as_ref().is_none_or(|port| {
            expected.iter().any(|expected| match self.claim.rank {
                Rank::Configured => expected.id.as_deref() == Some(&self.claim.id),
                _ => expected.port == *port,
            })
        })
    }

    /// Whether another device had its name first.
    pub(crate) fn is_in_conflict(&self, name: &str) -> bool {
        self.link.is_some() && name != self.claim.id
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        self.link = None;
        self.device.connected = false;
        self.device.since = now;
        // What it said last is not what is.
        self.device.values.clear();
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        expire: settings.expire,
        expire_results: settings.expire_results,
        most: settings.max_series,
    }
}
