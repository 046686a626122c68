//! The programs of others that the stack runs: found on the PATH, else fetched into a cache that all projects share.

mod cache;
mod debian;
mod list;
mod releases;
mod upstream;

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::bail;

use self::cache::Cache;
pub(crate) use self::list::{TOOLS, Tool};
use crate::inventory::Inventory;
use crate::process;
use crate::progress::Progress;
use crate::service::Service;

/// Whether an inventory has a use for a program. What is no service's own helps to check and to run the others.
pub(crate) fn is_needed(tool: &Tool, inventory: &Inventory) -> bool {
    let mut services = Service::ALL.into_iter();
    let service = services.find(|service| service.program() == tool.name);
    service.is_none_or(|service| inventory.runs(service))
}

/// Why nothing was fetched when [`is_offline`].
const OFFLINE: &str = "MISSION_OFFLINE is set, so nothing is downloaded";

/// The user wants no downloads.
fn is_offline() -> bool {
    std::env::var_os("MISSION_OFFLINE").is_some_and(|value| !value.is_empty())
}

/// Where a program came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was there.
    Path,
    /// A pinned upstream release, checked by its SHA-256.
    Upstream,
    /// A package of the distribution, unpacked into the cache.
    Debian,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "on the PATH",
            Self::Upstream => "upstream release in the cache",
            Self::Debian => "Debian package in the cache",
        })
    }
}

/// A program that is there.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Canonical name.
    pub(crate) name: &'static str,
    /// Absolute path.
    pub(crate) path: PathBuf,
    /// Where it came from.
    pub(crate) origin: Origin,
}

/// The programs that are there.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    found: Vec<Program>,
    /// Names of optional programs that could not be had, with the reason.
    pub(crate) missing: Vec<(&'static Tool, String)>,
    bin: Option<PathBuf>,
}

impl Programs {
    /// A program by its canonical name.
    pub(crate) fn get(&self, name: &str) -> Option<&Program> {
        self.found.iter().find(|program| program.name == name)
    }

    /// All that are there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Program> {
        self.found.iter()
    }

    /// Folder to put on the PATH so that every program is found under its canonical name.
    pub(crate) fn bin(&self) -> Option<&Path> {
        self.bin.as_deref()
    }
}

/// What is there already, without fetching anything.
pub(crate) fn locate() -> anyhow::Result<Programs> {
    let cache = Cache::find()?;
    let mut programs = Programs {
        bin: Some(cache.bin()),
        ..Programs::default()
    };
    for tool in &TOOLS {
        match locate_one(tool, &cache) {
            Some(program) => programs.found.push(program),
            None => programs
                .missing
                .push((tool, "not there yet; missionctl tools fetches it".to_owned())),
        }
    }
    Ok(programs)
}

/// Makes sure that the wanted programs are there, fetching what is not. Optional ones may stay missing.
pub(crate) fn ensure(is_wanted: impl Fn(&Tool) -> bool, progress: &Progress) -> anyhow::Result<Programs> {
    let cache = Cache::find()?;
    let wanted = || TOOLS.iter().filter(|tool| is_wanted(tool));
    let mut programs = Programs {
        bin: Some(cache.bin()),
        ..Programs::default()
    };
    if let Some(found) = wanted()
        .map(|tool| locate_one(tool, &cache))
        .collect::<Option<Vec<_>>>()
    {
        programs.found = found;
        return Ok(programs);
    }
    // Two that run at once would unpack the same archive; the second waits and finds everything done.
    let _lock = cache.lock()?;
    let mut fetcher = upstream::Fetcher::default();
    let mut failures = Vec::new();
    for tool in wanted() {
        match locate_one(tool, &cache).map_or_else(|| fetch(tool, &cache, &mut fetcher, progress), Ok) {
            Ok(program) => programs.found.push(program),
            Err(reason) if tool.without.is_some() => programs.missing.push((tool, reason)),
            Err(reason) => failures.push(format!("{}: {reason}", tool.name)),
        }
    }
    if failures.is_empty() {
        return Ok(programs);
    }
    bail!(
        "programs are missing\n  {}\nput them on the PATH, or install the packages: apt-get install {}",
        failures.join("\n  "),
        packages_of(&failures).join(" ")
    );
}

fn packages_of(failures: &[String]) -> Vec<&'static str> {
    let failed = |tool: &&Tool| {
        failures
            .iter()
            .any(|failure| failure.starts_with(&format!("{}:", tool.name)))
    };
    let mut packages: Vec<&str> = TOOLS
        .iter()
        .filter(failed)
        .flat_map(|tool| tool.packages)
        .copied()
        .collect();
    packages.dedup();
    packages
}

fn locate_one(tool: &'static Tool, cache: &Cache) -> Option<Program> {
    let bin = cache.bin();
    let on_path = std::iter::once(tool.name)
        .chain(tool.debian_name)
        .find_map(|name| find_on_path(name, |folder| *folder != bin));
    let path = on_path.or_else(|| cache.own(tool.name))?;
    let origin = cache.origin(&path);
    if origin == Origin::Path
        && path.file_name() != Some(tool.name.as_ref())
        && cache.own(tool.name).is_none()
    {
        // Debian's name: a link gives scripts and tests the canonical one, but never in place of a program that was
        // fetched, since this PATH may not be the next one's. Without it the stack itself still runs.
        let _ = cache.link(tool.name, &path);
    }
    Some(Program {
        name: tool.name,
        path,
        origin,
    })
}

fn fetch(
    tool: &'static Tool,
    cache: &Cache,
    fetcher: &mut upstream::Fetcher,
    progress: &Progress,
) -> Result<Program, String> {
    progress.step(&format!("fetching {}", tool.name));
    let mut tried = vec!["not on the PATH".to_owned()];
    match tool.project.map(|project| fetcher.fetch(project, cache)) {
        Some(Ok(())) => {}
        Some(Err(reason)) => tried.push(format!("upstream: {reason}")),
        None => tried.push("no upstream release is pinned".to_owned()),
    }
    if locate_one(tool, cache).is_none()
        && !tool.packages.is_empty()
        && let Err(error) = debian::fetch(tool.packages, cache)
    {
        tried.push(format!("distribution: {error:#}"));
    }
    locate_one(tool, cache).ok_or_else(|| tried.join("; "))
}

/// The first executable of that name in those folders of the PATH that count.
pub(crate) fn find_on_path(name: &str, counts: impl Fn(&PathBuf) -> bool) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(counts)
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether the path is a file that can be run.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// The version a program gives itself: the first word of `--version` that begins with a digit.
pub(crate) fn version(path: &Path) -> Option<String> {
    let (_, text) = process::run(Command::new(path).arg("--version"), VERSION_LIMIT).ok()?;
    let word = text
        .split_whitespace()
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(word.trim_end_matches(',').to_owned())
}
