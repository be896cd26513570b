//! The registry of nodes, and the one-time tokens that let nodes in.

use podseal_appraisal::{claims::RootKind, continuity::NodeState, records::NodeRecord};
use podseal_protocol::{Digest, Limits, require};
use sqlx::{Row as _, SqliteConnection, SqliteExecutor, sqlite::SqliteRow};

use super::{
    challenges, digest, integer,
    mutation::{ChangeError, Conflict, Enrolment, JoinToken},
    unsigned,
};

/// A node as registered, with what changes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNode {
    /// What enrolment proved.
    pub record: NodeRecord,
    /// Where its TPM stood last; `None` before its first evidence.
    pub state: Option<NodeState>,
    /// Since when and why its evidence does not hold; `None` where it holds, and before its first evidence.
    pub failing: Option<Failing>,
    /// When its evidence held last, in seconds since 1970; 0 for never.
    pub attested: u64,
    /// What the bindings of its evidence have of its key.
    pub signer: Vec<u8>,
    /// When it was enrolled, in seconds since 1970.
    pub enrolled: u64,
    /// When an exchange of it was last appraised; 0 for never.
    pub last_seen: u64,
}

/// Why a node's evidence does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// The first check that did not pass.
    pub check: String,
    /// The decision that tells of it.
    pub audit_id: String,
}

fn failing(row: &SqliteRow) -> Result<Option<Failing>, sqlx::Error> {
    let (since, check) = (unsigned(row.try_get("failing_since")?), row.try_get::<String, _>("failing")?);
    let audit_id = row.try_get("failing_id")?;
    Ok((!check.is_empty()).then_some(Failing { since, check, audit_id }))
}

fn state(row: &SqliteRow) -> Result<Option<NodeState>, sqlx::Error> {
    let bytes = row.try_get::<Option<Vec<u8>>, _>("state")?;
    let state = bytes.map(|bytes| NodeState::decode(&bytes, &Limits::DEFAULT)).transpose();
    state.map_err(|error| sqlx::Error::Decode(format!("nodes.state: {error}").into()))
}

fn stored(row: &SqliteRow) -> Result<StoredNode, sqlx::Error> {
    let kind = RootKind::parse(row.try_get("root_kind")?);
    Ok(StoredNode {
        record: NodeRecord {
            node: row.try_get("name")?,
            cluster: row.try_get("cluster")?,
            node_uid: row.try_get("node_uid")?,
            profile: row.try_get("profile")?,
            machine: digest(row, "machine")?,
            key: row.try_get("node_key")?,
            root: row.try_get("root")?,
            root_kind: kind.ok_or_else(|| sqlx::Error::Decode("nodes.root_kind: wanted production or test".into()))?,
            approved: row.try_get("approved")?,
            quarantined: row.try_get("quarantined")?,
        },
        state: state(row)?,
        failing: failing(row)?,
        attested: unsigned(row.try_get("attested")?),
        signer: row.try_get("signer")?,
        enrolled: unsigned(row.try_get("enrolled")?),
        last_seen: unsigned(row.try_get("last_seen")?),
    })
}

/// One node by name.
///
/// # Errors
/// The store failed.
pub async fn get(executor: impl SqliteExecutor<'_>, name: &str) -> Result<Option<StoredNode>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM nodes WHERE name = ?1").bind(name).fetch_optional(executor).await?;
    row.as_ref().map(stored).transpose()
}

/// Every node, by name.
///
/// # Errors
/// The store failed.
pub async fn list(executor: impl SqliteExecutor<'_>) -> Result<Vec<StoredNode>, sqlx::Error> {
    sqlx::query("SELECT * FROM nodes ORDER BY name").fetch_all(executor).await?.iter().map(stored).collect()
}

/// Remembers when a node's exchange was appraised; within the committer's transaction.
///
/// # Errors
/// The store failed.
pub async fn seen(connection: &mut SqliteConnection, name: &str, now: u64) -> Result<(), sqlx::Error> {
    let update = sqlx::query("UPDATE nodes SET last_seen = max(last_seen, ?2) WHERE name = ?1");
    update.bind(name).bind(integer(now)).execute(connection).await?;
    Ok(())
}

/// A join token, with whether it was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// The token.
    pub token: JoinToken,
    /// A node joined with it.
    pub consumed: bool,
}

