//! A node's hardware in an attacker's hands: evidence is collected by the attester's own code, changed, and sent for the node alone.

use std::pin::Pin;

use podseal_node_attester::collect::azure;
use podseal_node_attester::config::Config;
use podseal_node_attester::enrol::owner_config;
use podseal_node_attester::owner::{Owner, OwnerConfig, TpmError, connect};
use podseal_protocol::Limits;
use podseal_protocol::binding::{BindingInputs, PodLogHead, binding};
use podseal_protocol::evidence::{Evidence, Part};
use podseal_protocol::exchange::{Exchange, Outcome};
use podseal_protocol::join::{Activation, ActivationReply, Join, Proof};
use podseal_protocol::{Digest, Purpose};
use podseal_wire::{ChallengeRequest, Message};

use super::counterfeit::parsed;
use super::machine::Machine;
use super::node::{self, NodeOptions};
use super::{Admin, Counterfeit, Site};
use crate::cri::runtime;
use crate::error::BenchError;

/// A machine, enrolled or not, whose attester is the attacker's. No pod log is kept.
pub struct Forger {
    config: Config,
    owner: OwnerConfig,
    machine: Machine,
    admin: Admin,
    verifier: Digest,
}

/// A challenge, and what hardware has to sign for it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The challenge, as it was issued.
    pub challenge: Vec<u8>,
    /// The binding of evidence without leaves.
    pub binding: Digest,
    purpose: Purpose,
}

impl Forger {
    /// A machine as `options` say, which is not enrolled yet.
    pub fn new(site: &Site, options: &NodeOptions) -> Result<Self, BenchError> {
        let (dir, _) = site.node_folder();
        let machine = Machine::boot_on(site, &dir, (&options.name, &options.uid), &options.boot, options.profile)?;
        let options = NodeOptions { pod_log: false, ..options.clone() };
        let around = site.surroundings(&options, dir.join("no-runtime"), dir.join("pub"));
        node::write_config(&machine, &around)?;
        let config = parsed(&machine.config(&around))?;
        let owner = owner_config(&config);
        Ok(Self { config, owner, machine, admin: site.admin().clone(), verifier: site.verifier().digest() })
    }

