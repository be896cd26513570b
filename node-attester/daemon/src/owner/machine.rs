//! The machine that evidence is collected from: which hardware proves this node, and how each is asked.

mod azure;
mod guest;
mod nitro;

use podseal_protocol::Profile;

use super::{Collector, Identity, OwnerConfig, TpmError, tpm::Tpm};
use azure::Vm;
use guest::Guest;
use nitro::Instance;

/// What proves this node: evidence, and the key that it is known by.
pub(super) trait Machine: Collector {
    /// What bindings have of the node's key.
    fn signer(&mut self) -> Result<Vec<u8>, TpmError>;

    /// The key that the node is to be known by, made where there is none.
    fn key(&mut self) -> Result<Vec<u8>, TpmError>;

    /// The TPM's identity, for credential activation; of hardware that is enrolled so.
    fn enrol(&mut self) -> Result<Identity, TpmError> {
        Err(enrolled_otherwise("the identity of a TPM"))
    }

    /// TPM2_ActivateCredential (TPM 2.0 Part 3, section 12.5); of hardware that is enrolled so.
    fn activate(&mut self, _credential: &[u8], _encrypted_secret: &[u8]) -> Result<[u8; 32], TpmError> {
        Err(enrolled_otherwise("TPM2_ActivateCredential"))
    }

    /// Forgets what proved this boot, where that is done once: the next evidence proves it anew.
    fn prove_anew(&mut self) {}
}

fn enrolled_otherwise(step: &'static str) -> TpmError {
    TpmError::Answer { step, found: "another profile".to_owned(), wanted: "node.profile = \"tpm\"" }
}

/// The hardware that the configuration says.
pub(super) fn of(config: OwnerConfig) -> Box<dyn Machine> {
    match config.profile {
        Profile::Tpm => Box::new(Tpm::new(config)),
        Profile::AzureSnp => Box::new(Vm::new(config)),
        Profile::NitroTpm => Box::new(Instance::new(config)),
        Profile::Snp | Profile::Tdx => Box::new(Guest::new(config)),
    }
}

impl Machine for Tpm {
    fn signer(&mut self) -> Result<Vec<u8>, TpmError> {
        self.closing_on_error(Self::ak_name)
    }

    fn key(&mut self) -> Result<Vec<u8>, TpmError> {
        self.closing_on_error(Self::make_ak)
    }

    fn enrol(&mut self) -> Result<Identity, TpmError> {
        self.closing_on_error(Self::identity)
    }

    fn activate(&mut self, credential: &[u8], encrypted_secret: &[u8]) -> Result<[u8; 32], TpmError> {
        self.closing_on_error(|tpm| tpm.recovered(credential, encrypted_secret))
    }
}
