//! Addresses of databases. The password is in them, so they are never printed: [`Dsn::address`] is.

use std::str::FromStr as _;

use anyhow::{anyhow, bail, ensure};
use sqlx::ConnectOptions as _;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

/// What an address may say behind its question mark. Anything else, such as what Prisma writes into LiteLLM's, is left
/// out: it means nothing here, and the driver would log it with its value.
const PARAMETERS: [&str; 21] = [
    "application_name",
    "charset",
    "collation",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "socket",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslca",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Whose SQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Sqlite,
    Mysql,
}

impl Dialect {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
            Self::Mysql => "mysql",
        }
    }
}

/// How to connect. It has no `Debug`, since the options of all drivers print the password.
#[derive(Clone)]
pub(crate) struct Dsn {
    text: String,
    address: String,
    /// The password, as written and as meant.
    secrets: Vec<String>,
    options: Options,
}

/// By driver.
#[derive(Clone)]
pub(crate) enum Options {
    Postgres(Box<PgConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
    Mysql(Box<MySqlConnectOptions>),
}

impl PartialEq for Dsn {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Dsn {
    /// Reads an address. Errors do not repeat it.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let Some((scheme, _)) = text.split_once(':') else {
            bail!("no address; write postgres://user:password@host:5432/database, mysql://… or sqlite:/path");
        };
        ensure!(
            scheme == "sqlite" || is_encoded(text),
            "the address is not like postgres://user:password@host:5432/database; \
             percent-encode special characters of user and password: %23 is #, %2F /, %3F ?, %40 @"
        );
        let secrets = secrets(text);
        let unreadable = |error: sqlx::Error| {
            let error = hide(&error.to_string(), &secrets);
            anyhow!("{error}; percent-encode special characters of user and password")
        };
        let options = match scheme {
            "postgres" | "postgresql" => {
                Options::Postgres(Box::new(postgres(text, &readable(text)?).map_err(unreadable)?))
            }
            "mysql" | "mariadb" => Options::Mysql(Box::new(
                MySqlConnectOptions::from_str(&readable(text)?)
                    .map_err(unreadable)?
                    .disable_statement_logging(),
            )),
            "sqlite" => Options::Sqlite(Box::new(sqlite(text)?)),
            _ => bail!("an address of an unknown kind of database; postgres, mysql and sqlite are known"),
        };
        Ok(Self {
            text: text.to_owned(),
            address: public(text),
            secrets,
            options,
        })
    }

    /// The address without password and parameters.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match self.options {
            Options::Postgres(_) => Dialect::Postgres,
            Options::Sqlite(_) => Dialect::Sqlite,
            Options::Mysql(_) => Dialect::Mysql,
        }
    }

    /// Whether it must not stand in a file that everybody may read.
    pub(crate) fn has_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The text without the password, should a server or driver have repeated it.
    pub(crate) fn hide(&self, text: &str) -> String {
        hide(text, &self.secrets)
    }
}

fn hide(text: &str, secrets: &[String]) -> String {
    let hide = |text: String, secret: &String| text.replace(secret, "<hidden>");
    secrets.iter().fold(text.to_owned(), hide)
}

fn postgres(text: &str, readable: &str) -> sqlx::Result<PgConnectOptions> {
    let mut options = PgConnectOptions::from_str(readable)?
        .application_name("sql-exporter")
        .disable_statement_logging();
    // As Prisma means it. The server splits its options at spaces that no backslash precedes.
    if let Some(schema) = parameter(text, "schema") {
        let schema = decoded(schema).replace('\\', "\\\\").replace(' ', "\\ ");
        options = options.options([("search_path", format!("\"{schema}\""))]);
    }
    Ok(options)
}

fn sqlite(text: &str) -> anyhow::Result<SqliteConnectOptions> {
    let (path, parameters) = text.split_once('?').unwrap_or((text, ""));
    // What else may stand there lets files be created, shared, or read as if nobody wrote to them.
    ensure!(
        matches!(parameters, "" | "mode=ro"),
        "a sqlite address takes no parameters: files are opened read-only"
    );
    Ok(SqliteConnectOptions::from_str(path)?
        .read_only(true)
        .create_if_missing(false)
        .disable_statement_logging())
}

/// The address with the parameters that mean something.
fn readable(text: &str) -> anyhow::Result<String> {
    let (address, parameters) = text.split_once('?').unwrap_or((text, ""));
    let mut known = Vec::new();
    for pair in parameters.split('&') {
        let (key, _) = pair.split_once('=').unwrap_or((pair, ""));
        if PARAMETERS.contains(&key) || key.starts_with("options[") {
            known.push(pair);
        } else {
            // Who asked for encryption in other words must not go without.
            ensure!(
                !key.starts_with("ssl") && !key.starts_with("tls"),
                "the address's parameter {key:?} is not known; sslmode, sslrootcert, sslcert and sslkey are"
            );
        }
    }
    Ok(if known.is_empty() {
        address.to_owned()
    } else {
        format!("{address}?{}", known.join("&"))
    })
}

fn parameter<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, parameters) = text.split_once('?')?;
    parameters
        .split('&')
        .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

