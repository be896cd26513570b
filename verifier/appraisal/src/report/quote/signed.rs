//! The quote itself: what it says, and whether the key signed it.

use super::rules::{QUOTE_FRESHNESS, QUOTE_HASH, QUOTE_MEASURED};
use crate::hex;
use crate::report::findings::Findings;
use crate::report::parts::{Item, Parts};
use crate::report::pcrs::Pcrs;
use crate::tpm::quote::{QUOTE_PCR_DIGEST, QUOTE_QUALIFYING_DATA, QUOTE_SIGNATURE};
use crate::tpm::signer::Signer;
use crate::tpm::structures::{Attest, Attested, PcrSelection, Signature};
use crate::tpm::{HashAlgorithm, PcrSet};
use serde_json::{Value, json};

/// A signature as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum QuoteSignature<'a> {
    /// `TPMT_SIGNATURE`.
    Structured(Signature<'a>),
    /// The RSASSA signature alone, with SHA-256.
    Raw(&'a [u8]),
}

impl<'a> QuoteSignature<'a> {
    fn signature(self) -> Signature<'a> {
        match self {
            Self::Structured(signature) => signature,
            Self::Raw(signature) => Signature::RsaSsa { hash: HashAlgorithm::Sha256, signature },
        }
    }
}

/// A quote with what claims to be its signature.
#[derive(Debug, Clone)]
pub(in crate::report) struct Signed<'a> {
    attest: &'a [u8],
    parsed: Attest<'a>,
    selections: Vec<PcrSelection>,
    digest: &'a [u8],
    signatures: Vec<QuoteSignature<'a>>,
}

