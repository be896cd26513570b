//! The steps that a pod log owes, and those of each leaf where there is one.

use crate::check::Rule;

/// The records begin where the verifier stands, or at the beginning.
pub static RESEND: Rule = Rule {
    name: "pod_log.resend",
    spec: "docs/PROTOCOL.md, pod log",
    remedy: "Nothing to do: the node attester sends its pod log from the start by itself. A verifier that was started anew has none.",
};
/// The log of this boot has one past.
pub static ONE_PAST: Rule = Rule {
    name: "pod_log.one_past",
    spec: "TCG TPM 2.0 Part 1, 17; docs/ARCHITECTURE.md, nodes",
    remedy: "Two machines answer for this node, or its TPM was restored from a copy: find out which, then podseal node release.",
};
/// The records are what their encoding demands.
pub static WELL_FORMED: Rule = Rule {
    name: "pod_log.well_formed",
    spec: "TCG IWG CEL 1.0, 5; docs/PROTOCOL.md, pod log",
    remedy: "Send the records as they were written, numbered without a gap; if the file on the node was damaged, the node needs a reboot.",
};
/// One log for this boot.
pub static BOOT: Rule = Rule {
    name: "pod_log.boot",
    spec: "TCG IWG CEL 1.0, 5; docs/ARCHITECTURE.md, pod log",
    remedy: "Keep one log a boot, which begins once and names the kernel's boot id; a node whose log was begun twice needs a reboot.",
};
/// The records lead to the quoted register.
pub static REGISTER: Rule = Rule {
    name: "pod_log.register",
    spec: "TCG TPM 2.0 Part 1, 17; TCG IWG CEL 1.0, 5",
    remedy: "Reboot the node: its register holds something else than its pod log says. If that was no accident, somebody hid what ran there.",
};
/// Nothing unexplained was in the register before.
pub static PRIOR: Rule = Rule {
    name: "pod_log.prior",
    spec: "TCG TPM 2.0 Part 1, 17; TCG PC Client PFP 1.06, 10.3",
    remedy: "Start the node attester before anything else extends the pod log's register after boot, and reboot the node.",
};

/// What every pod log owes.
pub static RULES: [&Rule; 6] = [&RESEND, &ONE_PAST, &WELL_FORMED, &BOOT, &REGISTER, &PRIOR];

/// The log knows the container that asks.
pub static CONTAINER: Rule = Rule {
    name: "pod_log.container",
    spec: "docs/ARCHITECTURE.md, pod log",
    remedy: "Start the container again; if it fails again, the node attester does not hear the container runtime's events.",
};
/// Nobody was let into it.
pub static EXEC: Rule = Rule {
    name: "pod_log.exec",
    spec: "docs/ARCHITECTURE.md, pod log",
    remedy: "Start the container again: somebody ran another process in it (kubectl exec, an exec probe), which ended its session.",
};
/// Nothing runs in the pod that the pod set does not show.
pub static POD: Rule = Rule {
    name: "pod_log.pod",
    spec: "docs/ARCHITECTURE.md, pod log; docs/PROTOCOL.md, pod set",
    remedy: "Ask again: a container was started in the pod, perhaps an ephemeral one (kubectl debug), since the pod's containers were listed.",
};

/// Owed by every leaf, where there is a pod log.
pub static LEAF: [&Rule; 3] = [&CONTAINER, &EXEC, &POD];
