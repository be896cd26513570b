//! `podseal cluster`: whose service-account tokens count.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use podseal_protocol::Digest;
use podseal_wire::{Cluster, Empty};
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    files,
    output::{self, Changed, table},
};

/// Clusters: add, list
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Add a cluster, or replace its issuer, keys and directories
    Add(Add),
    /// List clusters
    List,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What policies call it
    id: String,
    /// The `iss` of its tokens
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// Its JSON Web Key Set, as `kubectl get --raw /openid/v1/jwks` prints it
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// Its tokens carry no node claim (Kubernetes before 1.30): every receipt says so
    #[arg(long)]
    tokens_without_node: bool,
    /// Kubelet's root directory on its nodes; otherwise /var/lib/kubelet
    #[arg(long, value_name = "PATH")]
    kubelet_dir: Option<String>,
    /// The container runtime's directories on its nodes; otherwise /var/lib/containerd and /run/containerd
    #[arg(long, value_name = "PATH")]
    runtime_dir: Vec<String>,
    /// What the node attester publishes on its nodes; otherwise /run/podseal
    #[arg(long, value_name = "PATH")]
    attester_dir: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ClusterView {
    id: String,
    issuer: String,
    jwks_sha256: String,
    tokens_without_node: bool,
    kubelet_directory: String,
    runtime_directories: Vec<String>,
    attester_directories: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ClusterListView {
    clusters: Vec<ClusterView>,
}

impl From<Cluster> for ClusterView {
    fn from(cluster: Cluster) -> Self {
        Self {
            id: cluster.id,
            issuer: cluster.issuer,
            jwks_sha256: Digest::of(&cluster.jwks).to_string(),
            tokens_without_node: cluster.tokens_without_node,
            kubelet_directory: cluster.kubelet_directory,
            runtime_directories: cluster.runtime_directories,
            attester_directories: cluster.attester_directories,
        }
    }
}

impl ClusterCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        match self {
            Self::Add(add) => {
                let cluster = Cluster {
                    id: add.id.clone(),
                    issuer: add.issuer,
                    jwks: files::read(&add.jwks, files::CONFIGURATION)?,
                    tokens_without_node: add.tokens_without_node,
                    kubelet_directory: add.kubelet_dir.unwrap_or_default(),
                    runtime_directories: add.runtime_dir,
                    attester_directories: add.attester_dir,
                };
                let mut session = context.connect().await?;
                let before = session.client.list_clusters(Empty {}).await?.into_inner().clusters;
                let verb = if before.iter().any(|known| known.id == add.id) { "replaced" } else { "added" };
                let change = session.client.add_cluster(cluster).await?.into_inner();
                let changed = Changed { name: add.id, change: change.into() };
                context.format.print(&changed, |c| format!("cluster {} {verb}; {}", c.name, c.change))?;
            }
            Self::List => {
                let mut session = context.connect().await?;
                let answer = session.client.list_clusters(Empty {}).await?.into_inner();
                let mut clusters: Vec<ClusterView> = answer.clusters.into_iter().map(Into::into).collect();
                clusters.sort_by(|a, b| a.id.cmp(&b.id));
                context.format.print(&ClusterListView { clusters }, |list| {
                    let row = |c: &ClusterView| {
                        let nodes = if c.tokens_without_node { "not named" } else { "named" }.to_owned();
                        [c.id.clone(), c.issuer.clone(), output::short(&c.jwks_sha256), nodes, c.kubelet_directory.clone()]
                    };
                    table(["ID", "ISSUER", "KEYS", "NODE IN TOKENS", "KUBELET"], list.clusters.iter().map(row))
                })?;
            }
        }
        Ok(Outcome::Holds)
    }
}
