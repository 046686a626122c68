//! The distribution's own packages, downloaded by `apt-get` and unpacked by `dpkg`; neither needs root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, bail};

use super::cache::Cache;
use super::{OFFLINE, is_executable, is_offline};
use crate::render::{scratch, write_atomically};
use crate::text::shell_word;

/// Debian's interpreter; the unpacked modules are made for it and not for one that comes first on the PATH.
const PYTHON: &str = "/usr/bin/python3";
const MODULES: &str = "usr/lib/python3/dist-packages";

/// Debian compiles the folder of the message templates into Alertmanager, which does not start without them.
const ALERTMANAGER: &str = "usr/bin/prometheus-alertmanager";
const ALERTMANAGER_FILES: &str = "/usr/share/prometheus/alertmanager";
/// As many bytes, and the folder that the wrapper has open as descriptor 9.
const ALERTMANAGER_MOVED: &str = "/proc/self/fd/9/./././././././././";
const _: () = assert!(ALERTMANAGER_FILES.len() == ALERTMANAGER_MOVED.len());

/// Programs by their place in a package and their canonical name.
const PROGRAMS: [(&str, &str); 8] = [
    ("usr/bin/prometheus", "prometheus"),
    ("usr/bin/promtool", "promtool"),
    ("usr/bin/amtool", "amtool"),
    ("usr/bin/prometheus-node-exporter", "node_exporter"),
    ("usr/bin/prometheus-pushgateway", "pushgateway"),
    ("usr/bin/prometheus-blackbox-exporter", "blackbox_exporter"),
    ("usr/bin/prometheus-postgres-exporter", "postgres_exporter"),
    ("usr/bin/victoria-metrics", "victoria-metrics"),
];

/// Unpacks packages that belong together into one folder of the cache and links the programs in it.
pub(crate) fn fetch(packages: &[&str], cache: &Cache) -> anyhow::Result<()> {
    if is_offline() {
        bail!("{OFFLINE}");
    }
    let scratch = scratch(&cache.debian(), ".unpack")?;
    let downloads = scratch.path().join("downloads");
    let unpacked = scratch.path().join("unpacked");
    fs::create_dir(&downloads).with_context(|| format!("create {}", downloads.display()))?;
    download(packages, &downloads)?;
    let archives = archives(&downloads)?;
    for archive in &archives {
        let output = run(Command::new("dpkg").arg("-x").arg(archive).arg(&unpacked))?;
        anyhow::ensure!(
            output.status.success(),
            "dpkg -x {}: {}",
            archive.display(),
            last_line(&output)
        );
    }
    move_alertmanager(&unpacked)?;
    let place = cache.debian().join(place_name(packages, &archives));
    if !place.exists() {
        fs::rename(&unpacked, &place).with_context(|| format!("rename to {}", place.display()))?;
    }
    link(&place, cache)
}

fn download(packages: &[&str], to: &Path) -> anyhow::Result<()> {
    let options = [
        "-o",
        "Acquire::http::Timeout=10",
        "-o",
        "Acquire::https::Timeout=10",
        "-o",
        "Acquire::Retries=1",
    ];
    // Root downloads as another user, who may not enter the folder; that is not needed for a file that is checked.
    let sandbox = ["-o", "APT::Sandbox::User=root"];
    let output = run(Command::new("apt-get")
        .args(["-q", "download"])
        .args(options)
        .args(sandbox)
        .args(packages)
        .current_dir(to))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = last_line(&output);
    let hint = if reason.contains("Unable to locate") || reason.contains("No candidate") {
        "; the package lists are missing or old: sudo apt-get update"
    } else {
        ""
    };
    bail!("apt-get download {}: {reason}{hint}", packages.join(" "))
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.env("LC_ALL", "C").output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("{name} is not installed, so this is no Debian")
        }
        output => output.with_context(|| format!("run {name}")),
    }
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text
        .lines()
        .rfind(|line| line.starts_with("E:"))
        .or_else(|| text.lines().last());
    line.unwrap_or("no reason given")
        .trim_start_matches("E: ")
        .to_owned()
}

fn archives(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect())
}

/// `prometheus_2.42.0+ds-5_amd64`, so that a new version gets a new folder.
fn place_name(packages: &[&str], archives: &[PathBuf]) -> String {
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let of_first = archives
        .iter()
        .filter_map(stem)
        .find(|stem| stem.starts_with(&format!("{}_", packages[0])));
    of_first.unwrap_or_else(|| packages[0].to_owned())
}

fn link(place: &Path, cache: &Cache) -> anyhow::Result<()> {
    for (path, name) in PROGRAMS {
        if is_executable(&place.join(path)) {
            cache.link(name, &place.join(path))?;
        }
    }
    if is_executable(&place.join(ALERTMANAGER)) {
        let files = place.join(&ALERTMANAGER_FILES[1..]);
        let script = format!(
            "exec 9<{}\nexec {} \"$@\"",
            shell_word(&files),
            shell_word(&place.join(ALERTMANAGER))
        );
        wrap(place, "alertmanager", &script, cache)?;
    }
    let modules = place.join(MODULES);
    if modules.join("supervisor").is_dir() {
        if !is_executable(Path::new(PYTHON)) {
            bail!("supervisord needs {PYTHON}: sudo apt-get install python3");
        }
        let script = format!(
            "PYTHONPATH={} exec {PYTHON} -m supervisor.supervisord \"$@\"",
            shell_word(&modules)
        );
        wrap(place, "supervisord", &script, cache)?;
    }
    Ok(())
}

/// A script in the unpacked package that starts what does not start by itself outside its usual place.
fn wrap(place: &Path, name: &str, script: &str, cache: &Cache) -> anyhow::Result<()> {
    let wrapper = place.join(name);
    write_atomically(&wrapper, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755)
        .with_context(|| format!("write {}", wrapper.display()))?;
    cache.link(name, &wrapper)
}

/// Leads the program to its files where the package was unpacked. A version without that folder in it needs nothing.
fn move_alertmanager(unpacked: &Path) -> anyhow::Result<()> {
    let path = unpacked.join(ALERTMANAGER);
    if !path.exists() {
        return Ok(());
    }
    let mut program = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let length = ALERTMANAGER_FILES.len();
    let mut at = 0;
    while let Some(found) = program[at..]
        .windows(length)
        .position(|bytes| bytes == ALERTMANAGER_FILES.as_bytes())
    {
        at += found;
        program[at..at + length].copy_from_slice(ALERTMANAGER_MOVED.as_bytes());
        at += length;
    }
    write_atomically(&path, &program, 0o755).with_context(|| format!("write {}", path.display()))
}
