//! Secrets: what is said about them, and their encrypted values.

use podseal_appraisal::records::SecretRecord;
use podseal_protocol::{cbor::Encoder, require};
use sqlx::{Row as _, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};
use zeroize::Zeroizing;

use super::{
    integer,
    mutation::{ChangeError, Conflict},
    state::StoreId,
    unsigned,
};
use crate::{
    kek::{Kek, WrapError},
    random,
};

const VALUE_DOMAIN: &str = "podseal.secret-value.v1";
const DATA_KEY_DOMAIN: &str = "podseal.data-key.v1";

/// A version of a secret, encrypted for the one row in which it opens.
#[derive(Debug)]
pub struct SealedVersion {
    /// `NAMESPACE/NAME`.
    pub name: String,
    /// One more than the version before.
    pub version: u64,
    /// Weaknesses that its owner accepts, sorted.
    pub accepts: Vec<String>,
    data_key_id: [u8; 16],
    data_key: Vec<u8>,
    ciphertext: Vec<u8>,
}

/// The AAD of value and data key: store, name, version, metadata and data key id, so that no part of a row serves in another.
fn aad(domain: &'static str, store: &StoreId, record: &SecretRecord, data_key_id: &[u8]) -> Vec<u8> {
    Encoder::message(domain, 6)
        .bytes(store)
        .text(&record.name)
        .uint(record.version)
        .list(&record.accepts, |e, word| e.text(word))
        .bytes(data_key_id)
        .finish()
}

impl SealedVersion {
    /// Encrypts a value under a data key of its own.
    ///
    /// # Errors
    /// The cryptographic library refused.
    pub fn seal(kek: &Kek, store: &StoreId, record: SecretRecord, value: &[u8]) -> Result<Self, WrapError> {
        let data_key_id = random::bytes()?;
        let plain = Zeroizing::new(random::bytes::<32>()?);
        let data_key = kek.wrap(&aad(DATA_KEY_DOMAIN, store, &record, &data_key_id), &*plain)?;
        let ciphertext = Kek::new(&*plain)?.wrap(&aad(VALUE_DOMAIN, store, &record, &data_key_id), value)?;
        let SecretRecord { name, version, accepts } = record;
        Ok(Self { name, version, accepts, data_key_id, data_key, ciphertext })
    }
}

/// A secret as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    /// Name, version and what its owner accepts.
    pub record: SecretRecord,
    /// When it was last put, in seconds since 1970.
    pub changed: u64,
    /// How often it was released.
    pub releases: u64,
}

fn accepts_text(accepts: &[String]) -> String {
    accepts.iter().flat_map(|word| [word.as_str(), " "]).collect()
}

fn stored(row: &SqliteRow) -> Result<StoredSecret, sqlx::Error> {
    let accepts: String = row.try_get("accepts")?;
    Ok(StoredSecret {
        record: SecretRecord {
            name: row.try_get("name")?,
            version: unsigned(row.try_get("version")?),
            accepts: accepts.split_terminator(' ').map(str::to_owned).collect(),
        },
        changed: unsigned(row.try_get("changed")?),
        releases: unsigned(row.try_get("releases")?),
    })
}

/// What is said about one secret; `None` where it was never put, or deleted.
///
/// # Errors
/// The store failed.
pub async fn get(executor: impl SqliteExecutor<'_>, name: &str) -> Result<Option<StoredSecret>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM secrets WHERE name = ?1 AND deleted = 0").bind(name).fetch_optional(executor).await?;
    row.as_ref().map(stored).transpose()
}

/// Every secret, by name.
///
/// # Errors
/// The store failed.
pub async fn list(executor: impl SqliteExecutor<'_>) -> Result<Vec<StoredSecret>, sqlx::Error> {
    sqlx::query("SELECT * FROM secrets WHERE deleted = 0 ORDER BY name").fetch_all(executor).await?.iter().map(stored).collect()
}

