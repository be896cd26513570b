//! IMA's measurement list: which files the kernel measured before it ran or read them, in order, into PCR 10.
//!
//! Linux, Documentation/security/IMA-templates.rst and security/integrity/ima. The list is text by whoever sends it; what holds is only
//! this: the entries up to where the list leads to the quoted register were extended, in this order. A path is one in the mount namespace
//! of who opened the file, so a container can add entries under any path; it can take none away, and none that says another digest.

mod agent;
pub(crate) mod boot_aggregate;
mod entry;
mod list;
mod replay;
mod signature;
mod survey;
#[cfg(test)]
mod tests;

pub use agent::{AGENT_RULES, AgentFile, IMA_AGENT_MEASURED, IMA_FILE_CHANGED, IMA_VIOLATION, appraise_agent};
pub use boot_aggregate::{BOOT_AGGREGATE, boot_aggregates};
pub use entry::{Entry, Measured, Template};
pub use list::{Entries, List, ListError};
pub use replay::{Extension, REGISTER, Replay};
pub use signature::{Keyring, KeyringError, Signature};
pub use survey::{Named, Survey};

use crate::check::{Checks, Rule};
use crate::hex::encode as hex;
use crate::tpm::{HashAlgorithm, PcrValues};

/// The list parses.
pub static IMA_WELL_FORMED: Rule = Rule {
    name: "ima.well_formed",
    spec: "Linux, Documentation/security/IMA-templates.rst",
    remedy: "Send /sys/kernel/security/ima/binary_runtime_measurements as the kernel has it.",
};
/// Each template digest is the hash of what stands beside it.
pub static IMA_TEMPLATE_DIGEST: Rule = Rule {
    name: "ima.template_digest",
    spec: "Linux, security/integrity/ima/ima_crypto.c (ima_calc_field_array_hash)",
    remedy: "Send the list as the kernel has it: in this one an entry was changed after it was measured.",
};
/// The digest of each measured buffer is its hash.
pub static IMA_BUFFER_DIGEST: Rule = Rule {
    name: "ima.buffer_digest",
    spec: "Linux, Documentation/security/IMA-templates.rst (ima-buf)",
    remedy: "Send the list as the kernel has it: in this one a buffer was changed after it was measured.",
};
/// The signatures of files are by the keys that they name.
pub static IMA_FILE_SIGNATURE: Rule = Rule {
    name: "ima.file_signature",
    spec: "Linux, security/integrity/digsig.c (signature_v2_hdr)",
    remedy: "Find out where the file comes from: its signature is not by the key of that id in the keyring.",
};
/// Every entry is one of PCR 10.
pub static IMA_REGISTER: Rule = Rule {
    name: "ima.register",
    spec: "Linux, Documentation/ABI/testing/ima_policy (pcr=)",
    remedy: "Take pcr= out of the IMA policy: what is measured into another register than PCR 10 is not appraised.",
};
/// The list leads to the register.
pub static IMA_REPLAYS: Rule = Rule {
    name: "ima.replays",
    spec: "Linux, security/integrity/ima/ima_queue.c (ima_pcr_extend); TCG TPM 2.0 Part 1, 17",
    remedy: "Quote first, then send the whole list; if it is whole, something else extends PCR 10, and the node needs a reboot.",
};
/// The list begins with the boot that the registers tell of.
pub static IMA_BOOT_AGGREGATE: Rule = Rule {
    name: "ima.boot_aggregate",
    spec: "Linux, security/integrity/ima/ima_crypto.c (ima_calc_boot_aggregate)",
    remedy: "Send the list of this boot; if it is that, the TPM was not there when IMA began: build its driver into the kernel.",
};

/// What every list of a node owes.
pub static LIST_RULES: [&Rule; 5] = [&IMA_WELL_FORMED, &IMA_TEMPLATE_DIGEST, &IMA_REGISTER, &IMA_REPLAYS, &IMA_BOOT_AGGREGATE];
/// What is appraised where there is something to appraise it on: measured buffers, signatures and the keys to them.
pub static OTHER_RULES: [&Rule; 2] = [&IMA_BUFFER_DIGEST, &IMA_FILE_SIGNATURE];

