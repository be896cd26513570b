//! Enrolment: a node shows what proves it, and becomes known by name. A node with a TPM alone proves in a second step that its AK lives in
//! it (credential activation); any other sends evidence, as for a release, which proves it at once.

use crate::{
    Digest, Limits, MacKey,
    cbor::{Decoder, Encoder, Malformed},
};

const JOIN_DOMAIN: &str = "podseal.join.v1";
const JOIN_REPLY_DOMAIN: &str = "podseal.join-reply.v1";
const ACTIVATION_DOMAIN: &str = "podseal.activation.v1";
const ACTIVATION_REPLY_DOMAIN: &str = "podseal.activation-reply.v1";
const SECRET_DOMAIN: &[u8] = b"podseal.activation-secret.v1";

/// Longest TPM structure or certificate that is taken.
const TPM_STRUCTURE: usize = 8192;

/// Longest evidence of a node that joins: it has no logs.
const JOIN_EVIDENCE: usize = 256 << 10;

/// A node's wish to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// A challenge for the purpose `join` and this node.
    pub challenge: Vec<u8>,
    /// One-time join token (`podseal node join-token`); empty: an administrator approves.
    pub token: String,
    /// Name of the node.
    pub node: String,
    /// Cluster that it belongs to.
    pub cluster: String,
    /// UID of the node object in that cluster.
    pub node_uid: String,
    /// Evidence profile: the word of a [`crate::Profile`].
    pub profile: String,
    /// The key that the node is to be known by: TPMT_PUBLIC of its AK, SPKI of its node key, or the `module_id` of its attestation
    /// documents.
    pub key: Vec<u8>,
    /// What proves that it is the node's.
    pub proof: Proof,
}

/// What proves a node that wants to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The TPM's endorsement key, to which a secret is sealed that only the TPM with that EK and that AK recovers.
    Ek {
        /// EK certificate, DER.
        certificate: Vec<u8>,
        /// Certificates between it and a root, DER.
        intermediates: Vec<Vec<u8>>,
        /// TPMT_PUBLIC of the EK.
        public: Vec<u8>,
    },
    /// [`crate::evidence::Evidence`] of the profile, bound to this request's challenge for the purpose `join`, without leaves.
    Evidence(Vec<u8>),
}

impl Proof {
    fn encode(&self, e: Encoder) -> Encoder {
        match self {
            Self::Ek { certificate, intermediates, public } => {
                e.array(3).bytes(certificate).list(intermediates, |e, certificate| e.bytes(certificate)).bytes(public)
            }
            Self::Evidence(evidence) => e.array(1).bytes(evidence),
        }
    }

    fn decode(d: &mut Decoder<'_>, limits: &Limits) -> Result<Self, Malformed> {
        if d.array_of(&[1, 3], "join.proof")? == 1 {
            return Ok(Self::Evidence(d.bytes("join.evidence", JOIN_EVIDENCE.min(limits.message))?.to_vec()));
        }
        Ok(Self::Ek {
            certificate: d.bytes("join.ek_certificate", TPM_STRUCTURE)?.to_vec(),
            intermediates: d.list("join.intermediates", 4, |d| d.bytes("join.intermediate", TPM_STRUCTURE).map(<[u8]>::to_vec))?,
            public: d.bytes("join.ek_public", TPM_STRUCTURE)?.to_vec(),
        })
    }
}

impl Join {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let e = Encoder::message(JOIN_DOMAIN, 9)
            .bytes(&self.challenge)
            .text(&self.token)
            .text(&self.node)
            .text(&self.cluster)
            .text(&self.node_uid)
            .text(&self.profile)
            .bytes(&self.key);
        self.proof.encode(e).finish()
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a join request in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, JOIN_DOMAIN, 9, limits)?;
        let join = Self {
            challenge: d.bytes("join.challenge", 4096)?.to_vec(),
            token: d.text("join.token", limits.text)?.to_owned(),
            node: d.text("join.node", limits.text)?.to_owned(),
            cluster: d.text("join.cluster", limits.text)?.to_owned(),
            node_uid: d.text("join.node_uid", limits.text)?.to_owned(),
            profile: d.text("join.profile", limits.text)?.to_owned(),
            key: d.bytes("join.key", TPM_STRUCTURE)?.to_vec(),
            proof: Proof::decode(&mut d, limits)?,
        };
        d.end("join")?;
        Ok(join)
    }
}

/// The secret that only the TPM with that EK and that AK can recover. It is derived from the request: nothing is kept between the steps.
#[must_use]
pub fn activation_secret(key: &MacKey, join: &[u8]) -> [u8; 32] {
    key.tag(&[SECRET_DOMAIN, Digest::of(join).as_ref()])
}

/// Whether `secret` is the one for `join`; in constant time.
#[must_use]
pub fn is_activation_secret(key: &MacKey, join: &[u8], secret: &[u8; 32]) -> bool {
    key.matches(&[SECRET_DOMAIN, Digest::of(join).as_ref()], secret)
}

/// The activation credential, for TPM2_ActivateCredential (TPM 2.0 Part 3, section 12.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinReply {
    /// Contents of TPM2B_ID_OBJECT.
    pub credential: Vec<u8>,
    /// Contents of TPM2B_ENCRYPTED_SECRET.
    pub encrypted_secret: Vec<u8>,
}

impl JoinReply {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(JOIN_REPLY_DOMAIN, 3).bytes(&self.credential).bytes(&self.encrypted_secret).finish()
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a reply in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, JOIN_REPLY_DOMAIN, 3, limits)?;
        let credential = d.bytes("join-reply.credential", TPM_STRUCTURE)?.to_vec();
        let encrypted_secret = d.bytes("join-reply.encrypted_secret", TPM_STRUCTURE)?.to_vec();
        d.end("join-reply")?;
        Ok(Self { credential, encrypted_secret })
    }
}

/// What completes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The [`Join`] that it completes, byte for byte.
    pub join: Vec<u8>,
    /// What the TPM recovered: the proof that the AK lives in the TPM of the EK. `None` where the request has evidence, which is proof enough.
    pub secret: Option<[u8; 32]>,
}

impl Activation {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let e = Encoder::message(ACTIVATION_DOMAIN, 3).bytes(&self.join);
        e.list(self.secret.as_slice(), |e, secret| e.bytes(secret)).finish()
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not an activation in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, ACTIVATION_DOMAIN, 3, limits)?;
        let join = d.bytes("activation.join", limits.message)?.to_vec();
        let secret = d.list("activation.secret", 1, |d| d.exact("activation.secret"))?.pop();
        d.end("activation")?;
        Ok(Self { join, secret })
    }
}

/// What became of the enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivationReply {
    /// Whether the node may ask for releases at once; otherwise an administrator approves it first.
    pub approved: bool,
    /// Under which an operator finds the entry.
    pub audit_id: String,
}

impl ActivationReply {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(ACTIVATION_REPLY_DOMAIN, 3).uint(u64::from(self.approved)).text(&self.audit_id).finish()
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a reply in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, ACTIVATION_REPLY_DOMAIN, 3, limits)?;
        let approved = d.uint_up_to("activation-reply.approved", 1)? == 1;
        let audit_id = d.text("activation-reply.audit_id", limits.text)?.to_owned();
        d.end("activation-reply")?;
        Ok(Self { approved, audit_id })
    }
}