/// The version that the next put gets: versions of a deleted secret count on.
///
/// # Errors
/// The store failed.
pub async fn next_version(executor: impl SqliteExecutor<'_>, name: &str) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("SELECT version FROM secrets WHERE name = ?1").bind(name).fetch_optional(executor).await?;
    row.map_or(Ok(1), |row| Ok(unsigned(row.try_get(0)?).saturating_add(1)))
}

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] sqlx::Error),
    /// No such version.
    #[error("version {version} of secret {name} is not in the store: it was replaced or deleted after the decision")]
    Gone {
        /// The secret.
        name: String,
        /// The version.
        version: u64,
    },
    /// It does not open in its row.
    #[error("secret {name}: {cause}")]
    DoesNotOpen {
        /// The secret.
        name: String,
        /// Why.
        cause: WrapError,
    },
}

/// The value of the version that `record` names, opened with exactly that metadata: a row that was altered or swapped does not open.
///
/// # Errors
/// [`ValueError`].
pub async fn value(
    executor: impl SqliteExecutor<'_>,
    kek: &Kek,
    store: &StoreId,
    record: &SecretRecord,
) -> Result<Zeroizing<Vec<u8>>, ValueError> {
    let row = sqlx::query("SELECT data_key_id, data_key, ciphertext FROM secret_versions WHERE name = ?1 AND version = ?2")
        .bind(&record.name)
        .bind(integer(record.version))
        .fetch_optional(executor)
        .await?
        .ok_or_else(|| ValueError::Gone { name: record.name.clone(), version: record.version })?;
    let id: Vec<u8> = row.try_get("data_key_id")?;
    let (data_key, ciphertext): (Vec<u8>, Vec<u8>) = (row.try_get("data_key")?, row.try_get("ciphertext")?);
    let open = || {
        let plain = kek.unwrap(&aad(DATA_KEY_DOMAIN, store, record, &id), data_key)?;
        Kek::new(&plain)?.unwrap(&aad(VALUE_DOMAIN, store, record, &id), ciphertext)
    };
    open().map_err(|cause| ValueError::DoesNotOpen { name: record.name.clone(), cause })
}

/// Counts one release; within the committer's transaction.
///
/// # Errors
/// The store failed.
pub async fn released(connection: &mut SqliteConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE secrets SET releases = releases + 1 WHERE name = ?1").bind(name).execute(connection).await?;
    Ok(())
}

pub(super) async fn put(connection: &mut SqliteConnection, version: &SealedVersion, now: u64) -> Result<(), ChangeError> {
    let put = sqlx::query(
        "INSERT INTO secrets (name, version, accepts, changed) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE \
         SET version = excluded.version, accepts = excluded.accepts, changed = excluded.changed, deleted = 0 \
         WHERE secrets.version = excluded.version - 1",
    )
    .bind(&version.name)
    .bind(integer(version.version))
    .bind(accepts_text(&version.accepts))
    .bind(integer(now))
    .execute(&mut *connection)
    .await?;
    require(put.rows_affected() == 1, Conflict::VersionTaken)?;
    sqlx::query("INSERT INTO secret_versions (name, version, data_key_id, data_key, ciphertext) VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(&version.name)
        .bind(integer(version.version))
        .bind(version.data_key_id.as_slice())
        .bind(version.data_key.as_slice())
        .bind(version.ciphertext.as_slice())
        .execute(&mut *connection)
        .await?;
    // Only the newest version is ever released: the others go, and with them their data keys.
    let older = sqlx::query("DELETE FROM secret_versions WHERE name = ?1 AND version < ?2");
    older.bind(&version.name).bind(integer(version.version)).execute(connection).await?;
    Ok(())
}

pub(super) async fn delete(connection: &mut SqliteConnection, name: &str, now: u64) -> Result<(), ChangeError> {
    let mark = sqlx::query("UPDATE secrets SET deleted = 1, changed = ?2 WHERE name = ?1 AND deleted = 0");
    if mark.bind(name).bind(integer(now)).execute(&mut *connection).await?.rows_affected() != 1 {
        return Err(Conflict::UnknownSecret.into());
    }
    sqlx::query("DELETE FROM secret_versions WHERE name = ?1").bind(name).execute(connection).await?;
    Ok(())
}
