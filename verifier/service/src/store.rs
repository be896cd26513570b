//! The store: SQLite, one writer connection, readers apart. One module per family of tables.

pub mod challenges;
pub mod clusters;
pub mod documents;
pub mod keys;
pub mod log;
pub mod mutation;
pub mod node_state;
pub mod nodes;
pub mod secrets;
pub mod state;

use std::{path::Path, time::Duration};

use podseal_protocol::Digest;
use sqlx::{
    Connection as _, Row as _, SqlSafeStr as _, Sqlite, SqlitePool, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use thiserror::Error;

/// How long a connection waits for another process that holds the file.
const BUSY: Duration = Duration::from_secs(5);
/// Readers: a decision reads a few rows, so two keep two cores busy.
const READERS: u32 = 2;

/// Why the store is not open.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("database {path}: {error}: see whether the file is a Podseal database, the disk has room, and no other process holds it")]
    Open {
        /// The file.
        path: String,
        /// What SQLite said.
        error: sqlx::Error,
    },
    /// A migration failed.
    #[error("database {path}: {error}: was it written by a newer podseal-verifier? Run that one, or restore a backup")]
    Migrate {
        /// The file.
        path: String,
        /// What failed.
        error: sqlx::migrate::MigrateError,
    },
}

/// The open store.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// Whether a missing database file is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is made: `init`.
    Create,
    /// It is an error.
    Refuse,
}

impl Store {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(path: &Path, missing: Missing) -> Result<Self, StoreError> {
        let failed = |error| StoreError::Open { path: path.display().to_string(), error };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(missing == Missing::Create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .statement_cache_capacity(32)
            .pragma("cache_size", "-512")
            .pragma("secure_delete", "ON");
        let pool = |most, options| SqlitePoolOptions::new().max_connections(most).connect_with(options);
        let writer = pool(1, options.clone()).await.map_err(failed)?;
        migrator().run(&writer).await.map_err(|error| StoreError::Migrate { path: path.display().to_string(), error })?;
        let readers = pool(READERS, options.pragma("query_only", "ON")).await.map_err(failed)?;
        Ok(Self { writer, readers })
    }

    /// For reading: each query sees what was committed before it.
    #[must_use]
    pub fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction on the one writer connection, holding the write lock from the start (BEGIN IMMEDIATE). Dropped, it rolls back.
    ///
    /// # Errors
    /// The store failed.
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Gives up the writer connection; the next transaction opens another. SQLite ends a transaction by itself when the disk is full or an I/O
    /// operation fails (sqlite.org, lang_transaction, "Response To Errors Within A Transaction"), which the pool does not know.
    pub async fn renew_writer(&self) {
        match self.writer.acquire().await {
            Ok(connection) => {
                if let Err(error) = connection.detach().close_hard().await {
                    tracing::warn!(%error, "closing the database's writer");
                }
            }
            Err(error) => tracing::warn!(%error, "no connection to the database"),
        }
    }

    /// Empties the write-ahead log into the database, whose pages are overwritten: what a transaction removed is then in neither. Says whether
    /// that was possible: a reader that holds an old view keeps it from being so.
    ///
    /// # Errors
    /// The store failed.
    pub async fn truncate_wal(&self) -> Result<bool, sqlx::Error> {
        let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.writer).await?;
        Ok(row.try_get::<i64, _>(0)? == 0)
    }

    /// Waits for what runs, and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn migrator() -> Migrator {
    let migrations = [
        (1, "state", include_str!("../migrations/1_state.sql")),
        (2, "keys", include_str!("../migrations/2_keys.sql")),
        (3, "nodes", include_str!("../migrations/3_nodes.sql")),
        (4, "clusters", include_str!("../migrations/4_clusters.sql")),
        (5, "secrets", include_str!("../migrations/5_secrets.sql")),
        (6, "documents", include_str!("../migrations/6_documents.sql")),
        (7, "log", include_str!("../migrations/7_log.sql")),
        (8, "node state", include_str!("../migrations/8_node_state.sql")),
        (9, "machines", include_str!("../migrations/9_machines.sql")),
    ];
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.into_iter().map(migration).collect())
}

/// SQLite's integers are signed; seconds, versions and positions stay far below their limit.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn digest(row: &SqliteRow, column: &'static str) -> Result<Digest, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes.try_into().map(Digest).map_err(|_| sqlx::Error::Decode(format!("{column}: wanted 32 bytes").into()))
}