/// Everything between the scheme and the path.
fn authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// Whether nothing shows that a password stands there as it is: one with `/`, `#` or `?` would be taken for the path or the
/// parameters from there on, and be shown.
fn is_encoded(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let behind = rest.find(['/', '?', '#']).map_or("", |end| &rest[end..]);
    !behind.contains(['@', '#'])
}

fn secrets(text: &str) -> Vec<String> {
    let user = authority(text).and_then(|authority| Some(authority.rsplit_once('@')?.0));
    let password = user.and_then(|user| Some(user.split_once(':')?.1));
    let written = password.into_iter().chain(parameter(text, "password"));
    let mut secrets: Vec<String> = written
        .flat_map(|password| [password.to_owned(), decoded(password)])
        .filter(|password| !password.is_empty())
        .collect();
    secrets.dedup();
    secrets
}

fn public(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    match authority(text).and_then(|authority| authority.rsplit_once('@')) {
        Some((user, _)) => {
            let name = user.split(':').next().unwrap_or(user);
            text.replacen(user, name, 1)
        }
        None => text.to_owned(),
    }
}

/// `%40` is `@`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_shown_without_password_and_parameters() {
        for (text, shown, secret) in [
            (
                "postgres://me:pw@db:5432/x?sslmode=disable&password=y",
                "postgres://me@db:5432/x",
                true,
            ),
            ("postgres://me@db/x?password=y", "postgres://me@db/x", true),
            ("postgresql://me@db/x", "postgresql://me@db/x", false),
            ("mysql://a:b%40c@h/x", "mysql://a@h/x", true),
            ("sqlite:/srv/x.db?mode=ro", "sqlite:/srv/x.db", false),
        ] {
            let dsn = Dsn::parse(text).unwrap();
            assert_eq!(dsn.address(), shown);
            assert_eq!(dsn.has_secret(), secret, "{text}");
        }
    }

    #[test]
    fn what_a_server_repeats_is_hidden() {
        let dsn = Dsn::parse("postgres://me:hun%40ter2@db/x?password=other").unwrap();
        assert_eq!(
            dsn.hide("no hun@ter2 or hun%40ter2 or other here"),
            "no <hidden> or <hidden> or <hidden> here"
        );
    }

    #[test]
    fn refusals_do_not_repeat_the_address() {
        for text in [
            "oracle://me:hunter2@db",
            "postgres://me:hunter2@db:port/x",
            "postgres://me:hunter2@db/x?sslmode=hunter2",
            "mysql://me:hunter2@db/x?ssl-mode=hunter2",
            "hunter2",
            "postgres://me:12/34hunter2@127.0.0.1:5432/db",
            "postgres://me:hunter2/34@127.0.0.1:5432/db",
            "mysql://me:hunter2#34@h/db",
            "mysql://me:34#hunter2",
            "postgres://me:12?sslhunter2@h/db",
            "postgres:me:hunter2@h/db",
            "postgres://me@h/db?password=hunter2#x",
        ] {
            let error = format!("{:#}", Dsn::parse(text).err().expect("refused"));
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_only_others_understand_is_left_out() {
        let readable = |text| readable(text).expect("known");
        assert_eq!(
            readable("postgres://db/x?connection_limit=10&sslmode=require&schema=a&pool_timeout=5"),
            "postgres://db/x?sslmode=require"
        );
        assert_eq!(readable("postgres://db/x?connection_limit=10"), "postgres://db/x");
        let Options::Postgres(options) = Dsn::parse("postgres://db/x?schema=Lite%20LLM").unwrap().options
        else {
            panic!("PostgreSQL");
        };
        assert_eq!(options.get_options(), Some("-c search_path=\"Lite\\ LLM\""));
    }

    #[test]
    fn encryption_asked_for_in_other_words_is_refused() {
        for text in [
            "postgres://db/x?ssl_mode=verify-full",
            "mysql://db/x?sslaccept=strict",
        ] {
            assert!(Dsn::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sqlite_files_are_read_only() {
        for parameters in ["mode=rwc", "immutable=true", "mode=ro&cache=shared"] {
            assert!(Dsn::parse(&format!("sqlite:/x.db?{parameters}")).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_password_is_shown(
            password in "[a-z0-9%!*]{8,20}",
            scheme in "postgres|mysql|oracle",
            rest in "[a-z]{1,5}(:[0-9a-z]{1,5})?(/[a-z]{0,5})?(\\?[a-z=&]{0,9})?",
        ) {
            match Dsn::parse(&format!("{scheme}://me:{password}@{rest}")) {
                Ok(dsn) => {
                    prop_assert!(!dsn.address().contains(&password));
                    let meant = decoded(&password);
                    let hidden = dsn.hide(&format!("x {password} y {meant} z"));
                    prop_assert!(!hidden.contains(&password) && !hidden.contains(&meant));
                }
                Err(error) => {
                    let shown = format!("{error:#} {error:?}");
                    prop_assert!(!shown.contains(&password));
                }
            }
        }

        #[test]
        fn any_text_is_an_address_or_none(text in "(postgres|mysql|sqlite)?(://|:)?.{0,40}") {
            let _ = Dsn::parse(&text);
        }
    }
}
