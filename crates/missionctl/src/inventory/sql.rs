//! `[[sql]]`: databases that sql-exporter asks, and what it asks them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::amounts::duration;
use super::problem::{Findings, did_you_mean};
use super::{HostPort, address, file, secret, targets};
use crate::project::Project;
use crate::text;

/// The packs that sql-exporter brings.
const PACKS: [&str; 3] = ["litellm", "signal-queue", "business"];
const KINDS: &str = "postgres://user:password@host:5432/database, mysql://… or sqlite:/path";

/// A database and what it is asked.
#[derive(Debug)]
pub(crate) struct Sql {
    /// The label `database`; good as a file name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) database: Database,
    /// What it is asked.
    pub(crate) asked: Asked,
    /// Labels of all its series.
    pub(crate) labels: BTreeMap<String, String>,
    /// Names of tables and columns, where a pack's own are not right.
    pub(crate) parameters: BTreeMap<String, String>,
    /// How often `SELECT 1` is asked, when not as often as sql-exporter does by itself.
    pub(crate) probe_interval: Option<String>,
    /// Where the inventory names its address.
    pub(crate) span: Range<usize>,
}

/// Where a database is.
#[derive(Debug)]
pub(crate) enum Database {
    /// A server.
    Server(Server),
    /// An SQLite file, absolute.
    File(PathBuf),
}

/// Where queries come from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A pack of sql-exporter's.
    Pack(String),
    /// The user's own file, absolute.
    File(PathBuf),
}

/// A server's address. It may hold a password, so it has a `Debug` that leaves it out.
pub(crate) struct Server {
    text: String,
    /// Where it listens; none for a socket of this machine.
    pub(crate) address: Option<HostPort>,
    /// The file that holds the address, when it is not in the inventory itself.
    pub(crate) file: Option<PathBuf>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({:?})", self.address)
    }
}

impl Server {
    /// The whole address with another host and port in it.
    pub(crate) fn at(&self, address: &HostPort) -> String {
        let Some((start, authority, rest)) = authority(&self.text) else {
            return self.text.clone();
        };
        let user = authority.rfind('@').map_or("", |end| &authority[..=end]);
        format!("{start}{user}{address}{rest}")
    }

    /// The whole address.
    pub(crate) fn secret(&self) -> &str {
        &self.text
    }

    /// Whether it names files of this machine: certificates and keys.
    pub(crate) fn names_files(&self) -> bool {
        let parameters = self.text.split_once('?').map_or("", |(_, parameters)| parameters);
        parameters.split('&').any(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            [
                "sslrootcert",
                "sslcert",
                "sslkey",
                "ssl-ca",
                "ssl-cert",
                "ssl-key",
            ]
            .contains(&name)
        })
    }
}

/// Checks every `[[sql]]`. Whether databases answer is a matter for [`crate::preflight`].
pub(crate) fn check(tables: &[file::Sql], project: &Project, findings: &mut Findings) -> Vec<Sql> {
    let mut checked: Vec<Sql> = Vec::new();
    for sql in tables {
        let asked = asked(&sql.pack, project.root(), findings);
        let (Some(asked), Some((database, span))) = (asked, database(sql, project.root(), findings)) else {
            continue;
        };
        let name = name(sql, &asked, &checked, findings);
        let labels: BTreeMap<String, String> = targets::labels(&sql.labels, findings).into_iter().collect();
        if let Some(machine) = sql.labels.get("machine") {
            let hint = "every series has it already; call this one otherwise";
            findings.refuse(Some(machine.span()), "the label `machine` is the stack's", hint);
        }
        if let Some(other) = checked
            .iter()
            .find(|other| other.asked == asked && other.labels == labels)
        {
            findings.refuse(
                Some(sql.pack.span()),
                format!("{} and {name} would have the same series", other.name),
                "tell them apart: labels = { site = \"berlin\" }",
            );
        }
        checked.push(Sql {
            name,
            database,
            asked,
            labels,
            parameters: sql.parameters.clone(),
            probe_interval: sql
                .probe_interval
                .as_ref()
                .and_then(|interval| duration(interval, findings)),
            span,
        });
    }
    checked
}

/// Where a table names its database, for what asks for the service.
pub(super) fn span(sql: &file::Sql) -> Range<usize> {
    let address = sql.dsn_file.as_ref().or(sql.dsn.as_ref());
    address.unwrap_or(&sql.pack).span()
}

