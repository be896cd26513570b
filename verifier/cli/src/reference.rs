//! `podseal reference`: which boots are trusted.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use podseal_appraisal::{
    eventlog::{Event, EventLog},
    layout::Layout,
    machine::{Launch, QUOTED_REGISTERS},
    reference::{Capture, Reference, capture, capture_launch},
    tpm::PcrSet,
};
use podseal_protocol::{Bank, Digest, Limits, hex};
use podseal_wire::{Document, Empty};
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    files,
    output::{self, ChangeView, table},
};

/// Reference values: apply, show, capture
#[derive(Debug, Subcommand)]
pub(crate) enum ReferenceCommand {
    /// Put a set in force, in the place of the one of the same name
    Apply {
        /// The set (TOML)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List the sets in force, or print one, byte for byte
    Show {
        /// The set to print
        name: Option<String>,
    },
    /// Write the set that a boot log, a launch or both amount to, without a verifier; whoever applies it vouches for that node
    Capture(CaptureArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CaptureArguments {
    /// The node's boot log: /sys/kernel/security/tpm0/binary_bios_measurements, of a TD /sys/firmware/acpi/tables/data/CCEL
    #[arg(long, value_name = "FILE")]
    event_log: Option<PathBuf>,
    /// The node's SEV-SNP report, TDX quote or HCL report, where it has one: podseal-node-attester doctor --evidence --save DIR writes it
    #[arg(long, value_name = "FILE")]
    launch: Option<PathBuf>,
    /// Name of the set
    #[arg(long)]
    name: String,
    /// End of its force (RFC 3339), as in 2027-03-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Timestamp,
    /// Which digests of the log: sha256, sha384
    #[arg(long, default_value = "sha256", value_parser = bank)]
    bank: Bank,
    /// What its registers are: tpm, td
    #[arg(long, default_value = "tpm", value_parser = layout)]
    layout: Layout,
    /// Registers to cover: of a TPM 0 to 9 and 14, of a TD 1 to 3. Unless said, 0-9 and 1-3
    #[arg(long, value_name = "LIST", value_parser = registers)]
    pcrs: Option<PcrSet>,
    /// Write here instead of to standard output
    #[arg(short = 'o', long = "write", value_name = "FILE")]
    write: Option<PathBuf>,
}

fn bank(text: &str) -> Result<Bank, String> {
    Bank::from_name(text).ok_or_else(|| format!("found {text:?}, wanted sha256 or sha384"))
}

fn layout(text: &str) -> Result<Layout, String> {
    Layout::from_name(text).ok_or_else(|| format!("found {text:?}, wanted tpm or td"))
}

/// The registers that are covered where nothing is said.
fn usual(layout: Layout) -> PcrSet {
    let usual: &[u8] = match layout {
        Layout::Tpm => QUOTED_REGISTERS,
        Layout::Td => layout.boot(),
    };
    PcrSet::of(usual).unwrap_or_default()
}

/// A set of registers: `0-9,14`.
fn registers(text: &str) -> Result<PcrSet, String> {
    let number = |text: &str| text.parse::<u8>().ok().filter(|index| *index < PcrSet::COUNT && index.to_string() == text);
    let range = |part: &str| match part.split_once('-') {
        None => number(part).map(|index| index..=index),
        Some((first, last)) => Some(number(first)?..=number(last)?).filter(|range| !range.is_empty()),
    };
    let parsed = text.split(',').try_fold(PcrSet::default(), |set, part| range(part)?.try_fold(set, PcrSet::with));
    parsed.ok_or_else(|| format!("found {text:?}, wanted numbers and ranges of registers, as in 0-9 or 0-7,14"))
}

#[derive(Debug, Serialize)]
struct SetView {
    name: String,
    expires: Option<String>,
    bank: &'static str,
    layout: &'static str,
    registers: Vec<u8>,
    digest: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct SetListView {
    references: Vec<SetView>,
}

#[derive(Debug, Serialize)]
struct AppliedView {
    name: String,
    digest: String,
    change: ChangeView,
}

#[derive(Debug, Serialize)]
struct CapturedView {
    name: String,
    expires: Option<String>,
    bank: &'static str,
    layout: &'static str,
    registers: Vec<u8>,
    text: String,
    /// Where it was written; null: nowhere but here.
    file: Option<PathBuf>,
}

impl ReferenceCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match self {
            Self::Apply { file } => apply(context, &file).await,
            Self::Show { name } => show(context, name.as_deref()).await,
            Self::Capture(arguments) => run_capture(context, arguments),
        }
    }
}

async fn apply(context: &Context, path: &Path) -> Result<Outcome, Failure> {
    let text = files::read_text(path, files::CONFIGURATION)?;
    let set = Reference::parse(&text).map_err(|error| Failure::Reference { path: path.to_owned(), error })?;
    let digest = Digest::of(text.as_bytes());
    let mut session = context.connect().await?;
    let document = Document { name: set.name().to_owned(), text, digest: Vec::new() };
    let answer = session.client.apply_reference(document).await?.into_inner();
    if answer.digest != digest.0 {
        return Err(Failure::Answer { what: "reference digest", found: hex::encode(&answer.digest), wanted: "that of the text sent" });
    }
    let view = AppliedView { name: set.name().to_owned(), digest: digest.to_string(), change: ChangeView::of(answer.change)? };
    let until = output::time(set.expires()).unwrap_or_default();
    context.format.print(&view, |v| format!("reference set {} in force for {}, until {until}; {}", v.name, covered(&set), v.change))?;
    Ok(Outcome::Holds)
}

async fn show(context: &Context, name: Option<&str>) -> Result<Outcome, Failure> {
    let mut session = context.connect().await?;
    let answer = session.client.get_references(Empty {}).await?.into_inner();
    let mut references = answer.documents.into_iter().map(set_view).collect::<Result<Vec<_>, _>>()?;
    references.sort_by(|a, b| a.name.cmp(&b.name));
    match name {
        Some(name) => {
            let unknown = || Failure::NotFound { message: format!("no reference set {name:?}: see podseal reference show") };
            let set = references.iter().find(|set| set.name == name).ok_or_else(unknown)?;
            context.format.print_document(set, &set.text)?;
        }
        None => context.format.print(&SetListView { references }, |list| {
            let row = |set: &SetView| {
                let registers = set.registers.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
                let of = format!("{}, {}", set.layout, set.bank);
                [set.name.clone(), set.expires.clone().unwrap_or_default(), of, registers, output::short(&set.digest)]
            };
            table(["NAME", "EXPIRES", "OF", "PCRS", "DIGEST"], list.references.iter().map(row))
        })?,
    }
    Ok(Outcome::Holds)
}

fn set_view(document: Document) -> Result<SetView, Failure> {
    let wrong = |error: podseal_appraisal::reference::ReferenceError| Failure::Answer {
        what: "reference set",
        found: error.to_string(),
        wanted: "a set that this program can read",
    };
    let set = Reference::parse(&document.text).map_err(wrong)?;
    Ok(SetView {
        name: document.name,
        expires: output::time(set.expires()),
        bank: set.bank().name(),
        layout: set.layout().name(),
        registers: set.registers().iter().collect(),
        digest: Digest::of(document.text.as_bytes()).to_string(),
        text: document.text,
    })
}

fn run_capture(context: &Context, arguments: CaptureArguments) -> Result<Outcome, Failure> {
    let wanted = || "a time after 1970".to_owned();
    let expires = u64::try_from(arguments.expires.as_second());
    let expires = expires.map_err(|_| Failure::Option { option: "--expires", found: arguments.expires.to_string(), wanted: wanted() })?;
    let CaptureArguments { bank, layout, .. } = arguments;
    let launch = arguments.launch.as_deref().map(read_launch).transpose()?;
    let registers = arguments.pcrs.unwrap_or_else(|| usual(layout));
    let name = arguments.name.as_str();
    let (path, text, events) = match (&arguments.event_log, &arguments.launch, launch) {
        (Some(path), _, launch) => {
            let log = files::read(path, Limits::DEFAULT.evidence_part as u64)?;
            let wanted = Capture { name, expires, bank, layout, registers, launch };
            (path, capture(&log, &wanted, &Limits::DEFAULT), measured(&log, bank, registers))
        }
        (None, Some(path), Some(launch)) => (path, capture_launch(name, expires, launch), 0),
        _ => return Err(Failure::NothingToCapture),
    };
    let text = text.map_err(|error| Failure::Capture { path: path.clone(), error })?;
    // Only a file that can be applied is written.
    let set = Reference::parse(&text).map_err(|error| Failure::Reference { path: path.clone(), error })?;
    let view = CapturedView {
        name: set.name().to_owned(),
        expires: output::time(set.expires()),
        bank: set.bank().name(),
        layout: set.layout().name(),
        registers: set.registers().iter().collect(),
        text,
        file: arguments.write,
    };
    match &view.file {
        None => context.format.print_document(&view, &view.text)?,
        Some(file) => {
            files::replace(file, view.text.as_bytes())?;
            let next = format!("read it, then: podseal reference apply {}", file.display());
            context.format.print(&view, |_| format!("wrote {}: {events} events of {}\n{next}", file.display(), covered(&set)))?;
        }
    }
    Ok(Outcome::Holds)
}

fn read_launch(path: &Path) -> Result<Launch, Failure> {
    let bytes = files::read(path, files::CONFIGURATION)?;
    Launch::of_evidence(&bytes).ok_or_else(|| Failure::Launch { path: path.to_owned() })
}

/// What a set covers, in words.
fn covered(set: &Reference) -> String {
    let registers = (set.registers() != PcrSet::default()).then(|| set.layout().registers(set.registers()));
    let launch = set.covers_launch().then(|| "the launch".to_owned());
    [launch, registers].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// How many events with a digest of this bank a log that parses has in these registers.
fn measured(log: &[u8], bank: Bank, registers: PcrSet) -> usize {
    let Ok(log) = EventLog::parse(log, &Limits::DEFAULT) else { return 0 };
    let covered = |event: &&Event<'_>| event.is_extended() && u8::try_from(event.pcr).is_ok_and(|pcr| registers.contains(pcr));
    log.events().iter().filter(covered).filter(|event| log.digest(event, bank.into()).is_some()).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn register_lists() {
        let of = |indices: &[u8]| Ok(PcrSet::of(indices).unwrap());
        assert_eq!(registers("0-3"), of(&[0, 1, 2, 3]));
        assert_eq!(registers("7,0-1,14"), of(&[0, 1, 7, 14]));
        for text in ["", "-", "3-1", "24", "0-24", "a", "1,", "01", "+1", "1-2-3"] {
            assert!(registers(text).is_err(), "{text}");
        }
    }
}
