//! The leaf: one container that asks, in the words of kernel and runtime. Only its salt and its key come from the container itself.

use std::collections::BTreeSet;

use crate::{
    Digest, Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
    key::{PUBLIC_KEY_LENGTH, PublicKey},
};

const DOMAIN: &str = "podseal.leaf.v1";

/// Which secret, and the file that it becomes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretRequest {
    /// Name of the file below `/podseal/secrets`.
    pub file: String,
    /// Name of the secret at the verifier (`payments/db`).
    pub secret: String,
}

impl SecretRequest {
    /// Reads the annotation `podseal.dev/secrets`: `db=payments/db, tls=payments/api-tls`. A file name has 1 to 255 characters of
    /// `A-Z a-z 0-9 . _ -` and does not begin with a dot; no file is named twice.
    ///
    /// # Errors
    /// The part of the annotation that is not understood.
    pub fn parse_annotation(text: &str, limits: &Limits) -> Result<Vec<Self>, AnnotationError> {
        let mut out: Vec<Self> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (file, secret) = part.split_once('=').ok_or_else(|| AnnotationError(part.to_owned()))?;
            let (file, secret) = (file.trim(), secret.trim());
            let twice = out.iter().any(|other| other.file == file);
            if !is_file_name(file) || !is_secret_name(secret, limits) || twice || out.len() >= limits.secrets {
                return Err(AnnotationError(part.to_owned()));
            }
            out.push(Self { file: file.to_owned(), secret: secret.to_owned() });
        }
        Ok(out)
    }
}

/// The part of the annotation `podseal.dev/secrets` that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationError(pub String);

impl core::fmt::Display for AnnotationError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "annotation podseal.dev/secrets: found {:?}, wanted FILE=NAMESPACE/NAME, separated by commas, each file once", self.0)
    }
}

impl core::error::Error for AnnotationError {}

/// Whether `name` may be a file below `/podseal/secrets`.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether one of `files` comes twice: the second would silently take the place of the first.
pub(crate) fn has_file_twice<'a>(files: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = BTreeSet::new();
    !files.into_iter().all(|file| seen.insert(file))
}

/// Whether `name` has the form `NAMESPACE/NAME`, both of `a-z 0-9 . -`.
#[must_use]
pub fn is_secret_name(name: &str, limits: &Limits) -> bool {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
    name.len() <= limits.text && name.split_once('/').is_some_and(|(namespace, rest)| part(namespace) && part(rest))
}

/// A container that asks for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// From the launcher: keeps the digest from telling a neighbour anything.
    pub salt: [u8; 32],
    /// From the launcher: born in this container, and what the secrets are sealed to.
    pub workload_key: PublicKey,
    /// Cluster that the node is configured for.
    pub cluster: String,
    /// Namespace of the pod sandbox.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod.
    pub pod_uid: String,
    /// Service account that the token names; empty where there is none.
    pub service_account: String,
    /// UID of the node object.
    pub node_uid: String,
    /// Name of the container within the pod.
    pub container: String,
    /// The runtime's id of the container.
    pub container_id: String,
    /// Start time of the container's init process, in clock ticks since boot (proc(5), `/proc/PID/stat` field 22).
    pub init_start: u64,
    /// Digest of the image's manifest.
    pub image_manifest: Digest,
    /// Digest of the image's configuration.
    pub image_config: Digest,
    /// `h` of the attached OCI runtime spec.
    pub spec: Digest,
    /// `h` of the attached pod set.
    pub pod_set: Digest,
    /// `h` of the launcher on the attester's own mount.
    pub launcher: Digest,
    /// `h` of the attached token; of no bytes where there is none.
    pub token: Digest,
    /// The secrets asked for, from the sandbox annotation as the runtime has it.
    pub secrets: Vec<SecretRequest>,
    /// Counts within one session, from 1.
    pub sequence: u64,
}

impl Leaf {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(DOMAIN, 17)
            .bytes(&self.salt)
            .bytes(self.workload_key.as_bytes())
            .text(&self.cluster)
            .text(&self.namespace)
            .text(&self.pod)
            .text(&self.pod_uid)
            .text(&self.service_account)
            .text(&self.node_uid)
            .array(3)
            .text(&self.container)
            .text(&self.container_id)
            .uint(self.init_start)
            .array(2)
            .digest(&self.image_manifest)
            .digest(&self.image_config)
            .digest(&self.spec)
            .digest(&self.pod_set)
            .digest(&self.launcher)
            .digest(&self.token)
            .list(&self.secrets, |e, s| e.array(2).text(&s.file).text(&s.secret))
            .uint(self.sequence)
            .finish()
    }

    /// Parses received bytes.
    ///
    /// # Errors
    /// [`Malformed`] when they are not a leaf in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 17, limits)?;
        let text = limits.text;
        let salt = d.exact("leaf.salt")?;
        let key_at = d.offset();
        let key = d.exact::<PUBLIC_KEY_LENGTH>("leaf.workload_key")?;
        let leaf = Self {
            salt,
            workload_key: PublicKey::from_bytes(&key).ok_or(Malformed {
                item: "leaf.workload_key",
                at: key_at,
                problem: Problem::WrongValue,
            })?,
            cluster: d.text("leaf.cluster", text)?.to_owned(),
            namespace: d.text("leaf.namespace", text)?.to_owned(),
            pod: d.text("leaf.pod", text)?.to_owned(),
            pod_uid: d.text("leaf.pod_uid", text)?.to_owned(),
            service_account: d.text("leaf.service_account", text)?.to_owned(),
            node_uid: d.text("leaf.node_uid", text)?.to_owned(),
            container: {
                d.array("leaf.container", 3)?;
                d.text("leaf.container.name", text)?.to_owned()
            },
            container_id: d.text("leaf.container.id", text)?.to_owned(),
            init_start: d.uint("leaf.container.init_start")?,
            image_manifest: {
                d.array("leaf.image", 2)?;
                d.digest("leaf.image.manifest")?
            },
            image_config: d.digest("leaf.image.config")?,
            spec: d.digest("leaf.spec")?,
            pod_set: d.digest("leaf.pod_set")?,
            launcher: d.digest("leaf.launcher")?,
            token: d.digest("leaf.token")?,
            secrets: Self::decode_secrets(&mut d, limits)?,
            sequence: d.uint("leaf.sequence")?,
        };
        d.end("leaf")?;
        Ok(leaf)
    }

    fn decode_secrets(d: &mut Decoder<'_>, limits: &Limits) -> Result<Vec<SecretRequest>, Malformed> {
        let list_at = d.offset();
        let secrets = d.list("leaf.secrets", limits.secrets, |d| {
            let at = d.offset();
            d.array("leaf.secrets", 2)?;
            let file = d.text("leaf.secrets.file", 255)?.to_owned();
            let secret = d.text("leaf.secrets.secret", limits.text)?.to_owned();
            if is_file_name(&file) && is_secret_name(&secret, limits) {
                Ok(SecretRequest { file, secret })
            } else {
                Err(Malformed { item: "leaf.secrets", at, problem: Problem::WrongValue })
            }
        })?;
        let twice = Malformed { item: "leaf.secrets", at: list_at, problem: Problem::Twice };
        if has_file_twice(secrets.iter().map(|s| s.file.as_str())) { Err(twice) } else { Ok(secrets) }
    }
}
