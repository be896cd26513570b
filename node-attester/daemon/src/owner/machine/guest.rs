//! A guest of SEV-SNP or TDX without a TPM: the kernel gives its report or quote, and the node's own key signs the binding.

use std::path::Path;

use podseal_protocol::{BankDigest, Digest, Limits, Profile, binding::report_data, evidence::Part, pod_log::Register};

use super::{
    super::{Collector, OwnerConfig, TpmError, node_key::NodeKey},
    Machine,
};
use crate::{
    collect::{
        CollectError, ReportData, sev_guest, snp,
        tdx::{self, Rtmr},
        tsm::{Provider, Tsm},
    },
    config::Evidence,
};

/// Name of the report entry.
const ENTRY: &str = "podseal";
const OTHER: &str = "correct node.profile, or evidence.tsm: this guest's reports are of another kind";

pub(in super::super) struct Guest {
    profile: Profile,
    evidence: Evidence,
    limits: Limits,
    key: Option<NodeKey>,
}

impl Guest {
    pub(super) fn new(config: OwnerConfig) -> Self {
        Self { profile: config.profile, evidence: config.evidence, limits: config.limits, key: None }
    }

    fn own_key(&mut self) -> Result<&NodeKey, TpmError> {
        let key = match self.key.take() {
            Some(key) => key,
            None => NodeKey::load(&self.evidence.key, &self.limits)?,
        };
        Ok(self.key.insert(key))
    }

    fn tsm(&self) -> Tsm {
        Tsm { folder: self.evidence.tsm.clone(), entry: ENTRY, privlevel: self.evidence.privlevel }
    }

    /// By configfs-tsm, or by the device where there is none.
    fn snp(&self, data: &ReportData) -> Result<Vec<Part>, CollectError> {
        let (report, table) = if self.evidence.tsm.exists() {
            let report = self.tsm().collect(data)?;
            is_of(&self.evidence.tsm, &report.provider, &Provider::SevGuest)?;
            (report.report, report.auxiliary)
        } else {
            let report = sev_guest::collect(&self.evidence.sev_guest, data, self.evidence.privlevel.unwrap_or(0))?;
            (report.report, report.certificates)
        };
        snp::answers(&self.evidence.tsm, &report, data)?;
        Ok(vec![Part::SnpReport { report, certificates: table.unwrap_or_default() }])
    }

    fn tdx(&self, data: &ReportData) -> Result<Vec<Part>, CollectError> {
        let quote = self.tsm().collect(data)?;
        is_of(&self.evidence.tsm, &quote.provider, &Provider::TdxGuest)?;
        let log = tdx::ccel(&self.evidence.ccel_table, &self.evidence.ccel, self.limits.evidence_part)?.log;
        Ok(vec![Part::BootLog(log), Part::TdQuote(quote.report)])
    }

    fn rtmr(&self) -> Rtmr {
        Rtmr(self.evidence.rtmr.clone())
    }
}

fn is_of(path: &Path, found: &Provider, wanted: &Provider) -> Result<(), CollectError> {
    let (found_word, wanted_word) = (found.as_str().to_owned(), wanted.as_str().to_owned());
    let other = CollectError::Answer { path: path.to_owned(), what: "provider", found: found_word, wanted: wanted_word, remedy: OTHER };
    podseal_protocol::require(found == wanted, other)
}

impl Machine for Guest {
    fn signer(&mut self) -> Result<Vec<u8>, TpmError> {
        self.own_key().map(NodeKey::signer)
    }

    fn key(&mut self) -> Result<Vec<u8>, TpmError> {
        let key = NodeKey::load_or_make(&self.evidence.key, &self.limits)?;
        Ok(self.key.insert(key).spki())
    }
}

impl Collector for Guest {
    fn collect(&mut self, binding: &Digest) -> Result<Vec<Part>, TpmError> {
        let signed = self.own_key()?.sign(binding);
        let data = report_data(binding, self.profile);
        let mut parts = if self.profile == Profile::Snp { self.snp(&data)? } else { self.tdx(&data)? };
        parts.push(signed);
        Ok(parts)
    }

    fn pod_log_register(&self) -> Register {
        Register::Rtmr
    }

    fn register(&mut self) -> Result<BankDigest, TpmError> {
        Ok(self.rtmr().value().map(BankDigest::Sha384)?)
    }

    fn extend(&mut self, digest: &BankDigest) -> Result<(), TpmError> {
        match digest {
            BankDigest::Sha384(digest) => Ok(self.rtmr().extend(digest).map(drop)?),
            BankDigest::Sha256(_) => Err(TpmError::Answer { step: "RTMR3", found: "32 bytes".to_owned(), wanted: "48 bytes" }),
        }
    }
}
