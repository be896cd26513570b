//! What was decided and changed: read from the log and the archive, never from what happens to be in memory, but for rejections.

use podseal_appraisal::{
    entry::{Entry, EntryKind},
    explanation::Explanation as Explained,
    recheck::role,
};
use podseal_protocol::Limits;
use podseal_wire::{Archive, ArchiveObject, Check, Explanation, LogEntry, LogPage, LogRange};
use tonic::{Code, Status};
use tracing::error;

use super::{Verifier, reply};
use crate::{
    archive::ArchiveError,
    change::ChangeRecord,
    store::log::{self, StoredEntry},
};

/// Entries of one page.
const PAGE: u32 = 1000;

pub(super) async fn explain(verifier: &Verifier, audit_id: &str) -> Result<Explanation, Status> {
    if let Some(rejection) = verifier.rejections.get(audit_id) {
        return Ok(to_wire(rejection.audit_id, rejection.time, rejection.explanation));
    }
    let (stored, entry) = find(verifier, audit_id).await?;
    let explained = match object(verifier, &entry, role::EXPLANATION).await? {
        Some(bytes) => Explained::decode(&bytes),
        None => None,
    };
    let explained = explained.ok_or_else(|| reply::broken("reading the archive", "the entry's explanation is missing or unreadable"))?;
    let mut answer = to_wire(entry.audit_id.clone(), entry.time, explained);
    answer.entry_index = Some(stored.position);
    if entry.kind == EntryKind::Changed
        && let Some(bytes) = object(verifier, &entry, role::CHANGE).await?
    {
        let record = ChangeRecord::decode(&bytes, &Limits::DEFAULT).map_err(|e| reply::broken("reading the archive", e))?;
        answer.workload = format!("{} {} by {}", record.kind, record.subject, record.actor);
        if let Some(why) = object(verifier, &entry, role::REASON).await? {
            answer.workload = format!("{}: {}", answer.workload, String::from_utf8_lossy(&why));
        }
        if record.version > 0 {
            answer.secrets = vec![format!("{}@{}", record.subject, record.version)];
        }
    }
    Ok(answer)
}

fn to_wire(audit_id: String, time: u64, explained: Explained) -> Explanation {
    let places = if explained.result == "released" {
        vec![
            "the verifier's memory, from the moment of opening the store's ciphertext to the moment of sealing".to_owned(),
            format!("the attested container: {}", explained.workload),
        ]
    } else {
        Vec::new()
    };
    let checks = explained.checks.into_iter().map(|check| Check {
        name: check.name,
        verdict: check.verdict,
        expected: check.expected,
        found: check.found,
        origin: check.origin,
        spec: check.spec,
        remedy: check.remedy,
    });
    Explanation {
        audit_id,
        result: explained.result,
        reason: explained.reason,
        time,
        node: explained.node,
        workload: explained.workload,
        secrets: explained.secrets,
        checks: checks.collect(),
        claims: explained.claims.into_iter().collect(),
        entry_index: None,
        places,
    }
}

pub(super) async fn page(verifier: &Verifier, range: LogRange) -> Result<LogPage, Status> {
    let failed = |e| reply::broken("reading the log", e);
    let head = log::checkpoint(verifier.store.readers()).await.map_err(failed)?;
    let (size, checkpoint) = head.unwrap_or_default();
    let count = if range.count == 0 { PAGE } else { range.count.min(PAGE) };
    let entries = log::entries(verifier.store.readers(), range.from, count, size).await.map_err(failed)?;
    let entries = entries.into_iter().map(|stored| LogEntry { index: stored.position, entry: stored.entry });
    Ok(LogPage { entries: entries.collect(), checkpoint, size })
}

pub(super) async fn archive(verifier: &Verifier, audit_id: &str) -> Result<Archive, Status> {
    let (stored, entry) = find(verifier, audit_id).await?;
    let mut objects = Vec::with_capacity(entry.objects.len());
    for (role, digest) in entry.objects.iter().filter(|(role, _)| role != role::CIPHERTEXT) {
        let content = verifier.archive.get(*digest).await.map_err(|e| not_archived(role, &e))?;
        objects.push(ArchiveObject { role: role.clone(), content });
    }
    Ok(Archive { entry_index: stored.position, entry: stored.entry, objects })
}

async fn find(verifier: &Verifier, audit_id: &str) -> Result<(StoredEntry, Entry), Status> {
    let stored = log::by_audit_id(verifier.store.readers(), audit_id).await.map_err(|e| reply::broken("reading the log", e))?;
    let unknown = || {
        let detail = "no entry of this audit id, and no rejection that is still remembered: see podseal log list";
        reply::explained(Code::NotFound, "audit.unknown", detail)
    };
    let stored = stored.ok_or_else(unknown)?;
    let entry = Entry::decode(&stored.entry, &Limits::DEFAULT).map_err(|e| reply::broken("reading the log", e))?;
    Ok((stored, entry))
}

async fn object(verifier: &Verifier, entry: &Entry, role: &str) -> Result<Option<Vec<u8>>, Status> {
    match entry.object(role) {
        Some(digest) => verifier.archive.get(digest).await.map(Some).map_err(|e| not_archived(role, &e)),
        None => Ok(None),
    }
}

/// Which object cannot be read, and why: an auditor has to know what to restore.
fn not_archived(role: &str, error: &ArchiveError) -> Status {
    error!(role, %error, "reading the archive failed");
    reply::explained(Code::Internal, "archive.unreadable", format!("{role}: {error}"))
}
