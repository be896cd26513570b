//! The quote: what the TPM says about its registers, under the AK, over our binding.
//!
//! TPM 2.0 Library Specification, Part 3, 18.4 (`TPM2_Quote`). The signature is verified over the bytes received, and those bytes are
//! parsed. Nothing is readable unless every rule holds.

use super::ak::AkPublic;
use super::structures::{Attest, Attested, PcrSelection, Signature};
use super::{HashAlgorithm, PcrSet, PcrValues};
use crate::check::{Checks, Rule};
use crate::hex::encode as hex;
use podseal_protocol::Bank;

/// The AK signed exactly these bytes.
pub static QUOTE_SIGNATURE: Rule = Rule {
    name: "quote.signature",
    spec: "TCG TPM 2.0 Part 3, 18.4; RFC 8017, 8.2.2; FIPS 186-5, 6.4.2",
    remedy: "Quote with the AK that the node is registered with; if it was made anew, enrol the node again.",
};
/// The signed bytes are a quote that the TPM itself made.
pub static QUOTE_MAGIC_AND_TYPE: Rule = Rule {
    name: "quote.magic_and_type",
    spec: "TCG TPM 2.0 Part 2, 10.12.8",
    remedy: "Send the TPMS_ATTEST that TPM2_Quote returned, unchanged.",
};
/// The qualifying data is the binding of this exchange.
pub static QUOTE_QUALIFYING_DATA: Rule = Rule {
    name: "quote.qualifying_data",
    spec: "docs/PROTOCOL.md, binding; TCG TPM 2.0 Part 3, 18.4",
    remedy: "Quote over the binding of this challenge and these leaves; a recorded quote is never accepted again.",
};
/// Exactly the wanted registers of the SHA-256 bank, in one selection.
pub static QUOTE_SELECTION: Rule = Rule {
    name: "quote.selection",
    spec: "TCG TPM 2.0 Part 2, 10.9.7",
    remedy: "Quote the SHA-256 bank with the registers that the profile names, in one selection.",
};
/// The values that came along are those of the selected registers, no fewer and no more.
pub static QUOTE_VALUES: Rule = Rule {
    name: "quote.values",
    spec: "docs/PROTOCOL.md, evidence",
    remedy: "Send the value of every quoted register and of no other: nothing vouches for the others.",
};
/// The values hash to what was signed.
pub static QUOTE_PCR_DIGEST: Rule = Rule {
    name: "quote.pcr_digest",
    spec: "TCG TPM 2.0 Part 2, 10.12.1",
    remedy: "Read the registers after quoting, and repeat both if something was extended in between.",
};

/// What every quote owes.
pub static RULES: [&Rule; 6] =
    [&QUOTE_SIGNATURE, &QUOTE_MAGIC_AND_TYPE, &QUOTE_QUALIFYING_DATA, &QUOTE_SELECTION, &QUOTE_VALUES, &QUOTE_PCR_DIGEST];

/// A quote as it came.
#[derive(Debug, Clone, Copy)]
pub struct QuoteEvidence<'a> {
    /// `TPMS_ATTEST`, the bytes that were signed (contents of the `TPM2B_ATTEST`).
    pub attest: &'a [u8],
    /// `TPMT_SIGNATURE`.
    pub signature: &'a [u8],
    /// What the registers are said to hold.
    pub values: &'a PcrValues,
}

/// Facts of a quote; made only by [`appraise_quote`], only after every rule held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteFacts {
    clock: u64,
    reset_count: u32,
    restart_count: u32,
    safe: bool,
    firmware_version: u64,
    pcrs: PcrValues,
}

impl QuoteFacts {
    /// Milliseconds that the TPM was powered since its owner was last cleared; only ever grows.
    #[must_use]
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// TPM resets since the owner was last cleared: one per boot.
    #[must_use]
    pub fn reset_count(&self) -> u32 {
        self.reset_count
    }

    /// Restarts and resumes since the last reset.
    #[must_use]
    pub fn restart_count(&self) -> u32 {
        self.restart_count
    }

    /// Whether no greater clock was ever reported.
    #[must_use]
    pub fn safe(&self) -> bool {
        self.safe
    }

    /// Vendor's firmware version of the TPM.
    #[must_use]
    pub fn firmware_version(&self) -> u64 {
        self.firmware_version
    }

