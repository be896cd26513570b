//! The steps by which a report is what it says.

use crate::check::Rule;

/// The report has a version whose every field has a meaning.
pub(super) static SNP_VERSION: Rule = Rule {
    name: "snp.version",
    spec: "AMD 56860, table 23, VERSION",
    remedy: "Update the platform's SEV-SNP firmware; reports of version 1 are those of prototypes.",
};
/// Bytes without a meaning are zero.
pub(super) static SNP_RESERVED: Rule = Rule {
    name: "snp.reserved",
    spec: "AMD 56860, table 23 and Digital Signatures",
    remedy: "Send the report as the firmware returned it; what its version gives no meaning to has to be zero.",
};
/// The key that signed says so itself, and the certificate is of that kind.
pub(super) static SNP_SIGNING_KEY: Rule = Rule {
    name: "snp.signing_key",
    spec: "AMD 56860, table 23, SIGNING_KEY",
    remedy: "Send the certificate of the key that signed, VCEK or VLEK; where the host masks its chip key, ask for a VLEK.",
};
/// The certificate of the signing key says what such a certificate says.
pub(super) static SNP_VEK: Rule = Rule {
    name: "snp.vek",
    spec: "AMD 57230, certificate extensions",
    remedy: "Fetch the certificate for this chip and TCB version from AMD's KDS, or take it from the host.",
};
/// The certificates lead from the signing key to a root of AMD's that is configured.
pub(super) static SNP_CHAIN: Rule = Rule {
    name: "snp.chain",
    spec: "AMD 57230, certificate chains; RFC 5280, 6.1",
    remedy: "Send the ASK or ASVK and the ARK of the processor's generation, and appraise within their dates.",
};
/// The authorities are those for such keys, of the processor's generation.
pub(super) static SNP_AUTHORITY: Rule = Rule {
    name: "snp.authority",
    spec: "AMD 57230, certificate chains (ARK, ASK and ASVK of a generation)",
    remedy: "Send the certificate that AMD issued for this processor: one generation's authorities, or those of another sort of key, vouch for no other.",
};
/// The key signed exactly these bytes.
pub(super) static SNP_SIGNATURE: Rule = Rule {
    name: "snp.signature",
    spec: "AMD 56860, 7.3 and Digital Signatures; FIPS 186-5, 6.4.2",
    remedy: "Send report and certificate of one chip and TCB version, unchanged.",
};
/// Processor and certificate are of one generation.
pub(super) static SNP_PRODUCT: Rule = Rule {
    name: "snp.product",
    spec: "AMD 57230, productName; AMD 56860, table 23, CPUID_FAM_ID and CPUID_MOD_ID",
    remedy: "Send the certificate of the processor that made the report.",
};
/// The key is for the TCB version that the report is made under.
pub(super) static SNP_TCB: Rule = Rule {
    name: "snp.tcb",
    spec: "AMD 56860, table 23, REPORTED_TCB; AMD 57230, blSPL to fmcSPL",
    remedy: "Fetch the certificate for the report's REPORTED_TCB.",
};
/// The key is the chip's that the report names.
pub(super) static SNP_CHIP_ID: Rule = Rule {
    name: "snp.chip_id",
    spec: "AMD 56860, table 23, CHIP_ID; AMD 57230, hwID",
    remedy: "Fetch the certificate for the report's CHIP_ID.",
};
/// The report answers what was asked.
pub(super) static SNP_REPORT_DATA: Rule = Rule {
    name: "snp.report_data",
    spec: "AMD 56860, table 23, REPORT_DATA; RFC 9334, 10",
    remedy: "Ask the firmware for a report over the binding or nonce of this exchange; a recorded report is never accepted again.",
};

/// What every report owes.
pub static RULES: [&Rule; 9] =
    [&SNP_VERSION, &SNP_RESERVED, &SNP_SIGNING_KEY, &SNP_VEK, &SNP_CHAIN, &SNP_AUTHORITY, &SNP_SIGNATURE, &SNP_TCB, &SNP_CHIP_ID];
/// What a report owes that names its processor (version 3 on).
pub static PRODUCT_RULES: [&Rule; 1] = [&SNP_PRODUCT];
/// What a report owes of which it is known what it has to answer.
pub static FRESHNESS_RULES: [&Rule; 1] = [&SNP_REPORT_DATA];