impl<'a> Signed<'a> {
    /// The quote among `parts`. Of several signatures the one named `quote.*` counts; where none is, whichever holds.
    pub(in crate::report) fn of(parts: &Parts<'a>, findings: &mut Findings) -> Option<Self> {
        let quote = |item: &Item<'a>| match item {
            Item::Attest(bytes) if bytes.get(4..6) == Some(&[0x80, 0x18]) => Some(*bytes),
            _ => None,
        };
        let (file, attest) = parts.only("quote", findings, quote)?;
        let parsed = Attest::parse(attest).map_err(|error| findings.malformed(file, error)).ok()?;
        let Attested::Quote { ref selections, digest } = parsed.attested else { return None };
        let signature = |item: &Item<'a>| match item {
            Item::TpmSignature(bytes) => Signature::parse(bytes).ok().map(QuoteSignature::Structured),
            Item::RawSignature(bytes) => Some(QuoteSignature::Raw(bytes)),
            _ => None,
        };
        let all = parts.each(signature).collect::<Vec<_>>();
        let named = all.iter().filter(|(file, _)| file.starts_with("quote")).map(|(_, signature)| *signature).collect::<Vec<_>>();
        let signatures = if named.is_empty() { all.into_iter().map(|(_, signature)| signature).collect() } else { named };
        Some(Self { attest, selections: selections.clone(), digest, signatures, parsed })
    }

    /// The registers that the quote is about, by bank.
    pub(in crate::report) fn selected(&self) -> impl Iterator<Item = (HashAlgorithm, PcrSet)> {
        self.selections.iter().filter_map(|one| Some((HashAlgorithm::from_id(one.bank)?, PcrSet::from_mask(one.mask)?)))
    }

    /// What the quote answers.
    pub(in crate::report) fn extra_data(&self) -> &'a [u8] {
        self.parsed.extra_data
    }

    /// Tells what the quote says.
    pub(in crate::report) fn tell(&self, findings: &mut Findings) {
        let Attest { qualified_signer, extra_data, clock, firmware_version, .. } = &self.parsed;
        findings.claim("type", "TPM_ST_ATTEST_QUOTE");
        findings.claim("extra_data", hex::encode(extra_data));
        findings.claim("qualified_signer", hex::encode(qualified_signer));
        findings.claim("clock", clock.clock);
        findings.claim("reset_count", clock.reset_count);
        findings.claim("restart_count", clock.restart_count);
        findings.claim("safe", u8::from(clock.safe));
        findings.claim("firmware_version", format!("{firmware_version:016x}"));
        findings.claim("pcr_selection", self.selections.iter().map(selection).collect::<Value>());
        findings.claim("pcr_digest", hex::encode(self.digest));
        if let [signature] = self.signatures.as_slice() {
            let (scheme, hash) = words(&signature.signature());
            findings.claim("sig_alg", scheme);
            findings.claim("sig_hash", hash.name());
            let encoding = if matches!(signature, QuoteSignature::Raw(_)) { "raw" } else { "TPMT_SIGNATURE" };
            findings.claim("signature_encoding", encoding);
        }
    }

    /// Appraises the quote under `key`, with the values of its registers where they came along and what it must answer where that is known.
    pub(in crate::report) fn appraise(&self, key: &Signer, pcrs: Option<&Pcrs>, nonce: Option<&[u8]>, findings: &mut Findings) {
        let Some(first) = self.signatures.first() else {
            return findings.missing("quote.sig", "the signature of the quote");
        };
        let signature = self.signatures.iter().map(|one| one.signature()).find(|one| key.verifies(self.attest, one));
        let found = if signature.is_some() { "a signature by this key" } else { "none by this key over these bytes" };
        if !findings.authenticity.record(&QUOTE_SIGNATURE, signature.is_some(), first.signature().scheme(), found) {
            return;
        }
        let hash = words(&signature.unwrap_or(first.signature())).1;
        self.answers(nonce, findings);
        findings.policy.record(&QUOTE_HASH, hash != HashAlgorithm::Sha1, "SHA-256 or better", hash.name());
        match pcrs {
            Some(pcrs) => self.values(pcrs, hash, findings),
            None if self.selections.iter().all(|selection| selection.mask == 0) => {
                findings.policy.record(&QUOTE_MEASURED, false, "registers that were extended", "no register is quoted");
            }
            None => {}
        }
    }

    fn answers(&self, nonce: Option<&[u8]>, findings: &mut Findings) {
        let data = self.parsed.extra_data;
        if let Some(nonce) = nonce {
            findings.authenticity.record(&QUOTE_QUALIFYING_DATA, data == nonce, hex::encode(nonce), hex::encode(data));
        }
        let found = if data.is_empty() { "none".to_owned() } else { format!("{} bytes", data.len()) };
        findings.policy.record(&QUOTE_FRESHNESS, !data.is_empty(), "qualifying data", found);
    }

    /// Part 2, 10.12.1: the digest is over the selected values, in the order of the selection, by the hash of the signing scheme.
    fn values(&self, pcrs: &Pcrs, hash: HashAlgorithm, findings: &mut Findings) {
        let Some(values) = self.selected_values(pcrs) else {
            return findings.missing("pcrs", "the value of every quoted register: the quote has only their digest");
        };
        let Findings { authenticity, policy, .. } = findings;
        let parts = values.iter().map(|(_, value)| *value).collect::<Vec<_>>();
        let computed = hash.digest(&parts);
        authenticity.record(&QUOTE_PCR_DIGEST, computed.as_ref() == self.digest, hex::encode(self.digest), hex::encode(computed.as_ref()));
        // PC Client PTP 1.06, 4.6.2: zeros after a reset, and 17 to 22 ones until there is a dynamic launch, which begins from zeros.
        let untouched = |(index, value): &(u8, &[u8])| {
            let all = |wanted| value.iter().all(|byte| *byte == wanted);
            all(0) || ((17..=22).contains(index) && all(0xff))
        };
        let measured = values.iter().filter(|value| !untouched(value)).count();
        policy.record(&QUOTE_MEASURED, measured > 0, "registers that were extended", format!("{measured} of {}", values.len()));
    }

    fn selected_values<'p>(&self, pcrs: &'p Pcrs) -> Option<Vec<(u8, &'p [u8])>> {
        let mut values = Vec::new();
        for one in &self.selections {
            let (bank, set) = (HashAlgorithm::from_id(one.bank)?, PcrSet::from_mask(one.mask)?);
            for index in set.iter() {
                values.push((index, pcrs.get(bank, index)?));
            }
        }
        Some(values)
    }
}

fn words(signature: &Signature<'_>) -> (&'static str, HashAlgorithm) {
    match signature {
        Signature::RsaSsa { hash, .. } => ("rsassa", *hash),
        Signature::RsaPss { hash, .. } => ("rsapss", *hash),
        Signature::EcDsa { hash, .. } => ("ecdsa", *hash),
    }
}

fn selection(selection: &PcrSelection) -> Value {
    let bank = HashAlgorithm::from_id(selection.bank).map_or_else(|| format!("{:#06x}", selection.bank), |hash| hash.name().to_owned());
    let indices = (0..32_u8).filter(|index| selection.mask >> index & 1 == 1).collect::<Vec<_>>();
    json!([bank, indices])
}
