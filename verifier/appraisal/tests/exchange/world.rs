//! One exchange, complete and honest unless it is changed: verifier, node, cluster, pods, registry, references, policy and secrets.

mod boot;
mod node_log;
mod pod;
mod policies;
mod tokens;
mod tpm;

use podseal_appraisal::{
    appraiser::{Appraisal, Cluster, Context, Registration, appraise},
    batch::Unverified,
    claims::RootKind,
    continuity::NodeState,
    decision::{Decision, decide},
    eventlog::ReplayedLog,
    explanation::Explanation,
    layout::Layout,
    machine::{Gathered, Hardware, QUOTED_REGISTERS},
    pod_log::PodLogState,
    policy::{Policy, PolicyLimits},
    recheck::{OfLeaf, Shared},
    records::{ClusterRecord, NodeRecord, SecretRecord},
    reference::{Capture, Reference, capture},
    tpm::PcrSet,
};
use podseal_protocol::{
    Bank, Challenge, Digest, Limits, MacKey, Purpose,
    binding::{BindingInputs, PodLogHead, binding},
    evidence::{Evidence, Part},
    exchange::Exchange,
    pod_log::REGISTER,
};

pub(crate) use boot::{Event, NO_ACTION, event, log, measured, register, without_secure_boot};
pub(crate) use node_log::{NodeLog, Written, started, state_after};
pub(crate) use pod::{NODE_UID, Pod, PodBytes};
pub(crate) use policies::{SECRETS, every_claim, reviewed};
pub(crate) use tokens::{RSA, Signer, cluster, other_cluster};
pub(crate) use tpm::{AKS, ECC, Quote, SHA256, SIGNING, ak_public, ecc_public, modulus, name, rsa_public, sign};

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const REFERENCES_EXPIRE: u64 = 1_900_000_000;
const OUR_MAC: u8 = 1;

pub(crate) fn mac_key(seed: u8) -> MacKey {
    MacKey::new([seed; 32].into())
}

/// Evidence, leaves and attachments, bound and signed, on their way.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) challenge: Vec<u8>,
    pub(crate) parts: Vec<Part>,
    pub(crate) leaves: Vec<Vec<u8>>,
    pub(crate) attachments: Vec<Vec<u8>>,
}

/// Everything that goes into one exchange and its decisions.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) verifier: Digest,
    pub(crate) now: u64,
    /// Which key MACs the challenge; 1 is the verifier's.
    pub(crate) mac: u8,
    pub(crate) challenge: Challenge,
    pub(crate) evidence: Evidence,
    pub(crate) measured: Vec<Event>,
    /// This log instead of that of `measured`.
    pub(crate) log: Option<Vec<u8>>,
    /// Which machine's AK signs.
    pub(crate) signer: usize,
    /// Changes the quote before it is signed.
    pub(crate) quote: fn(&mut Quote),
    /// Changes what was bound and signed.
    pub(crate) on_the_way: fn(&mut Sent),
    pub(crate) pods: Vec<Pod>,
    /// `None`: the node keeps no pod log.
    pub(crate) pod_log: Option<NodeLog>,
    /// What the verifier kept of it.
    pub(crate) kept: Option<PodLogState>,
    pub(crate) registered: Option<NodeRecord>,
    /// Where the node's TPM stood before.
    pub(crate) state: Option<NodeState>,
    pub(crate) cluster: Option<ClusterRecord>,
    pub(crate) references: Vec<String>,
    pub(crate) policy: Option<String>,
    pub(crate) secrets: Vec<SecretRecord>,
}

/// What the verifier keeps between exchanges.
#[derive(Debug)]
pub(crate) struct Prepared {
    verifier: Digest,
    registration: Option<Registration>,
    state: Option<NodeState>,
    cluster: Option<Cluster>,
    kept: Option<PodLogState>,
    references: Vec<Reference>,
    policy: Option<Policy>,
    secrets: Vec<SecretRecord>,
    hardware: Hardware,
    endorsements: Gathered,
}

/// One exchange, decided.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) batch: Unverified,
    pub(crate) appraisal: Appraisal,
    pub(crate) decisions: Vec<Decision>,
}

impl World {
    /// One replica, under the policy that pins every claim.
    pub(crate) fn honest() -> Self {
        let mut world = Self::of_replicas(1);
        world.policy = Some(every_claim(&world.verifier, &world.pods[0]));
        world
    }

