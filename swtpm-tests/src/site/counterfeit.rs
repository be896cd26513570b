//! An attester that lies: it has a real, enrolled machine and speaks the protocol by itself, so every field of a request can be another.
//!
//! It begins with the truth: [`Counterfeit::claim`] is what the shipped attester said about a real container, and [`Counterfeit::ask`] with it is answered
//! with the secret. A test changes one thing: a [`Claim`], the [`Plan`] before the TPM signs, or the exchange after it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use podseal_node_attester::config::Config;
use podseal_node_attester::enrol::owner_config;
use podseal_node_attester::owner::{Owner, OwnerConfig, TpmError};
use podseal_protocol::binding::{BindingInputs, PodLogHead, binding};
use podseal_protocol::evidence::{Evidence, Part};
use podseal_protocol::exchange::{Exchange, ExchangeReply};
use podseal_protocol::pod_log::REGISTER;
use podseal_protocol::{Digest, Limits, Purpose};
use podseal_wire::{ChallengeRequest, Message};
use tonic::{Code, transport::Channel};

mod answer;
mod claim;
mod joining;
mod pod_log;

pub use answer::Answer;
pub use claim::Claim;
pub use joining::Joining;
pub use pod_log::{PodLog, started};

use super::admin::{self, Admin};
use super::machine::Machine;
use super::{NodeOptions, Site, Workload, node};
use crate::bootlog::Boot;
use crate::cri::runtime;
use crate::error::BenchError;

const PROFILE: &str = "tpm";
/// How often an exchange is sent once more, while others change what it is decided by.
const ASKED_AGAIN: usize = 20;

/// An enrolled machine in the attacker's hands.
pub struct Counterfeit {
    owner: Mutex<Option<(Vec<u8>, Owner)>>,
    config: OwnerConfig,
    machine: Machine,
    admin: Admin,
    verifier: Digest,
    honest: Claim,
    pod_log: Mutex<Option<PodLog>>,
}

/// A request before the TPM signs it. An honest one says the same in `signed` and in `evidence`, and binds all its leaves.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The challenge to be sent.
    pub challenge: Vec<u8>,
    /// What goes into the binding.
    pub signed: Signed,
    /// What the evidence says; its parts come from the TPM.
    pub evidence: Evidence,
    /// Registers to be quoted, ascending.
    pub pcrs: Vec<u8>,
    /// Number of the first record of the pod log to be sent, and the records.
    pub pod_log: Option<(u64, Vec<u8>)>,
    /// The leaves to be sent.
    pub leaves: Vec<Vec<u8>>,
    /// The attachments to be sent.
    pub attachments: Vec<Vec<u8>>,
}

/// Everything that the quote's qualifying data covers ([`BindingInputs`]), and the leaves.
#[derive(Clone, Debug)]
pub struct Signed {
    /// `h(challenge)`.
    pub challenge: Digest,
    /// What the evidence may be used for.
    pub purpose: Purpose,
    /// The verifier.
    pub verifier: Digest,
    /// The node.
    pub node: String,
    /// Name of the AK.
    pub signer: Vec<u8>,
    /// The evidence profile.
    pub profile: String,
    /// The boot id.
    pub boot_id: String,
    /// Where the pod log stands.
    pub pod_log: PodLogHead,
    /// Digests of the leaves.
    pub leaves: Vec<Digest>,
}

impl Signed {
    /// The binding that the TPM is to sign.
    pub fn binding(&self) -> Digest {
        let inputs = BindingInputs {
            challenge: self.challenge,
            purpose: self.purpose,
            verifier: self.verifier,
            node: &self.node,
            signer: &self.signer,
            profile: &self.profile,
            boot_id: &self.boot_id,
            pod_log: self.pod_log,
        };
        binding(&inputs, &self.leaves)
    }
}

impl Counterfeit {
    /// Boots and enrols the machine `name` as the site's nodes are, entitles the payment API of `namespace` on it and on the shared honest node, runs that
    /// once on the honest node, and takes its claim as the template. It keeps an honest pod log.
    pub fn enrol(site: &Site, name: &str, namespace: &str) -> Result<Self, BenchError> {
        Self::enrol_booted(site, name, namespace, site.boot())
    }

    /// [`Counterfeit::enrol`], with a machine that has not begun its pod log.
    pub fn enrol_unlogged(site: &Site, name: &str, namespace: &str) -> Result<Self, BenchError> {
        Self::enrolled(site, name, namespace, site.boot())
    }

    /// [`Counterfeit::enrol`], with a machine that boots something else.
    pub fn enrol_booted(site: &Site, name: &str, namespace: &str, boot: &Boot) -> Result<Self, BenchError> {
        let node = Self::enrolled(site, name, namespace, boot)?;
        node.keep_pod_log()?;
        Ok(node)
    }

