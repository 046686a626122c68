//! Certificates made here, and encryption to PostgreSQL with them, as `sslmode` asks for it.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use exporter::testing::value;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::lab::{Lab, errors};
use crate::postgres::{NOBODY, PASSWORD, Postgres};

const QUERY: &str = "[[query]]\nname = \"q\"\n\
     sql = \"SELECT ssl::int AS n FROM pg_stat_ssl WHERE pid = pg_backend_pid()\"\n\
     [[query.metric]]\nname = \"own_encrypted\"\nhelp = \"X.\"\ntype = \"gauge\"\nvalue = \"n\"\n";

pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// Writes what a server shows, a certificate for 127.0.0.1 alone, and its key, which the server alone may read.
pub(crate) fn write_identity(
    folder: &Path,
    authority: &CertifiedIssuer<'static, KeyPair>,
) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let (certificate_file, key_file) = (folder.join("server.crt"), folder.join("server.key"));
    std::fs::write(&certificate_file, certificate.pem()).expect("write");
    std::fs::write(&key_file, key.serialize_pem()).expect("write");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).expect("change the mode");
    if rustix::process::geteuid().is_root() {
        chown(&key_file, Some(NOBODY), Some(NOBODY)).expect("give the key away");
    }
    (certificate_file, key_file)
}

#[test]
fn encryption_is_as_the_address_asks_for_it() {
    let ours = authority();
    let postgres = Postgres::start_with(|folder| {
        let (certificate, key) = write_identity(folder, &ours);
        vec![
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificate.display()),
            format!("ssl_key_file={}", key.display()),
        ]
    });
    let lab = Lab::new();
    lab.write("ours.pem", &ours.pem());
    lab.write("other.pem", &authority().pem());
    lab.write("own.toml", QUERY);
    postgres.configure(&lab, "queries = \"own.toml\"");
    let file = |name: &str| lab.path().join(name).display().to_string();
    let (ours, other) = (file("ours.pem"), file("other.pem"));
    let ask = |host: &str, parameters: &str| {
        let port = postgres.port();
        lab.write(
            "dsn",
            &format!("postgres://watcher:{PASSWORD}@{host}:{port}/postgres{parameters}"),
        );
        lab.once(&[])
    };
    for (parameters, encrypted) in [
        ("?sslmode=disable", 0.0),
        ("", 1.0),
        ("?sslmode=require", 1.0),
        (&format!("?sslmode=verify-ca&sslrootcert={ours}"), 1.0),
        (&format!("?sslmode=verify-full&sslrootcert={ours}"), 1.0),
    ] {
        let page = ask("127.0.0.1", parameters);
        assert_eq!(
            value(&page, "own_encrypted"),
            Some(encrypted),
            "{parameters}\n{page}"
        );
    }
    for (host, parameters) in [
        ("127.0.0.1", "?sslmode=verify-full"),
        ("127.0.0.1", &format!("?sslmode=verify-full&sslrootcert={other}")),
        ("127.0.0.1", &format!("?sslmode=verify-ca&sslrootcert={other}")),
        // The certificate is not for this name, which the driver compares for verify-ca too.
        ("localhost", &format!("?sslmode=verify-ca&sslrootcert={ours}")),
        ("localhost", &format!("?sslmode=verify-full&sslrootcert={ours}")),
    ] {
        let page = ask(host, parameters);
        assert_eq!(value(&page, "own_encrypted"), None, "{host}{parameters}\n{page}");
        assert_eq!(
            errors(&page, "test/q", "connection"),
            1,
            "{host}{parameters}\n{page}"
        );
    }
    let log = String::from_utf8(lab.output().stderr).expect("UTF-8");
    assert!(log.contains("certificate"), "the reason is in the log: {log}");
    assert!(!log.contains(PASSWORD), "{log}");
}