    /// The quoted registers with their values: every one of these the TPM vouches for, and no other.
    #[must_use]
    pub fn pcrs(&self) -> &PcrValues {
        &self.pcrs
    }
}

/// Appraises a quote of the registers `wanted` under `ak` over `binding`.
///
/// Records each of [`RULES`]. A step that rests on one that failed is not carried out and stays owed.
pub fn appraise_quote(
    ak: &AkPublic,
    evidence: &QuoteEvidence<'_>,
    binding: &[u8; 32],
    wanted: PcrSet,
    checks: &mut Checks,
) -> Option<QuoteFacts> {
    if !signature_holds(ak, evidence, checks) {
        return None;
    }
    let (attest, selections, digest) = quote_of(evidence.attest, checks)?;
    let mut holds =
        checks.record(&QUOTE_QUALIFYING_DATA, attest.extra_data == binding, "the binding of this exchange", hex(attest.extra_data));
    // The digest covers only what is selected: another selection could carry the golden values of registers that hold something else.
    let exact = matches!(selections.as_slice(), [one] if one.bank == HashAlgorithm::Sha256.id() && one.mask == wanted.mask());
    holds &= checks.record(&QUOTE_SELECTION, exact, format!("sha256:{wanted}"), describe(&selections));
    let same = evidence.values.bank() == Bank::Sha256 && evidence.values.set() == wanted;
    let found = format!("{}:{}", evidence.values.bank(), evidence.values.set());
    holds &= checks.record(&QUOTE_VALUES, same, format!("sha256:{wanted}"), found);
    let values = wanted.iter().filter_map(|index| evidence.values.get(index)).collect::<Vec<_>>();
    let computed = HashAlgorithm::Sha256.digest(&values);
    holds &= checks.record(&QUOTE_PCR_DIGEST, computed.as_ref() == digest, hex(digest), hex(computed.as_ref()));
    Some(QuoteFacts {
        clock: attest.clock.clock,
        reset_count: attest.clock.reset_count,
        restart_count: attest.clock.restart_count,
        safe: attest.clock.safe,
        firmware_version: attest.firmware_version,
        pcrs: evidence.values.clone(),
    })
    .filter(|_| holds)
}

fn signature_holds(ak: &AkPublic, evidence: &QuoteEvidence<'_>, checks: &mut Checks) -> bool {
    let (holds, found) = match Signature::parse(evidence.signature) {
        Ok(signature) if ak.verifies(evidence.attest, &signature) => (true, "a signature by this AK".to_owned()),
        Ok(signature) => (false, format!("{} that is not this AK's over these bytes", signature.scheme())),
        Err(error) => (false, error.to_string()),
    };
    checks.record(&QUOTE_SIGNATURE, holds, format!("{} by {}", ak.scheme(), ak.name()), found)
}

fn quote_of<'a>(bytes: &'a [u8], checks: &mut Checks) -> Option<(Attest<'a>, Vec<PcrSelection>, &'a [u8])> {
    const WANTED: &str = "TPM_GENERATED_VALUE, TPM_ST_ATTEST_QUOTE";
    let (quote, found) = match Attest::parse(bytes) {
        Ok(attest) => match attest.attested {
            Attested::Quote { ref selections, digest } => (Some((selections.clone(), digest, attest)), WANTED.to_owned()),
            Attested::Certify { .. } => (None, "TPM_ST_ATTEST_CERTIFY".to_owned()),
            Attested::Creation { .. } => (None, "TPM_ST_ATTEST_CREATION".to_owned()),
        },
        Err(error) => (None, error.to_string()),
    };
    if !checks.record(&QUOTE_MAGIC_AND_TYPE, quote.is_some(), WANTED, found) {
        return None;
    }
    quote.map(|(selections, digest, attest)| (attest, selections, digest))
}

fn describe(selections: &[PcrSelection]) -> String {
    let each = selections.iter().map(|selection| {
        let bank = HashAlgorithm::from_id(selection.bank).map_or_else(|| format!("{:#06x}", selection.bank), |hash| hash.name().to_owned());
        match PcrSet::from_mask(selection.mask) {
            Some(set) => format!("{bank}:{set}"),
            None => format!("{bank}:mask {:#x}", selection.mask),
        }
    });
    let text = each.collect::<Vec<_>>().join("+");
    if text.is_empty() { "no selection".to_owned() } else { text }
}
