//! Clusters and their pinned keys.

use podseal_appraisal::records::ClusterRecord;
use podseal_protocol::Limits;
use sqlx::{Row as _, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

fn record(row: &SqliteRow) -> Result<ClusterRecord, sqlx::Error> {
    let (id, record): (String, Vec<u8>) = (row.try_get("id")?, row.try_get("record")?);
    let record = ClusterRecord::decode(&record, &Limits::DEFAULT).map_err(|error| sqlx::Error::Decode(error.into()))?;
    if record.id == id { Ok(record) } else { Err(sqlx::Error::Decode("clusters.record: it is another cluster's".into())) }
}

/// One cluster by its id.
///
/// # Errors
/// The store failed, or the record is not one of that id.
pub async fn get(executor: impl SqliteExecutor<'_>, id: &str) -> Result<Option<ClusterRecord>, sqlx::Error> {
    let row = sqlx::query("SELECT id, record FROM clusters WHERE id = ?1").bind(id).fetch_optional(executor).await?;
    row.as_ref().map(record).transpose()
}

/// Every cluster, by id.
///
/// # Errors
/// As [`get`].
pub async fn list(executor: impl SqliteExecutor<'_>) -> Result<Vec<ClusterRecord>, sqlx::Error> {
    sqlx::query("SELECT id, record FROM clusters ORDER BY id").fetch_all(executor).await?.iter().map(record).collect()
}

pub(super) async fn put(connection: &mut SqliteConnection, cluster: &ClusterRecord) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO clusters (id, record) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET record = excluded.record")
        .bind(&cluster.id)
        .bind(cluster.encode())
        .execute(connection)
        .await?;
    Ok(())
}
