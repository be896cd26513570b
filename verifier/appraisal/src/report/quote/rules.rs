//! The rules of quotes in reports. Those that every quote owes stand in `tpm::quote` and `tpm::ak`.

use crate::check::Rule;

/// The bare key, the public area and the certificate that came along name one key.
pub(super) static QUOTE_ONE_KEY: Rule = Rule {
    name: "quote.one_key",
    spec: "docs/AUDITING.md, report verify",
    remedy: "Send public area and public key of the AK that signed, and no other TPM's.",
};
/// The certificate of the AK leads to a root.
pub(super) static QUOTE_AK_CERTIFICATE: Rule = Rule {
    name: "quote.ak_certificate",
    spec: "RFC 5280, 6.1",
    remedy: "Add the issuers of the AK's certificate; if its root is one to be trusted, name it with --roots.",
};
/// The TPM certified under which conditions it made the AK.
pub(super) static QUOTE_AK_CREATION: Rule = Rule {
    name: "quote.ak_creation",
    spec: "TCG TPM 2.0 Part 3, 18.3 (TPM2_CertifyCreation)",
    remedy: "Send the creation attestation of this AK, with its signature.",
};
/// No signature with a hash that can be collided.
pub(super) static QUOTE_HASH: Rule = Rule {
    name: "quote.hash",
    spec: "NIST SP 800-131A rev. 2, 3",
    remedy: "Create an AK that signs with SHA-256 or better: with SHA-1, two quotes can be made that share one signature.",
};
/// Whoever asked for the quote sent something for it to answer.
pub(super) static QUOTE_FRESHNESS: Rule = Rule {
    name: "quote.freshness",
    spec: "RFC 9334, 10.2; TCG TPM 2.0 Part 3, 18.4",
    remedy: "Quote over a nonce: this quote may be of any age.",
};
/// Something was measured into the quoted registers.
pub(super) static QUOTE_MEASURED: Rule = Rule {
    name: "quote.measured",
    spec: "TCG PC Client PFP 1.06, 3.3.4",
    remedy: "Quote a machine that measures its boot: every quoted register is as it was after a reset.",
};
/// Each signature that came along is of the quote or of the key's creation.
pub(super) static QUOTE_SIGNATURES: Rule = Rule {
    name: "quote.signatures",
    spec: "docs/AUDITING.md, report verify",
    remedy: "Send the signatures of this quote and of the creation of its key, and no others.",
};
