//! One connection to a database, and questions over it, one at a time.
//!
//! Every question is a transaction that may only read and that the server itself ends when it takes too long. It is
//! sent as plain text: nothing is prepared on the server, so that poolers such as PgBouncer may stand between.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt as _;
use sqlx::{
    Column as _, ColumnIndex, Connection, Database, Decode, Executor, MySqlConnection, PgConnection,
    Row as _, SqliteConnection,
};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::dsn::{Dsn, Options};
use crate::failure::{Failure, Kind};
use crate::file;
use crate::table::{Row, Table};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the server may take to end what has taken too long, before the connection is given up.
const GRACE: Duration = Duration::from_secs(1);
/// How long a lock may be waited for: what watches must not queue up behind what works.
const LOCK: Duration = Duration::from_secs(1);
/// What the values of a result may take up: far more than metrics are made from.
const MOST_BYTES: usize = 16 << 20;
/// Steps of SQLite's machine between two looks at the clock; far below a millisecond.
const STEPS: i32 = 1000;

/// What an answer may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) rows: usize,
}

/// A line to a database of whichever kind.
pub(crate) enum Line {
    Postgres(Wire<PgConnection>),
    Sqlite(Wire<SqliteConnection>),
    Mysql(Wire<MySqlConnection>),
}

impl Line {
    /// Connects when the first question is asked.
    pub(crate) fn new(dsn: &Dsn) -> Self {
        match dsn.options().clone() {
            Options::Postgres(options) => Self::Postgres(Wire::new(*options)),
            Options::Sqlite(options) => {
                // No row is read before it is asked for.
                Self::Sqlite(Wire::new(options.busy_timeout(LOCK).row_buffer_size(1)))
            }
            Options::Mysql(options) => Self::Mysql(Wire::new(*options)),
        }
    }

    /// Asks, and says how long the answer took without the connecting.
    pub(crate) async fn ask(&self, sql: &str, limits: Limits) -> Result<(Table, Duration), Failure> {
        match self {
            Self::Postgres(wire) => wire.ask(sql, limits).await,
            Self::Sqlite(wire) => wire.ask(sql, limits).await,
            Self::Mysql(wire) => wire.ask(sql, limits).await,
        }
    }
}

/// What differs between the databases.
pub(crate) trait Session: Connection + Sized {
    /// Whether a connection is used again. A file may be replaced by another of its name, and who has the first one open
    /// would never notice.
    const IS_KEPT: bool;

    /// Connects.
    async fn open(options: &Self::Options) -> Result<Self, Failure> {
        Ok(Self::connect_with(options).await?)
    }

    /// Opens a transaction that may only read, with a time limit that the database itself keeps.
    async fn start(&mut self, timeout: Duration) -> sqlx::Result<()>;
}

impl Session for PgConnection {
    const IS_KEPT: bool = true;

    async fn start(&mut self, timeout: Duration) -> sqlx::Result<()> {
        // Settings of the transaction alone, since a pooler may give the session to others. UTC, because columns
        // without a time zone mostly hold it.
        let begin = format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {}; SET LOCAL timezone = 'UTC'",
            timeout.as_millis(),
            LOCK.as_millis(),
            (timeout + GRACE).as_millis(),
        );
        sqlx::raw_sql(&begin).execute(self).await.map(drop)
    }
}

impl Session for SqliteConnection {
    const IS_KEPT: bool = false;

    async fn open(options: &Self::Options) -> Result<Self, Failure> {
        let path = options.get_filename().to_owned();
        let options = options.clone().filename(file::name(&path));
        // A file of the network may take its time.
        let checked = spawn_blocking(move || file::check(&path)).await;
        checked.map_err(|panic| Failure::new(Kind::Connection, panic.to_string()))??;
        Ok(Self::connect_with(&options).await?)
    }

    async fn start(&mut self, timeout: Duration) -> sqlx::Result<()> {
        let end = Instant::now() + timeout;
        self.lock_handle()
            .await?
            .set_progress_handler(STEPS, move || Instant::now() < end);
        sqlx::raw_sql("BEGIN").execute(self).await.map(drop)
    }
}

impl Session for MySqlConnection {
    const IS_KEPT: bool = true;

