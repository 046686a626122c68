//! A password for Grafana's administrator that nobody can guess, made once and kept.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use rustix::rand::{GetRandomFlags, getrandom};

use super::{hex, write_atomically};
use crate::project::Project;
use crate::service::Service;

/// Holds the password of the user `admin`.
pub(crate) fn password_file(project: &Project) -> PathBuf {
    project.data(Service::Grafana.name()).join("admin-password")
}

/// The password, made when there is none. Grafana takes it when it makes its database, and the user may change it there
/// later.
pub(crate) fn grafana_password(project: &Project) -> anyhow::Result<String> {
    let path = password_file(project);
    let known = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("read {}", path.display()))?,
    };
    if !known.trim().is_empty() {
        return Ok(known.trim().to_owned());
    }
    // 128 bits, twice as many digits as bytes.
    let mut bytes = [0; 16];
    let filled = getrandom(&mut bytes, GetRandomFlags::empty()).context("ask the kernel for random bytes")?;
    ensure!(
        filled == bytes.len(),
        "the kernel gave {filled} of {} random bytes",
        bytes.len()
    );
    let password = hex(&bytes);
    write_atomically(&path, password.as_bytes(), 0o600)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(password)
}