/// A list whose entries, up to a point, were extended into the quoted register; made only by [`appraise_list`].
#[derive(Debug, Clone, Copy)]
pub struct ProvedList<'a> {
    list: List<'a>,
    proved: usize,
}

impl<'a> ProvedList<'a> {
    /// How many entries are proved. Those that the kernel added between the quote and the reading of the list are not.
    #[must_use]
    pub fn proved(&self) -> usize {
        self.proved
    }

    /// The proved entries, in the order extended.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> {
        self.list.entries().take(self.proved).filter_map(Result::ok)
    }
}

/// Appraises a node's list against the registers of its quote: PCR 10, and PCR 0 to 7 or 9 for the boot aggregate.
///
/// Records each of [`LIST_RULES`]. Takes no [`podseal_protocol::Limits`]: what is kept of a list grows by its entries, not by a length in it.
pub fn appraise_list<'a>(list: List<'a>, quoted: &PcrValues, checks: &mut Checks) -> Option<ProvedList<'a>> {
    let bank = HashAlgorithm::from(quoted.bank());
    let register = quoted.get(REGISTER);
    let mut proved = None;
    let mut boot = None;
    let read = Survey::of(list, &[bank], &Keyring::default(), |entry, registers| {
        if register.is_some() && registers.iter().any(|replay| replay.value() == register) {
            proved = Some(entry.position + 1);
        }
        if entry.position == 0 {
            boot = boot_aggregate::of(entry, |index| quoted.get(index));
        }
    });
    let found = read.as_ref().map_or_else(ToString::to_string, |survey| format!("{} entries", survey.entries));
    let well_formed = checks.record(&IMA_WELL_FORMED, read.is_ok(), "an IMA measurement list", found);
    let survey = read.ok().filter(|_| well_formed)?;
    let mut holds = appraise_survey(&survey, checks);
    holds &= checks.record(&IMA_REGISTER, survey.elsewhere == 0, "PCR 10 only", format!("{} entries of other registers", survey.elsewhere));
    let wanted = register.map_or_else(|| "a quoted PCR 10".to_owned(), |value| format!("PCR 10 = {}, as quoted", hex(value)));
    holds &= checks.record(&IMA_REPLAYS, proved.is_some(), wanted, leads_to(&survey, bank));
    holds &= boot_aggregate::record(boot.as_ref(), checks);
    proved.filter(|_| holds).map(|proved| ProvedList { list, proved })
}

/// Appraises what a list says of itself: [`IMA_TEMPLATE_DIGEST`], and of [`OTHER_RULES`] those that there is something to appraise on.
pub fn appraise_survey(survey: &Survey, checks: &mut Checks) -> bool {
    let found = told(survey.matches, &survey.mismatches);
    let mut holds =
        checks.record(&IMA_TEMPLATE_DIGEST, survey.mismatches.is_empty(), "template digests that are the hash of their entry", found);
    if survey.buffer_matches > 0 || !survey.buffer_mismatches.is_empty() {
        let found = told(survey.buffer_matches, &survey.buffer_mismatches);
        holds &= checks.record(&IMA_BUFFER_DIGEST, survey.buffer_mismatches.is_empty(), "digests that are the hash of their buffer", found);
    }
    let good = survey.signatures.iter().filter(|signature| matches!(signature, Signature::Good(_))).count();
    let bad = survey.signatures.iter().find(|signature| matches!(signature, Signature::Bad(_)));
    if good > 0 || bad.is_some() {
        let found = bad.map_or_else(|| format!("{good} that are"), ToString::to_string);
        holds &= checks.record(&IMA_FILE_SIGNATURE, bad.is_none(), "signatures by the keys that they name", found);
    }
    holds
}

fn told(matches: usize, mismatches: &[usize]) -> String {
    match mismatches.first() {
        Some(first) => format!("{} that are not, the first of them entry {first}", mismatches.len()),
        None => format!("{matches} that are"),
    }
}

/// What the whole list leads to, in words.
fn leads_to(survey: &Survey, bank: HashAlgorithm) -> String {
    let replays = survey.registers.iter().filter(|replay| replay.bank() == bank);
    let values = replays.filter_map(Replay::value).map(hex).collect::<Vec<_>>();
    format!("{} entries, which lead to {}", survey.entries, values.join(" or "))
}
