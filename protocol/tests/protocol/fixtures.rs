//! One of everything, from fixed seeds. The examples in docs/PROTOCOL.md are these values.

use podseal_protocol::{
    Bank, Challenge, Digest, HostNamespaces, Leaf, Limits, MacKey, PodContainer, PodSet, Purpose, SecretRequest,
    binding::{BindingInputs, PodLogHead, binding},
    delivery::{Delivery, Receipt, Released, SealContext, Session},
    evidence::{Evidence, Part},
    exchange::{Exchange, ExchangeReply, Outcome},
    frame::{WorkloadReply, WorkloadRequest},
    join::{Activation, ActivationReply, Join, JoinReply, Proof, activation_secret},
    key::{KeyStatement, KeyUse, PublicKey, SecretKey},
    pod_log::{Event, REGISTER, Record, Register, Standing, Started},
    seal::{SecretFile, delivery_info, encode_secrets, seal},
};
use zeroize::Zeroizing;

pub(crate) const LIMITS: Limits = Limits::DEFAULT;
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn root() -> SecretKey {
    SecretKey::from_scalar(&[1; 32]).unwrap()
}

pub(crate) fn receipt_key() -> SecretKey {
    SecretKey::from_scalar(&[2; 32]).unwrap()
}

pub(crate) fn verifier() -> Digest {
    Digest::of(&root().public().to_spki())
}

pub(crate) fn mac_key() -> MacKey {
    MacKey::new(Zeroizing::new([3; 32]))
}

pub(crate) fn session() -> Session {
    Session::new(verifier(), Zeroizing::new([0x11; 32]), [4; 32])
}

pub(crate) fn workload_key() -> PublicKey {
    session().public_key().unwrap()
}

pub(crate) fn challenge() -> Challenge {
    Challenge {
        verifier: verifier(),
        epoch: 1,
        purpose: Purpose::Release,
        node: "node-1".to_owned(),
        issued: NOW,
        expires: NOW + 60,
        random: [5; 32],
    }
}

pub(crate) fn spec() -> Vec<u8> {
    br#"{"ociVersion":"1.2.0"}"#.to_vec()
}

pub(crate) fn token() -> Vec<u8> {
    b"header.claims.signature".to_vec()
}

pub(crate) fn pod_set() -> PodSet {
    let container = |id: &str, name: &str, privileged| PodContainer {
        id: id.to_owned(),
        name: name.to_owned(),
        image_manifest: Digest::of(b"manifest"),
        image_config: Digest::of(b"config"),
        privileged,
    };
    let host = HostNamespaces { network: false, pid: false, ipc: true };
    PodSet::new(host, vec![container("c0ffee", "api", false), container("beef", "sidecar", true)])
}

pub(crate) fn requests() -> Vec<SecretRequest> {
    SecretRequest::parse_annotation("db=payments/db, tls=payments/api-tls", &LIMITS).unwrap()
}

pub(crate) fn leaf() -> Leaf {
    Leaf {
        salt: [4; 32],
        workload_key: workload_key(),
        cluster: "prod".to_owned(),
        namespace: "payments".to_owned(),
        pod: "payment-api-7d4b9".to_owned(),
        pod_uid: "5d9b4f0e-7d0f-4c53-9a3e-1c2d3e4f5a6b".to_owned(),
        service_account: "payment-api".to_owned(),
        node_uid: "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9".to_owned(),
        container: "api".to_owned(),
        container_id: "c0ffee".to_owned(),
        init_start: 123_456,
        image_manifest: Digest::of(b"manifest"),
        image_config: Digest::of(b"config"),
        spec: Digest::of(&spec()),
        pod_set: Digest::of(&pod_set().encode()),
        launcher: Digest::of(b"launcher"),
        token: Digest::of(&token()),
        secrets: requests(),
        sequence: 1,
    }
}

/// Every part that hardware other than a TPM brings; no profile has all of them.
pub(crate) fn hardware_evidence() -> Evidence {
    Evidence {
        profile: "snp".to_owned(),
        parts: vec![
            Part::SnpReport { report: b"ATTESTATION_REPORT".to_vec(), certificates: b"table".to_vec() },
            Part::TdQuote(b"quote".to_vec()),
            Part::NitroDocument(b"COSE_Sign1".to_vec()),
            Part::HclReport(b"HCLA".to_vec()),
            Part::AkCertification { attest: b"TPMS_ATTEST".to_vec(), signature: b"TPMT_SIGNATURE".to_vec() },
            Part::NodeKey([7; 64]),
        ],
        ..evidence()
    }
}

/// Shaped like the name of an AK: `nameAlg` SHA-256 and a digest.
pub(crate) fn ak_name() -> Vec<u8> {
    [&[0x00, 0x0b], Digest::of(b"ak").as_ref()].concat()
}

