//! `doctor --evidence`: asks each source of hardware evidence on this machine, over random report data, and says what came. What came
//! can be saved, for `podseal report verify`; nothing is verified here, and nothing on the machine is changed: no register is extended.

mod printed;
mod sources;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use aws_lc_rs::rand;
use podseal_protocol::Limits;

use crate::{
    collect::ReportData,
    config::{Config, Evidence, Tcti},
};

/// The TPM that is looked for where no configuration names one.
const TPM: &str = "/dev/tpmrm0";
/// How long one source may take, where no configuration says it.
const WITHIN: Duration = Duration::from_secs(15);

/// Why nothing was asked, or nothing saved.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The machine has no randomness.
    #[error("randomness: the cryptographic library has none: see `dmesg`")]
    Randomness,
    /// What came cannot be saved.
    #[error("{path}: {problem}: name a folder with --save that is empty or not there yet")]
    Save {
        /// Which file or folder.
        path: PathBuf,
        /// What the operating system said.
        problem: io::Error,
    },
}

/// What is asked, and how long it may take.
#[derive(Debug, Clone)]
pub struct Questions {
    /// The paths.
    pub evidence: Evidence,
    /// The TPM.
    pub tcti: Tcti,
    /// Whether a configuration names the TPM, so that it has to be there.
    pub tpm_configured: bool,
    /// Registers that Azure's key quotes.
    pub pcrs: Vec<u8>,
    /// For reading logs.
    pub limits: Limits,
    /// For one source.
    pub within: Duration,
}

impl Questions {
    /// What a configuration names.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let (evidence, tpm) = (config.evidence.clone(), config.tpm.clone());
        let within = config.bounds.tpm + evidence.azure_wait * 5;
        Self { evidence, tcti: tpm.tcti, tpm_configured: true, pcrs: tpm.pcrs, limits: config.bounds.limits, within }
    }

    /// What machines have where nothing is configured.
    #[must_use]
    pub fn unconfigured() -> Self {
        let evidence = Evidence::default();
        let within = WITHIN + evidence.azure_wait * 5;
        let (tcti, pcrs) = (Tcti::Device(TPM.into()), (0..=9).collect());
        Self { evidence, tcti, tpm_configured: false, pcrs, limits: Limits::DEFAULT, within }
    }
}

/// What one source came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This machine does not have it.
    Absent,
    /// It has evidence.
    Collected(Finding),
    /// It is there and does not work: what to do.
    Failed(String),
}

/// What a source has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// What there is to say, by name.
    pub facts: Vec<(&'static str, String)>,
    /// The folder that its files are saved in: what is verified together.
    pub folder: &'static str,
    /// The files, under names that `podseal report verify` knows.
    pub files: Vec<(&'static str, Vec<u8>)>,
}

/// A source that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: &'static str,
    /// Where it was looked for.
    pub place: String,
    /// What came.
    pub outcome: Outcome,
}

/// All sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What the reports were asked over.
    pub report_data: ReportData,
    /// In the order in which they were asked.
    pub sources: Vec<Source>,
    /// Where the files are.
    pub saved: Option<PathBuf>,
}

/// Asks each source.
///
/// # Errors
/// [`DoctorError`]. A source that fails is no error of this.
pub fn diagnose(questions: &Questions, save: Option<&Path>) -> Result<Diagnosis, DoctorError> {
    let mut report_data = [0; 64];
    rand::fill(&mut report_data).map_err(|_| DoctorError::Randomness)?;
    let asked = sources::SOURCES.iter().map(|source| Source {
        name: source.name,
        place: (source.place)(questions),
        outcome: within(questions, source.ask, report_data),
    });
    let diagnosis = Diagnosis { report_data, sources: asked.collect(), saved: save.map(Path::to_owned) };
    if let Some(folder) = save {
        diagnosis.save(folder)?;
    }
    Ok(diagnosis)
}

/// Asks on a thread of its own: a device may hang, and then that thread does.
fn within(questions: &Questions, ask: sources::Ask, data: ReportData) -> Outcome {
    let (answer, answered) = mpsc::channel();
    let limit = questions.within;
    let questions = questions.clone();
    let started = std::thread::Builder::new().spawn(move || drop(answer.send(ask(&questions, &data))));
    if let Err(problem) = started {
        return Outcome::Failed(format!("thread: {problem}: stop what takes the machine's processes"));
    }
    match answered.recv_timeout(limit) {
        Ok(Ok(Some(finding))) => Outcome::Collected(finding),
        Ok(Ok(None)) => Outcome::Absent,
        Ok(Err(error)) => Outcome::Failed(error),
        Err(RecvTimeoutError::Timeout) => Outcome::Failed(format!(
            "no answer within {} ms: see `dmesg` whether its driver hangs, or raise limits.tpm_ms",
            limit.as_millis()
        )),
        Err(RecvTimeoutError::Disconnected) => {
            Outcome::Failed("its thread ended: send the maintainers what standard error says".to_owned())
        }
    }
}

impl Diagnosis {
    /// Whether each source that is there worked.
    #[must_use]
    pub fn works(&self) -> bool {
        !self.sources.iter().any(|source| matches!(source.outcome, Outcome::Failed(_)))
    }

    /// What was collected, with the source's name.
    fn findings(&self) -> impl Iterator<Item = (&Source, &Finding)> {
        self.sources.iter().filter_map(|source| match &source.outcome {
            Outcome::Collected(finding) => Some((source, finding)),
            _ => None,
        })
    }

    /// The folders that have files, each once.
    fn folders(&self) -> Vec<&'static str> {
        let mut folders: Vec<_> = self.findings().filter(|(_, found)| !found.files.is_empty()).map(|(_, found)| found.folder).collect();
        folders.dedup();
        folders
    }

    /// Writes the files of each kind of evidence into a folder of its own below `folder`; overwrites nothing.
    fn save(&self, folder: &Path) -> Result<(), DoctorError> {
        for (_, finding) in self.findings() {
            for (name, bytes) in &finding.files {
                let path = folder.join(finding.folder).join(name);
                let steps = || {
                    fs::create_dir_all(folder.join(finding.folder))?;
                    File::create_new(&path)?.write_all(bytes)
                };
                steps().map_err(|problem| DoctorError::Save { path: path.clone(), problem })?;
            }
        }
        Ok(())
    }
}
