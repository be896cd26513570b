//! What a container may do, from the final OCI runtime spec that the runtime executes and from the list of its pod's containers.

mod mounts;
mod privilege;
pub mod rules;
mod spec;

use std::borrow::Cow;

use mounts::Owner;
pub use mounts::{MountSources, PathNotPlain};
use podseal_protocol::{Digest, Leaf, Limits, PodSet};
use spec::{Capabilities, Linux, Process, Root, Spec, User};

use crate::{
    check::Checks,
    claims::{Claim, EnvVar, Sibling, WorkloadClaims},
    json::{self, Text},
    pod_log::rules::POD,
    token::TokenFacts,
};

/// The bytes that a leaf names by digest (the caller compared the digests).
#[derive(Debug, Clone, Copy)]
pub struct WorkloadAttachments<'a> {
    /// `h` of these is [`Leaf::spec`].
    pub spec: &'a [u8],
    /// `h` of these is [`Leaf::pod_set`].
    pub pod_set: &'a [u8],
}

/// What does not come from the node.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadExpectations<'a> {
    /// Identity of the verifier, as the launcher's argument has it.
    pub verifier_id: &'a str,
    /// Which directories of the nodes are whose.
    pub sources: &'a MountSources,
    /// Ids of the containers that run in the pod, by a pod log that holds; `None` where there is none.
    pub running: Option<&'a [&'a str]>,
}

/// The parts of a spec without which there are no claims.
struct Complete<'a> {
    process: &'a Process<'a>,
    args: &'a [Text<'a>],
    cwd: &'a str,
    user: (u32, u32),
    root: &'a Root<'a>,
    linux: &'a Linux<'a>,
}

/// Appraises the attachments of `leaf`, whose token gave `token`. There are claims only where every step passed.
pub fn appraise_workload(
    attachments: WorkloadAttachments<'_>,
    leaf: &Leaf,
    token: &TokenFacts,
    expected: &WorkloadExpectations<'_>,
    limits: &Limits,
    checks: &mut Checks,
) -> Option<WorkloadClaims> {
    checks.also_owing(rules::OWED);
    let pod_set = pod_set(attachments.pod_set, leaf, expected.running, limits, checks);
    let spec = parse(attachments.spec, limits, checks)?;
    let complete = complete(&spec, checks)?;
    let pinned = verifier_pinned(complete.args, expected.verifier_id, checks);
    let env = environment(complete.process.env.as_deref().unwrap_or_default(), checks);
    if !pinned {
        return None;
    }
    Some(claims(&spec, &complete, env?, &pod_set?, leaf, token, expected.sources))
}

fn parse<'a>(bytes: &'a [u8], limits: &Limits, checks: &mut Checks) -> Option<Spec<'a>> {
    let parsed = if bytes.len() > limits.attachment {
        Err(format!("{} bytes, at most {} are taken", bytes.len(), limits.attachment))
    } else {
        json::parse(bytes)
    };
    let found = parsed.as_ref().map_or_else(Clone::clone, |_| "a JSON object".to_owned());
    let holds = checks.record(&rules::SPEC_PARSES, parsed.is_ok(), "the runtime's config.json, no key twice", found);
    parsed.ok().filter(|_| holds)
}

fn complete<'a>(spec: &'a Spec<'a>, checks: &mut Checks) -> Option<Complete<'a>> {
    let found = spec.process.as_ref().zip(spec.root.as_ref()).zip(spec.linux.as_ref()).and_then(|((process, root), linux)| {
        let user: &User<'_> = process.user.as_ref()?;
        let args = process.args.as_deref().filter(|args| !args.is_empty())?;
        linux.namespaces.as_ref()?;
        let cwd: &str = process.cwd.as_deref()?;
        Some(Complete { process, args, cwd, user: (user.uid?, user.gid?), root, linux })
    });
    let wanted = "process.args, process.cwd, process.user.{uid,gid}, root, linux.namespaces";
    let holds =
        checks.record(&rules::SPEC_COMPLETE, found.is_some(), wanted, if found.is_some() { wanted } else { "some of them missing" });
    found.filter(|_| holds)
}

