//! An EC2 instance with `NitroTPM`: the hypervisor's document, which has the TPM's registers and names the instance.

use podseal_protocol::{Bank, BankDigest, Digest, evidence::Part, pod_log::Register};

use super::{
    super::{Collector, OwnerConfig, TpmError, pod_log, tpm::Tpm},
    Machine,
};
use crate::{
    collect::{nitro_tpm, nsm_message::Request},
    config::Tcti,
};

/// The bank that documents tell.
const BANK: Bank = Bank::Sha384;

pub(in super::super) struct Instance {
    tpm: Tpm,
    tcti: Tcti,
    module_id: Option<String>,
}

impl Instance {
    pub(super) fn new(config: OwnerConfig) -> Self {
        Self { tcti: config.tcti.clone(), tpm: Tpm::new(config), module_id: None }
    }

    /// How the hypervisor calls this instance, by a document over nothing.
    fn module_id(&mut self) -> Result<String, TpmError> {
        if let Some(id) = &self.module_id {
            return Ok(id.clone());
        }
        let document = self.document(None)?;
        let none = || TpmError::Answer { step: "attestation document", found: "none".to_owned(), wanted: "a module_id" };
        Ok(self.module_id.insert(nitro_tpm::module_id(&document).ok_or_else(none)?).clone())
    }

    /// The vendor's command goes over a connection of its own: a device without a resource manager has room for one.
    fn document(&mut self, nonce: Option<&[u8]>) -> Result<Vec<u8>, TpmError> {
        self.tpm.close();
        Ok(nitro_tpm::collect(&self.tcti, &Request { nonce, ..Request::default() })?)
    }
}

impl Machine for Instance {
    fn signer(&mut self) -> Result<Vec<u8>, TpmError> {
        self.module_id().map(String::into_bytes)
    }

    fn key(&mut self) -> Result<Vec<u8>, TpmError> {
        self.module_id().map(String::into_bytes)
    }
}

impl Collector for Instance {
    fn collect(&mut self, binding: &Digest) -> Result<Vec<Part>, TpmError> {
        let document = self.document(Some(binding.as_ref()))?;
        Ok(vec![Part::BootLog(self.tpm.boot_log()?), Part::NitroDocument(document)])
    }

    fn pod_log_register(&self) -> Register {
        Register::Pcr(BANK)
    }

    fn register(&mut self) -> Result<BankDigest, TpmError> {
        self.tpm.with_context(|context| pod_log::register(context, BANK))
    }

    fn extend(&mut self, digest: &BankDigest) -> Result<(), TpmError> {
        self.tpm.with_context(|context| pod_log::extend(context, digest))
    }
}