/// A word is a pack, anything that looks like a file is one.
fn asked(pack: &Spanned<String>, root: &Path, findings: &mut Findings) -> Option<Asked> {
    let text = pack.get_ref();
    let is_file = Path::new(text).extension().is_some() || text.contains('/');
    if !is_file {
        if PACKS.contains(&text.as_str()) {
            return Some(Asked::Pack(text.clone()));
        }
        let hint = match did_you_mean(text, PACKS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!(
                "there are {}; a file of your own ends with .toml",
                PACKS.join(", ")
            ),
        };
        findings.refuse(Some(pack.span()), format!("there is no pack `{text}`"), hint);
        return None;
    }
    let path = root.join(text);
    let read = || {
        // Whatever else there is, a pipe say, may never end.
        if path.metadata()?.is_file() {
            std::fs::read_to_string(&path)
        } else {
            Err(std::io::Error::other("it is no file"))
        }
    };
    let wrong = match read() {
        Err(error) => format!("{} cannot be read: {}", path.display(), text::io_reason(&error)),
        Ok(queries) => match queries.parse::<toml::Table>() {
            Ok(_) => return Some(Asked::File(path)),
            Err(error) => {
                let line = error
                    .span()
                    .map_or(1, |span| queries[..span.start].matches('\n').count() + 1);
                format!("{}:{line}: {}", path.display(), error.message())
            }
        },
    };
    findings.refuse(
        Some(pack.span()),
        wrong,
        "docs/sql.md says what a file of queries looks like",
    );
    None
}

fn database(sql: &file::Sql, root: &Path, findings: &mut Findings) -> Option<(Database, Range<usize>)> {
    let (text, file, span) = match (&sql.dsn, &sql.dsn_file) {
        (Some(dsn), None) => (dsn.get_ref().clone(), None, dsn.span()),
        (None, Some(file)) => {
            let (path, text) = secret::dsn(file, root, findings)?;
            (text, Some(path), file.span())
        }
        (Some(_), Some(file)) => {
            let what = "the address is given twice, as dsn and in dsn_file";
            findings.refuse(Some(file.span()), what, "keep one of the two");
            return None;
        }
        (None, None) => {
            let hint = format!("write it into a file, `dsn_file = \"secrets/…\"`: {KINDS}");
            findings.refuse(
                Some(sql.pack.span()),
                "the address of the database is missing",
                hint,
            );
            return None;
        }
    };
    match place(&text, root) {
        Ok(Place::File(path)) => Some((Database::File(path), span)),
        Ok(Place::Server(_) | Place::Socket) if file.is_none() && has_password(&text) => {
            findings.refuse(
                Some(span),
                "a password does not belong into the inventory",
                "write the whole address into a file that only you can read, and name it in dsn_file",
            );
            None
        }
        Ok(Place::Server(address)) => {
            let address = Some(address);
            Some((Database::Server(Server { text, address, file }), span))
        }
        Ok(Place::Socket) => {
            let address = None;
            Some((Database::Server(Server { text, address, file }), span))
        }
        Err((what, hint)) => {
            let subject = match &file {
                Some(path) => format!("secret file {} holds", path.display()),
                None => "this is".to_owned(),
            };
            findings.refuse(Some(span), format!("{subject} {what}"), hint);
            None
        }
    }
}

enum Place {
    Server(HostPort),
    Socket,
    File(PathBuf),
}

/// Where an address leads, or what is wrong with it in words that do not repeat it.
fn place(text: &str, root: &Path) -> Result<Place, (&'static str, String)> {
    let hint = || format!("write {KINDS}");
    if let Some(rest) = text.strip_prefix("sqlite:") {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        let path = decoded(path.split('?').next().unwrap_or(path));
        if path.is_empty() || path.contains(":memory:") {
            return Err(("no SQLite file", hint()));
        }
        return Ok(Place::File(root.join(path)));
    }
    let usual = match text.split_once("://").map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => 5432,
        Some("mysql" | "mariadb") => 3306,
        _ => return Err(("no address of a database", hint())),
    };
    let Some((_, authority, rest)) = authority(text) else {
        return Err(("no address of a database", hint()));
    };
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if text.contains('#') || path.contains('@') {
        let hint = "in a password, write / as %2F, # as %23, ? as %3F, @ as %40, : as %3A".to_owned();
        return Err(("an address with characters that mean something else there", hint));
    }
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let is_path = |text: &str| text.starts_with('/') || text.starts_with("%2F") || text.starts_with("%2f");
    let names_socket = |parameter: &str| {
        let value = ["host=", "socket="]
            .iter()
            .find_map(|name| parameter.strip_prefix(name));
        value.is_some_and(is_path)
    };
    if is_path(host) || parameters.split('&').any(names_socket) {
        return Ok(Place::Socket);
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, address::port(port)),
        _ => (host, Ok(usual)),
    };
    let port = port.map_err(|_| ("an address without a good port", hint()))?;
    let host = address::host(name).map_err(|_| ("an address without a good host name", hint()))?;
    Ok(Place::Server(HostPort { host, port }))
}

