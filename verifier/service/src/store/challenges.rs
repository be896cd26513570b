//! Spent challenges. A second insertion is a replay, on every replica.

use podseal_protocol::{Digest, ReceivedChallenge};
use sqlx::{Row as _, SqliteConnection, SqliteExecutor};

use super::{integer, unsigned};

/// Seconds after its expiry for which a spent challenge is remembered.
const KEPT: u64 = 600;

/// What is needed to spend a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    /// `h(challenge)`.
    pub digest: Digest,
    /// First second in which it is no longer accepted.
    pub expires: u64,
}

impl Spend {
    /// Of a challenge that was issued by this verifier.
    #[must_use]
    pub fn of(challenge: &ReceivedChallenge) -> Self {
        Self { digest: challenge.digest(), expires: challenge.fields().expires }
    }
}

/// Whether a challenge counts as spent by now: read before work is done for a replay. What decides is [`spend`].
///
/// # Errors
/// The store failed.
pub async fn is_spent(executor: impl SqliteExecutor<'_>, challenge: &Spend) -> Result<bool, sqlx::Error> {
    let known = "SELECT challenge_floor >= ?2 OR EXISTS (SELECT 1 FROM spent_challenges WHERE digest = ?1) FROM state";
    sqlx::query(known).bind(challenge.digest.as_ref()).bind(integer(challenge.expires)).fetch_one(executor).await?.try_get(0)
}

/// Spends a challenge within the transaction that appends the entries; `false` when it was spent before.
///
/// What is pruned stays spent: everything that expired up to the floor counts as used, so that a clock set back opens nothing.
///
/// # Errors
/// The store failed.
pub async fn spend(connection: &mut SqliteConnection, challenge: &Spend) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("SELECT challenge_floor FROM state").fetch_one(&mut *connection).await?;
    if challenge.expires <= unsigned(row.try_get(0)?) {
        return Ok(false);
    }
    let inserted = sqlx::query("INSERT INTO spent_challenges (digest, expires) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING")
        .bind(challenge.digest.as_ref())
        .bind(integer(challenge.expires))
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Forgets challenges that expired long ago, raising the floor first.
///
/// # Errors
/// The store failed.
pub async fn prune(connection: &mut SqliteConnection, now: u64) -> Result<(), sqlx::Error> {
    let floor = integer(now.saturating_sub(KEPT));
    sqlx::query("UPDATE state SET challenge_floor = max(challenge_floor, ?1)").bind(floor).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM spent_challenges WHERE expires <= ?1").bind(floor).execute(connection).await?;
    Ok(())
}
