//! Where a node's TPM stood last, what it may hold, and whether it is in quarantine.

use podseal_appraisal::{continuity::NodeState, records::NodeRecord, rules};
use podseal_protocol::delivery::Released;
use sqlx::{Row as _, SqliteConnection, SqliteExecutor, sqlite::SqliteQueryResult};

use super::{
    integer,
    mutation::{ChangeError, Conflict},
    nodes::{self, Failing},
    unsigned,
};

/// A secret that a node may hold in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The release.
    pub audit_id: String,
    /// Name of the secret.
    pub secret: String,
    /// Which version.
    pub version: u64,
    /// Which container it went to.
    pub workload: String,
    /// When, in seconds since 1970.
    pub released: u64,
}

/// What an exchange came to for the node that sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Went {
    /// Where its TPM stands now; `None` where the evidence does not say.
    pub state: Option<NodeState>,
    /// Its TPM went back: how.
    pub fork: Option<String>,
    /// Whether its evidence holds.
    pub holds: Holds,
}

/// Whether a node's evidence holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// It came late: that says nothing.
    Late,
    /// It does not: why.
    No(Failing),
}

/// A node as a decision rests on it. The committer takes nothing that was decided on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its registration.
    pub record: NodeRecord,
    /// Where its TPM stood last; `None` before its first evidence.
    pub state: Option<NodeState>,
    /// Why its evidence did not hold last.
    pub failing: Option<Failing>,
}

impl Standing {
    /// Whether what its evidence came to now is another than before: then it goes into the log.
    #[must_use]
    pub fn is_changed_by(&self, went: &Went) -> bool {
        let boots = match (&self.state, &went.state) {
            (Some(before), Some(now)) => now.is_another_boot(before),
            (before, now) => before.is_some() != now.is_some(),
        };
        match &went.holds {
            Holds::Yes => self.failing.is_some() || boots,
            Holds::Late => false,
            Holds::No(failing) => self.failing.as_ref().is_none_or(|before| before.check != failing.check),
        }
    }
}

/// How a node stands; `None` for one that there is not.
///
/// # Errors
/// The store failed, or the state in it is none.
pub async fn standing(executor: impl SqliteExecutor<'_>, node: &str) -> Result<Option<Standing>, sqlx::Error> {
    Ok(nodes::get(executor, node).await?.map(|stored| Standing { record: stored.record, state: stored.state, failing: stored.failing }))
}

/// Keeps what an exchange came to; within the committer's transaction.
///
/// # Errors
/// The store failed.
pub async fn keep(
    connection: &mut SqliteConnection,
    node: &str,
    prior: Option<&NodeState>,
    went: &Went,
    now: u64,
) -> Result<(), sqlx::Error> {
    match &went.holds {
        Holds::Late => {}
        Holds::Yes => {
            let held = sqlx::query("UPDATE nodes SET attested = ?2, failing_since = 0, failing = '', failing_id = '' WHERE name = ?1");
            held.bind(node).bind(integer(now)).execute(&mut *connection).await?;
        }
        Holds::No(Failing { since, check, audit_id }) => {
            let failing =
                sqlx::query("UPDATE nodes SET failing_since = ?2, failing = ?3, failing_id = ?4 WHERE name = ?1 AND failing <> ?3");
            failing.bind(node).bind(integer(*since)).bind(check).bind(audit_id).execute(&mut *connection).await?;
        }
    }
    if let Some(state) = &went.state {
        sqlx::query("UPDATE nodes SET state = ?2 WHERE name = ?1").bind(node).bind(state.encode()).execute(&mut *connection).await?;
        // A reset leaves nothing of what was in memory.
        if prior.is_some_and(|prior| state.is_another_boot(prior)) {
            sqlx::query("DELETE FROM holdings WHERE node = ?1").bind(node).execute(&mut *connection).await?;
        }
    }
    if let Some(why) = &went.fork {
        let update = sqlx::query("UPDATE nodes SET quarantined = ?2 WHERE name = ?1 AND quarantined = ''").bind(node).bind(why);
        if update.execute(connection).await?.rows_affected() == 1 {
            tracing::warn!(node, why, "the node is in quarantine: nothing is released to it");
        }
    }
    Ok(())
}

/// Remembers what a release gave to a node; within the committer's transaction.
///
/// # Errors
/// The store failed.
pub async fn hold(
    connection: &mut SqliteConnection,
    node: &str,
    holding: (&str, &str, u64),
    secrets: &[Released],
) -> Result<(), sqlx::Error> {
    let (audit_id, workload, released) = holding;
    for secret in secrets {
        sqlx::query(
            "INSERT INTO holdings (audit_id, secret, version, node, workload, released) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT DO NOTHING",
        )
        .bind(audit_id)
        .bind(&secret.request.secret)
        .bind(integer(secret.version))
        .bind(node)
        .bind(workload)
        .bind(integer(released))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// What a node may hold, newest first, at most `most`.
///
/// # Errors
/// The store failed.
pub async fn holdings(executor: impl SqliteExecutor<'_>, node: &str, most: u32) -> Result<Vec<Holding>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT * FROM holdings WHERE node = ?1 ORDER BY released DESC, audit_id, secret LIMIT ?2").bind(node).bind(most);
    let holding = |row: sqlx::sqlite::SqliteRow| {
        Ok(Holding {
            audit_id: row.try_get("audit_id")?,
            secret: row.try_get("secret")?,
            version: unsigned(row.try_get("version")?),
            workload: row.try_get("workload")?,
            released: unsigned(row.try_get("released")?),
        })
    };
    rows.fetch_all(executor).await?.into_iter().map(holding).collect()
}

/// An administrator puts a node in quarantine.
pub(super) async fn quarantine(connection: &mut SqliteConnection, node: &str, why: &str) -> Result<(), ChangeError> {
    // A reason that is there already stays: it may name the decision that put the node there.
    let update = sqlx::query("UPDATE nodes SET quarantined = ?2 WHERE name = ?1 AND quarantined = ''").bind(node).bind(why);
    let done = update.execute(&mut *connection).await?;
    changed(connection, node, &done, Conflict::QuarantinedAlready).await
}

/// An administrator lets a node out of quarantine: its next evidence is where it goes on from.
pub(super) async fn release(connection: &mut SqliteConnection, node: &str) -> Result<(), ChangeError> {
    let free = sqlx::query("UPDATE nodes SET quarantined = '', state = NULL WHERE name = ?1 AND quarantined <> ''");
    let done = free.bind(node).execute(&mut *connection).await?;
    // What failed by the quarantine alone fails no more.
    let failing = "UPDATE nodes SET failing_since = 0, failing = '', failing_id = '' WHERE name = ?1 AND failing = ?2";
    sqlx::query(failing).bind(node).bind(rules::NODE_QUARANTINE.name).execute(&mut *connection).await?;
    changed(connection, node, &done, Conflict::NotQuarantined).await
}

/// One node was changed; else there is none of this name, or it does not stand as the change wants it.
async fn changed(connection: &mut SqliteConnection, node: &str, done: &SqliteQueryResult, otherwise: Conflict) -> Result<(), ChangeError> {
    if done.rows_affected() == 1 {
        return Ok(());
    }
    let known = nodes::get(connection, node).await?.is_some();
    Err(if known { otherwise } else { Conflict::UnknownNode }.into())
}
