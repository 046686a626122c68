//! What a board is plugged into.

mod pty;
mod tcp;

use std::io;

pub(crate) use pty::Pty;
pub(crate) use tcp::Tcp;

/// Bytes that wait for a reader that is too slow. A chip has less.
const LONGEST_QUEUE: usize = 256 * 1024;

/// A wire with a queue before it.
#[derive(Debug)]
pub(crate) struct Wire {
    kind: Kind,
    queue: Vec<u8>,
    /// Lines that reached a reader, or the operating system for it.
    delivered: u64,
    /// The line that is being delivered has a character.
    in_line: bool,
}

#[derive(Debug)]
enum Kind {
    Pty(Pty),
    Tcp(Tcp),
}

impl Wire {
    pub(crate) fn pty(pty: Pty) -> Self {
        Self::new(Kind::Pty(pty))
    }

    pub(crate) fn tcp(tcp: Tcp) -> Self {
        Self::new(Kind::Tcp(tcp))
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            queue: Vec::new(),
            delivered: 0,
            in_line: false,
        }
    }

    /// Whether somebody has the port open.
    pub(crate) fn has_reader(&mut self) -> bool {
        match &mut self.kind {
            Kind::Pty(pty) => pty.has_reader(),
            Kind::Tcp(tcp) => tcp.has_reader(),
        }
    }

    /// Sends what the board says. Without a reader it is gone, as on a real line.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if !self.has_reader() {
            self.queue.clear();
            self.in_line = false;
            return;
        }
        if self.queue.len() + bytes.len() <= LONGEST_QUEUE || self.queue.is_empty() {
            self.queue.extend_from_slice(bytes);
        }
        self.flush();
    }

    /// Sends what is queued, as far as the reader takes it.
    fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.queue.len() {
            let written = match &mut self.kind {
                Kind::Pty(pty) => pty.write(&self.queue[sent..]),
                Kind::Tcp(tcp) => tcp.write(&self.queue[sent..]),
            };
            match written {
                Ok(0) | Err(_) => break,
                Ok(written) => sent += written,
            }
        }
        for byte in self.queue.drain(..sent) {
            let end = matches!(byte, b'\n' | b'\r');
            self.delivered += u64::from(end && self.in_line);
            self.in_line = !end;
        }
    }

    /// Bytes from the reader.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Pty(pty) => pty.read(buffer),
            Kind::Tcp(tcp) => tcp.read(buffer),
        }
    }

    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }
}
