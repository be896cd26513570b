//! Azure confidential VMs: the paravisor's report, which ties the attestation key of its vTPM to the hardware.
//!
//! The host compatibility layer (HCL) makes the vTPM's keys at boot, writes their public parts into a JSON document, and has the hardware
//! report over the document's SHA-256. So hardware report → runtime data → attestation key → quote → registers; a certificate of the key
//! says less (CVE-2025-49707). Layout: Azure guest attestation, `AttestationReport` and `RuntimeData` of the HCL; see also OpenHCL,
//! `openhcl_attestation_protocol`.

mod hcl;
mod runtime;

pub use hcl::{Hardware, HclError, HclReport, runtime_data_of};
pub use runtime::{RuntimeData, RuntimeError};

use crate::check::{Checks, Rule};
use crate::hex;
use podseal_protocol::Digest;

/// The hardware reported over this document.
pub static RUNTIME_DATA: Rule = Rule {
    name: "azure.runtime_data",
    spec: "Azure guest attestation, runtime data; OpenHCL, igvm_attest::get",
    remedy: "Send the NV index 0x01400001 as it is: keys that the hardware does not vouch for may be anybody's.",
};
/// The document names one attestation key.
pub static ATTESTATION_KEY: Rule = Rule {
    name: "azure.attestation_key",
    spec: "Azure guest attestation, runtime data (HCLAkPub); RFC 7517, 4",
    remedy: "Send the runtime data as the vTPM has it: it must name one RSA key HCLAkPub, once.",
};
/// The TD's quote is of the VM that the report in the NV index is of.
pub static ONE_REPORT: Rule = Rule {
    name: "azure.one_report",
    spec: "Intel TDX Module 1.5 ABI, REPORTMACSTRUCT",
    remedy: "Fetch quote and report in the same boot: the quote's report data is not the report's.",
};

/// What every Azure VM owes besides its hardware report and its quote.
pub static RULES: &[&Rule] = &[&RUNTIME_DATA, &ATTESTATION_KEY, &ONE_REPORT];

/// Whether `report_data` of the hardware is the SHA-256 of the document, and zeros (which leave no room for a second meaning).
pub fn appraise_binding(document: &[u8], report_data: &[u8; 64], checks: &mut Checks) -> bool {
    let mut wanted = [0; 64];
    let (head, _) = wanted.split_at_mut(32);
    head.copy_from_slice(&Digest::of(document).0);
    checks.record(&RUNTIME_DATA, *report_data == wanted, hex::encode(&wanted), hex::encode(report_data))
}
