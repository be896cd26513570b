//! `podseal audit`: decides anew, on this machine, from what the archive kept.

mod redecide;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use podseal_appraisal::{
    check::{Check, Verdict, worst},
    entry::{Entry, EntryKind},
};
use podseal_wire::{Archive, AuditId};
use serde::Serialize;
use tonic::Code;

use crate::{
    checks::{self, CheckView},
    connection::Session,
    context::Context,
    failure::{Failure, Outcome},
    log, output,
};

/// Audit what was decided
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Appraise and decide anew from the archive alone, and compare with what was recorded
    Recheck(Recheck),
}

#[derive(Debug, Args)]
pub(crate) struct Recheck {
    /// One entry
    #[arg(value_name = "AUDIT-ID", required_unless_present = "all", conflicts_with = "all")]
    audit_id: Option<String>,
    /// Every entry; the log is verified first
    #[arg(long)]
    all: bool,
}

/// An entry of the log whose decision is to be taken anew.
struct Subject {
    audit_id: String,
    /// The bytes that the log has; `None` where the log has no such entry.
    logged: Option<Vec<u8>>,
}

#[derive(Debug, Serialize)]
struct EntryView {
    entry_index: u64,
    audit_id: String,
    kind: &'static str,
    /// `same`, `differs`, `not-rechecked`, or `unchanged` for a change, which has nothing to decide anew.
    result: &'static str,
    checks: Vec<CheckView>,
}

#[derive(Debug, Serialize)]
struct RecheckView {
    holds: bool,
    /// Decisions that came out the same.
    same: usize,
    /// Decisions among the entries.
    decisions: usize,
    /// Changes among the entries.
    changes: usize,
    entries: Vec<EntryView>,
}

impl AuditCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let Self::Recheck(which) = self;
        let mut session = context.connect().await?;
        let entries = match which.audit_id {
            Some(audit_id) => vec![recheck_one(&mut session, audit_id).await?],
            None => recheck_all(&mut session).await?,
        };
        let view = RecheckView {
            holds: !entries.is_empty() && entries.iter().all(|entry| matches!(entry.result, "same" | "unchanged")),
            same: entries.iter().filter(|entry| entry.result == "same").count(),
            decisions: entries.iter().filter(|entry| entry.kind != "changed").count(),
            changes: entries.iter().filter(|entry| entry.kind == "changed").count(),
            entries,
        };
        context.format.print(&view, text)?;
        Ok(Outcome::of(view.holds))
    }
}

async fn recheck_one(session: &mut Session, audit_id: String) -> Result<EntryView, Failure> {
    let archive = session.client.get_archive(AuditId { audit_id: audit_id.clone() }).await?.into_inner();
    let page = log::page(session, archive.entry_index, 1).await?;
    let logged = page.entries.into_iter().find(|entry| entry.index == archive.entry_index).map(|entry| entry.entry);
    view(&Subject { audit_id, logged }, archive)
}

/// Every entry of a log that verifies. One that does not is a failure: there would be no telling what was left out.
async fn recheck_all(session: &mut Session) -> Result<Vec<EntryView>, Failure> {
    let mut logged = Vec::new();
    let whole = log::verify_whole(session, None, |entry| logged.push(entry.to_vec())).await?;
    if !whole.holds() {
        return Err(Failure::LogDoesNotVerify);
    }
    let mut views = Vec::with_capacity(logged.len());
    for entry in logged {
        let decoded = log::decode(&entry)?;
        let audit_id = decoded.audit_id.clone();
        let index = views.len() as u64;
        views.push(match session.client.get_archive(AuditId { audit_id: audit_id.clone() }).await {
            Ok(archive) => view(&Subject { audit_id, logged: Some(entry) }, archive.into_inner())?,
            // One decision that the archive lost must not hide what became of the others.
            Err(status) if matches!(status.code(), Code::Internal | Code::NotFound) => unarchived(index, &decoded, status.message()),
            Err(status) => return Err(status.into()),
        });
    }
    Ok(views)
}

fn view(subject: &Subject, archive: Archive) -> Result<EntryView, Failure> {
    let objects: BTreeMap<String, Vec<u8>> = archive.objects.into_iter().map(|object| (object.role, object.content)).collect();
    let entry = log::decode(&archive.entry)?;
    let logged = subject.logged.as_deref() == Some(archive.entry.as_slice()) && entry.audit_id == subject.audit_id;
    let checks = redecide::redecide(&entry, logged, &objects);
    Ok(EntryView {
        entry_index: archive.entry_index,
        result: result(&checks, entry.kind == EntryKind::Changed),
        kind: entry.kind.as_str(),
        audit_id: entry.audit_id,
        checks: checks.iter().map(Into::into).collect(),
    })
}

fn unarchived(entry_index: u64, entry: &Entry, answer: &str) -> EntryView {
    let checks = redecide::unarchived(entry, answer);
    EntryView {
        entry_index,
        result: result(&checks, entry.kind == EntryKind::Changed),
        kind: entry.kind.as_str(),
        audit_id: entry.audit_id.clone(),
        checks: checks.iter().map(Into::into).collect(),
    }
}

fn result(checks: &[Check], changed: bool) -> &'static str {
    match (worst(checks), changed) {
        (Verdict::Pass, true) => "unchanged",
        (Verdict::Pass, false) => "same",
        (Verdict::Fail, _) => "differs",
        (Verdict::NotAppraised, _) => "not-rechecked",
    }
}

fn text(view: &RecheckView) -> String {
    let mut text = String::new();
    for entry in view.entries.iter().filter(|entry| !matches!(entry.result, "same" | "unchanged")) {
        text.push_str(&output::escaped(&format!("entry {} {}, id {}", entry.entry_index, entry.kind, entry.audit_id), false));
        text.push('\n');
        text.push_str(&checks::obstacles(&entry.checks));
    }
    let intact = view.entries.iter().filter(|entry| entry.result == "unchanged").count();
    let mark = |holds| if holds { "ok" } else { "x" }.to_owned();
    let mut rows = Vec::new();
    if view.decisions > 0 {
        let found = format!("{} of {} equal the recorded decision", view.same, view.decisions);
        rows.push(["re-decided".to_owned(), found, mark(view.same == view.decisions)]);
    }
    if view.changes > 0 {
        let found = format!("{intact} of {} have the objects that the log names; nothing to decide anew", view.changes);
        rows.push(["changes".to_owned(), found, mark(intact == view.changes)]);
    }
    if view.entries.is_empty() {
        rows.push(["population".to_owned(), "the log is empty: there is nothing to decide anew".to_owned(), "x".to_owned()]);
    }
    text + &output::rows(rows)
}
