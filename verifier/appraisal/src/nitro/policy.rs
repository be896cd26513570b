//! What the shipped default policy has against a document that is authentic.

use super::Facts;
use super::document::{Document, Source};
use super::rules::{COMMAND_LINE, DEBUG, MEASURED};
use crate::check::Checks;
use crate::hex::encode as hex;

/// What an operator can allow. The default is what ships: none of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Take enclaves whose host may look into them.
    pub debug_enclaves: bool,
    /// Take instances that booted with a command line from outside of their image (`NitroTPM`, PCR 12).
    pub other_command_lines: bool,
}

/// Appraises the registers of a document.
///
/// Records those of [`super::rules::POLICY_RULES`] that the document's source owes.
pub fn appraise_policy(facts: &Facts<'_, '_>, policy: &Policy, checks: &mut Checks) -> bool {
    let document = facts.document();
    match document.source() {
        Source::Enclave => {
            let allowed = !document.is_debug() || policy.debug_enclaves;
            let found = if document.is_debug() { "PCR 0 to 2 are zero" } else { "PCR 0 to 2 are not zero" };
            if !checks.record(&DEBUG, allowed, "an enclave out of debug mode", found) {
                return false;
            }
            document.is_debug() || measured(document, &[0, 1, 2], checks)
        }
        Source::NitroTpm => {
            let measured = measured(document, &[4, 7], checks);
            let value = document.pcr(12);
            let allowed = policy.other_command_lines || value.is_some_and(is_zero);
            let found = value.map_or_else(|| "no PCR 12".to_owned(), hex);
            let allowed = checks.record(&COMMAND_LINE, allowed, "PCR 12 of zeros", found);
            measured && allowed
        }
    }
}

/// A register that is not there says nothing either.
fn measured(document: &Document<'_>, registers: &[u8], checks: &mut Checks) -> bool {
    let told = registers.iter().filter(|index| document.pcr(**index).is_some_and(|value| !is_zero(value)));
    let told = told.map(|index| format!("PCR {index}")).collect::<Vec<_>>();
    let wanted = registers.iter().map(|index| format!("PCR {index}")).collect::<Vec<_>>().join(" or ");
    let found = if told.is_empty() { "none of them".to_owned() } else { told.join(", ") };
    checks.record(&MEASURED, !told.is_empty(), format!("{wanted} not zero"), found)
}

pub(super) fn is_zero(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == 0)
}