    async fn start(&mut self, timeout: Duration) -> sqlx::Result<()> {
        // MySQL counts in milliseconds, MariaDB in seconds; each runs its own comment only.
        let begin = format!(
            "SET SESSION lock_wait_timeout = {}, time_zone = '+00:00' \
             /*!50708 , max_execution_time = {} */ /*M!100101 , max_statement_time = {} */; \
             START TRANSACTION READ ONLY",
            LOCK.as_secs(),
            timeout.as_millis(),
            timeout.as_secs_f64(),
        );
        sqlx::raw_sql(&begin).execute(self).await.map(drop)
    }
}

/// A connection that comes about when it is needed.
pub(crate) struct Wire<C: Connection> {
    options: C::Options,
    open: Mutex<Option<C>>,
}

impl<C> Wire<C>
where
    C: Session,
    for<'e> &'e mut C: Executor<'e, Database = C::Database>,
    usize: ColumnIndex<<C::Database as Database>::Row>,
    for<'r> String: Decode<'r, C::Database>,
{
    fn new(options: C::Options) -> Self {
        Self {
            options,
            open: Mutex::new(None),
        }
    }

    async fn ask(&self, sql: &str, limits: Limits) -> Result<(Table, Duration), Failure> {
        let mut open = self.open.lock().await;
        if let Some(connection) = open.take() {
            match self.transaction(connection, sql, limits, &mut open).await {
                // The server may have closed it meanwhile, as at a restart.
                Err(failure) if failure.kind == Kind::Connection => {}
                answer => return answer,
            }
        }
        let connection = match timeout(CONNECT, C::open(&self.options)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(failure)) => return Err(failure.of_connecting()),
            Err(_) => {
                return Err(Failure::new(
                    Kind::Connection,
                    format!("no connection within {CONNECT:?}"),
                ));
            }
        };
        self.transaction(connection, sql, limits, &mut open).await
    }

    /// Puts the connection back only when it is known to be idle; else it is closed.
    async fn transaction(
        &self,
        mut connection: C,
        sql: &str,
        limits: Limits,
        open: &mut Option<C>,
    ) -> Result<(Table, Duration), Failure> {
        // The end travels with the question, which saves a round trip; the server does not come to it after an error. A
        // comment at the end of the question ends with its line.
        let sql = format!("{sql}\n; ROLLBACK");
        let answer = async {
            connection.start(limits.timeout).await?;
            let asked = Instant::now();
            let table = read(&mut connection, &sql, limits.rows).await;
            let took = asked.elapsed();
            Ok::<_, Failure>((table, took))
        };
        let Ok(answer) = timeout(limits.timeout + GRACE, answer).await else {
            let text = format!("no answer within {:?}", limits.timeout + GRACE);
            return Err(Failure::new(Kind::Timeout, text));
        };
        let (table, took) = answer?;
        let is_idle = match &table {
            Ok(_) => true,
            // Reading a million rows only to forget them would take as long as to use them.
            Err(failure) if matches!(failure.kind, Kind::Rows | Kind::Connection) => false,
            Err(_) => {
                let end = timeout(GRACE, sqlx::raw_sql("ROLLBACK").execute(&mut connection)).await;
                matches!(end, Ok(Ok(_)))
            }
        };
        *open = Some(connection).filter(|_| is_idle && C::IS_KEPT);
        Ok((table?, took))
    }
}

async fn read<C>(connection: &mut C, sql: &str, most: usize) -> Result<Table, Failure>
where
    C: Connection,
    for<'e> &'e mut C: Executor<'e, Database = C::Database>,
    usize: ColumnIndex<<C::Database as Database>::Row>,
    for<'r> String: Decode<'r, C::Database>,
{
    let mut table = Table::default();
    let mut bytes = 0;
    let mut rows = sqlx::raw_sql(sql).fetch(&mut *connection);
    while let Some(row) = rows.try_next().await? {
        if table.rows.is_empty() {
            table.columns = row
                .columns()
                .iter()
                .map(|column| column.name().to_owned())
                .collect();
        }
        if table.rows.len() == most {
            let hint = "group them in the query, or raise max_rows";
            return Err(Failure::new(Kind::Rows, format!("more than {most} rows; {hint}")));
        }
        let values = (0..table.columns.len()).map(|i| row.try_get_unchecked::<Option<String>, _>(i));
        let values = values.collect::<Result<Row, _>>()?;
        bytes += values.iter().flatten().map(String::len).sum::<usize>();
        if bytes > MOST_BYTES {
            let text = format!("more than {} MiB of values; select less", MOST_BYTES >> 20);
            return Err(Failure::new(Kind::Rows, text));
        }
        table.rows.push(values);
    }
    Ok(table)
}