pub(crate) fn evidence() -> Evidence {
    Evidence {
        node: "node-1".to_owned(),
        profile: "tpm".to_owned(),
        boot_id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301".to_owned(),
        pod_log: PodLogHead::NONE,
        parts: vec![
            Part::TpmQuote {
                attest: b"TPMS_ATTEST".to_vec(),
                signature: b"TPMT_SIGNATURE".to_vec(),
                pcrs: vec![(0, Digest::of(b"pcr 0")), (7, Digest::of(b"pcr 7"))],
            },
            Part::BootLog(b"binary_bios_measurements".to_vec()),
        ],
    }
}

/// One of each event, from the first record on.
pub(crate) fn events() -> Vec<Event> {
    let own = leaf();
    let (container_id, sandbox_id) = (own.container_id.clone(), "5a4d".to_owned());
    let started = Started {
        container_id: container_id.clone(),
        sandbox: false,
        pod_uid: own.pod_uid,
        namespace: own.namespace,
        pod: own.pod,
        container: own.container,
        image: format!("registry.example/payment-api@sha256:{}", own.image_manifest),
        privileged: false,
        heard: true,
    };
    let sandbox =
        Started { container_id: sandbox_id, sandbox: true, container: String::new(), image: "pause:3.10".to_owned(), ..started.clone() };
    vec![
        Event::Began { boot_id: evidence().boot_id, register: Bank::Sha256.zero(), exceptions: Vec::new() },
        Event::Started(sandbox),
        Event::Started(started),
        Event::Exec { container_id: container_id.clone(), exec_id: "e1".to_owned() },
        Event::AttesterRestarted { exceptions: vec!["landlock-net".to_owned(), "seccomp".to_owned()] },
        Event::Interrupted,
        Event::Ended { container_id },
    ]
}

/// The records of these, and where they end.
pub(crate) fn pod_log() -> (Vec<u8>, PodLogHead) {
    let records: Vec<Record> = (0..).zip(events()).map(|(number, event)| Record { number, event }).collect();
    let head = records.iter().fold(PodLogHead::NONE, |head, record| head.and(&record.digest()));
    (records.iter().flat_map(|record| record.encode(Register::TPM)).collect(), head)
}

/// The first record and one more of a log that a TD keeps, and where they end.
pub(crate) fn pod_log_of_td() -> (Vec<u8>, Standing) {
    let register = Bank::Sha384.zero();
    let began = Event::Began { boot_id: evidence().boot_id, register, exceptions: Vec::new() };
    let records = [Record { number: 0, event: began }, Record { number: 1, event: Event::Interrupted }];
    let standing = records.iter().fold(Standing::begin(register), |standing, record| standing.and(&record.digests(Bank::Sha384)));
    (records.iter().flat_map(|record| record.encode(Register::Rtmr)).collect(), standing)
}

/// Evidence of a node that keeps a pod log, of which everything is sent.
pub(crate) fn evidence_with_pod_log() -> Evidence {
    let (records, head) = pod_log();
    let mut evidence = evidence();
    if let Part::TpmQuote { pcrs, .. } = &mut evidence.parts[0] {
        pcrs.push((REGISTER, head.head));
    }
    evidence.parts.push(Part::PodLog { from: 0, records });
    Evidence { pod_log: head, ..evidence }
}

pub(crate) fn bound(leaves: &[Digest]) -> Digest {
    let evidence = evidence();
    let inputs = BindingInputs {
        challenge: Digest::of(&challenge().issue(&mac_key())),
        purpose: Purpose::Release,
        verifier: verifier(),
        node: &evidence.node,
        signer: &ak_name(),
        profile: &evidence.profile,
        boot_id: &evidence.boot_id,
        pod_log: evidence.pod_log,
    };
    binding(&inputs, leaves)
}

pub(crate) fn exchange() -> Exchange {
    Exchange::new(
        challenge().issue(&mac_key()),
        evidence().encode(),
        vec![leaf().encode(), b"a leaf that is none".to_vec()],
        vec![token(), spec(), pod_set().encode()],
    )
}

pub(crate) fn exchange_reply() -> ExchangeReply {
    let refused = Outcome::Refused { reason: "leaf.canonical".to_owned(), audit_id: "01J2".to_owned() };
    ExchangeReply {
        next_challenge: Challenge { random: [6; 32], ..challenge() }.issue(&mac_key()),
        outcomes: vec![
            (Digest::of(&leaf().encode()), Outcome::Delivered(release().delivery().encode())),
            (Digest::of(b"a leaf that is none"), refused),
        ],
    }
}

pub(crate) fn files() -> Vec<SecretFile> {
    let file = |name: &str, value: &[u8]| SecretFile { file: name.to_owned(), value: Zeroizing::new(value.to_vec()) };
    vec![file("db", b"correct horse battery staple"), file("tls", &[0x80, 0, 0])]
}

pub(crate) fn statement(key: &PublicKey, key_use: KeyUse) -> KeyStatement {
    KeyStatement { key_use, key: key.as_bytes().to_vec(), not_before: NOW, not_after: NOW + 1000 }
}

