//! A board and the wire it is plugged into.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::chip::Chip;
use crate::fault::{Fault, Reset};
use crate::firmware::{Firmware, Protocol};
use crate::wire::{Pty, Tcp, Wire};

/// A simulated board. See the crate's documentation.
#[derive(Debug)]
pub struct Board {
    firmware: Firmware,
    wire: Option<Wire>,
    place: Option<Place>,
    /// Lines that earlier wires delivered.
    delivered: u64,
    /// Somebody had the port open when this was last looked at.
    heard: bool,
    said: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(PathBuf),
    Address(SocketAddr),
}

impl Board {
    /// A board of a kind. Its id is the kind and the seed, as in `esp32-0001`.
    pub fn new(chip: Chip, seed: u64) -> Self {
        let firmware = Firmware::new(chip, seed);
        Self {
            firmware,
            wire: None,
            place: None,
            delivered: 0,
            heard: false,
            said: Vec::new(),
        }
    }

    /// An ESP32-S3.
    pub fn esp32(seed: u64) -> Self {
        Self::new(Chip::Esp32, seed)
    }

    /// An STM32.
    pub fn stm32(seed: u64) -> Self {
        Self::new(Chip::Stm32, seed)
    }

    /// A RISC-V microcontroller.
    pub fn riscv(seed: u64) -> Self {
        Self::new(Chip::Riscv, seed)
    }

    /// Lets it speak this protocol instead of JSON lines.
    #[must_use]
    pub fn speaking(mut self, protocol: Protocol) -> Self {
        self.firmware.protocol = protocol;
        self
    }

    /// Lets it send its values so often instead of ten times a second; at least a millisecond.
    #[must_use]
    pub fn every(mut self, time: Duration) -> Self {
        self.firmware.frame_every = time.max(Duration::from_millis(1));
        self
    }

    /// Its own id.
    pub fn id(&self) -> &str {
        &self.firmware.id
    }

    /// What it is.
    pub fn chip(&self) -> Chip {
        self.firmware.chip
    }

    /// The stable name of its port, as udev would call it.
    pub fn port_name(&self) -> String {
        let serial = self.firmware.id.rsplit('-').next().unwrap_or_default();
        format!("{}_{serial}", self.firmware.figures().port)
    }

    /// Plugs it into a new pseudo-terminal that `folder/name` points to, and switches it on.
    pub fn plug(&mut self, folder: &Path, name: &str) -> anyhow::Result<()> {
        self.unplug();
        self.place = Some(Place::Folder(folder.to_owned()));
        self.wire = Some(Wire::pty(Pty::new(folder, name)?));
        self.heard = false;
        Ok(())
    }

    /// Lets it listen on an address, as behind ser2net, and switches it on; port 0 is any that is free.
    pub fn listen(&mut self, address: SocketAddr) -> anyhow::Result<SocketAddr> {
        self.unplug();
        let tcp = Tcp::new(address)?;
        let address = tcp.address()?;
        self.place = Some(Place::Address(address));
        self.wire = Some(Wire::tcp(tcp));
        self.heard = false;
        Ok(address)
    }

    /// Pulls its plug: whoever reads it is hung up, and its port is gone.
    pub fn unplug(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.delivered += wire.delivered();
        }
    }

    /// Plugs it in again where it was, under another name; on TCP the name means nothing.
    pub fn replug(&mut self, name: &str) -> anyhow::Result<()> {
        match self.place.clone().context("the board was never plugged in")? {
            Place::Folder(folder) => self.plug(&folder, name),
            Place::Address(address) => self.listen(address).map(drop),
        }
    }

    /// Whether it is plugged in.
    pub fn is_plugged(&self) -> bool {
        self.wire.is_some()
    }

    /// Whether somebody has its port open.
    pub fn has_reader(&mut self) -> bool {
        self.wire.as_mut().is_some_and(Wire::has_reader)
    }

    /// Lets so much time pass: it says what is due, and answers what it was asked.
    ///
    /// It is switched on with the first reader after it was plugged in, so that its banner is seen.
    pub fn advance(&mut self, by: Duration) {
        let to = self.firmware.now() + by;
        let wire = match &mut self.wire {
            // Between two messages the wire is left alone: many boards share one thread.
            Some(wire) if self.firmware.due() <= to || wire.queued() > 0 => wire,
            _ => {
                self.firmware.advance(to, &mut self.said);
                self.said.clear();
                return;
            }
        };
        if !self.heard && wire.has_reader() {
            self.heard = true;
            self.firmware.boot(Reset::PowerOn, &mut self.said);
        }
        let mut buffer = [0; 256];
        while let Ok(bytes @ 1..) = wire.receive(&mut buffer) {
            self.firmware.hear(&buffer[..bytes], &mut self.said);
        }
        self.firmware.advance(to, &mut self.said);
        self.send();
    }

    /// When it will have something to say, from now.
    pub fn due_in(&self) -> Duration {
        self.firmware.due().saturating_sub(self.firmware.now())
    }

    /// Something goes wrong with it.
    pub fn fail(&mut self, fault: Fault) {
        self.firmware.fail(fault, &mut self.said);
        self.send();
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        self.send();
    }

    /// Lines that were delivered to a reader over all its wires: what a reader that loses nothing has counted.
    pub fn frames_sent(&self) -> u64 {
        self.delivered + self.wire.as_ref().map_or(0, Wire::delivered)
    }

    /// Bytes that wait for its reader.
    pub fn queued(&self) -> usize {
        self.wire.as_ref().map_or(0, Wire::queued)
    }

    fn send(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.send(&self.said);
        }
        self.said.clear();
    }
}
