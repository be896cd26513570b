//! The verifier's keys as rows: public halves in clear, private halves wrapped.

use sqlx::{Row as _, SqliteConnection, SqliteExecutor};

use super::{integer, unsigned};

/// One key as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// What it is for.
    pub purpose: String,
    /// Counted from 1.
    pub epoch: u64,
    /// The public half; empty for a symmetric key.
    pub public: Vec<u8>,
    /// The root's certification; empty where there is none.
    pub certified: Vec<u8>,
    /// The private half under the KEK.
    pub wrapped: Vec<u8>,
}

/// Every key.
///
/// # Errors
/// The store failed.
pub async fn list(executor: impl SqliteExecutor<'_>) -> Result<Vec<KeyRow>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM keys ORDER BY purpose, epoch").fetch_all(executor).await?;
    let key = |row: &sqlx::sqlite::SqliteRow| {
        Ok(KeyRow {
            purpose: row.try_get("purpose")?,
            epoch: unsigned(row.try_get("epoch")?),
            public: row.try_get("public")?,
            certified: row.try_get("certified")?,
            wrapped: row.try_get("wrapped")?,
        })
    };
    rows.iter().map(key).collect()
}

/// Adds a key.
///
/// # Errors
/// The store failed; a second key of one purpose and epoch is such a failure.
pub async fn insert(connection: &mut SqliteConnection, key: &KeyRow, now: u64) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO keys (purpose, epoch, public, certified, wrapped, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .bind(&key.purpose)
        .bind(integer(key.epoch))
        .bind(key.public.as_slice())
        .bind(key.certified.as_slice())
        .bind(key.wrapped.as_slice())
        .bind(integer(now))
        .execute(connection)
        .await?;
    Ok(())
}
