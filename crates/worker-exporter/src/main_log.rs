//! supervisord's main log: from its file where that can be read, else through the interface.

use std::path::{Path, PathBuf};

use supervisor::Error;

use file::LogFile;
use line::Event;
use window::LogWindow;

mod file;
pub(crate) mod line;
mod window;

/// Where restarts and exits are counted from: the values of the label `method`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    /// The file of the main log: exact.
    LogFile,
    /// The main log through the interface: exact but for a rotation's last moment.
    LogRpc,
    /// Differences between questions: what begins and ends between two of them is not seen.
    Poll,
    /// systemd's signals and its own count of restarts: exact, but for several starts by hand while it was not
    /// reachable.
    Signals,
    /// The container engine's events: exact as far back as it keeps them.
    Events,
}

impl Method {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::LogFile => "log_file",
            Self::LogRpc => "log_rpc",
            Self::Poll => "poll",
            Self::Signals => "signals",
            Self::Events => "events",
        }
    }
}

/// A process's name, without its group, and what happened to it.
pub(crate) type Told = (String, Event);

/// The log, as far as it is open.
pub(crate) struct MainLog {
    path: Option<PathBuf>,
    reader: Option<Reader>,
    /// The trouble that was logged last, so that each is logged once.
    trouble: Option<String>,
}

enum Reader {
    File(LogFile),
    Window(LogWindow),
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("read {}: {error}", path.display())
}

impl MainLog {
    pub(crate) fn new(path: Option<&Path>) -> Self {
        Self {
            path: path.map(Path::to_owned),
            reader: None,
            trouble: None,
        }
    }

    /// Opens the log at its end unless it is open. To be called before the processes are asked for, so
    /// that nothing happens between their answer and the log's beginning.
    pub(crate) fn open(&mut self, read: impl FnMut(usize) -> Result<String, Error>) -> Result<(), Error> {
        if self.reader.is_some() {
            return Ok(());
        }
        if let Some(path) = &self.path {
            match LogFile::open_at_end(path) {
                Ok(file) => {
                    self.reader = Some(Reader::File(file));
                    self.report(None);
                    return Ok(());
                }
                Err(error) => {
                    let trouble = unreadable(path, &error);
                    self.report(Some(trouble));
                }
            }
        }
        let mut window = LogWindow::default();
        match window.lines(read, |_| {}) {
            Ok(()) => self.reader = Some(Reader::Window(window)),
            // No log, or one that supervisord cannot deliver: that is its answer.
            Err(error @ (Error::Fault { .. } | Error::Status { .. })) => {
                tracing::debug!(error = %error, "no main log through the interface");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What was logged since the last call; `None` when there is no log to read.
    pub(crate) fn events(
        &mut self,
        read: impl FnMut(usize) -> Result<String, Error>,
    ) -> (Method, Option<Vec<Told>>) {
        let mut events = Vec::new();
        let tell =
            |line: &str| events.extend(line::parse(line).map(|(name, event)| (name.to_owned(), event)));
        let (method, trouble) = match &mut self.reader {
            Some(Reader::File(file)) => {
                let trouble = file.lines(tell).err();
                (
                    Method::LogFile,
                    trouble.map(|error| unreadable(file.path(), &error)),
                )
            }
            Some(Reader::Window(window)) => (
                Method::LogRpc,
                window.lines(read, tell).err().map(|error| error.to_string()),
            ),
            None => return (Method::Poll, None),
        };
        if trouble.is_some() {
            self.reader = None;
            self.report(trouble);
            return (Method::Poll, None);
        }
        (method, Some(events))
    }

    fn report(&mut self, trouble: Option<String>) {
        if let Some(error) = &trouble
            && self.trouble != trouble
        {
            tracing::warn!(
                error,
                "supervisord's log cannot be read; asking supervisord itself for it"
            );
        }
        self.trouble = trouble;
    }
}