/// A join token by its hash.
///
/// # Errors
/// The store failed.
pub async fn token(executor: impl SqliteExecutor<'_>, hash: &Digest) -> Result<Option<StoredToken>, sqlx::Error> {
    let Some(row) = sqlx::query("SELECT * FROM join_tokens WHERE digest = ?1").bind(hash.as_ref()).fetch_optional(executor).await? else {
        return Ok(None);
    };
    let token = JoinToken {
        digest: digest(&row, "digest")?,
        cluster: row.try_get("cluster")?,
        node: row.try_get("node")?,
        expires: unsigned(row.try_get("expires")?),
    };
    Ok(Some(StoredToken { token, consumed: row.try_get::<Option<i64>, _>("consumed")?.is_some() }))
}

/// Keeps a token, and forgets those that expired: an unknown token is refused like an expired one.
pub(super) async fn put_token(connection: &mut SqliteConnection, token: &JoinToken, now: u64) -> Result<(), ChangeError> {
    if super::clusters::get(&mut *connection, &token.cluster).await?.is_none() {
        return Err(Conflict::UnknownCluster.into());
    }
    sqlx::query("DELETE FROM join_tokens WHERE expires <= ?1").bind(integer(now)).execute(&mut *connection).await?;
    sqlx::query("INSERT INTO join_tokens (digest, cluster, node, expires) VALUES (?1, ?2, ?3, ?4)")
        .bind(token.digest.as_ref())
        .bind(&token.cluster)
        .bind(&token.node)
        .bind(integer(token.expires))
        .execute(connection)
        .await?;
    Ok(())
}

/// Spends the challenge, consumes the token, takes the node in: the unique columns decide a race.
pub(super) async fn enrol(connection: &mut SqliteConnection, enrolment: &Enrolment, now: u64) -> Result<(), ChangeError> {
    require(challenges::spend(&mut *connection, &enrolment.challenge).await?, Conflict::ChallengeSpent)?;
    let record = &enrolment.record;
    match &enrolment.token {
        Some(token) => {
            consume(&mut *connection, token, record, now).await?;
            // Whoever waits for approval under that name, or with that machine, was let in by nobody yet. A quarantine stays.
            let pending = sqlx::query("DELETE FROM nodes WHERE approved = 0 AND quarantined = '' AND (name = ?1 OR machine = ?2)");
            pending.bind(&record.node).bind(record.machine.as_ref()).execute(&mut *connection).await?;
        }
        None => {
            let row = sqlx::query("SELECT count(*) FROM nodes WHERE approved = 0").fetch_one(&mut *connection).await?;
            require(unsigned(row.try_get(0)?) < u64::from(enrolment.most_pending), Conflict::TooManyPending)?;
        }
    }
    let inserted = sqlx::query(
        "INSERT INTO nodes (name, cluster, node_uid, profile, machine, node_key, signer, root, root_kind, approved, enrolled) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
    )
    .bind(&record.node)
    .bind(&record.cluster)
    .bind(&record.node_uid)
    .bind(&record.profile)
    .bind(record.machine.as_ref())
    .bind(record.key.as_slice())
    .bind(enrolment.signer.as_slice())
    .bind(&record.root)
    .bind(record.root_kind.as_str())
    .bind(record.approved)
    .bind(integer(now))
    .execute(connection)
    .await?;
    Ok(require(inserted.rows_affected() == 1, Conflict::NodeExists)?)
}

async fn consume(connection: &mut SqliteConnection, token: &Digest, record: &NodeRecord, now: u64) -> Result<(), ChangeError> {
    let consumed = sqlx::query(
        "UPDATE join_tokens SET consumed = ?2 \
         WHERE digest = ?1 AND consumed IS NULL AND expires > ?2 AND cluster = ?3 AND (node = '' OR node = ?4)",
    )
    .bind(token.as_ref())
    .bind(integer(now))
    .bind(&record.cluster)
    .bind(&record.node)
    .execute(connection)
    .await?;
    Ok(require(consumed.rows_affected() == 1, Conflict::TokenSpent)?)
}

pub(super) async fn approve(connection: &mut SqliteConnection, name: &str) -> Result<(), ChangeError> {
    let updated =
        sqlx::query("UPDATE nodes SET approved = 1 WHERE name = ?1 AND approved = 0").bind(name).execute(&mut *connection).await?;
    if updated.rows_affected() == 1 {
        return Ok(());
    }
    let known = get(connection, name).await?.is_some();
    Err(if known { Conflict::AlreadyApproved } else { Conflict::UnknownNode }.into())
}
