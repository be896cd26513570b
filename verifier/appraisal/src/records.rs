//! What the verifier holds of a node, a cluster and a secret, in the canonical form in which a decision's inputs are archived.

use podseal_protocol::{
    Digest, Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

use crate::claims::RootKind;

const NODE_DOMAIN: &str = "podseal.node.v1";
const CLUSTER_DOMAIN: &str = "podseal.cluster.v1";
const SECRETS_DOMAIN: &str = "podseal.secret-metadata.v1";

/// A registered node: what enrolment proved about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its name.
    pub node: String,
    /// Its cluster.
    pub cluster: String,
    /// UID of its node object.
    pub node_uid: String,
    /// Evidence profile: the word of a [`podseal_protocol::Profile`].
    pub profile: String,
    /// Which machine it is, by what its hardware has for its whole life: `h(SPKI)` of the EK; name and attestation key of an Azure VM;
    /// a node key; an instance.
    pub machine: Digest,
    /// What it is known by: TPMT_PUBLIC of its AK, SPKI of its node key, or the `module_id` of its attestation documents.
    pub key: Vec<u8>,
    /// Name of the configured root at which its proof ended.
    pub root: String,
    /// What that root is configured to vouch for.
    pub root_kind: RootKind,
    /// An administrator, or a join token that one issued, has let it in.
    pub approved: bool,
    /// Why it is in quarantine, in which nothing is released to it; empty where it is not.
    pub quarantined: String,
}

impl NodeRecord {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(NODE_DOMAIN, 11)
            .text(&self.node)
            .text(&self.cluster)
            .text(&self.node_uid)
            .text(&self.profile)
            .digest(&self.machine)
            .bytes(&self.key)
            .text(&self.root)
            .text(self.root_kind.as_str())
            .uint(u64::from(self.approved))
            .text(&self.quarantined)
            .finish()
    }

    /// Parses a record.
    ///
    /// # Errors
    /// [`Malformed`] when it is not in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, NODE_DOMAIN, 11, limits)?;
        let record = Self {
            node: d.text("node.name", limits.text)?.to_owned(),
            cluster: d.text("node.cluster", limits.text)?.to_owned(),
            node_uid: d.text("node.uid", limits.text)?.to_owned(),
            profile: d.text("node.profile", limits.text)?.to_owned(),
            machine: d.digest("node.machine")?,
            key: d.bytes("node.key", 8192)?.to_vec(),
            root: d.text("node.root", limits.text)?.to_owned(),
            root_kind: {
                let at = d.offset();
                let kind = RootKind::parse(d.text("node.root_kind", 16)?);
                kind.ok_or(Malformed { item: "node.root_kind", at, problem: Problem::WrongValue })?
            },
            approved: d.uint_up_to("node.approved", 1)? == 1,
            quarantined: d.text("node.quarantined", limits.text)?.to_owned(),
        };
        d.end("node")?;
        Ok(record)
    }
}

/// A configured cluster: its tokens verify under these keys and no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterRecord {
    /// Configured id.
    pub id: String,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// JSON Web Key Set, byte for byte as pinned.
    pub jwks: Vec<u8>,
    /// Whether its tokens name the node (a cluster too old to is declared so).
    pub tokens_name_nodes: bool,
    /// Whose the directories on its nodes are: what tells a projected volume from a host path.
    pub directories: NodeDirectories,
}

/// Directories on the nodes of a cluster, by who makes their contents; see [`crate::workload::MountSources::new`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDirectories {
    /// The kubelet's root directory.
    pub kubelet: String,
    /// The container runtime's root and state directories.
    pub runtime: Vec<String>,
    /// What the node attester publishes below `/podseal`.
    pub attester: Vec<String>,
}

impl Default for NodeDirectories {
    /// As kubelet, containerd and node attester are packaged.
    fn default() -> Self {
        Self {
            kubelet: "/var/lib/kubelet".to_owned(),
            runtime: vec!["/var/lib/containerd".to_owned(), "/run/containerd".to_owned()],
            attester: vec!["/run/podseal".to_owned()],
        }
    }
}

impl ClusterRecord {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Encoder::message(CLUSTER_DOMAIN, 8)
            .text(&self.id)
            .text(&self.issuer)
            .bytes(&self.jwks)
            .uint(u64::from(self.tokens_name_nodes))
            .text(&self.directories.kubelet)
            .list(&self.directories.runtime, |e, path| e.text(path))
            .list(&self.directories.attester, |e, path| e.text(path))
            .finish()
    }

    /// Parses a record.
    ///
    /// # Errors
    /// [`Malformed`] when it is not in its canonical form.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, CLUSTER_DOMAIN, 8, limits)?;
        let record = Self {
            id: d.text("cluster.id", limits.text)?.to_owned(),
            issuer: d.text("cluster.issuer", limits.text)?.to_owned(),
            jwks: d.bytes("cluster.jwks", limits.attachment)?.to_vec(),
            tokens_name_nodes: d.uint_up_to("cluster.tokens_name_nodes", 1)? == 1,
            directories: {
                let path = |d: &mut Decoder<'_>| d.text("cluster.directory", 4096).map(str::to_owned);
                NodeDirectories {
                    kubelet: path(&mut d)?,
                    runtime: d.list("cluster.runtime_directories", 64, path)?,
                    attester: d.list("cluster.attester_directories", 64, path)?,
                }
            },
        };
        d.end("cluster")?;
        Ok(record)
    }
}

/// A secret as the decision sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// `NAMESPACE/NAME`.
    pub name: String,
    /// The version that is released.
    pub version: u64,
    /// Weaknesses that its owner accepts, sorted.
    pub accepts: Vec<String>,
}

/// The canonical bytes of the secrets that one decision was about; salted, since the log carries their digest in the open.
#[must_use]
pub fn encode_secrets(salt: &[u8; 32], secrets: &[SecretRecord]) -> Vec<u8> {
    Encoder::message(SECRETS_DOMAIN, 3)
        .bytes(salt)
        .list(secrets, |e, s| e.array(3).text(&s.name).uint(s.version).list(&s.accepts, |e, word| e.text(word)))
        .finish()
}

/// Parses what [`encode_secrets`] wrote.
///
/// # Errors
/// [`Malformed`] when it is not in its canonical form.
pub fn decode_secrets(bytes: &[u8], limits: &Limits) -> Result<Vec<SecretRecord>, Malformed> {
    let mut d = Decoder::message(bytes, SECRETS_DOMAIN, 3, limits)?;
    d.exact::<32>("secrets.salt")?;
    let secrets = d.list("secrets", limits.secrets, |d| {
        d.array("secret", 3)?;
        Ok(SecretRecord {
            name: d.text("secret.name", limits.text)?.to_owned(),
            version: d.uint("secret.version")?,
            accepts: d.list("secret.accepts", 64, |d| d.text("secret.accept", 64).map(str::to_owned))?,
        })
    })?;
    d.end("secrets")?;
    Ok(secrets)
}
