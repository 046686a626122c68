//! `[postgres]`: the PostgreSQL server that postgres-exporter watches.

use std::path::PathBuf;

use toml::Spanned;

use super::choices::one_of;
use super::problem::Findings;
use super::{HostPort, address, file, secret};
use crate::project::Project;

/// What postgres-exporter's driver takes.
const SSL_MODES: [&str; 4] = ["disable", "require", "verify-ca", "verify-full"];

/// A PostgreSQL server, and as whom to ask it.
#[derive(Debug)]
pub(crate) struct Postgres {
    /// Where it listens.
    pub(crate) address: HostPort,
    /// The database that is connected to.
    pub(crate) database: String,
    /// Role.
    pub(crate) user: String,
    /// File that holds the password, when the server asks for one.
    pub(crate) password_file: Option<PathBuf>,
    /// How the connection is encrypted, as libpq names it.
    pub(crate) sslmode: &'static str,
    /// Where the inventory names its address.
    pub(crate) span: std::ops::Range<usize>,
}

/// Checks `[postgres]`.
pub(crate) fn check(
    postgres: &file::Postgres,
    project: &Project,
    findings: &mut Findings,
) -> Option<Postgres> {
    let user = word(&postgres.user, "user", findings);
    let database = postgres
        .database
        .as_ref()
        .map_or_else(|| "postgres".to_owned(), |name| word(name, "database", findings));
    let password_file = postgres
        .password_file
        .as_ref()
        .and_then(|file| secret::password(file, project.root(), findings));
    let address = match address::host_port(postgres.address.get_ref()) {
        Ok(address) => address,
        Err((what, _)) => {
            let hint = "write `host:port`; PostgreSQL mostly listens on 5432";
            findings.refuse(Some(postgres.address.span()), what, hint);
            return None;
        }
    };
    Some(Postgres {
        sslmode: sslmode(postgres.sslmode.as_ref(), &address, findings),
        address,
        database,
        user,
        password_file,
        span: postgres.address.span(),
    })
}

/// Names become part of an address, in which other characters would mean something else.
fn word(name: &Spanned<String>, what: &str, findings: &mut Findings) -> String {
    let text = name.get_ref();
    let good = |c: char| c.is_alphanumeric() || "-_.$".contains(c);
    if text.is_empty() || !text.chars().all(good) {
        findings.refuse(
            Some(name.span()),
            format!("{text:?} is no name of a {what}"),
            "use letters, digits, hyphens, underscores, dots",
        );
    }
    text.clone()
}

/// The driver knows no mode that encrypts when it can. What stays on this machine need not be encrypted; a password
/// that leaves it must.
fn sslmode(mode: Option<&Spanned<String>>, address: &HostPort, findings: &mut Findings) -> &'static str {
    let usual = if address::is_local(&address.host) {
        "disable"
    } else {
        "require"
    };
    let Some(mode) = mode else { return usual };
    match SSL_MODES.into_iter().find(|known| known == mode.get_ref()) {
        Some(known) => return known,
        None if ["prefer", "allow"].contains(&mode.get_ref().as_str()) => findings.refuse(
            Some(mode.span()),
            format!("postgres-exporter knows no `{}`", mode.get_ref()),
            "write \"require\" when the server has TLS, else \"disable\"",
        ),
        None => one_of(mode.span(), mode.get_ref(), &SSL_MODES, findings),
    }
    usual
}