    /// So many replicas in one batch, under the reviewed policy.
    pub(crate) fn of_replicas(count: usize) -> Self {
        let verifier = Digest::of(b"the verifier's root");
        let measured = boot::measured();
        Self {
            verifier,
            now: NOW,
            mac: OUR_MAC,
            challenge: Challenge {
                verifier,
                epoch: 3,
                purpose: Purpose::Release,
                node: "node-a".to_owned(),
                issued: NOW - 5,
                expires: NOW + 55,
                random: [0x5e; 32],
            },
            evidence: Evidence {
                node: "node-a".to_owned(),
                profile: "tpm".to_owned(),
                boot_id: "c0ffee00-0000-4000-8000-000000000001".to_owned(),
                pod_log: PodLogHead::NONE,
                parts: Vec::new(),
            },
            references: vec![golden(&measured, REFERENCES_EXPIRE)],
            measured,
            log: None,
            signer: 0,
            quote: |_| (),
            on_the_way: |_| (),
            pods: (0..count).map(|index| Pod::payment_api(index, &verifier, NOW)).collect(),
            pod_log: Some(NodeLog::default()),
            kept: None,
            registered: Some(node_a()),
            state: None,
            cluster: Some(cluster()),
            policy: Some(reviewed(&verifier)),
            secrets: SECRETS.map(secret).to_vec(),
        }
    }

    /// The same, where the node keeps no pod log.
    pub(crate) fn without_pod_log(mut self) -> Self {
        self.pod_log = None;
        self
    }

    /// The secrets' owner accepts one more weakness.
    pub(crate) fn accept(&mut self, word: &str) {
        for secret in &mut self.secrets {
            secret.accepts.push(word.to_owned());
            secret.accepts.sort();
        }
    }

    /// The same, after an exchange that was answered: the verifier kept the pod log, and nothing happened since.
    pub(crate) fn going_on(mut self) -> Self {
        let written = self.written().unwrap();
        self.kept = Some(state_after(&written, u64::MAX));
        self.pod_log.as_mut().unwrap().from = written.head.length;
        self
    }

    /// The pod log as it stands.
    pub(crate) fn written(&self) -> Option<Written> {
        self.pod_log.as_ref().map(|log| log.written(&self.evidence.boot_id, &self.pods))
    }

    /// The exchange as the node sends it.
    pub(crate) fn exchange(&self) -> Vec<u8> {
        let challenge = self.challenge.issue(&mac_key(self.mac));
        let pods: Vec<PodBytes> = self.pods.iter().map(Pod::bytes).collect();
        let digests: Vec<Digest> = pods.iter().map(|pod| Digest::of(&pod.leaf)).collect();
        let written = self.written();
        let pod_log = written.as_ref().map_or(self.evidence.pod_log, |written| written.head);
        let mut registers = boot::registers(&self.measured);
        registers.extend(written.as_ref().map(|written| (REGISTER, written.register)));
        let mut quote = Quote::honest(&self.binding(&challenge, &digests, pod_log), registers);
        (self.quote)(&mut quote);
        let attest = quote.attest();
        let signature = sign(self.signer, &attest);
        let log = self.log.clone().unwrap_or_else(|| boot::log(&self.measured));
        let attachments = pods.iter().flat_map(|pod| [pod.spec.clone(), pod.pod_set.clone(), pod.token.clone()]).collect();
        let mut parts = vec![Part::TpmQuote { attest, signature, pcrs: quote.values }, Part::BootLog(log)];
        let records = self.pod_log.as_ref().zip(written.as_ref());
        parts.extend(records.map(|(log, written)| Part::PodLog { from: log.from, records: log.bytes(written) }));
        let leaves = pods.into_iter().map(|pod| pod.leaf).collect();
        let mut sent = Sent { challenge, parts, leaves, attachments };
        (self.on_the_way)(&mut sent);
        let evidence = Evidence { parts: sent.parts, pod_log, ..self.evidence.clone() };
        Exchange::new(sent.challenge, evidence.encode(), sent.leaves, sent.attachments).encode()
    }

    /// The binding that an attester computes: its own AK's name, its own idea of verifier and node.
    fn binding(&self, challenge: &[u8], leaves: &[Digest], pod_log: PodLogHead) -> Digest {
        let public = self.registered.as_ref().map_or_else(|| ak_public(self.signer, SIGNING), |record| record.key.clone());
        let inputs = BindingInputs {
            challenge: Digest::of(challenge),
            purpose: Purpose::Release,
            verifier: self.verifier,
            node: &self.evidence.node,
            signer: &name(&public),
            profile: &self.evidence.profile,
            boot_id: &self.evidence.boot_id,
            pod_log,
        };
        binding(&inputs, leaves)
    }

