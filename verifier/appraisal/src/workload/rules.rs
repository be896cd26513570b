//! The steps that the attachments of every leaf owe.

use crate::check::Rule;

const RUNTIME: &str = "the node attester must pass on the runtime's own bytes: update node attester or container runtime";

/// The runtime spec is one strict JSON object.
pub static SPEC_PARSES: Rule = Rule { name: "spec.parses", spec: "OCI Runtime Specification 1.2, config.md", remedy: RUNTIME };
/// What the claims need is there.
pub static SPEC_COMPLETE: Rule =
    Rule { name: "spec.complete", spec: "OCI Runtime Specification 1.2, config.md and config-linux.md", remedy: RUNTIME };
/// Each variable of the environment has a name.
pub static ENV_NAMED: Rule =
    Rule { name: "spec.env_named", spec: "POSIX.1-2017, 8.1", remedy: "write each env entry of image and pod as NAME=value" };
/// No variable stands twice: readers differ in which one they take.
pub static ENV_UNIQUE: Rule =
    Rule { name: "spec.env_unique", spec: "POSIX.1-2017, 8.1", remedy: "set each variable once, in the image or in the pod" };
/// The launcher is told to trust this verifier and no other.
pub static VERIFIER_PINNED: Rule = Rule {
    name: "spec.verifier_pinned",
    spec: "docs/ARCHITECTURE.md, pods",
    remedy: "start the container with: podseal-launch --verifier ID -- …, once, with this verifier's id",
};
/// The pod set is what its encoding demands.
pub static POD_SET_PARSES: Rule = Rule { name: "podset.parses", spec: "docs/PROTOCOL.md, pod set", remedy: RUNTIME };
/// The container that asks is in its pod.
pub static POD_SET_CONTAINS: Rule = Rule {
    name: "podset.contains_container",
    spec: "docs/PROTOCOL.md, pod set",
    remedy: "the container was gone or not yet there when its pod was listed: start it again",
};
/// Name and image of the container are those of the leaf.
pub static POD_SET_AGREES: Rule = Rule { name: "podset.agrees", spec: "docs/PROTOCOL.md, pod set and leaf", remedy: RUNTIME };

/// Owed by every leaf.
pub static OWED: &[&Rule] =
    &[&SPEC_PARSES, &SPEC_COMPLETE, &ENV_NAMED, &ENV_UNIQUE, &VERIFIER_PINNED, &POD_SET_PARSES, &POD_SET_CONTAINS, &POD_SET_AGREES];
