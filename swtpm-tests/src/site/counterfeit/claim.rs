//! What a request says about one container.

use podseal_protocol::delivery::{Session, Taken};
use podseal_protocol::{Digest, HostNamespaces, Leaf, Limits, PodContainer, PodSet, SecretRequest};
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::{Machine, Node, Site, Workload};
use crate::error::BenchError;
use crate::issuer::{Issuer, Object, TokenRequest};

/// A leaf with the bytes whose digests it names, and the container's private key. The `with_` functions keep leaf and attachments in agreement; the fields
/// can be set apart from each other.
#[derive(Clone)]
pub struct Claim {
    /// The leaf.
    pub leaf: Leaf,
    /// The OCI spec.
    pub spec: Vec<u8>,
    /// The pod set.
    pub pod_set: Vec<u8>,
    /// The token.
    pub token: Vec<u8>,
    /// What that token was asked to say.
    pub token_request: TokenRequest,
    seed: Zeroizing<[u8; 32]>,
}

impl Claim {
    /// Runs a workload on an honest node and takes what there is to say about it, as if it ran on `machine`.
    pub(super) fn of_real_container(site: &Site, machine: &Machine, workload: &Workload, node: &Node) -> Result<Self, BenchError> {
        let launched = workload.run(site, node)?;
        launched.started()?;
        let status = launched.container.status()?;
        let spec = serde_json::to_vec(&status.info["runtimeSpec"])
            .map_err(|error| BenchError::answer("ContainerStatus", error.to_string(), "a spec"))?;
        let image = node.payment_api()?;
        let digest = |text: &str| Digest::from_hex(text).ok_or_else(|| BenchError::answer("the image", text, "a digest"));
        let (image_manifest, image_config) = (digest(&image.manifest)?, digest(&image.config)?);
        let (id, name) = (launched.container.id().to_owned(), workload.container.clone());
        let own = PodContainer { id: id.clone(), name: name.clone(), image_manifest, image_config, privileged: false };
        let pod_set = PodSet::new(HostNamespaces::default(), vec![own]).encode();
        let token_request = workload.token_request_on(site, Object::new(machine.name(), machine.uid()), launched.pod.uid());
        let token = site.cluster().issuer().token(&token_request)?.into_bytes();
        let seed = random()?;
        let session = Session::new(site.verifier().digest(), seed.clone(), *random()?);
        let leaf = Leaf {
            salt: *session.salt(),
            workload_key: session.public_key().ok_or_else(|| BenchError::answer("the session", "no key", "a key"))?,
            cluster: site.cluster().id().to_owned(),
            namespace: workload.namespace.clone(),
            pod: workload.name.clone(),
            pod_uid: launched.pod.uid().to_owned(),
            service_account: workload.service_account.clone(),
            node_uid: machine.uid().to_owned(),
            container: name,
            container_id: id,
            init_start: 4711,
            image_manifest,
            image_config,
            spec: Digest::of(&spec),
            pod_set: Digest::of(&pod_set),
            launcher: node.launcher(),
            token: Digest::of(&token),
            secrets: vec![SecretRequest { file: "db".into(), secret: format!("{}/db", workload.namespace) }],
            sequence: 1,
        };
        Ok(Self { leaf, spec, pod_set, token, token_request, seed })
    }

    /// The same claim of another container start: fresh key and salt.
    pub(super) fn renewed(&self, verifier: Digest) -> Result<Self, BenchError> {
        let (seed, salt) = (random()?, *random()?);
        let key = Session::new(verifier, seed.clone(), salt).public_key();
        let workload_key = key.ok_or_else(|| BenchError::answer("the session", "no key", "a key"))?;
        let leaf = Leaf { salt, workload_key, ..self.leaf.clone() };
        Ok(Self { leaf, seed, ..self.clone() })
    }

    /// Changes the leaf.
    #[must_use]
    pub fn with_leaf(mut self, change: impl FnOnce(&mut Leaf)) -> Self {
        change(&mut self.leaf);
        self
    }

    /// Changes the spec, and has the leaf name the new one.
    #[must_use]
    pub fn with_spec(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut spec = serde_json::from_slice(&self.spec).unwrap_or_default();
        change(&mut spec);
        let bytes = spec.to_string().into_bytes();
        self.with_spec_bytes(bytes)
    }

    /// Puts other bytes in the spec's place, and has the leaf name them.
    #[must_use]
    pub fn with_spec_bytes(mut self, spec: Vec<u8>) -> Self {
        self.leaf.spec = Digest::of(&spec);
        Self { spec, ..self }
    }

    /// Puts another pod set in place, and has the leaf name it.
    #[must_use]
    pub fn with_pod_set(mut self, pod_set: Vec<u8>) -> Self {
        self.leaf.pod_set = Digest::of(&pod_set);
        Self { pod_set, ..self }
    }

    /// Puts another token in place, and has the leaf name it.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<Vec<u8>>) -> Self {
        let token = token.into();
        self.leaf.token = Digest::of(&token);
        Self { token, ..self }
    }

    /// Has `issuer` sign another token: what this one says, changed.
    pub fn with_token_by(mut self, issuer: &Issuer, change: impl FnOnce(&mut TokenRequest)) -> Result<Self, BenchError> {
        change(&mut self.token_request);
        let token = issuer.token(&self.token_request)?;
        Ok(self.with_token(token))
    }

    /// The leaf's digest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.leaf.encode())
    }

    /// The bytes that an exchange attaches for it.
    pub fn attachments(&self) -> Vec<Vec<u8>> {
        [&self.spec, &self.pod_set, &self.token].into_iter().filter(|bytes| !bytes.is_empty()).cloned().collect()
    }

    /// Opens a delivery with the container's key, as the launcher would.
    pub fn open(&self, verifier: Digest, delivery: &[u8]) -> Result<Taken, BenchError> {
        let mut session = Session::new(verifier, self.seed.clone(), self.leaf.salt);
        let taken = session.take(&self.leaf.encode(), delivery, &Limits::DEFAULT);
        taken.map_err(|error| BenchError::answer("the delivery", error.to_string(), "one for this container"))
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, BenchError> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| BenchError::answer("the random generator", "nothing", "random bytes"))?;
    Ok(bytes)
}
