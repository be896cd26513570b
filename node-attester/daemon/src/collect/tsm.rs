//! Reports by configfs-tsm (Linux, Documentation/ABI/testing/configfs-tsm-report): one interface to SEV-SNP and TDX.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use podseal_protocol::require;

use super::{CollectError, MOST_BYTES, ReportData, attribute};

/// How often a report is asked for again when somebody else wrote to the entry meanwhile.
const TRIES: u32 = 5;
/// A provider's name and a number are shorter.
const MOST_TEXT: usize = 64;

const NO_TSM: &str =
    "run a kernel with CONFIG_TSM_REPORTS and the guest driver of this machine (modprobe sev-guest or tdx_guest), and mount configfs";
const NO_REPORT: &str = "see `dmesg` for what the guest driver or the host said, then ask again";

/// Where reports are asked for.
#[derive(Debug, Clone)]
pub struct Tsm {
    /// The folder in which entries are made, `/sys/kernel/config/tsm/report` as a rule.
    pub folder: PathBuf,
    /// The entry's name. One that a killed program left is used again; programs that run at the same time need one each.
    pub entry: &'static str,
    /// The VMPL that an SEV-SNP report is asked for, 0 to 3; where nothing is said, the kernel's (0).
    pub privlevel: Option<u8>,
}

/// What makes reports: the format of [`TsmReport::report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// SEV-SNP: an attestation report of 1184 bytes.
    SevGuest,
    /// TDX: a quote.
    TdxGuest,
    /// Another one, by its name.
    Other(String),
}

impl Provider {
    /// As the kernel names it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::SevGuest => "sev_guest",
            Self::TdxGuest => "tdx_guest",
            Self::Other(name) => name,
        }
    }
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TsmReport {
    /// Who made it.
    pub provider: Provider,
    /// `outblob`.
    pub report: Vec<u8>,
    /// `auxblob`, where there is one: for SEV-SNP the host's table of certificates ([`super::certificates`]).
    pub auxiliary: Option<Vec<u8>>,
    /// The entry's generation that the report belongs to.
    pub generation: u64,
}

impl Tsm {
    /// A report over `data`.
    ///
    /// # Errors
    /// What the kernel refused; [`CollectError::Interfered`].
    pub fn collect(&self, data: &ReportData) -> Result<TsmReport, CollectError> {
        let entry = Entry::make(self.folder.join(self.entry))?;
        for _ in 0..TRIES {
            if let Some(report) = self.once(&entry.0, data)? {
                return Ok(report);
            }
        }
        Err(CollectError::Interfered { path: entry.0.clone(), tries: TRIES })
    }

    /// A report; none where another write came between.
    fn once(&self, entry: &Path, data: &ReportData) -> Result<Option<TsmReport>, CollectError> {
        let before = generation(entry)?;
        if let Some(level) = self.privlevel {
            let remedy = "name a level from the entry's privlevel_floor to 3 in evidence.privlevel, or leave the key out";
            attribute::write(&entry.join("privlevel"), level.to_string().as_bytes(), remedy)?;
        }
        attribute::write(&entry.join("inblob"), data, NO_REPORT)?;
        let report = attribute::read(&entry.join("outblob"), MOST_BYTES, NO_REPORT);
        let auxiliary = attribute::read_if_there(&entry.join("auxblob"), MOST_BYTES, NO_REPORT);
        let provider = provider(entry)?;
        let generation = generation(entry)?;
        // Each write of an option or of inblob is one generation.
        if generation != before.wrapping_add(1 + u64::from(self.privlevel.is_some())) {
            return Ok(None);
        }
        let report = report?;
        let path = entry.join("outblob");
        let empty = CollectError::Answer { path, what: "report", found: "nothing".into(), wanted: "a report".into(), remedy: NO_REPORT };
        require(!report.is_empty(), empty)?;
        Ok(Some(TsmReport { provider, report, auxiliary: auxiliary?, generation }))
    }
}

/// A report entry; it goes with this.
struct Entry(PathBuf);

impl Entry {
    fn make(path: PathBuf) -> Result<Self, CollectError> {
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => Ok(Self(path)),
            Err(problem) => Err(CollectError::File { path, step: "make a report entry", problem, remedy: NO_TSM }),
        }
    }
}

impl Drop for Entry {
    /// One that stays is used again.
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn text(path: &Path) -> Result<String, CollectError> {
    let bytes = attribute::read(path, MOST_TEXT, NO_TSM)?;
    let answer = |found| CollectError::Answer { path: path.to_owned(), what: "text", found, wanted: "UTF-8".into(), remedy: NO_TSM };
    let text = String::from_utf8(bytes).map_err(|e| answer(format!("{e}")))?;
    Ok(text.trim_ascii().to_owned())
}

fn provider(entry: &Path) -> Result<Provider, CollectError> {
    Ok(match text(&entry.join("provider"))?.as_str() {
        "sev_guest" => Provider::SevGuest,
        "tdx_guest" => Provider::TdxGuest,
        other => Provider::Other(other.to_owned()),
    })
}

fn generation(entry: &Path) -> Result<u64, CollectError> {
    let path = entry.join("generation");
    let text = text(&path)?;
    let answer = || CollectError::Answer {
        what: "generation",
        found: format!("{text:?}"),
        wanted: "a number".into(),
        remedy: NO_TSM,
        path: path.clone(),
    };
    text.parse().map_err(|_| answer())
}
