//! `podseal log`: the entries, and whether they are the log that the verifier signed.

mod verify;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use podseal_appraisal::{
    check::{Check, Verdict, worst},
    entry::Entry,
};
use podseal_protocol::Limits;
use podseal_wire::{LogEntry, LogPage, LogRange};
use serde::Serialize;

use crate::{
    checks::{self, CheckView},
    connection::Session,
    context::Context,
    failure::{Failure, Outcome},
    files,
    output::{self, table},
};
use verify::{LogReplay, Signer, Verified};

/// Entries fetched at a time.
const PAGE: u32 = 256;

/// The log: what was released, refused, attested and changed
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// List entries; without --from, the newest
    List {
        /// First entry, counted from 0
        #[arg(long, value_name = "N")]
        from: Option<u64>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        count: u32,
    },
    /// Fetch every entry, recompute the root, and compare it with what the verifier signed
    Verify {
        /// A checkpoint that an earlier run wrote: what it signed must be the beginning of the log
        #[arg(long, value_name = "FILE")]
        checkpoint_file: Option<PathBuf>,
        /// Write the newest checkpoint here when everything holds
        #[arg(short = 'o', long = "write", value_name = "FILE")]
        write: Option<PathBuf>,
    },
}

impl LogCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match self {
            Self::List { from, count } => list(context, from, count).await,
            Self::Verify { checkpoint_file, write } => verify(context, checkpoint_file.as_deref(), write.as_deref()).await,
        }
    }
}

