//! `podseal node`: the registry.

use clap::Subcommand;
use jiff::SignedDuration;
use podseal_protocol::hex;
use podseal_wire::{Empty, Holding, JoinTokenRequest, Name, Node, NodeReason};
use serde::Serialize;

use crate::{
    context::Context,
    failure::{Failure, Outcome},
    output::{self, ChangeView, Changed, table},
};

/// Longest life of a join token, in seconds.
const LONGEST: u64 = 86_400;

/// Nodes: join-token, list, approve, show, quarantine, release
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Make a token with which one node can join, once; whoever holds it can
    JoinToken {
        /// The cluster that may be joined
        #[arg(long, value_name = "ID")]
        cluster: String,
        /// The one node that may join; otherwise any
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
        /// How long it is good for, at most 24h
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = lifetime)]
        lifetime: u64,
    },
    /// List nodes
    List,
    /// Let a pending node in
    Approve {
        /// Its name
        name: String,
    },
    /// Show one node: its keys, where its TPM stood last, why it is in quarantine, and which secrets it may hold
    Show {
        /// Its name
        name: String,
    },
    /// Release nothing more to a node
    Quarantine {
        /// Its name
        name: String,
        /// Why; stands in the log and in every refusal's explanation
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Let a node out of quarantine; wherever its TPM stands then, it goes on from there
    Release {
        /// Its name
        name: String,
    },
}

/// Seconds of `1h`, `30m`, `1h 30m`, `90s`.
fn lifetime(text: &str) -> Result<u64, String> {
    let seconds = text.parse::<SignedDuration>().ok().and_then(|duration| u64::try_from(duration.as_secs()).ok());
    let wanted = || format!("found {text:?}, wanted a time from 1s to 24h, as in 30m or 1h");
    seconds.filter(|seconds| (1..=LONGEST).contains(seconds)).ok_or_else(wanted)
}

#[derive(Debug, Serialize)]
struct TokenView {
    token: String,
    expires: Option<String>,
    change: ChangeView,
}

#[derive(Debug, Serialize)]
struct NodeView {
    name: String,
    cluster: String,
    state: String,
    profile: String,
    node_uid: String,
    root: String,
    root_kind: String,
    machine: String,
    signer: String,
    enrolled: Option<String>,
    last_seen: Option<String>,
    quarantined: String,
    attested: Option<String>,
    failing: Option<FailingView>,
    tpm: Option<TpmView>,
    holdings: Vec<HoldingView>,
}

#[derive(Debug, Serialize)]
struct FailingView {
    since: Option<String>,
    check: String,
    audit_id: String,
}

#[derive(Debug, Serialize)]
struct TpmView {
    reset_count: u32,
    restart_count: u32,
    clock_ms: u64,
    pod_log_length: u64,
    pod_log_head: String,
    appraised: Option<String>,
}

#[derive(Debug, Serialize)]
struct HoldingView {
    secret: String,
    version: u64,
    workload: String,
    released: Option<String>,
    audit_id: String,
}

#[derive(Debug, Serialize)]
struct NodeListView {
    nodes: Vec<NodeView>,
}

impl From<Node> for NodeView {
    fn from(node: Node) -> Self {
        Self {
            name: node.name,
            cluster: node.cluster,
            state: node.state,
            profile: node.profile,
            node_uid: node.node_uid,
            root: node.root,
            root_kind: node.root_kind,
            machine: hex::encode(&node.machine),
            signer: hex::encode(&node.signer),
            enrolled: output::time(node.enrolled),
            last_seen: output::time(node.last_seen),
            quarantined: node.quarantined,
            attested: output::time(node.attested),
            failing: node.failing.map(|f| FailingView { since: output::time(f.since), check: f.check, audit_id: f.audit_id }),
            tpm: node.tpm.map(|tpm| TpmView {
                reset_count: tpm.reset_count,
                restart_count: tpm.restart_count,
                clock_ms: tpm.clock,
                pod_log_length: tpm.pod_log_length,
                pod_log_head: hex::encode(&tpm.pod_log_head),
                appraised: output::time(tpm.appraised),
            }),
            holdings: node.holdings.into_iter().map(HoldingView::from).collect(),
        }
    }
}

impl From<Holding> for HoldingView {
    fn from(holding: Holding) -> Self {
        let Holding { audit_id, secret, version, workload, released } = holding;
        Self { secret, version, workload, released: output::time(released), audit_id }
    }
}

