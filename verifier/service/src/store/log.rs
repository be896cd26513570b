//! The log: entries in order, the right edge of their tree, and the signed head.

use podseal_appraisal::{
    checkpoint::Checkpoint,
    merkle::{Frontier, leaf_hash},
};
use podseal_protocol::Digest;
use sqlx::{Row as _, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

use super::{integer, unsigned};
use crate::keyring::Keyring;

/// The log as one transaction continues it: load, append each entry, seal, commit.
#[derive(Debug)]
pub struct Tail {
    frontier: Frontier,
}

impl Tail {
    /// The log's end as of this transaction.
    ///
    /// # Errors
    /// The store failed, or the stored edge does not fit the stored size.
    pub async fn load(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let Some(row) = sqlx::query("SELECT size, frontier FROM log_head").fetch_optional(connection).await? else {
            return Ok(Self { frontier: Frontier::default() });
        };
        let peaks: Vec<u8> = row.try_get("frontier")?;
        let frontier = Frontier::from_bytes(unsigned(row.try_get("size")?), &peaks);
        frontier.map(|frontier| Self { frontier }).map_err(|error| sqlx::Error::Decode(error.into()))
    }

    /// Position that the next entry gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.frontier.size()
    }

    /// Appends an entry and returns its position.
    ///
    /// # Errors
    /// The store failed; an audit id or a position that exists is such a failure.
    pub async fn append(&mut self, connection: &mut SqliteConnection, audit_id: &str, entry: &[u8]) -> Result<u64, sqlx::Error> {
        let (position, leaf) = (self.frontier.size(), leaf_hash(entry));
        sqlx::query("INSERT INTO log_entries (position, audit_id, entry, leaf) VALUES (?1, ?2, ?3, ?4)")
            .bind(integer(position))
            .bind(audit_id)
            .bind(entry)
            .bind(leaf.as_ref())
            .execute(connection)
            .await?;
        self.frontier.append(leaf);
        Ok(position)
    }

    /// Signs the head and stores it: the last step before the commit.
    ///
    /// # Errors
    /// The store failed.
    pub async fn seal(self, connection: &mut SqliteConnection, keys: &Keyring) -> Result<String, sqlx::Error> {
        let checkpoint = Checkpoint { size: self.frontier.size(), root: self.frontier.root() };
        let text = checkpoint.text(keys.verifier());
        let note = checkpoint.note(keys.verifier(), keys.log_public(), &keys.sign_log(text.as_bytes()));
        sqlx::query(
            "INSERT INTO log_head (one, size, frontier, checkpoint) VALUES (1, ?1, ?2, ?3) ON CONFLICT (one) DO UPDATE \
             SET size = excluded.size, frontier = excluded.frontier, checkpoint = excluded.checkpoint",
        )
        .bind(integer(checkpoint.size))
        .bind(self.frontier.to_bytes())
        .bind(&note)
        .execute(connection)
        .await?;
        Ok(note)
    }
}

/// The newest signed head; `None` for a store without a log.
///
/// # Errors
/// The store failed.
pub async fn checkpoint(executor: impl SqliteExecutor<'_>) -> Result<Option<(u64, String)>, sqlx::Error> {
    let row = sqlx::query("SELECT size, checkpoint FROM log_head").fetch_optional(executor).await?;
    row.map(|row| Ok((unsigned(row.try_get("size")?), row.try_get("checkpoint")?))).transpose()
}

/// An entry with its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Counted from 0.
    pub position: u64,
    /// `podseal.entry.v1`.
    pub entry: Vec<u8>,
}

fn stored(row: &SqliteRow) -> Result<StoredEntry, sqlx::Error> {
    Ok(StoredEntry { position: unsigned(row.try_get("position")?), entry: row.try_get("entry")? })
}

/// Up to `count` entries from position `from` on, none beyond `below`.
///
/// # Errors
/// The store failed.
pub async fn entries(executor: impl SqliteExecutor<'_>, from: u64, count: u32, below: u64) -> Result<Vec<StoredEntry>, sqlx::Error> {
    sqlx::query("SELECT position, entry FROM log_entries WHERE position >= ?1 AND position < ?2 ORDER BY position LIMIT ?3")
        .bind(integer(from))
        .bind(integer(below))
        .bind(count)
        .fetch_all(executor)
        .await?
        .iter()
        .map(stored)
        .collect()
}

/// The entry of one audit id.
///
/// # Errors
/// The store failed.
pub async fn by_audit_id(executor: impl SqliteExecutor<'_>, audit_id: &str) -> Result<Option<StoredEntry>, sqlx::Error> {
    let row = sqlx::query("SELECT position, entry FROM log_entries WHERE audit_id = ?1").bind(audit_id).fetch_optional(executor).await?;
    row.as_ref().map(stored).transpose()
}

/// The leaf hashes of positions `from..below`, for proofs.
///
/// # Errors
/// The store failed.
pub async fn leaves(executor: impl SqliteExecutor<'_>, from: u64, below: u64) -> Result<Vec<Digest>, sqlx::Error> {
    let rows = sqlx::query("SELECT leaf FROM log_entries WHERE position >= ?1 AND position < ?2 ORDER BY position");
    rows.bind(integer(from)).bind(integer(below)).fetch_all(executor).await?.iter().map(|row| super::digest(row, "leaf")).collect()
}
