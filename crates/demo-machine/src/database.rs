//! SQLite files for sql-exporter to ask.
//!
//! With a rollback journal: a reader that may only read needs no file beside the database, as it would with a
//! write-ahead log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use rusqlite::{Connection, ErrorCode, Transaction};

/// Readers are quick. Whoever is not holds up this part of the machine and all others, so nothing waits for long.
const PATIENCE: Duration = Duration::from_millis(200);

/// A database that this program alone writes.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens the file, which comes about by that; `schema` makes what is not there. One that a crash of the computer
    /// ruined is made anew.
    pub(crate) fn open(path: &Path, schema: &str) -> anyhow::Result<Self> {
        let open = || -> anyhow::Result<Self> {
            let opened = connect(path, schema);
            match opened {
                Err(error) if is_ruined(&error) => {
                    remove(path)?;
                    Ok(connect(path, schema)?)
                }
                opened => Ok(opened?),
            }
            .map(|connection| Self {
                path: path.into(),
                connection,
            })
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        open().with_context(|| format!("open {}", path.display()))
    }

    /// Does all of the work, or nothing of it.
    pub(crate) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> anyhow::Result<T> {
        ensure!(self.path.exists(), "{} was removed", self.path.display());
        let write = || {
            let transaction = self.connection.transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(done)
        };
        write().with_context(|| format!("write {}", self.path.display()))
    }
}

fn connect(path: &Path, schema: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // What a crash of the computer leaves does not matter, so nothing waits for the disk.
    connection.pragma_update(None, "synchronous", "off")?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(corrupt, Some(verdict)));
    }
    connection.execute_batch(schema)?;
    Ok(connection)
}

fn is_ruined(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Removes the file, and the journal that would be applied to the next one.
fn remove(path: &Path) -> io::Result<()> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    for path in [path, Path::new(&journal)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS notes (text TEXT)";

    fn count(database: &mut Database) -> u32 {
        let count = |transaction: &Transaction<'_>| {
            transaction.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))
        };
        database.write(count).expect("a count")
    }

    fn add(database: &mut Database) -> anyhow::Result<usize> {
        database.write(|transaction| transaction.execute("INSERT INTO notes VALUES ('a')", []))
    }

    #[test]
    fn what_was_written_is_there_again_and_a_ruined_file_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("made/notes.db");
        let mut database = Database::open(&path, SCHEMA).expect("open");
        add(&mut database).expect("write");
        drop(database);
        let mut database = Database::open(&path, SCHEMA).expect("open again");
        assert_eq!(count(&mut database), 1);

        for ruin in ["no database", "SQLite format 3\0and so on"] {
            fs::write(&path, ruin.repeat(100)).expect("ruin it");
            let mut database = Database::open(&path, SCHEMA).expect("open what is ruined");
            assert_eq!(count(&mut database), 0, "{ruin}");
        }
    }

    #[test]
    fn a_file_that_was_removed_is_no_place_to_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.db");
        let mut database = Database::open(&path, SCHEMA).expect("open");
        fs::remove_file(&path).expect("remove");
        let error = add(&mut database).expect_err("it is gone");
        assert!(error.to_string().ends_with("notes.db was removed"), "{error}");
    }

    #[test]
    fn a_reader_that_does_not_end_holds_nothing_up_for_long() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notes.db");
        let mut database = Database::open(&path, SCHEMA).expect("open");
        let reader = Connection::open(&path).expect("open");
        reader.execute_batch("BEGIN; SELECT * FROM notes").expect("read");
        let error = format!("{:#}", add(&mut database).expect_err("locked"));
        assert!(error.contains("notes.db: database is locked"), "{error}");
        reader.execute_batch("COMMIT").expect("end");
        add(&mut database).expect("free again");
    }
}
