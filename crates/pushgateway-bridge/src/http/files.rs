//! The files that the client's settings name.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::LazyLock;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use super::Error;

/// A secret is a line.
const MOST_SECRET: u64 = 64 << 10;
/// Bundles of all public authorities take a quarter of this.
const MOST_CERTIFICATES: u64 = 1 << 20;

/// The system's authorities. Without any, the first answer over TLS says that its issuer is unknown.
pub(super) fn system_roots() -> RootCerts {
    static ROOTS: LazyLock<RootCerts> = LazyLock::new(|| {
        let system = rustls_native_certs::load_native_certs().certs;
        system
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .into()
    });
    ROOTS.clone()
}

/// The authorities of a file in PEM.
pub(super) fn roots(path: &Path) -> Result<RootCerts, Error> {
    let pem = read(path, MOST_CERTIFICATES)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Error::Settings(format!("{}: {error}", path.display()))),
        }
    }
    if certificates.is_empty() {
        return Err(Error::Settings(format!(
            "{}: no certificate in it",
            path.display()
        )));
    }
    Ok(certificates.into())
}

/// The one line of a file.
pub(super) fn secret(path: &Path) -> Result<String, Error> {
    let bytes = read(path, MOST_SECRET)?;
    let wrong = |what: &str| Error::Settings(format!("{}: {what}", path.display()));
    let text = String::from_utf8(bytes).map_err(|_| wrong("not text in UTF-8"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(wrong("empty; it holds one line, the secret"));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong("more than one line; it holds one, the secret"));
    }
    Ok(text.to_owned())
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes)
}

/// Changes when the file is written or replaced.
pub(super) type Stamp = (u64, u64, i64, i64);

pub(super) fn stamp(path: &Path) -> Result<Stamp, Error> {
    let seen = |meta: Metadata| (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec());
    let meta = std::fs::metadata(path).map(seen);
    meta.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}