pub(crate) fn certified() -> Vec<u8> {
    statement(&receipt_key().public(), KeyUse::Receipt).certify(&root())
}

pub(crate) fn context() -> SealContext {
    let secrets = requests().into_iter().zip([3, 1]).map(|(request, version)| Released { request, version });
    SealContext { audit_id: "01J1".to_owned(), sequence: 1, policy_head: Digest::of(b"policy"), secrets: secrets.collect() }
}

/// A release in the making: what it is made of can be exchanged before [`Release::delivery`] seals and signs it.
pub(crate) struct Release {
    pub(crate) leaf: Leaf,
    pub(crate) seal_to: PublicKey,
    pub(crate) files: Vec<SecretFile>,
    pub(crate) context: SealContext,
    /// The verifier that the ciphertext is sealed under.
    pub(crate) sealed_by: Digest,
    pub(crate) binding: Digest,
    pub(crate) ephemeral: [u8; 32],
    pub(crate) signer: SecretKey,
    pub(crate) certified: Vec<u8>,
    /// Changes the receipt before it is signed.
    pub(crate) edit: fn(&mut Receipt),
}

pub(crate) fn release() -> Release {
    Release {
        leaf: leaf(),
        seal_to: workload_key(),
        files: files(),
        context: context(),
        sealed_by: verifier(),
        binding: bound(&[Digest::of(&leaf().encode()), Digest::of(b"a leaf that is none")]),
        ephemeral: [0x22; 32],
        signer: receipt_key(),
        certified: certified(),
        edit: |_| {},
    }
}

impl Release {
    pub(crate) fn ciphertext(&self) -> Vec<u8> {
        let info = delivery_info(&self.sealed_by, &self.binding, &Digest::of(&self.leaf.encode()));
        seal(&self.seal_to, &info, &self.context.aad(), &encode_secrets(&self.files), &Zeroizing::new(self.ephemeral)).unwrap()
    }

    pub(crate) fn receipt(&self) -> Receipt {
        let claim = |name: &str, word: &str| (name.to_owned(), word.to_owned());
        let mut receipt = Receipt {
            verifier: verifier(),
            context: self.context.clone(),
            leaf: Digest::of(&self.leaf.encode()),
            binding: self.binding,
            ciphertext: Digest::of(&self.ciphertext()),
            entry_index: 41,
            entry: Digest::of(b"entry"),
            issued: NOW,
            claims: vec![claim("agent", "self-asserted"), claim("root", "test")],
        };
        (self.edit)(&mut receipt);
        receipt
    }

    pub(crate) fn delivery(&self) -> Delivery {
        Delivery::sign(&self.receipt(), &self.signer, self.certified.clone(), self.ciphertext())
    }
}

pub(crate) fn workload_request() -> WorkloadRequest {
    WorkloadRequest { salt: [4; 32], workload_key: workload_key(), token: token() }
}

pub(crate) fn delivered() -> WorkloadReply {
    WorkloadReply::Delivered {
        leaf: leaf().encode(),
        delivery: release().delivery().encode(),
        entrypoint: vec!["/bin/payment-api".to_owned()],
        cmd: vec!["--port".to_owned(), "8080".to_owned()],
    }
}

pub(crate) fn refused() -> WorkloadReply {
    WorkloadReply::Refused {
        reason: "policy.permit".to_owned(),
        audit_id: "01J2".to_owned(),
        advice: "Ask the owner of payments/db for access.".to_owned(),
        retry: false,
    }
}

pub(crate) fn join() -> Join {
    Join {
        challenge: Challenge { purpose: Purpose::Join, ..challenge() }.issue(&mac_key()),
        token: "one-time".to_owned(),
        node: "node-1".to_owned(),
        cluster: "prod".to_owned(),
        node_uid: "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9".to_owned(),
        profile: "tpm".to_owned(),
        key: b"TPMT_PUBLIC of the AK".to_vec(),
        proof: Proof::Ek {
            certificate: b"EK certificate".to_vec(),
            intermediates: vec![b"issuer".to_vec()],
            public: b"TPMT_PUBLIC of the EK".to_vec(),
        },
    }
}

/// One of a node whose evidence proves it at once.
pub(crate) fn join_by_evidence() -> Join {
    Join { profile: "snp".to_owned(), key: b"SPKI".to_vec(), proof: Proof::Evidence(hardware_evidence().encode()), ..join() }
}

pub(crate) fn join_reply() -> JoinReply {
    JoinReply { credential: b"TPMS_ID_OBJECT".to_vec(), encrypted_secret: b"encrypted seed".to_vec() }
}

pub(crate) fn activation() -> Activation {
    let join = join().encode();
    Activation { secret: Some(activation_secret(&mac_key(), &join)), join }
}

pub(crate) fn activation_by_evidence() -> Activation {
    Activation { join: join_by_evidence().encode(), secret: None }
}

pub(crate) fn activation_reply() -> ActivationReply {
    ActivationReply { approved: true, audit_id: "01J0".to_owned() }
}