    /// [`Forger::new`], and enrols it by the shipped program.
    pub fn enrolled(site: &Site, options: &NodeOptions) -> Result<Self, BenchError> {
        let forger = Self::new(site, options)?;
        node::enrol(site, site.cluster().id(), &forger.machine, &forger.machine.dir().join("attester.toml"))?;
        Ok(forger)
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine, to be booted again.
    pub fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// The key that it is, or would be, known by.
    pub fn key(&self) -> Result<Vec<u8>, BenchError> {
        self.with_owner(|owner| Box::pin(owner.key()))
    }

    /// What its bindings have of that key.
    pub fn signer(&self) -> Result<Vec<u8>, BenchError> {
        self.with_owner(|owner| Box::pin(owner.signer()))
    }

    /// A fresh challenge, and the honest binding of evidence that answers it.
    pub fn ask(&self, purpose: Purpose) -> Result<Asked, BenchError> {
        self.ask_as(purpose, &self.signer()?)
    }

    /// [`Forger::ask`], with another signer in the binding.
    pub fn ask_as(&self, purpose: Purpose, signer: &[u8]) -> Result<Asked, BenchError> {
        let request = ChallengeRequest { node: self.config.node.name.clone(), purpose: purpose.as_str().into() };
        let challenge = self.admin.call_attestation(|mut client| async move { client.get_challenge(request).await })?.body;
        let inputs = BindingInputs {
            challenge: Digest::of(&challenge),
            purpose,
            verifier: self.verifier,
            node: &self.config.node.name,
            signer,
            profile: self.config.node.profile.as_str(),
            boot_id: &self.boot_id()?,
            pod_log: PodLogHead::NONE,
        };
        Ok(Asked { binding: binding(&inputs, &[]), challenge, purpose })
    }

    /// What its hardware gives over any binding; what proves the boot is made anew.
    pub fn collect(&self, over: &Digest) -> Result<Vec<Part>, BenchError> {
        let over = *over;
        Ok(self.with_owner(|owner| Box::pin(owner.collect(0, move |_| over)))?.parts)
    }

    /// A quote by the key that every program of an Azure VM may use.
    pub fn quote_by_shared_ak(&self, over: &Digest) -> Result<Part, BenchError> {
        let failed = |error: TpmError| BenchError::answer("the TPM", error.to_string(), "a quote");
        let mut context = connect(&self.config.tpm.tcti).map_err(failed)?;
        azure::quote(&mut context, &self.config.tpm.pcrs, over).map_err(failed)
    }

    /// How tools reach its TPM.
    pub fn tcti(&self) -> String {
        self.config.tpm.tcti.to_string()
    }

    /// Sends parts as evidence; the reason of a refusal, and under which audit id it is explained.
    pub fn send(&self, asked: &Asked, parts: Vec<Part>) -> Result<Option<(String, String)>, BenchError> {
        let exchange = Exchange::new(asked.challenge.clone(), self.evidence(parts)?.encode(), Vec::new(), Vec::new());
        let reply = Counterfeit::send_over(self.admin.channel(None)?, exchange.encode())?;
        Ok(reply.outcomes.into_iter().find_map(|(_, outcome)| match outcome {
            Outcome::Refused { reason, audit_id } => Some((reason, audit_id)),
            Outcome::Delivered(_) => None,
        }))
    }

    /// Sends parts as the proof of a request to join, with a token.
    ///
    /// # Errors
    /// [`BenchError::Runtime`] with the verifier's status.
    pub fn join(&self, asked: &Asked, token: &str, key: Vec<u8>, parts: Vec<Part>) -> Result<ActivationReply, BenchError> {
        assert_eq!(asked.purpose, Purpose::Join);
        let parts = parts.into_iter().filter(|part| !matches!(part, Part::BootLog(_))).collect();
        let join = Join {
            challenge: asked.challenge.clone(),
            token: token.into(),
            node: self.config.node.name.clone(),
            cluster: self.config.node.cluster.clone(),
            node_uid: self.config.node.uid.clone(),
            profile: self.config.node.profile.as_str().into(),
            key,
            proof: Proof::Evidence(self.evidence(parts)?.encode()),
        };
        let body = Activation { join: join.encode(), secret: None }.encode();
        let reply = self.admin.call_attestation(|mut client| async move { client.activate(Message { body }).await })?;
        ActivationReply::decode(&reply.body, &Limits::DEFAULT)
            .map_err(|error| BenchError::answer("Activate", error.to_string(), "an activation reply"))
    }

    fn evidence(&self, parts: Vec<Part>) -> Result<Evidence, BenchError> {
        let (node, profile) = (self.config.node.name.clone(), self.config.node.profile.as_str().to_owned());
        Ok(Evidence { node, profile, boot_id: self.boot_id()?, pod_log: PodLogHead::NONE, parts })
    }

    fn boot_id(&self) -> Result<String, BenchError> {
        let text = std::fs::read_to_string(self.machine.boot_id()).map_err(BenchError::io("read the boot id"))?;
        Ok(text.trim().to_owned())
    }

    /// The hardware has one client at a time: each question has an owner of its own, which has let go of it afterwards.
    fn with_owner<T>(
        &self,
        job: impl for<'o> FnOnce(&'o Owner) -> Pin<Box<dyn Future<Output = Result<T, TpmError>> + 'o>>,
    ) -> Result<T, BenchError> {
        let owner =
            Owner::start(OwnerConfig { pod_log: None, ..self.owner.clone() }).map_err(BenchError::io("start the hardware's owner"))?;
        let runtime = runtime()?;
        let done = runtime.block_on(job(&owner));
        let ended = runtime.block_on(owner.end());
        let failed = |error: TpmError| BenchError::answer("the hardware", error.to_string(), "what was asked of it");
        ended.map_err(failed)?;
        done.map_err(failed)
    }
}
