//! `podseal report`: verifies evidence that somebody handed over as files. Needs no verifier and no network.

mod view;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use podseal_appraisal::{
    report::{self, Document, NAMES, Settings},
    x509::Roots,
};

use podseal_protocol::hex;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    files,
    output::Format,
};

/// Largest file of a report, in bytes: a boot log or an IMA list of a machine that ran for years.
const MOST: u64 = 64 << 20;

/// Shown below the help of `report` commands.
const EXIT_CODES: &str = "\
Exit codes:
  0  verified: authentic up to a pinned root or a key as given, and the default policy has nothing against it
  1  nothing was judged: usage, or a file that cannot be read
  2  refused: authentic, but the default policy would release nothing on it
  3  rejected: not authentic, or parts that don't belong together
  4  incomplete: authentic as far as it goes; more would have to be there
  5  malformed: no evidence of a known form";

/// Verify attestation reports, offline
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Verify the files of one piece of evidence up to its maker's root: reports and quotes of SEV-SNP, TDX, Nitro, NitroTPM, Azure and
    /// TPMs, boot logs, IMA lists, EK certificates, EAT and EAR tokens. All arguments together are one report
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Appraise as of this time (RFC 3339); now, unless given
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// What the evidence must answer, in hexadecimal; without it, and without a file of it, freshness is not appraised
    #[arg(long, value_name = "HEX")]
    nonce: Option<String>,
    /// Believe the roots in this folder and no others: files of the form of policies/roots, or certificates in PEM, which count as test
    /// roots
    #[arg(long, value_name = "FOLDER")]
    roots: Option<PathBuf>,
    /// As --output json
    #[arg(long)]
    json: bool,
    /// Files, or folders of files
    #[arg(required = true, value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
}

/// What stands below the help: the names that decide, and the exit codes.
pub(crate) fn help() -> String {
    let width = NAMES.iter().map(|(names, _)| names.len()).max().unwrap_or_default();
    let names = NAMES.iter().map(|(names, meaning)| format!("  {names:<width$}  {meaning}\n")).collect::<String>();
    format!("Files are recognised by their content. Where that cannot tell, by these names:\n{names}\n{EXIT_CODES}")
}

impl ReportCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure::NothingJudged`].
    pub(crate) fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let Self::Verify(verify) = self;
        verify.run(context).map_err(|failure| Failure::NothingJudged(Box::new(failure)))
    }
}

impl Verify {
    fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let at = self.at.unwrap_or_else(Timestamp::now);
        let now = u64::try_from(at.as_second()).map_err(|_| wrong("--at", at.to_string(), "a time since 1970"))?;
        let nonce = self.nonce.as_deref().map(|text| {
            hex::decode(text)
                .filter(|nonce| !nonce.is_empty())
                .ok_or_else(|| wrong("--nonce", text.to_owned(), "pairs of hexadecimal digits"))
        });
        let nonce = nonce.transpose()?;
        let roots = match &self.roots {
            Some(folder) => Roots::of_folder(&folder_of(folder)?)?,
            None => Roots::shipped(),
        };
        let mut files = Vec::new();
        for path in &self.paths {
            if path.is_dir() { files.extend(folder_of(path)?) } else { files.push((name(path), files::read(path, MOST)?)) }
        }
        let documents = files.iter().map(|(name, bytes)| Document { name, bytes }).collect::<Vec<_>>();
        let report = report::appraise(&documents, &Settings { now, nonce: nonce.as_deref(), roots: &roots });
        let format = if self.json { Format::Json } else { context.format };
        let verdict = report.verdict;
        format.print(&view::ReportView::of(report), |view| view.text())?;
        Ok(Outcome::Report(verdict))
    }
}

/// Name and content of every file in a folder, by name.
fn folder_of(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let failed = |error| Failure::Read { path: folder.to_owned(), error };
    let mut paths =
        fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>, Failure>>()?;
    paths.sort();
    let read = |path: PathBuf| {
        if path.is_dir() {
            return Err(Failure::Nested { path });
        }
        // What has no end of its own, or waits, is no file that somebody handed over.
        if !path.is_file() {
            return Err(Failure::NoFile { path });
        }
        Ok((name(&path), files::read(&path, MOST)?))
    };
    paths.into_iter().map(read).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn wrong(option: &'static str, found: String, wanted: &str) -> Failure {
    Failure::Option { option, found, wanted: wanted.to_owned() }
}
