//! The one row of facts about the store itself.

use sqlx::{Row as _, SqliteConnection, SqliteExecutor};

use super::unsigned;

/// Sixteen random bytes that tell this store from every other.
pub type StoreId = [u8; 16];

/// The store's id; `None` before `init`.
///
/// # Errors
/// The store failed.
pub async fn store_id(executor: impl SqliteExecutor<'_>) -> Result<Option<StoreId>, sqlx::Error> {
    let row = sqlx::query("SELECT store_id FROM state").fetch_optional(executor).await?;
    let Some(row) = row else { return Ok(None) };
    let id: Vec<u8> = row.try_get(0)?;
    id.try_into().map(Some).map_err(|_| sqlx::Error::Decode("state.store_id: wanted 16 bytes".into()))
}

/// Makes the row of a new store.
///
/// # Errors
/// The store failed.
pub async fn found(connection: &mut SqliteConnection, id: &StoreId) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO state (one, store_id, generation, challenge_floor) VALUES (1, ?1, 0, 0)")
        .bind(id.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// The generation of policy, references, clusters and secrets: what the committer fences on, besides the node.
///
/// # Errors
/// The store failed.
pub async fn generation(executor: impl SqliteExecutor<'_>) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("SELECT generation FROM state").fetch_one(executor).await?;
    Ok(unsigned(row.try_get(0)?))
}

pub(super) async fn next_generation(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE state SET generation = generation + 1").execute(connection).await?;
    Ok(())
}
