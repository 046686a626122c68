//! Why a query yielded nothing, by kind: a database that is down is not a column that was renamed.

use std::fmt;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

/// The label `kind` of `sql_query_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The database cannot be reached, or went away.
    Connection,
    /// It refuses this user or password.
    Authentication,
    /// The query took too long, or waited for a lock for too long.
    Timeout,
    /// The user may not read this, or the query would have written.
    Permission,
    /// A table, column or function that the query names is not there, or the result lacks a column.
    Schema,
    /// More rows than `max_rows`.
    Rows,
    /// A value that is no number, or two rows for one series.
    Value,
    /// Anything else that the database says, such as a syntax error.
    Query,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Connection,
        Self::Authentication,
        Self::Timeout,
        Self::Permission,
        Self::Schema,
        Self::Rows,
        Self::Value,
        Self::Query,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Authentication => "authentication",
            Self::Timeout => "timeout",
            Self::Permission => "permission",
            Self::Schema => "schema",
            Self::Rows => "rows",
            Self::Value => "value",
            Self::Query => "query",
        }
    }
}

/// A failed query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// As one of connecting, when nothing was asked yet.
    pub(crate) fn of_connecting(self) -> Self {
        let kind = match self.kind {
            Kind::Query => Kind::Connection,
            kind => kind,
        };
        Self { kind, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let kind = match &error {
            sqlx::Error::Database(error) => of_database(error.as_ref()),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Kind::Value,
            // What the driver does not know how to answer, such as COPY.
            sqlx::Error::Protocol(_) => Kind::Query,
            _ => Kind::Connection,
        };
        let text = match &error {
            sqlx::Error::Database(error) => match hint(error.code().as_deref()) {
                Some(hint) => format!("{}; {hint}", error.message()),
                None => error.message().to_owned(),
            },
            error => error.to_string(),
        };
        Self { kind, text }
    }
}

fn of_database(error: &dyn DatabaseError) -> Kind {
    if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>()
        && let Some(kind) = of_mysql(error.number())
    {
        return kind;
    }
    let code = error.code().unwrap_or_default();
    if code.len() == 5 {
        of_state(&code)
    } else {
        of_sqlite(code.parse().unwrap_or(0), error.message())
    }
}

/// Why an SQLite file is not read.
pub(crate) const IDLE_WAL: &str = "the file is in WAL mode and no program has it open, so that reading would write to its folder; \
     keep it open in the program that writes to it, or end its WAL mode: PRAGMA journal_mode = DELETE";

/// What SQLite's errors do not say. The other databases' codes have five characters.
fn hint(code: Option<&str>) -> Option<&'static str> {
    match code? {
        "14" => Some("the file is missing, or may not be read"),
        // Its shared memory would have to be made, or to be recovered.
        "264" | "1288" | "1544" => Some(IDLE_WAL),
        _ => None,
    }
}

/// SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>; MySQL's 42S… too.
fn of_state(state: &str) -> Kind {
    match state {
        "42P01" | "42703" | "42883" | "3F000" | "42S02" | "42S22" => Kind::Schema,
        "42501" | "25006" => Kind::Permission,
        "57014" | "55P03" => Kind::Timeout,
        "25P03" | "3D000" | "53300" | "57P01" | "57P02" | "57P03" | "57P05" => Kind::Connection,
        _ => match state.get(..2) {
            Some("08") => Kind::Connection,
            Some("28") => Kind::Authentication,
            _ => Kind::Query,
        },
    }
}

/// Errors whose SQLSTATE is too general: <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
/// 1969 is MariaDB's.
fn of_mysql(number: u16) -> Option<Kind> {
    Some(match number {
        1044 | 1045 | 1698 => Kind::Authentication,
        1142 | 1143 | 1227 | 1370 | 1792 => Kind::Permission,
        1305 => Kind::Schema,
        1205 | 1969 | 3024 => Kind::Timeout,
        1040 | 1049 | 1053 => Kind::Connection,
        _ => return None,
    })
}

/// Result codes, the lowest byte of extended ones: <https://www.sqlite.org/rescode.html>.
fn of_sqlite(code: u32, message: &str) -> Kind {
    match code & 0xff {
        1 if message.starts_with("no such ") => Kind::Schema,
        3 | 8 | 23 => Kind::Permission,
        5 | 6 | 9 => Kind::Timeout,
        10 | 11 | 14 | 26 => Kind::Connection,
        _ => Kind::Query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_the_driver_does_not_know_is_no_lost_connection() {
        let kind = |error| Failure::from(error).kind;
        assert_eq!(
            kind(sqlx::Error::Protocol("unexpected CopyOutResponse".into())),
            Kind::Query
        );
        assert_eq!(
            kind(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())),
            Kind::Connection
        );
    }

    #[test]
    fn states_of_postgresql() {
        for (state, kind) in [
            ("42P01", Kind::Schema),
            ("42703", Kind::Schema),
            ("42501", Kind::Permission),
            ("25006", Kind::Permission),
            ("57014", Kind::Timeout),
            ("28P01", Kind::Authentication),
            ("08006", Kind::Connection),
            ("42601", Kind::Query),
        ] {
            assert_eq!(of_state(state), kind, "{state}");
        }
    }

    #[test]
    fn codes_of_sqlite() {
        assert_eq!(of_sqlite(1, "no such column: x"), Kind::Schema);
        assert_eq!(of_sqlite(1, "near \"x\": syntax error"), Kind::Query);
        assert_eq!(of_sqlite(14, "unable to open database file"), Kind::Connection);
        assert_eq!(of_sqlite(261, "database is locked"), Kind::Timeout);
    }
}
