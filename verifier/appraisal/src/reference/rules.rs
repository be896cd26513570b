//! The steps that reference values add.

use crate::check::Rule;

const CAPTURE: &str = "if the change was meant, capture new reference values on a node that you trust and apply them: podseal reference apply; \
                       else treat the node as tampered with";

/// The set of reference values is still in force.
pub static NOT_EXPIRED: Rule = Rule {
    name: "reference.not_expired",
    spec: "RFC 9334, 8.3; docs/ARCHITECTURE.md, reference values",
    remedy: "review the reference values and apply them again with a later expires",
};
/// What the hardware measured at the guest's start is as the set has it.
pub static LAUNCH: Rule = Rule {
    name: "reference.launch",
    spec: "AMD 56860, table 23, MEASUREMENT and ID_KEY_DIGEST; Intel TDX Module ABI, MRTD",
    remedy: CAPTURE,
};
/// The registers of the firmware are as the set has them.
pub static FIRMWARE: Rule = Rule { name: "reference.firmware", spec: "TCG PC Client PFP 1.06, 2.3.4", remedy: CAPTURE };
/// Boot loader, kernel and command line are as the set has them.
pub static KERNEL: Rule =
    Rule { name: "reference.kernel", spec: "TCG PC Client PFP 1.06, 2.3.4; UAPI Linux TPM PCR Registry", remedy: CAPTURE };
/// Secure Boot was on, where the set demands it.
pub static SECURE_BOOT: Rule = Rule {
    name: "reference.secure_boot",
    spec: "TCG PC Client PFP 1.06, 3.3.4.8; UEFI 2.10, 32",
    remedy: "enable Secure Boot in the node's firmware",
};
