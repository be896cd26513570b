//! A verifier's keys, and the deliveries that they sign.

use podseal_protocol::{
    Digest, Leaf, SecretRequest,
    delivery::{Delivery, Receipt, Released, SealContext},
    frame::{WorkloadReply, WorkloadRequest},
    key::{KeyStatement, KeyUse, PublicKey, SecretKey},
    seal::{SecretFile, delivery_info, encode_secrets, seal},
};
use zeroize::Zeroizing;

/// Root and receipt key.
pub(crate) struct Verifier {
    root: SecretKey,
    receipt_key: SecretKey,
}

impl Verifier {
    pub(crate) fn new(seed: u8) -> Self {
        let scalar = |last| SecretKey::from_scalar(&[[seed; 31].as_slice(), &[last]].concat().try_into().unwrap()).unwrap();
        Self { root: scalar(1), receipt_key: scalar(2) }
    }

    pub(crate) fn id(&self) -> Digest {
        Digest::of(&self.root.public().to_spki())
    }

    /// The honest release for `request`.
    pub(crate) fn release(&self, request: &WorkloadRequest, files: &[(&str, &[u8])]) -> Release {
        Release {
            pinned: self.id(),
            leaf: leaf(request, files),
            sealed_to: request.workload_key,
            receipt_sequence: 1,
            receipt_leaf: None,
            receipt_verifier: self.id(),
            receipt_files: files.iter().map(|(file, _)| (*file).to_owned()).collect(),
            files: files.iter().map(|(file, value)| ((*file).to_owned(), value.to_vec())).collect(),
            entrypoint: Vec::new(),
            cmd: Vec::new(),
        }
    }

    fn certified(&self, key_use: KeyUse) -> Vec<u8> {
        let key = self.receipt_key.public().as_bytes().to_vec();
        KeyStatement { key_use, key, not_before: 0, not_after: u64::MAX }.certify(&self.root)
    }
}

/// A release whose every part can be made to lie before it is signed.
pub(crate) struct Release {
    pinned: Digest,
    pub(crate) leaf: Leaf,
    pub(crate) sealed_to: PublicKey,
    pub(crate) receipt_sequence: u64,
    /// Another leaf than the one that travels.
    pub(crate) receipt_leaf: Option<Digest>,
    pub(crate) receipt_verifier: Digest,
    pub(crate) receipt_files: Vec<String>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) entrypoint: Vec<String>,
    pub(crate) cmd: Vec<String>,
}

impl Release {
    pub(crate) fn image(mut self, entrypoint: &[&str], cmd: &[&str]) -> Self {
        self.entrypoint = entrypoint.iter().map(|word| (*word).to_owned()).collect();
        self.cmd = cmd.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub(crate) fn sign(&self, by: &Verifier) -> Delivery {
        self.sign_as(by, KeyUse::Receipt)
    }

    /// Signs with a key that is certified for `key_use`.
    pub(crate) fn sign_as(&self, by: &Verifier, key_use: KeyUse) -> Delivery {
        let released = |file: &String| Released {
            request: SecretRequest { file: file.clone(), secret: format!("payments/{}", file.to_lowercase()) },
            version: 1,
        };
        let context = SealContext {
            audit_id: "a-1".to_owned(),
            sequence: self.receipt_sequence,
            policy_head: Digest::of(b"policy"),
            secrets: self.receipt_files.iter().map(released).collect(),
        };
        let (leaf, binding) = (self.receipt_leaf.unwrap_or(Digest::of(&self.leaf.encode())), Digest::of(b"binding"));
        let files: Vec<_> =
            self.files.iter().map(|(file, value)| SecretFile { file: file.clone(), value: Zeroizing::new(value.clone()) }).collect();
        let info = delivery_info(&self.pinned, &binding, &leaf);
        let ciphertext = seal(&self.sealed_to, &info, &context.aad(), &encode_secrets(&files), &Zeroizing::new([9; 32])).unwrap();
        let receipt = Receipt {
            verifier: self.receipt_verifier,
            context,
            leaf,
            binding,
            ciphertext: Digest::of(&ciphertext),
            entry_index: 7,
            entry: Digest::of(b"entry"),
            issued: 1_750_000_000,
            claims: vec![("agent".to_owned(), "self-asserted".to_owned())],
        };
        Delivery::sign(&receipt, &by.receipt_key, by.certified(key_use), ciphertext)
    }

    pub(crate) fn reply(&self, delivery: &Delivery) -> WorkloadReply {
        WorkloadReply::Delivered {
            leaf: self.leaf.encode(),
            delivery: delivery.encode(),
            entrypoint: self.entrypoint.clone(),
            cmd: self.cmd.clone(),
        }
    }
}

fn leaf(request: &WorkloadRequest, files: &[(&str, &[u8])]) -> Leaf {
    let asked = |(file, _): &(&str, &[u8])| SecretRequest { file: (*file).to_owned(), secret: format!("payments/{}", file.to_lowercase()) };
    Leaf {
        salt: request.salt,
        workload_key: request.workload_key,
        cluster: "c1".to_owned(),
        namespace: "payments".to_owned(),
        pod: "payment-api-0".to_owned(),
        pod_uid: "3d9c7d0e".to_owned(),
        service_account: "payment-api".to_owned(),
        node_uid: "n1".to_owned(),
        container: "app".to_owned(),
        container_id: "c0ffee".to_owned(),
        init_start: 4711,
        image_manifest: Digest::of(b"manifest"),
        image_config: Digest::of(b"config"),
        spec: Digest::of(b"spec"),
        pod_set: Digest::of(b"pod set"),
        launcher: Digest::of(b"launcher"),
        token: Digest::of(&request.token),
        secrets: files.iter().map(asked).collect(),
        sequence: 1,
    }
}
