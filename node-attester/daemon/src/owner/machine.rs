//! The machine that evidence is collected from: which hardware proves this node, and how each is asked.

mod azure;
mod guest;
mod nitro;

use podseal_protocol::{BankDigest, Digest, Profile, evidence::Part, pod_log::Register};

use super::{Collector, Identity, OwnerConfig, TpmError, tpm::Tpm};
use azure::Vm;
use guest::Guest;
use nitro::Instance;

/// The hardware, asked by one thread.
pub(super) enum Machine {
    Tpm(Tpm),
    Azure(Vm),
    Nitro(Instance),
    Guest(Guest),
}

impl Machine {
    pub(super) fn new(config: OwnerConfig) -> Self {
        match config.profile {
            Profile::Tpm => Self::Tpm(Tpm::new(config)),
            Profile::AzureSnp => Self::Azure(Vm::new(config)),
            Profile::NitroTpm => Self::Nitro(Instance::new(config)),
            Profile::Snp | Profile::Tdx => Self::Guest(Guest::new(config)),
        }
    }

    /// What bindings have of the node's key.
    pub(super) fn signer(&mut self) -> Result<Vec<u8>, TpmError> {
        match self {
            Self::Tpm(tpm) => tpm.closing_on_error(Tpm::ak_name),
            Self::Azure(vm) => vm.tpm().closing_on_error(Tpm::ak_name),
            Self::Nitro(instance) => instance.module_id().map(String::into_bytes),
            Self::Guest(guest) => guest.signer(),
        }
    }

    /// The key that the node is to be known by, made where there is none.
    pub(super) fn key(&mut self) -> Result<Vec<u8>, TpmError> {
        match self {
            Self::Tpm(tpm) => tpm.closing_on_error(Tpm::make_ak),
            Self::Azure(vm) => vm.tpm().closing_on_error(Tpm::make_ak),
            Self::Nitro(instance) => instance.module_id().map(String::into_bytes),
            Self::Guest(guest) => guest.make_key(),
        }
    }

    /// The TPM's identity, for credential activation; of hardware that is enrolled so.
    pub(super) fn enrol(&mut self) -> Result<Identity, TpmError> {
        self.activated("the identity of a TPM", Tpm::enrol)
    }

    pub(super) fn activate(&mut self, credential: &[u8], encrypted_secret: &[u8]) -> Result<[u8; 32], TpmError> {
        self.activated("TPM2_ActivateCredential", |tpm| tpm.activate(credential, encrypted_secret))
    }

    /// Forgets what proved this boot: the next evidence proves it anew.
    pub(super) fn prove_anew(&mut self) {
        if let Self::Azure(vm) = self {
            vm.prove_anew();
        }
    }

    fn activated<T>(&mut self, step: &'static str, job: impl Fn(&mut Tpm) -> Result<T, TpmError>) -> Result<T, TpmError> {
        match self {
            Self::Tpm(tpm) => tpm.closing_on_error(job),
            _ => Err(TpmError::Answer { step, found: "another profile".to_owned(), wanted: "node.profile = \"tpm\"" }),
        }
    }

    fn collector(&mut self) -> &mut dyn Collector {
        match self {
            Self::Tpm(tpm) => tpm,
            Self::Azure(vm) => vm,
            Self::Nitro(instance) => instance,
            Self::Guest(guest) => guest,
        }
    }
}

impl Collector for Machine {
    fn collect(&mut self, binding: &Digest) -> Result<Vec<Part>, TpmError> {
        self.collector().collect(binding)
    }

    fn pod_log_register(&self) -> Register {
        match self {
            Self::Tpm(tpm) => tpm.pod_log_register(),
            Self::Azure(vm) => vm.pod_log_register(),
            Self::Nitro(instance) => instance.pod_log_register(),
            Self::Guest(guest) => guest.pod_log_register(),
        }
    }

    fn register(&mut self) -> Result<BankDigest, TpmError> {
        self.collector().register()
    }

    fn extend(&mut self, digest: &BankDigest) -> Result<(), TpmError> {
        self.collector().extend(digest)
    }
}
