//! `logs`: the last lines of the services, and what comes after, across rotation.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::backend;
use crate::docker;
use crate::exit::Exit;
use crate::inventory::did_you_mean;
use crate::project::Project;
use crate::service::Service;
use crate::state::Backend;

const LINES: usize = 100;
/// Enough for 100 lines of any service.
const TAIL_BYTES: u64 = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(200);

/// Prints the last lines of one service or all.
pub(crate) fn show(project: &Project, service: Option<&str>, follow: bool) -> anyhow::Result<Exit> {
    if backend::last(project)? == Backend::Docker {
        return docker::show_logs(project, service, follow, LINES);
    }
    let all = services(project)?;
    let wanted: Vec<String> = match service {
        None => all,
        Some(name) if all.iter().any(|known| known == name) => vec![name.to_owned()],
        Some(name) => match did_you_mean(name, all.iter().map(String::as_str)) {
            Some(meant) => bail!("there is no log of {name}; did you mean {meant}?"),
            None => bail!("there is no log of {name}; there are: {}", all.join(", ")),
        },
    };
    let width = wanted.iter().map(String::len).max().unwrap_or_default();
    let prefix = |name: &str| {
        if wanted.len() > 1 {
            format!("{name:width$} | ")
        } else {
            String::new()
        }
    };
    let mut followed: Vec<Followed> = Vec::new();
    for name in &wanted {
        let path = project.log(name);
        let (position, lines) = tail(&path, LINES)?;
        print_lines(&prefix(name), &lines)?;
        followed.push(Followed {
            prefix: prefix(name),
            position,
            path,
            partial: Vec::new(),
        });
    }
    if !follow {
        return Ok(Exit::Healthy);
    }
    loop {
        for log in &mut followed {
            log.catch_up()?;
        }
        std::thread::sleep(PAUSE);
    }
}

/// The last lines of a log that may not be there.
pub(crate) fn last_lines(path: &Path, count: usize) -> Vec<String> {
    tail(path, count).map(|(_, lines)| lines).unwrap_or_default()
}

/// A place in a service's log, to read on from there.
pub(crate) enum Mark {
    /// In a file.
    File {
        /// Its path.
        path: PathBuf,
        /// In bytes.
        offset: u64,
    },
    /// In what a container writes.
    Container(docker::LogMark),
}

impl Mark {
    /// The log's end.
    pub(crate) fn now(project: &Project, service: Service) -> anyhow::Result<Self> {
        if backend::last(project)? == Backend::Docker {
            return docker::LogMark::now(project, service.name()).map(Self::Container);
        }
        let path = project.log(service.name());
        let offset = path.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        Ok(Self::File { path, offset })
    }

    /// What was written since; none when it cannot be read.
    pub(crate) fn written_since(&self) -> Option<String> {
        match self {
            Self::Container(mark) => Some(mark.written_since()),
            Self::File { path, offset } => {
                let mut file = File::open(path).ok()?;
                file.seek(SeekFrom::Start(*offset)).ok()?;
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).ok()?;
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }
}

fn services(project: &Project) -> anyhow::Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(project.logs()) else {
        bail!(
            "there are no logs in {}; missionctl up starts the services",
            project.logs().display()
        );
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".log")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Where a log is read to: a file, known by its inode, and an offset.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    inode: u64,
    offset: u64,
}

fn tail(path: &Path, count: usize) -> anyhow::Result<(Position, Vec<String>)> {
    let context = || format!("read {}", path.display());
    let mut file = File::open(path).with_context(context)?;
    let metadata = file.metadata().with_context(context)?;
    let start = metadata.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start)).with_context(context)?;
    let mut bytes = Vec::new();
    file.take(metadata.len() - start)
        .read_to_end(&mut bytes)
        .with_context(context)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if start > 0 && !lines.is_empty() {
        // The first one was cut.
        lines.remove(0);
    }
    let lines = lines.split_off(lines.len().saturating_sub(count));
    Ok((
        Position {
            inode: metadata.ino(),
            offset: metadata.len(),
        },
        lines,
    ))
}

fn print_lines(prefix: &str, lines: &[String]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{prefix}{line}").context("write to standard output")?;
    }
    out.flush().context("write to standard output")
}

struct Followed {
    prefix: String,
    path: PathBuf,
    position: Position,
    /// A line whose end has not been written yet.
    partial: Vec<u8>,
}

impl Followed {
    /// After a rotation the old file is read to its end under its new name, then the new one from its beginning.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        let Ok(metadata) = self.path.metadata() else {
            return Ok(());
        };
        if metadata.ino() != self.position.inode {
            let rotated = self.path.with_extension("log.1");
            if rotated
                .metadata()
                .is_ok_and(|old| old.ino() == self.position.inode)
            {
                self.read(&rotated)?;
            }
            self.position = Position {
                inode: metadata.ino(),
                offset: 0,
            };
        } else if metadata.len() < self.position.offset {
            self.position.offset = 0;
        }
        let path = self.path.clone();
        self.read(&path)
    }

    fn read(&mut self, path: &Path) -> anyhow::Result<()> {
        let context = || format!("read {}", path.display());
        let mut file = File::open(path).with_context(context)?;
        file.seek(SeekFrom::Start(self.position.offset))
            .with_context(context)?;
        let read = file.read_to_end(&mut self.partial).with_context(context)?;
        self.position.offset += read as u64;
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        let lines: Vec<String> = String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect();
        print_lines(&self.prefix, &lines)
    }
}