/// Without the escapes of URLs; one that is none stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| byte == b'%');
        let value = escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(value.unwrap_or(byte));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `scheme://`, user with host, and the rest.
fn authority(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find("://")? + 3;
    let end = text[start..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |end| start + end);
    Some((&text[..start], &text[start..end], &text[end..]))
}

fn has_password(text: &str) -> bool {
    let user = authority(text).and_then(|(_, authority, _)| Some(authority.rsplit_once('@')?.0));
    user.is_some_and(|user| user.contains(':')) || text.contains("password=")
}

fn name(sql: &file::Sql, asked: &Asked, others: &[Sql], findings: &mut Findings) -> String {
    let stem = |path: &Path| {
        path.file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let usual = match asked {
        Asked::Pack(pack) => pack.clone(),
        Asked::File(path) => stem(path),
    };
    let (name, at) = match &sql.name {
        Some(name) => (name.get_ref().clone(), name.span()),
        None => (usual, sql.pack.span()),
    };
    let is_good = !name.is_empty()
        && !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !is_good {
        findings.refuse(
            Some(at.clone()),
            format!("{name:?} is no name of a database"),
            "add `name = …` with letters, digits, hyphens, underscores, dots",
        );
    }
    if others.iter().any(|other| other.name == name) {
        findings.refuse(
            Some(at),
            format!("two databases are called `{name}`"),
            "give one of them another `name`; it becomes the label `database`",
        );
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_moved_and_nothing_else_in_it() {
        let moved = |text: &str| {
            let Ok(Place::Server(address)) = place(text, Path::new("/")) else {
                panic!("{text} is a server's");
            };
            let port = address.port;
            let server = Server {
                text: text.to_owned(),
                address: Some(address),
                file: None,
            };
            server.at(&HostPort {
                host: "gateway".to_owned(),
                port,
            })
        };
        assert_eq!(
            moved("postgres://me:p%40w@localhost/litellm?sslmode=disable"),
            "postgres://me:p%40w@gateway:5432/litellm?sslmode=disable"
        );
        assert_eq!(moved("mysql://[::1]:3307/shop"), "mysql://gateway:3307/shop");
        assert_eq!(moved("mariadb://127.0.0.1"), "mariadb://gateway:3306");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "hunter2",
            "oracle://me:hunter2@db/x",
            "postgres://me:hunter2@db:port/x",
            "postgres://me:hunter2@/x",
            "sqlite:",
            "sqlite::memory:",
            "postgres://me:12/34hunter2@db/x",
            "postgres://me:12#hunter2@db/x",
        ] {
            let Err((what, hint)) = place(text, Path::new("/")) else {
                panic!("{text} is refused");
            };
            assert!(!format!("{what} {hint}").contains("hunter2"), "{what}");
        }
    }

    #[test]
    fn files_are_found_from_the_inventorys_folder() {
        for (text, path) in [
            ("sqlite:/srv/a.db", "/srv/a.db"),
            ("sqlite:///srv/a.db?mode=ro", "/srv/a.db"),
            ("sqlite:a.db", "/lab/a.db"),
            ("sqlite:/a%20b%.db", "/a b%.db"),
        ] {
            assert!(
                matches!(place(text, Path::new("/lab")), Ok(Place::File(found)) if found == Path::new(path)),
                "{text}"
            );
        }
    }

    #[test]
    fn sockets_are_no_addresses() {
        for text in [
            "postgres://me@%2Frun%2Fpostgresql/x",
            "postgres:///x?host=/run/postgresql",
            "mysql://localhost/x?socket=/run/mysqld/mysqld.sock",
        ] {
            assert!(matches!(place(text, Path::new("/")), Ok(Place::Socket)), "{text}");
        }
    }

    #[test]
    fn passwords_are_seen() {
        assert!(has_password("postgres://me:x@db/y"));
        assert!(has_password("postgres://db/y?user=me&password=x"));
        assert!(!has_password("postgres://me@db:5432/y"));
    }
}
