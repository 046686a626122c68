//! A serial line over TCP, as ser2net offers it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Context as _;

/// The board's side: one reader at a time, as with a serial line.
#[derive(Debug)]
pub(crate) struct Tcp {
    listener: TcpListener,
    reader: Option<TcpStream>,
}

impl Tcp {
    pub(crate) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            reader: None,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.listener.local_addr().context("ask for a listener's address")
    }

    pub(super) fn has_reader(&mut self) -> bool {
        if let Some(reader) = &self.reader {
            // A reader that hung up can be read to its end.
            if matches!(reader.peek(&mut [0]), Ok(0)) {
                self.reader = None;
            }
        }
        if self.reader.is_none()
            && let Ok((reader, _)) = self.listener.accept()
            && reader.set_nonblocking(true).is_ok()
        {
            self.reader = Some(reader);
        }
        self.reader.is_some()
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(reader) = &mut self.reader else {
            return Ok(0);
        };
        let written = reader.write(bytes);
        if written
            .as_ref()
            .is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
        {
            self.reader = None;
        }
        written
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.as_mut().map_or(Ok(0), |reader| reader.read(buffer))
    }
}
