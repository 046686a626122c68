//! Pinned upstream releases, fetched by `curl`, checked, unpacked by `tar` or by the Python that supervisord needs anyway.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::releases::{self, Release};
use super::{OFFLINE, is_offline};
use crate::render::{hex, scratch};

/// Remembers that the network could not be reached, so that one timeout is enough for all archives.
#[derive(Debug, Default)]
pub(crate) struct Fetcher {
    unreachable: Vec<(String, String)>,
}

impl Fetcher {
    /// Puts the programs of a project's release into the cache, or says why not.
    pub(crate) fn fetch(&mut self, project: &str, cache: &Cache) -> Result<(), String> {
        if is_offline() {
            return Err(OFFLINE.to_owned());
        }
        let release = releases::find(project)
            .ok_or_else(|| format!("no release of {project} is pinned for {}", std::env::consts::ARCH))?;
        let host = host(release.url);
        if let Some((_, reason)) = self.unreachable.iter().find(|(other, _)| *other == host) {
            return Err(reason.clone());
        }
        fetch(release, cache).map_err(|error| {
            let reason = format!("{error:#}");
            if error.is::<Unreachable>() {
                self.unreachable.push((host, reason.clone()));
            }
            reason
        })
    }
}

/// The host did not answer, as opposed to the archive being wrong.
#[derive(Debug)]
struct Unreachable(String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

fn host(url: &str) -> String {
    url.split('/').nth(2).unwrap_or(url).to_owned()
}

fn fetch(release: &Release, cache: &Cache) -> anyhow::Result<()> {
    let scratch = scratch(&cache.upstream(), ".unpack")?;
    let archive = scratch.path().join("archive");
    download(release.url, &archive)?;
    verify(&archive, release)?;
    install(&archive, scratch.path(), release, cache)
}

/// Unpacks beside the place and renames, so that a release is there as a whole or not at all.
fn install(archive: &Path, scratch: &Path, release: &Release, cache: &Cache) -> anyhow::Result<()> {
    let unpacked = scratch.join("unpacked");
    fs::create_dir(&unpacked).with_context(|| format!("create {}", unpacked.display()))?;
    unpack(archive, &unpacked, release)?;
    for (path, _) in release.programs {
        // A zip file knows no modes.
        let program = unpacked.join(path);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("make {} executable", program.display()))?;
    }
    let place = cache.upstream().join(place_name(release));
    if !place.exists() {
        fs::rename(&unpacked, &place).with_context(|| format!("rename to {}", place.display()))?;
    }
    for (path, name) in release.programs {
        cache.link(name, &place.join(path))?;
    }
    Ok(())
}

/// The tag and the archive's name: some projects name every archive alike.
fn place_name(release: &Release) -> String {
    let tag = release.url.rsplit('/').nth(1).unwrap_or_default();
    format!("{tag}-{}", release.archive().0)
}

fn unpack(archive: &Path, to: &Path, release: &Release) -> anyhow::Result<()> {
    let (_, is_zip) = release.archive();
    let mut command = if is_zip {
        let mut python = Command::new("python3");
        python.args(["-m", "zipfile", "--extract"]).arg(archive).arg(to);
        python
    } else {
        let mut tar = Command::new("tar");
        let words = ["--extract", "--gzip", "--strip-components=1", "--no-same-owner"];
        tar.args(words)
            .arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(to);
        tar
    };
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("run {program}"))?;
    anyhow::ensure!(status.success(), "{program} cannot unpack {}", release.url);
    Ok(())
}

fn download(url: &str, to: &Path) -> anyhow::Result<()> {
    // A connection must come quickly, an archive of 200 MB may take its time while bytes still arrive.
    let limits = [
        "--connect-timeout",
        "4",
        "--speed-limit",
        "1000",
        "--speed-time",
        "30",
        "--retry",
        "1",
    ];
    let output = Command::new("curl")
        .args([
            "--fail",
            "--location",
            "--silent",
            "--show-error",
            "--proto",
            "=https",
        ])
        .args(limits)
        .arg("--output")
        .arg(to)
        .arg(url)
        .output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!("curl is not installed"),
        output => output.context("run curl")?,
    };
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let reason = text
        .lines()
        .last()
        .unwrap_or("curl gave no reason")
        .trim_start_matches("curl: ")
        .to_owned();
    // Exit codes of curl: 6 name not resolved, 7 no connection, 28 time is up, 35 TLS handshake.
    if [6, 7, 28, 35].contains(&output.status.code().unwrap_or_default()) {
        return Err(Unreachable(reason).into());
    }
    bail!("{url}: {reason}")
}