    fn enrolled(site: &Site, name: &str, namespace: &str, boot: &Boot) -> Result<Self, BenchError> {
        let (dir, _) = site.node_folder();
        let machine = Machine::boot(site, &dir, name, &format!("uid-of-{name}"), boot, false)?;
        let around = site.surroundings(&NodeOptions::new(site, name), dir.join("no-runtime"), dir.join("pub"));
        let file = node::write_config(&machine, &around)?;
        node::enrol(site, site.cluster().id(), &machine, &file)?;
        let config = parsed(&machine.config(&around))?;

        let (workload, honest_node) = (Workload::new(site, namespace), site.node()?);
        site.put_secret(&format!("{namespace}/db"), crate::sandbox::random_name()?.as_bytes())?;
        let nodes = format!("[\"{}\", \"{name}\"].contains(context.node)", honest_node.name());
        site.allow(&workload.permit(site, honest_node)?.when("context.node", &nodes))?;
        let honest = Claim::of_real_container(site, &machine, &workload, honest_node)?;
        Ok(Self {
            owner: Mutex::new(None),
            config: owner_config(&config),
            machine,
            admin: site.admin().clone(),
            verifier: site.verifier().digest(),
            honest,
            pod_log: Mutex::new(None),
        })
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Boots the machine again, as `boot` says, and begins its pod log anew. Lets go of its TPM.
    pub fn reboot(&mut self, boot: &Boot) -> Result<(), BenchError> {
        self.machine_mut().reboot(boot)?;
        self.keep_pod_log()
    }

    /// The machine, to be changed. Lets go of its TPM.
    pub fn machine_mut(&mut self) -> &mut Machine {
        self.release_tpm();
        &mut self.machine
    }

    /// Lets go of the TPM, so that a test may talk to it.
    pub fn release_tpm(&self) {
        let kept = self.owner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _away_already = kept.map(|(_, owner)| end(&owner));
    }

    /// The honest claim, with a fresh key and salt.
    pub fn claim(&self) -> Result<Claim, BenchError> {
        self.honest.renewed(self.verifier)
    }

    /// A fresh challenge for a node, for `release`.
    pub fn challenge_for(&self, node: &str, purpose: Purpose) -> Result<Vec<u8>, BenchError> {
        let request = ChallengeRequest { node: node.into(), purpose: purpose.as_str().into() };
        Ok(self.admin.call_attestation(|mut client| async move { client.get_challenge(request).await })?.body)
    }

    /// An honest plan for these claims, with a fresh challenge.
    pub fn plan(&self, claims: &[&Claim]) -> Result<Plan, BenchError> {
        let challenge = self.challenge_for(self.machine.name(), Purpose::Release)?;
        let (boot_id, log) = (self.boot_id()?, self.pod_log());
        let leaves: Vec<Vec<u8>> = claims.iter().map(|claim| claim.leaf.encode()).collect();
        let (node, profile) = (self.machine.name().to_owned(), PROFILE.to_owned());
        let pod_log = log.as_ref().map_or(PodLogHead::NONE, |log| log.head);
        let pcrs = self.registers();
        let signed = Signed {
            challenge: Digest::of(&challenge),
            purpose: Purpose::Release,
            verifier: self.verifier,
            node: node.clone(),
            signer: self.signer()?,
            profile: profile.clone(),
            boot_id: boot_id.clone(),
            pod_log,
            leaves: leaves.iter().map(|leaf| Digest::of(leaf)).collect(),
        };
        let evidence = Evidence { node, profile, boot_id, pod_log, parts: Vec::new() };
        let attachments = claims.iter().flat_map(|claim| claim.attachments()).collect();
        Ok(Plan { challenge, signed, evidence, pcrs, pod_log: log.map(|log| (0, log.bytes(0))), leaves, attachments })
    }

    /// The machine's boot id.
    fn boot_id(&self) -> Result<String, BenchError> {
        let text = std::fs::read_to_string(self.machine.boot_id()).map_err(BenchError::io("read the boot id"))?;
        Ok(text.trim().to_owned())
    }

    /// Has the TPM sign a plan, and puts the exchange together.
    pub fn collect(&self, plan: Plan) -> Result<Exchange, BenchError> {
        let mut parts = self.quote(&plan.signed.binding(), &plan.pcrs)?;
        parts.extend(plan.pod_log.map(|(from, records)| Part::PodLog { from, records }));
        let evidence = Evidence { parts, ..plan.evidence };
        Ok(Exchange::new(plan.challenge, evidence.encode(), plan.leaves, plan.attachments))
    }

    /// A quote over these registers with this qualifying data, and the event log.
    pub fn quote(&self, qualifying: &Digest, pcrs: &[u8]) -> Result<Vec<Part>, BenchError> {
        let qualifying = *qualifying;
        self.with_owner(pcrs, |owner| {
            runtime().map(|runtime| runtime.block_on(owner.collect(0, move |_| qualifying)).map(|collected| collected.parts))
        })
    }

    /// What an honest quote covers.
    fn registers(&self) -> Vec<u8> {
        let mut pcrs = self.config.pcrs.clone();
        pcrs.extend(self.pod_log().map(|_| REGISTER));
        pcrs
    }

    /// The name of the machine's AK. The owner that tells it is the one that an honest quote takes: of two, one after the other, the first may flush
    /// what the second has just loaded.
    pub fn signer(&self) -> Result<Vec<u8>, BenchError> {
        self.with_owner(&self.registers(), |owner| runtime().map(|runtime| runtime.block_on(owner.signer())))
    }

    /// Sends an exchange: one answer a leaf, in their order.
    pub fn send(&self, exchange: &Exchange) -> Result<Vec<Answer>, BenchError> {
        Ok(self.send_bytes(exchange.encode())?.outcomes.into_iter().map(Answer::from).collect())
    }

    /// Sends bytes as an exchange.
    ///
    /// # Errors
    /// [`BenchError::Runtime`] with the verifier's status, where it did not take them for an exchange.
    pub fn send_bytes(&self, body: Vec<u8>) -> Result<ExchangeReply, BenchError> {
        Self::send_over(self.admin.channel(None)?, body)
    }

    /// [`Counterfeit::send_bytes`] over a connection that is kept, as an attester keeps its own. Where other tests changed policy or registry meanwhile,
    /// nothing was decided, and it asks again, as clients do.
    pub fn send_over(channel: Channel, body: Vec<u8>) -> Result<ExchangeReply, BenchError> {
        let ask = || {
            let (channel, body) = (channel.clone(), body.clone());
            admin::over(channel, |mut client| async move { client.exchange(Message { body }).await })
        };
        let moving = |reply: &Result<Message, BenchError>| matches!(reply, Err(BenchError::Runtime { status, .. }) if status.code() == Code::Aborted);
        let mut reply = ask();
        for _ in 0..ASKED_AGAIN {
            if !moving(&reply) {
                break;
            }
            reply = ask();
        }
        let reply = reply?;
        ExchangeReply::decode(&reply.body, &Limits::DEFAULT)
            .map_err(|error| BenchError::answer("the verifier", error.to_string(), "an exchange reply"))
    }

    /// Plans, collects and sends these claims, honestly.
    pub fn ask(&self, claims: &[&Claim]) -> Result<Vec<Answer>, BenchError> {
        self.send(&self.collect(self.plan(claims)?)?)
    }

    /// [`Counterfeit::ask`] with one claim.
    pub fn ask_one(&self, claim: &Claim) -> Result<Answer, BenchError> {
        let answer = self.ask(&[claim])?.pop();
        answer.ok_or_else(|| BenchError::answer("the verifier", "no outcome", "one for the leaf"))
    }

    /// The TPM has one client at a time: one owner is kept, until other registers are wanted.
    fn with_owner<T>(&self, pcrs: &[u8], job: impl FnOnce(&Owner) -> Result<Result<T, TpmError>, BenchError>) -> Result<T, BenchError> {
        let mut kept = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = match kept.take() {
            Some((known, owner)) if known == pcrs => owner,
            other => {
                let _away_already = other.map(|(_, owner)| end(&owner));
                let config = OwnerConfig { pcrs: pcrs.to_vec(), pod_log: None, ..self.config.clone() };
                Owner::start(config).map_err(BenchError::io("start the TPM's owner"))?
            }
        };
        let (_, owner) = kept.insert((pcrs.to_vec(), owner));
        job(owner)?.map_err(|error| BenchError::answer("the TPM", error.to_string(), "what was asked of it"))
    }
}

/// Whoever talks to the TPM next is alone: an owner that is only dropped goes on flushing for a while.
fn end(owner: &Owner) -> Result<(), BenchError> {
    let ended = runtime()?.block_on(owner.end());
    ended.map_err(|error| BenchError::answer("the TPM", error.to_string(), "to be let go"))
}

pub(super) fn parsed(config: &str) -> Result<Config, BenchError> {
    Config::parse("attester.toml", config)
        .map_err(|error| BenchError::answer("the attester's configuration", error.to_string(), "a good one"))
}

/// How long a challenge lives, for tests that outlive one.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(podseal_protocol::CHALLENGE_LIFETIME);
