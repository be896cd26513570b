//! The rules that bind hardware's words to a node; those about the words themselves stand in the rooms of each kind.

use crate::check::Rule;

/// The evidence has the parts of its profile, and no others.
pub static PARTS: Rule = Rule {
    name: "evidence.parts",
    spec: "docs/PROTOCOL.md, evidence; RFC 9334, 3.3",
    remedy: "Send the parts of the registered profile alone: nothing says that parts of other hardware are of the same machine.",
};
/// Each part is in its format.
pub static FORM: Rule = Rule {
    name: "evidence.form",
    spec: "docs/PROTOCOL.md, evidence",
    remedy: "Send what the hardware gave, unchanged: podseal-node-attester doctor --evidence shows what it gives.",
};
/// What the maker says of this hardware is there.
pub static ENDORSED: Rule = Rule {
    name: "evidence.endorsed",
    spec: "RFC 9334, 4.1",
    remedy: "Configure the maker's service ([[endorsements.service]]), or bring its answers: podseal endorsements import.",
};
/// The key that the node is known by is one of its profile.
pub static KEY: Rule = Rule {
    name: "node.key",
    spec: "docs/PROTOCOL.md, enrolment",
    remedy: "Remove the node and enrol it again: its registration has no key of its profile.",
};
/// The node's own key signed the binding: a report alone could come from any guest of that hardware.
pub static KEY_SIGNATURE: Rule = Rule {
    name: "node.key_signature",
    spec: "docs/PROTOCOL.md, evidence; FIPS 186-5, 6.4.2",
    remedy: "Start the attester with the key file that it was enrolled with (evidence.key); if that is lost, remove the node and enrol it again.",
};
/// The evidence is of the machine that was enrolled.
pub static MACHINE: Rule = Rule {
    name: "node.machine",
    spec: "docs/ARCHITECTURE.md, nodes",
    remedy: "Another machine answers under this node's name: find out which; where it was replaced, remove the node and enrol it again.",
};
/// The document is an instance's, by its NitroTPM.
pub static NITRO_SOURCE: Rule = Rule {
    name: "nitro.source",
    spec: "EC2 User Guide, NitroTPM Attestation Document contents",
    remedy: "Ask the NitroTPM of the instance: an enclave's document says nothing about the node.",
};
/// The document tells each register that the profile wants.
pub static NITRO_REGISTERS: Rule = Rule {
    name: "nitro.registers",
    spec: "EC2 User Guide, NitroTPM Attestation Document contents; docs/PROTOCOL.md, evidence",
    remedy: "Send a document with nitrotpm_pcrs 0 to 9, and 13 where a pod log is kept.",
};
/// The attestation key of the HCL certified this node's.
pub static AK_CERTIFIED: Rule = Rule {
    name: "azure.ak_certified",
    spec: "TCG TPM 2.0 Part 3, 18.2; Part 2, 10.12.3",
    remedy: "Certify this node's AK with the key at 0x81000003 of the same virtual TPM.",
};
/// The node's key is not the one that every program of the VM may use.
pub static OWN_AK: Rule = Rule {
    name: "azure.own_ak",
    spec: "docs/ARCHITECTURE.md, nodes",
    remedy: "Enrol with an AK that Podseal made: any program of the VM can have the key at 0x81000003 sign in its name.",
};
/// Report and certification were made for this exchange, or proved this boot before.
pub static BOOT_PROVED: Rule = Rule {
    name: "azure.boot_proved",
    spec: "docs/PROTOCOL.md, evidence; TCG TPM 2.0 Part 1, 36.4",
    remedy: "Send an HCL report over this exchange's binding: the one that came is of another boot, or this verifier never took it.",
};