#[derive(Debug, Serialize)]
struct EntryView {
    index: u64,
    audit_id: String,
    time: Option<String>,
    kind: &'static str,
    engine: String,
    objects: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct EntryList {
    size: u64,
    entries: Vec<EntryView>,
}

async fn list(context: &Context, from: Option<u64>, count: u32) -> Result<Outcome, Failure> {
    let mut session = context.connect().await?;
    let size = page(&mut session, 0, 1).await?.size;
    let from = from.unwrap_or_else(|| size.saturating_sub(count.into()));
    let until = from.saturating_add(count.into()).min(size);
    let mut list = EntryList { size, entries: Vec::new() };
    let mut next = from;
    while next < until {
        let page = page(&mut session, next, until - next).await?;
        if page.entries.is_empty() {
            break;
        }
        next = next.saturating_add(page.entries.len() as u64);
        list.entries.extend(page.entries.iter().map(view).collect::<Result<Vec<_>, _>>()?);
    }
    context.format.print(&list, |list| {
        let row = |entry: &EntryView| {
            let roles = entry.objects.keys().cloned().collect::<Vec<_>>().join(" ");
            [entry.index.to_string(), entry.time.clone().unwrap_or_default(), entry.kind.to_owned(), entry.audit_id.clone(), roles]
        };
        table(["ENTRY", "TIME", "KIND", "ID", "COMMITS TO"], list.entries.iter().map(row))
    })?;
    Ok(Outcome::Holds)
}

fn view(entry: &LogEntry) -> Result<EntryView, Failure> {
    let decoded = decode(&entry.entry)?;
    Ok(EntryView {
        index: entry.index,
        time: output::time(decoded.time),
        kind: decoded.kind.as_str(),
        objects: decoded.objects.iter().map(|(role, digest)| (role.clone(), digest.to_string())).collect(),
        audit_id: decoded.audit_id,
        engine: decoded.engine,
    })
}

/// Parses an entry that the verifier sent.
///
/// # Errors
/// [`Failure::Answer`].
pub(crate) fn decode(entry: &[u8]) -> Result<Entry, Failure> {
    let wrong = |error: podseal_protocol::cbor::Malformed| Failure::Answer {
        what: "log entry",
        found: error.to_string(),
        wanted: "podseal.entry.v1 in its canonical form",
    };
    Entry::decode(entry, &Limits::DEFAULT).map_err(wrong)
}

/// Up to `count` entries from `from` on.
///
/// # Errors
/// [`Failure`].
pub(crate) async fn page(session: &mut Session, from: u64, count: u64) -> Result<LogPage, Failure> {
    let count = u32::try_from(count).unwrap_or(PAGE).min(PAGE);
    Ok(session.client.list_log(LogRange { from, count }).await?.into_inner())
}

/// The whole log as verified, and the note that signs it.
pub(crate) struct WholeLog {
    /// The newest note.
    pub(crate) note: String,
    /// What came of it.
    pub(crate) verified: Verified,
}

impl WholeLog {
    /// Whether every step holds.
    pub(crate) fn holds(&self) -> bool {
        let earlier = self.verified.earlier.is_empty() || worst(&self.verified.earlier) == Verdict::Pass;
        worst(&self.verified.checks) == Verdict::Pass && earlier
    }
}

/// Fetches and verifies the whole log as its newest checkpoint has it; `each` sees every entry. What is appended meanwhile waits for the
/// next run.
///
/// # Errors
/// [`Failure`] when it cannot be fetched. What does not hold is in the checks.
pub(crate) async fn verify_whole(session: &mut Session, earlier: Option<&str>, mut each: impl FnMut(&[u8])) -> Result<WholeLog, Failure> {
    let key = session.log_key()?;
    let mut next = page(session, 0, PAGE.into()).await?;
    let note = std::mem::take(&mut next.checkpoint);
    let verifier = session.verifier;
    let mut replay = LogReplay::new(&note, earlier, Signer { verifier: &verifier, key: key.as_bytes() });
    let mut taken: u64 = 0;
    loop {
        for entry in &next.entries {
            if replay.wanted() == 0 {
                break;
            }
            replay.append(entry.index, &entry.entry, &Limits::DEFAULT);
            each(&entry.entry);
            taken += 1;
        }
        if replay.wanted() == 0 || next.entries.is_empty() {
            break;
        }
        next = page(session, taken, replay.wanted()).await?;
    }
    Ok(WholeLog { note, verified: replay.finish() })
}

#[derive(Debug, Serialize)]
struct VerifyView {
    verified: bool,
    size: Option<u64>,
    root: Option<String>,
    released: u64,
    refused: u64,
    attested: u64,
    changed: u64,
    checks: Vec<CheckView>,
    /// Empty where no earlier checkpoint was given.
    earlier_checks: Vec<CheckView>,
}

async fn verify(context: &Context, earlier: Option<&Path>, write: Option<&Path>) -> Result<Outcome, Failure> {
    let earlier_note = earlier.map(|path| files::read_text(path, files::CONFIGURATION)).transpose()?;
    let mut session = context.connect().await?;
    let whole = verify_whole(&mut session, earlier_note.as_deref(), |_| ()).await?;
    let holds = whole.holds();
    if let Some(path) = write.filter(|_| holds) {
        files::replace(path, whole.note.as_bytes())?;
    }
    context.format.print(&verify_view(&whole.verified, holds, earlier), verify_text)?;
    Ok(Outcome::of(holds))
}

fn verify_view(verified: &Verified, holds: bool, earlier: Option<&Path>) -> VerifyView {
    let about = |check: &Check| {
        let origin = earlier.map(|path| path.display().to_string()).unwrap_or_default();
        CheckView { origin, ..check.into() }
    };
    VerifyView {
        verified: holds,
        size: verified.newest.as_ref().map(|newest| newest.size),
        root: verified.newest.as_ref().map(|newest| newest.root.to_string()),
        released: verified.population.released,
        refused: verified.population.refused,
        attested: verified.population.attested,
        changed: verified.population.changed,
        checks: verified.checks.iter().map(Into::into).collect(),
        earlier_checks: verified.earlier.iter().map(about).collect(),
    }
}

fn verify_text(view: &VerifyView) -> String {
    let all: Vec<CheckView> = view.checks.iter().chain(&view.earlier_checks).cloned().collect();
    let word = if view.verified { "VERIFIED" } else { "DOES NOT VERIFY" };
    let size = view.size.map_or_else(|| "no checkpoint that verifies".to_owned(), |size| format!("{size} entries"));
    let VerifyView { released, refused, attested, changed, .. } = view;
    let kinds = format!("{released} released, {refused} refused, {attested} attested, {changed} changed");
    format!("{word}  {size}: {kinds}; {}\n{}{}", checks::tally(&all), checks::obstacles(&all), checks::passed(&all))
}
