//! Words: the kinds of evidence, the verdicts, and the report that carries them.

use super::findings::{Finding, Malformed, Missing};
use super::parts::{Item, Parts};
use serde_json::{Map, Value};

/// Whether a part is of some sort.
type Wanted = fn(&Item<'_>) -> bool;

/// What the files are evidence of, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Azure confidential VM: hardware report, runtime data, vTPM quote.
    AzureVtpm,
    /// The boot log of a TD, which its quote's RTMRs prove.
    Ccel,
    /// A token of another verifier, or of a device.
    EatEar,
    /// An IMA measurement list.
    Ima,
    /// An AWS Nitro enclave's document.
    Nitro,
    /// An AWS `NitroTPM`'s document.
    NitroTpm,
    /// An AMD SEV-SNP report.
    SnpReport,
    /// A boot log without a quote.
    TcgEventLog,
    /// An Intel TDX quote.
    TdxQuote,
    /// An endorsement key's certificate.
    TpmEk,
    /// A TPM's quote.
    TpmQuote,
}

impl Kind {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AzureVtpm => "azure-vtpm",
            Self::Ccel => "ccel",
            Self::EatEar => "eat-ear",
            Self::Ima => "ima",
            Self::Nitro => "nitro",
            Self::NitroTpm => "nitrotpm",
            Self::SnpReport => "snp-report",
            Self::TcgEventLog => "tcg-eventlog",
            Self::TdxQuote => "tdx-quote",
            Self::TpmEk => "tpm-ek",
            Self::TpmQuote => "tpm-quote",
        }
    }

    /// The kind that the parts make up: what binds others comes before what it binds.
    pub(super) fn of(parts: &Parts<'_>) -> Option<Self> {
        let has = |wanted: Wanted| parts.items().any(wanted);
        let azure = has(|item| matches!(item, Item::HclReport(_) | Item::RuntimeData(_)));
        let td = has(|item| matches!(item, Item::TdxQuote(_)));
        let attest = has(|item| matches!(item, Item::Attest(_)));
        // Of a TD with a vTPM whose runtime data are not there.
        if azure || (td && attest) {
            return Some(Self::AzureVtpm);
        }
        let kinds: [(Wanted, Self); 11] = [
            (|item| matches!(item, Item::Ccel(_) | Item::CcelTable(_)), Self::Ccel),
            (|item| matches!(item, Item::TdxQuote(_)), Self::TdxQuote),
            (|item| matches!(item, Item::NitroDocument(_)), Self::Nitro),
            (|item| matches!(item, Item::NitroTpmDocument(_)), Self::NitroTpm),
            (|item| matches!(item, Item::SnpReport { .. }), Self::SnpReport),
            (|item| matches!(item, Item::Attest(_)), Self::TpmQuote),
            (|item| matches!(item, Item::ImaAscii(_) | Item::ImaBinary(_)), Self::Ima),
            (|item| matches!(item, Item::EventLog(_)), Self::TcgEventLog),
            (|item| matches!(item, Item::Jwt(_) | Item::CoseToken(_) | Item::EatClaims(_)), Self::EatEar),
            (|item| matches!(item, Item::TpmSignature(_) | Item::RawSignature(_)), Self::TpmQuote),
            (|item| matches!(item, Item::Certificate(_)), Self::TpmEk),
        ];
        kinds.into_iter().find(|(wanted, _)| has(*wanted)).map(|(_, kind)| kind)
    }

    /// Whether a part is of use to this kind.
    pub(super) fn takes(self, item: &Item<'_>) -> bool {
        use Item::{
            Attest, Ccel, CcelTable, Certificate, CoseToken, Crl, EatClaims, EventLog, HclReport, ImaAscii, ImaBinary, Jwk, Jwt, Keyring,
            NitroDocument, NitroTpmDocument, Nonce, Pcrs, PublicKey, QeIdentity, RawSignature, RuntimeData, SnpReport, TcbInfo, TdxQuote,
            TpmPublic, TpmSignature,
        };
        let td = matches!(item, TdxQuote(_) | TcbInfo(_) | QeIdentity(_) | Certificate(_) | Crl(_) | Nonce(_));
        let quote = matches!(item, Attest(_) | TpmSignature(_) | RawSignature(_) | Pcrs(_) | PublicKey(_) | EventLog(_) | Nonce(_));
        match self {
            Self::AzureVtpm => td || quote || matches!(item, HclReport(_) | RuntimeData(_) | ImaAscii(_) | ImaBinary(_) | Keyring(_)),
            Self::Ccel => td || matches!(item, Ccel(_) | CcelTable(_)),
            Self::TdxQuote => td,
            Self::Nitro => matches!(item, NitroDocument(_) | Certificate(_) | Crl(_) | Nonce(_)),
            Self::NitroTpm => matches!(item, NitroTpmDocument(_) | Certificate(_) | Crl(_) | Nonce(_)),
            Self::SnpReport => matches!(item, SnpReport { .. } | Certificate(_) | Crl(_) | Nonce(_)),
            Self::TpmQuote => quote || matches!(item, TpmPublic(_) | Certificate(_) | ImaAscii(_) | ImaBinary(_) | Keyring(_)),
            Self::Ima => matches!(item, ImaAscii(_) | ImaBinary(_) | Keyring(_) | EventLog(_) | Pcrs(_)),
            Self::TcgEventLog => matches!(item, EventLog(_) | Pcrs(_)),
            Self::EatEar => matches!(item, Jwt(_) | CoseToken(_) | EatClaims(_) | Jwk(_) | PublicKey(_) | Nonce(_)),
            Self::TpmEk => matches!(item, Certificate(_)),
        }
    }
}

/// What comes out of it all, worst last: the worst that applies is the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Authentic up to a root or a key as given, and the shipped default policy has nothing against it.
    Verified,
    /// Authentic, but the shipped default policy would not release anything on it.
    Refused,
    /// Authentic as far as it goes, with too little to verify.
    Incomplete,
    /// Not authentic, or parts that don't belong together.
    Rejected,
    /// No evidence of a known form.
    Malformed,
}

impl Verdict {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Refused => "refused",
            Self::Incomplete => "incomplete",
            Self::Rejected => "rejected",
            Self::Malformed => "malformed",
        }
    }
}

/// What an appraisal of files came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// What the files are evidence of; `None` where nothing was recognised.
    pub kind: Option<Kind>,
    /// What the verdict rests on: roots by name and kind, and what was taken as given.
    pub anchors: Vec<String>,
    /// What the evidence says, by the names of `docs/AUDITING.md`. Facts only where the verdict is verified or refused.
    pub claims: Map<String, Value>,
    /// Every step.
    pub checks: Vec<Finding>,
    /// What would have to be there as well.
    pub missing: Vec<Missing>,
    /// What did not parse.
    pub malformed: Vec<Malformed>,
    /// Names of files that are no part of any evidence known here.
    pub ignored: Vec<String>,
}
