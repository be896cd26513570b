//! Enrolment by hand: a machine that is not enrolled, and every field of its request free.

use podseal_node_attester::enrol::owner_config;
use podseal_node_attester::owner::{Identity, Owner};
use podseal_protocol::join::{Activation, ActivationReply, Join, JoinReply, Proof};
use podseal_protocol::{Limits, Purpose};
use podseal_wire::{ChallengeRequest, Message, pinned};

use super::{NodeOptions, PROFILE, Site, parsed};
use crate::cri::runtime;
use crate::error::BenchError;
use crate::site::Machine;
use crate::site::admin::Admin;

/// A machine on its way into the registry.
pub struct Joining {
    owner: Owner,
    identity: Identity,
    intermediates: Vec<Vec<u8>>,
    machine: Machine,
    admin: Admin,
    cluster: String,
}

impl Joining {
    /// Takes a machine that is not enrolled ([`Site::boot_machine`]), and has its TPM make an AK.
    pub fn new(site: &Site, machine: Machine) -> Result<Self, BenchError> {
        let dir = machine.dir().to_path_buf();
        let around = site.surroundings(&NodeOptions::new(site, machine.name()), dir.join("no-runtime"), dir.join("pub"));
        let config = parsed(&machine.config(&around))?;
        let owner = Owner::start(owner_config(&config)).map_err(BenchError::io("start the TPM's owner"))?;
        let identity = runtime()?.block_on(owner.enrol());
        let identity = identity.map_err(|error| BenchError::answer("the TPM", error.to_string(), "EK and AK"))?;
        let issuer = site.ek_issuer();
        let pem = std::fs::read(&issuer).map_err(BenchError::io(format!("read {}", issuer.display())))?;
        let intermediates = pinned::pem_certificates(&pem).map_err(|error| BenchError::answer("the EK's issuer", error, "PEM"))?;
        Ok(Self { owner, identity, intermediates, machine, admin: site.admin().clone(), cluster: site.cluster().id().to_owned() })
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The keys of its TPM.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The honest request with a fresh challenge; an empty token asks for approval.
    pub fn request(&self, token: &str) -> Result<Join, BenchError> {
        let asked = ChallengeRequest { node: self.machine.name().into(), purpose: Purpose::Join.as_str().into() };
        let challenge = self.admin.call_attestation(|mut client| async move { client.get_challenge(asked).await })?.body;
        Ok(Join {
            challenge,
            token: token.into(),
            node: self.machine.name().into(),
            cluster: self.cluster.clone(),
            node_uid: self.machine.uid().into(),
            profile: PROFILE.into(),
            key: self.identity.ak_public.clone(),
            proof: Proof::Ek {
                certificate: self.identity.ek_certificate.clone(),
                intermediates: self.intermediates.clone(),
                public: self.identity.ek_public.clone(),
            },
        })
    }

    /// First step: sends a request, gets a credential.
    ///
    /// # Errors
    /// [`BenchError::Runtime`] with the verifier's status; its metadata has `podseal-reason` and `podseal-audit-id`.
    pub fn join(&self, request: &Join) -> Result<JoinReply, BenchError> {
        let body = request.encode();
        let reply = self.admin.call_attestation(|mut client| async move { client.join(Message { body }).await })?;
        JoinReply::decode(&reply.body, &Limits::DEFAULT).map_err(|error| BenchError::answer("Join", error.to_string(), "a join reply"))
    }

    /// Has the TPM open a credential: TPM2_ActivateCredential.
    pub fn open(&self, credential: JoinReply) -> Result<[u8; 32], BenchError> {
        let opened = runtime()?.block_on(self.owner.activate(credential.credential, credential.encrypted_secret));
        opened.map_err(|error| BenchError::answer("the TPM", error.to_string(), "the activation secret"))
    }

    /// Second step: sends the secret.
    ///
    /// # Errors
    /// As [`Joining::join`].
    pub fn activate(&self, request: &Join, secret: [u8; 32]) -> Result<ActivationReply, BenchError> {
        let body = Activation { join: request.encode(), secret: Some(secret) }.encode();
        let reply = self.admin.call_attestation(|mut client| async move { client.activate(Message { body }).await })?;
        ActivationReply::decode(&reply.body, &Limits::DEFAULT)
            .map_err(|error| BenchError::answer("Activate", error.to_string(), "an activation reply"))
    }
}