fn verify(archive: &Path, release: &Release) -> anyhow::Result<()> {
    let mut hash = Sha256::new();
    let mut file = File::open(archive).with_context(|| format!("open {}", archive.display()))?;
    io::copy(&mut file, &mut hash).with_context(|| format!("read {}", archive.display()))?;
    let found = hex(&hash.finalize());
    if found != release.sha256 {
        bail!(
            "{} has SHA-256 {found}, {} is expected; it was thrown away",
            release.url,
            release.sha256
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "#!/bin/sh\necho fetched\n";

    fn archive(folder: &Path) -> std::path::PathBuf {
        let program = folder.join("it-1.0/bin/it");
        fs::create_dir_all(folder.join("it-1.0/bin")).expect("a folder");
        fs::write(&program, PROGRAM).expect("write");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("change the mode");
        let archive = folder.join("it-1.0.tar.gz");
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(&archive).arg("-C").arg(folder).arg("it-1.0");
        assert!(tar.status().expect("run tar").success());
        archive
    }

    fn release(sha256: &'static str) -> Release {
        Release {
            project: "it",
            arch: std::env::consts::ARCH,
            url: "https://example.org/v1.0/it-1.0.tar.gz",
            sha256,
            programs: &[("bin/it", "it")],
        }
    }

    #[test]
    fn an_archive_with_another_checksum_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let archive = archive(folder.path());
        let error = verify(&archive, &release("00")).expect_err("another checksum");
        assert!(error.to_string().contains("00 is expected"), "{error}");
        let found = hex(&Sha256::digest(fs::read(&archive).expect("read")));
        verify(&archive, &release(Box::leak(found.into_boxed_str()))).expect("the same checksum");
    }

    #[test]
    fn a_release_is_unpacked_and_linked_under_its_canonical_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let archive = archive(folder.path());
        let cache = Cache::at(folder.path().join("cache"));
        for _ in 0..2 {
            let scratch = scratch(&cache.upstream(), ".unpack").expect("a folder");
            install(&archive, scratch.path(), &release(""), &cache).expect("installed");
        }
        let linked = cache.bin().join("it");
        assert_eq!(fs::read_to_string(&linked).expect("read"), PROGRAM);
        assert_eq!(cache.origin(&linked), crate::tools::Origin::Upstream);
        let left = fs::read_dir(cache.upstream()).expect("a folder").count();
        assert_eq!(left, 1, "scratch folders are gone");
    }

    #[test]
    fn a_zip_file_without_modes_and_folders_will_do() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("it-linux-amd64"), PROGRAM).expect("write");
        let archive = folder.path().join("it-linux-amd64.zip");
        let mut python = Command::new("python3");
        python
            .current_dir(folder.path())
            .args(["-m", "zipfile", "--create"]);
        assert!(
            python
                .arg(&archive)
                .arg("it-linux-amd64")
                .status()
                .expect("run python3")
                .success()
        );
        let cache = Cache::at(folder.path().join("cache"));
        let scratch = scratch(&cache.upstream(), ".unpack").expect("a folder");
        let release = Release {
            url: "https://example.org/v2/it-linux-amd64.zip",
            programs: &[("it-linux-amd64", "it")],
            ..release("")
        };
        install(&archive, scratch.path(), &release, &cache).expect("installed");
        let linked = cache.own("it").expect("an executable");
        assert_eq!(fs::read_to_string(linked).expect("read"), PROGRAM);
        assert!(cache.upstream().join("v2-it-linux-amd64").is_dir());
    }
}
