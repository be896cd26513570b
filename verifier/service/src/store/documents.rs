//! The policy, the policy of hardware and the reference sets in force.

use podseal_protocol::{Digest, require};
use sqlx::{Row as _, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

use super::{
    digest, integer,
    mutation::{ChangeError, Conflict},
    unsigned,
};

/// Bytes of all reference sets: they are one archived object, beside which others have to fit.
const ALL_REFERENCES: u64 = 4 << 20;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The Cedar policy; its name is empty.
    Policy,
    /// A set of reference values.
    Reference,
    /// What of hardware is good enough; its name is empty.
    Hardware,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Reference => "reference",
            Self::Hardware => "hardware",
        }
    }
}

/// A text in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Name of the reference set; empty for the policies.
    pub name: String,
    /// The text as it was applied.
    pub text: String,
    /// `h(text)`.
    pub digest: Digest,
}

impl Document {
    /// Names a text.
    #[must_use]
    pub fn new(name: String, text: String) -> Self {
        Self { name, digest: Digest::of(text.as_bytes()), text }
    }
}

fn document(row: &SqliteRow) -> Result<Document, sqlx::Error> {
    let stored = Document { name: row.try_get("name")?, text: row.try_get("text")?, digest: digest(row, "digest")? };
    if Digest::of(stored.text.as_bytes()) == stored.digest {
        Ok(stored)
    } else {
        Err(sqlx::Error::Decode("documents.text: it is not the text that its digest names".into()))
    }
}

/// The documents of one kind, by name.
///
/// # Errors
/// The store failed, or a text is not the one that its digest names.
pub async fn list(executor: impl SqliteExecutor<'_>, kind: Kind) -> Result<Vec<Document>, sqlx::Error> {
    let rows = sqlx::query("SELECT name, text, digest FROM documents WHERE kind = ?1 ORDER BY name").bind(kind.word());
    rows.fetch_all(executor).await?.iter().map(document).collect()
}

/// The policy; `None` while none was applied.
///
/// # Errors
/// As [`list`].
pub async fn policy(executor: impl SqliteExecutor<'_>) -> Result<Option<Document>, sqlx::Error> {
    Ok(list(executor, Kind::Policy).await?.pop())
}

/// The policy of hardware; `None` while none was applied, and the shipped one is in force.
///
/// # Errors
/// As [`list`].
pub async fn hardware(executor: impl SqliteExecutor<'_>) -> Result<Option<Document>, sqlx::Error> {
    Ok(list(executor, Kind::Hardware).await?.pop())
}

/// Puts a reference set in force, unless all of them together would be longer than decisions carry.
pub(super) async fn apply_reference(connection: &mut SqliteConnection, document: &Document, now: u64) -> Result<(), ChangeError> {
    let others = sqlx::query("SELECT coalesce(sum(length(CAST(text AS BLOB))), 0) FROM documents WHERE kind = ?1 AND name != ?2");
    let others = others.bind(Kind::Reference.word()).bind(&document.name).fetch_one(&mut *connection).await?;
    let total = unsigned(others.try_get(0)?).saturating_add(document.text.len() as u64);
    require(total <= ALL_REFERENCES, Conflict::TooManyReferences)?;
    Ok(apply(connection, Kind::Reference, document, now).await?)
}

pub(super) async fn apply(connection: &mut SqliteConnection, kind: Kind, document: &Document, now: u64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO documents (kind, name, digest, text, applied) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (kind, name) DO UPDATE \
         SET digest = excluded.digest, text = excluded.text, applied = excluded.applied",
    )
    .bind(kind.word())
    .bind(&document.name)
    .bind(document.digest.as_ref())
    .bind(&document.text)
    .bind(integer(now))
    .execute(connection)
    .await?;
    Ok(())
}