/// The launcher's own arguments end at `--`; what follows is the application's. Given twice, it would be the launcher's choice.
fn verifier_pinned(args: &[Text<'_>], verifier_id: &str, checks: &mut Checks) -> bool {
    let mut own = args.iter().map(|arg| &**arg).skip(1).take_while(|arg| *arg != "--");
    let mut pinned = Vec::new();
    while let Some(arg) = own.next() {
        if arg == "--verifier" {
            pinned.push(own.next().unwrap_or_default());
        } else if let Some(value) = arg.strip_prefix("--verifier=") {
            pinned.push(value);
        }
    }
    let found = if pinned.is_empty() { "no --verifier".to_owned() } else { pinned.join(", ") };
    checks.record(&rules::VERIFIER_PINNED, pinned == [verifier_id], format!("--verifier {verifier_id}, once"), found)
}

/// Values may be other people's secrets: they leave here as digests, and no finding quotes them.
fn environment(env: &[Text<'_>], checks: &mut Checks) -> Option<Vec<EnvVar>> {
    let pairs = || env.iter().map(|entry| entry.split_once('=').unwrap_or((entry, "")));
    let nameless = env.iter().filter(|entry| entry.split_once('=').is_none_or(|(name, _)| name.is_empty())).count();
    let named = checks.record(&rules::ENV_NAMED, nameless == 0, "NAME=value", format!("{nameless} entries without a name or ="));
    let mut all: Vec<EnvVar> = pairs().map(|(name, value)| EnvVar { name: name.to_owned(), value: Digest::of(value.as_bytes()) }).collect();
    all.sort();
    let twice = all.array_windows().find_map(|[a, b]| (a.name == b.name).then(|| a.name.clone()));
    let unique = checks.record(
        &rules::ENV_UNIQUE,
        twice.is_none(),
        "each name once",
        twice.map_or_else(|| "each once".to_owned(), |name| format!("{name:?} more than once")),
    );
    (named && unique).then_some(all)
}

fn pod_set(bytes: &[u8], leaf: &Leaf, running: Option<&[&str]>, limits: &Limits, checks: &mut Checks) -> Option<PodSet> {
    let parsed = PodSet::decode(bytes, limits);
    let found = parsed.as_ref().map_or_else(ToString::to_string, |set| format!("{} containers", set.containers().len()));
    if !checks.record(&rules::POD_SET_PARSES, parsed.is_ok(), "a pod set in its canonical form", found) {
        return None;
    }
    let set = parsed.ok()?;
    if let Some(running) = running {
        all_listed(running, &set, leaf, checks);
    }
    let own = set.containers().iter().find(|c| c.id == leaf.container_id);
    let found = if own.is_some() { "listed" } else { "not listed" };
    if !checks.record(&rules::POD_SET_CONTAINS, own.is_some(), format!("container {}", leaf.container_id), found) {
        return None;
    }
    let own = own?;
    let same = own.name == leaf.container && own.image_manifest == leaf.image_manifest && own.image_config == leaf.image_config;
    let expected = format!("{} {} {}", leaf.container, leaf.image_manifest, leaf.image_config);
    let found = format!("{} {} {}", own.name, own.image_manifest, own.image_config);
    checks.record(&rules::POD_SET_AGREES, same, expected, found).then_some(set)
}

/// What the pod log has and the pod set lacks was started since the pod was listed, or is to be hidden. The one that asks has a rule of its own.
fn all_listed(running: &[&str], set: &PodSet, leaf: &Leaf, checks: &mut Checks) {
    let listed = |id: &str| id == leaf.container_id || set.containers().iter().any(|c| c.id == id);
    let unlisted: Vec<&str> = running.iter().copied().filter(|id| !listed(id)).collect();
    let found = if unlisted.is_empty() { "all of them".into() } else { Cow::from(format!("not {}", unlisted.join(", "))) };
    checks.record(&POD, unlisted.is_empty(), "the pod set has each other container that the pod log has in the pod", found);
}

fn claims(
    spec: &Spec<'_>,
    complete: &Complete<'_>,
    env: Vec<EnvVar>,
    pod_set: &PodSet,
    leaf: &Leaf,
    token: &TokenFacts,
    sources: &MountSources,
) -> WorkloadClaims {
    let Complete { process, linux, .. } = *complete;
    let sandbox = spec.annotations.as_ref().and_then(|a| a.sandbox_id.as_deref()).unwrap_or_default();
    let owner = Owner { pod_uid: &leaf.pod_uid, container: &leaf.container, sandbox };
    let mut mounts: Vec<_> = spec.mounts.iter().flatten().map(|mount| mounts::normalise(mount, owner, sources)).collect();
    mounts.sort();
    let capabilities = process.capabilities.as_ref().map(capabilities).unwrap_or_default();
    let (own, others): (Vec<_>, Vec<_>) = pod_set.containers().iter().partition(|c| c.id == leaf.container_id);
    let mut siblings: Vec<Sibling> =
        others.iter().map(|c| Sibling { name: c.name.clone(), image: c.image_manifest, privileged: c.privileged }).collect();
    siblings.sort();
    let host = pod_set.host_namespaces();
    WorkloadClaims {
        cluster: token.cluster.clone(),
        namespace: token.namespace.clone(),
        pod: token.pod.clone(),
        pod_uid: token.pod_uid.clone(),
        service_account: token.service_account.clone(),
        container: leaf.container.clone(),
        image: leaf.image_manifest,
        image_config: leaf.image_config,
        launcher: leaf.launcher,
        args: complete.args.iter().map(|arg| arg.0.clone().into_owned()).collect(),
        env,
        mounts,
        devices: privilege::devices(linux.devices.as_deref().unwrap_or_default()),
        cwd: complete.cwd.to_owned(),
        hooks: spec.hooks.as_ref().map_or(0, |hooks| hooks.0),
        uid: complete.user.0,
        gid: complete.user.1,
        privileged: own.iter().any(|c| c.privileged) || privilege::is_privileged(linux, &capabilities),
        capabilities,
        host_network: host.network || namespace(linux, "network") == Joins::Node,
        host_pid: host.pid && namespace(linux, "pid") != Joins::Own || namespace(linux, "pid") == Joins::Node,
        host_ipc: host.ipc || namespace(linux, "ipc") == Joins::Node,
        shared_pid: namespace(linux, "pid") != Joins::Own,
        read_only_root: complete.root.read_only == Some(true),
        no_new_privileges: process.no_new_privileges == Some(true),
        siblings,
        token_names_node: token.names_node.clone(),
        pod_execs: Claim::NotAppraised("attachments do not tell it"),
    }
}

/// Which namespace of a kind the container runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joins {
    /// A new one.
    Own,
    /// The one that a path names: the sandbox's, or the node's by way of a sandbox that runs in it.
    Named,
    /// Not listed: the node's (OCI runtime specification, config-linux.md, Namespaces).
    Node,
}

/// Of several entries for one kind the least separate counts.
fn namespace(linux: &Linux<'_>, kind: &str) -> Joins {
    let mut entries = linux.namespaces.iter().flatten().filter(|n| n.kind.as_deref() == Some(kind)).peekable();
    if entries.peek().is_none() {
        return Joins::Node;
    }
    let named = entries.any(|n| n.path.as_deref().is_some_and(|path| !path.is_empty()));
    if named { Joins::Named } else { Joins::Own }
}

fn capabilities(sets: &Capabilities<'_>) -> Vec<String> {
    let sets = [&sets.bounding, &sets.effective, &sets.inheritable, &sets.permitted, &sets.ambient];
    let mut all: Vec<&str> = sets.into_iter().flatten().flatten().map(|name| &**name).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
