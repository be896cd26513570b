//! An Azure confidential VM on SEV-SNP: quotes by a key that only this attester uses, which the HCL's own key certifies once a boot, together
//! with a hardware report over the same binding.

use podseal_protocol::{BankDigest, Digest, Profile, binding::report_data, evidence::Part, pod_log::Register};

use super::{
    super::{Collector, OwnerConfig, TpmError, tpm::Tpm},
    Machine,
};
use crate::{collect::azure, config::Evidence};

pub(in super::super) struct Vm {
    tpm: Tpm,
    evidence: Evidence,
    /// What proved this boot: report and certification.
    proof: Option<[Part; 2]>,
}

impl Vm {
    pub(super) fn new(config: OwnerConfig) -> Self {
        Self { evidence: config.evidence.clone(), tpm: Tpm::new(config), proof: None }
    }

    /// The paravisor takes seconds for a report, and one is enough until the next boot.
    fn proof(&mut self, binding: &Digest) -> Result<[Part; 2], TpmError> {
        if let Some(proof) = &self.proof {
            return Ok(proof.clone());
        }
        let data = report_data(binding, Profile::AzureSnp);
        let wait = self.evidence.azure_wait;
        let collected = self.tpm.with_context(|context| azure::collect(context, &data, wait).map_err(TpmError::from))?;
        let (attest, signature) = self.tpm.certified(azure::certify, binding)?;
        let proof = [Part::HclReport(collected.hcl_report), Part::AkCertification { attest, signature }];
        Ok(self.proof.insert(proof).clone())
    }
}

impl Machine for Vm {
    fn signer(&mut self) -> Result<Vec<u8>, TpmError> {
        self.tpm.signer()
    }

    fn key(&mut self) -> Result<Vec<u8>, TpmError> {
        self.tpm.key()
    }

    fn prove_anew(&mut self) {
        self.proof = None;
    }
}

impl Collector for Vm {
    fn collect(&mut self, binding: &Digest) -> Result<Vec<Part>, TpmError> {
        let proof = self.proof(binding)?;
        let mut parts = self.tpm.collect(binding)?;
        parts.extend(proof);
        Ok(parts)
    }

    fn pod_log_register(&self) -> Register {
        self.tpm.pod_log_register()
    }

    fn register(&mut self) -> Result<BankDigest, TpmError> {
        self.tpm.register()
    }

    fn extend(&mut self, digest: &BankDigest) -> Result<(), TpmError> {
        self.tpm.extend(digest)
    }
}