impl NodeCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) async fn run(self, context: &Context) -> Result<Outcome, Failure> {
        let mut session = context.connect().await?;
        match self {
            Self::JoinToken { cluster, node, lifetime } => {
                let request = JoinTokenRequest { cluster, node: node.unwrap_or_default(), lifetime };
                let answer = session.client.create_join_token(request).await?.into_inner();
                let change = ChangeView::of(answer.change)?;
                let view = TokenView { token: answer.token, expires: output::time(answer.expires), change };
                context.format.print(&view, |v| {
                    let expires = v.expires.as_deref().unwrap_or("an unknown time");
                    eprintln!("good once, until {expires}; {}", v.change);
                    v.token.clone()
                })?;
            }
            Self::List => {
                let answer = session.client.list_nodes(Empty {}).await?.into_inner();
                let mut nodes: Vec<NodeView> = answer.nodes.into_iter().map(Into::into).collect();
                nodes.sort_by(|a, b| a.name.cmp(&b.name));
                context.format.print(&NodeListView { nodes }, |list| {
                    let row = |n: &NodeView| {
                        let root = format!("{} ({})", n.root, n.root_kind);
                        let seen = n.last_seen.clone().unwrap_or_else(|| "never".to_owned());
                        [n.name.clone(), n.cluster.clone(), n.state.clone(), n.profile.clone(), root, seen]
                    };
                    table(["NAME", "CLUSTER", "STATE", "PROFILE", "ROOT", "LAST SEEN"], list.nodes.iter().map(row))
                })?;
            }
            Self::Approve { name } => {
                let change = session.client.approve_node(Name { name: name.clone() }).await?.into_inner();
                let changed = Changed { name, change: change.into() };
                context.format.print(&changed, |c| format!("node {} approved; {}", c.name, c.change))?;
            }
            Self::Quarantine { name, why } => {
                let change = session.client.quarantine_node(NodeReason { name: name.clone(), why }).await?.into_inner();
                let changed = Changed { name, change: change.into() };
                context.format.print(&changed, |c| format!("node {} in quarantine; {}", c.name, c.change))?;
            }
            Self::Release { name } => {
                let change = session.client.release_node(Name { name: name.clone() }).await?.into_inner();
                let changed = Changed { name, change: change.into() };
                context.format.print(&changed, |c| format!("node {} out of quarantine; {}", c.name, c.change))?;
            }
            Self::Show { name } => {
                let node = session.client.get_node(Name { name }).await?.into_inner();
                context.format.print(&NodeView::from(node), node_text)?;
            }
        }
        Ok(Outcome::Holds)
    }
}

fn node_text(node: &NodeView) -> String {
    let mut pairs = vec![
        ("name", node.name.clone()),
        ("cluster", node.cluster.clone()),
        ("state", node.state.clone()),
        ("profile", node.profile.clone()),
        ("node uid", node.node_uid.clone()),
        ("root", format!("{} ({})", node.root, node.root_kind)),
        ("machine", node.machine.clone()),
        ("signer", node.signer.clone()),
        ("enrolled", node.enrolled.clone().unwrap_or_default()),
        ("last seen", node.last_seen.clone().unwrap_or_else(|| "never".to_owned())),
    ];
    pairs.push(("attested", node.attested.clone().unwrap_or_else(|| "never".to_owned())));
    if let Some(failing) = &node.failing {
        let since = failing.since.as_deref().unwrap_or("an unknown time");
        pairs.push(("failing", format!("since {since}: {}: podseal explain {}", failing.check, failing.audit_id)));
    }
    if !node.quarantined.is_empty() {
        pairs.push(("quarantined", node.quarantined.clone()));
    }
    if let Some(tpm) = &node.tpm {
        let appraised = tpm.appraised.as_deref().unwrap_or("an unknown time");
        let counts = format!("reset {}, restart {}, clock {} ms, at {appraised}", tpm.reset_count, tpm.restart_count, tpm.clock_ms);
        pairs.push(("TPM", counts));
        if tpm.pod_log_length > 0 {
            let records = if tpm.pod_log_length == 1 { "record" } else { "records" };
            pairs.push(("pod log", format!("{} {records}, head {}", tpm.pod_log_length, output::short(&tpm.pod_log_head))));
        }
    }
    let mut text = output::pairs(&pairs);
    if !node.holdings.is_empty() {
        let row = |h: &HoldingView| {
            [format!("{}@{}", h.secret, h.version), h.workload.clone(), h.released.clone().unwrap_or_default(), h.audit_id.clone()]
        };
        text.push_str("\n\nReleased since its last reset, so perhaps in its memory, newest first:\n");
        text.push_str(&table(["SECRET", "WORKLOAD", "RELEASED", "AUDIT ID"], node.holdings.iter().map(row)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        for (text, seconds) in [("1h", 3600), ("30m", 1800), ("1h 30m", 5400), ("90s", 90), ("24h", 86_400)] {
            assert_eq!(lifetime(text), Ok(seconds), "{text}");
        }
        for text in ["", "0s", "-1h", "25h", "60", "1 year", "soon"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