    /// What the verifier holds, ready to use.
    pub(crate) fn prepared(&self) -> Prepared {
        Prepared {
            verifier: self.verifier,
            registration: self.registered.clone().map(Registration::new),
            state: self.state.clone(),
            cluster: self.cluster.clone().map(|record| Cluster::new(record).unwrap()),
            kept: self.kept.clone(),
            references: self.references.iter().map(|text| Reference::parse(text).unwrap()).collect(),
            policy: self.policy.as_deref().map(|text| Policy::parse(text, &PolicyLimits::DEFAULT).unwrap()),
            secrets: self.secrets.clone(),
            hardware: Hardware::none(),
            endorsements: Gathered::default(),
        }
    }

    /// The whole way, from bytes to decisions.
    pub(crate) fn run(&self) -> Run {
        self.prepared().run(&self.exchange(), self.now, None)
    }

    /// What the archive keeps of [`World::run`], for one leaf, and what was decided on it.
    pub(crate) fn archived(&self, index: usize) -> (Shared, OfLeaf, Explanation) {
        let run = self.run();
        let of_leaf = OfLeaf::new(u64::try_from(index).unwrap(), &[0x5a; 32], &self.secrets);
        (self.shared(&run), of_leaf, run.explanation(index))
    }

    /// What the archive keeps of a run, whatever its leaves are.
    pub(crate) fn shared(&self, run: &Run) -> Shared {
        Shared {
            exchange: self.exchange(),
            verifier: self.verifier,
            now: self.now,
            challenge_issued: run.batch.needs().challenge.issued_under(&mac_key(OUR_MAC)),
            node: self.registered.as_ref().map(NodeRecord::encode),
            state: self.state.as_ref().map(NodeState::encode),
            cluster: self.cluster.as_ref().map(ClusterRecord::encode),
            policy: self.policy.clone(),
            references: self.references.iter().map(|text| ("golden".to_owned(), text.clone())).collect(),
            pod_log: self.kept.as_ref().map(PodLogState::encode),
            hardware: None,
        }
    }
}

impl Prepared {
    pub(crate) fn context<'a>(&'a self, batch: &Unverified, now: u64, replayed: Option<&'a ReplayedLog>) -> Context<'a> {
        Context {
            verifier: self.verifier,
            now,
            challenge_issued: batch.needs().challenge.issued_under(&mac_key(OUR_MAC)),
            registration: self.registration.as_ref(),
            state: self.state.as_ref(),
            cluster: self.cluster.as_ref(),
            references: &self.references,
            hardware: &self.hardware,
            endorsements: &self.endorsements,
            replayed,
            pod_log: self.kept.as_ref(),
            limits: Limits::DEFAULT,
        }
    }

    pub(crate) fn appraise(&self, exchange: &[u8], now: u64, replayed: Option<&ReplayedLog>) -> (Unverified, Appraisal) {
        let batch = Unverified::parse(exchange, &Limits::DEFAULT).unwrap();
        let appraisal = appraise(&batch, &self.context(&batch, now, replayed));
        (batch, appraisal)
    }

    pub(crate) fn decide(&self, appraisal: &Appraisal) -> Vec<Decision> {
        appraisal.leaves().iter().map(|leaf| decide(appraisal, leaf, self.policy.as_ref(), &self.secrets)).collect()
    }

    pub(crate) fn run(&self, exchange: &[u8], now: u64, replayed: Option<&ReplayedLog>) -> Run {
        let (batch, appraisal) = self.appraise(exchange, now, replayed);
        let decisions = self.decide(&appraisal);
        Run { batch, appraisal, decisions }
    }
}

impl Run {
    pub(crate) fn explanation(&self, index: usize) -> Explanation {
        Explanation::of_decision(&self.batch, &self.appraisal, &self.appraisal.leaves()[index], &self.decisions[index])
    }
}

/// The registration of the honest machine, whose root is a test one.
pub(crate) fn node_a() -> NodeRecord {
    NodeRecord {
        node: "node-a".to_owned(),
        cluster: "prod-eu".to_owned(),
        node_uid: NODE_UID.to_owned(),
        profile: "tpm".to_owned(),
        machine: Digest::of(b"EK of node-a"),
        key: ak_public(0, SIGNING),
        root: "swtpm".to_owned(),
        root_kind: RootKind::Test,
        approved: true,
        quarantined: String::new(),
    }
}

pub(crate) fn secret(name: &str) -> SecretRecord {
    SecretRecord { name: name.to_owned(), version: 3, accepts: vec!["host-trusted".to_owned(), "test-root".to_owned()] }
}

/// Reference values as they are captured from a boot that somebody trusts.
pub(crate) fn golden(events: &[Event], expires: u64) -> String {
    let registers = PcrSet::of(QUOTED_REGISTERS).unwrap();
    let wanted = Capture { name: "golden", expires, bank: Bank::Sha256, layout: Layout::Tpm, registers, launch: None };
    capture(&boot::log(events), &wanted, &Limits::DEFAULT).unwrap()
}
