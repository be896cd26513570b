//! The steps, in the order in which they are carried out.

use crate::check::Rule;

/// The attestation key signed exactly the header and the body.
pub static QUOTE_SIGNATURE: Rule = Rule {
    name: "tdx.quote_signature",
    spec: "Intel TDX DCAP Quoting Library API, A.3.8; FIPS 186-5, 6.4.2",
    remedy: "Send the quote as the quoting service returned it; if it was, something altered it on the way.",
};
/// The quoting enclave vouches for the attestation key.
pub static ATTESTATION_KEY: Rule = Rule {
    name: "tdx.attestation_key",
    spec: "Intel TDX DCAP Quoting Library API, A.3.11",
    remedy: "Quote again: the attestation key is not the one that the quoting enclave had certified.",
};
/// The platform's PCK signed the quoting enclave's report.
pub static QE_REPORT_SIGNATURE: Rule = Rule {
    name: "tdx.qe_report_signature",
    spec: "Intel TDX DCAP Quoting Library API, A.3.11",
    remedy: "Register the platform again (PCKIDRetrievalTool), so that its quotes carry the PCK certificate of its current TCB.",
};
/// The PCK certificate says which platform it is for.
pub static PCK_CERTIFICATE: Rule = Rule {
    name: "tdx.pck_certificate",
    spec: "Intel SGX PCK Certificate and CRL Profile Specification 1.5, 1.3.5",
    remedy: "Let the quoting service fetch the PCK certificate again from the provisioning certification service.",
};
/// The PCK certificate has a path to a configured root.
pub static PCK_CHAIN: Rule = Rule {
    name: "tdx.pck_chain",
    spec: "RFC 5280, 6.1; Intel SGX PCK Certificate and CRL Profile Specification 1.5, 1",
    remedy: "Send the quote with its whole PCK chain; a root that is not Intel's has to be configured by the operator.",
};
/// Whatever follows the signature data is zero padding.
pub static QUOTE_PADDING: Rule = Rule {
    name: "tdx.quote_padding",
    spec: "Intel TDX DCAP Quoting Library API, A.3",
    remedy: "Cut the file off where the signature data ends: nothing vouches for what follows.",
};
/// The quote answers what was asked.
pub static REPORT_DATA: Rule = Rule {
    name: "tdx.report_data",
    spec: "Intel TDX DCAP Quoting Library API, A.3.2; RFC 9334, 10",
    remedy: "Quote again over the nonce of this exchange; a recorded quote is never accepted again.",
};
/// Every certificate that came along belongs to this PKI.
pub static CERTIFICATES: Rule = Rule {
    name: "tdx.certificates",
    spec: "docs/AUDITING.md, report verify",
    remedy: "Leave out the certificate that is named: neither the root nor the PCK's authority signed it.",
};

/// Every revocation list that came along is one of an authority of this quote.
pub static LISTS: Rule = Rule {
    name: "tdx.lists",
    spec: "docs/AUDITING.md, report verify",
    remedy: "Leave out the revocation list that is named: neither the root nor the PCK's authority issued it.",
};

/// The PCK authority's list is signed by it.
pub static PCK_CRL: Rule = Rule {
    name: "tdx.pck_crl",
    spec: "RFC 5280, 5; Intel SGX PCK Certificate and CRL Profile Specification 1.5, 2",
    remedy: "Fetch the list again: /sgx/certification/v4/pckcrl, for the authority that issued the PCK certificate.",
};
/// The root's list is signed by it.
pub static ROOT_CA_CRL: Rule = Rule {
    name: "tdx.root_ca_crl",
    spec: "RFC 5280, 5; Intel SGX PCK Certificate and CRL Profile Specification 1.5, 2",
    remedy: "Fetch the list again from the address in the root's certificate.",
};
/// The certificate of whoever signed the collateral comes straight from a configured root.
pub static TCB_SIGNER: Rule = Rule {
    name: "tdx.tcb_signer",
    spec: "Intel PCS API 4, TCB-Info-Issuer-Chain; RFC 5280, 6.1",
    remedy: "Send the chain that came in the header TCB-Info-Issuer-Chain of the same answer.",
};
/// The TCB signing key signed exactly these bytes of TCB info.
pub static TCB_INFO_SIGNATURE: Rule = Rule {
    name: "tdx.tcb_info_signature",
    spec: "Intel PCS API 4, Get TDX TCB Info; FIPS 186-5, 6.4.2",
    remedy: "Fetch TCB info again and keep the answer's bytes: reformatted JSON has another signature.",
};
/// The TCB info is for TDX, in the version that is known here.
pub static TCB_INFO_FORM: Rule = Rule {
    name: "tdx.tcb_info_form",
    spec: "Intel PCS API 4, Get TDX TCB Info",
    remedy: "Fetch TCB info of version 3 for TDX: /tdx/certification/v4/tcb.",
};
/// The TCB signing key signed exactly these bytes of the quoting enclave's identity.
pub static QE_IDENTITY_SIGNATURE: Rule = Rule {
    name: "tdx.qe_identity_signature",
    spec: "Intel PCS API 4, Get TDX QE Identity; FIPS 186-5, 6.4.2",
    remedy: "Fetch the QE identity again and keep the answer's bytes: reformatted JSON has another signature.",
};
/// The identity is the TD quoting enclave's, in the version that is known here.
pub static QE_IDENTITY_FORM: Rule = Rule {
    name: "tdx.qe_identity_form",
    spec: "Intel PCS API 4, Get TDX QE Identity",
    remedy: "Fetch the identity of version 2 for the TD quoting enclave: /tdx/certification/v4/qe/identity.",
};

/// The TCB info is in force.
pub static TCB_INFO_CURRENT: Rule = Rule {
    name: "tdx.tcb_info_current",
    spec: "Intel PCS API 4, Get TDX TCB Info (issueDate, nextUpdate)",
    remedy: "Fetch TCB info again; evidence of the past is verified with --at and the collateral of that time.",
};
/// The quoting enclave's identity is in force.
pub static QE_IDENTITY_CURRENT: Rule = Rule {
    name: "tdx.qe_identity_current",
    spec: "Intel PCS API 4, Get TDX QE Identity (issueDate, nextUpdate)",
    remedy: "Fetch the QE identity again; evidence of the past is verified with --at and the collateral of that time.",
};
/// Both revocation lists are in force.
pub static CRL_CURRENT: Rule = Rule {
    name: "tdx.crl_current",
    spec: "RFC 5280, 5.1.2.4 and 5.1.2.5",
    remedy: "Fetch the list that is named again; a stale list hides what was revoked since.",
};
/// No revocation list is older than one that was seen before.
pub static CRL_NUMBER: Rule = Rule {
    name: "tdx.crl_number",
    spec: "RFC 5280, 5.2.3",
    remedy: "Find out who serves old lists: a newer one of the same authority was here before.",
};
/// No collateral is older than some that was seen before.
pub static EVALUATION_NUMBER: Rule = Rule {
    name: "tdx.evaluation_number",
    spec: "Intel PCS API 4, tcbEvaluationDataNumber",
    remedy: "Find out who serves old collateral that has not expired yet, and fetch it again from Intel.",
};
/// The authorities are not on the root's list.
pub static AUTHORITY_REVOKED: Rule = Rule {
    name: "tdx.authority_revoked",
    spec: "RFC 5280, 6.3",
    remedy: "Trust nothing that this authority signed; fetch certificates and collateral anew.",
};
/// The PCK certificate is not on its authority's list.
pub static PCK_REVOKED: Rule = Rule {
    name: "tdx.pck_revoked",
    spec: "RFC 5280, 6.3; Intel SGX PCK Certificate and CRL Profile Specification 1.5, 2",
    remedy: "Take the machine out of service: its maker withdrew the key that its quotes rest on.",
};
/// The TCB info is for this kind of machine.
pub static FMSPC: Rule = Rule {
    name: "tdx.fmspc",
    spec: "Intel PCS API 4, Get TDX TCB Info (fmspc)",
    remedy: "Fetch TCB info for the FMSPC that the PCK certificate names.",
};
/// The TCB info is for this provisioning certification enclave.
pub static PCEID: Rule = Rule {
    name: "tdx.pceid",
    spec: "Intel PCS API 4, Get TDX TCB Info (pceId)",
    remedy: "Fetch TCB info for the PCE that the PCK certificate names.",
};
/// Some TCB level fits the platform.
pub static TCB_LEVEL: Rule = Rule {
    name: "tdx.tcb_level",
    spec: "Intel PCS API 4, Get TDX TCB Info (tcbLevels)",
    remedy: "Update the machine's firmware and microcode: it is older than every level that Intel supports.",
};
/// The TDX module is the one that Intel names.
pub static MODULE: Rule = Rule {
    name: "tdx.module",
    spec: "Intel PCS API 4, Get TDX TCB Info (tdxModule, tdxModuleIdentities)",
    remedy: "Load the TDX module that Intel signed, or fetch TCB info that knows its version.",
};
/// Some level fits the TDX module.
pub static MODULE_LEVEL: Rule = Rule {
    name: "tdx.module_level",
    spec: "Intel PCS API 4, Get TDX TCB Info (tdxModuleIdentities, tcbLevels)",
    remedy: "Update the TDX module: it is older than every level that Intel supports.",
};
/// The quoting enclave is the one that Intel names.
pub static QE_IDENTITY: Rule = Rule {
    name: "tdx.qe_identity",
    spec: "Intel PCS API 4, Get TDX QE Identity",
    remedy: "Quote with Intel's TD quoting enclave: another enclave may sign anything.",
};
/// Some level fits the quoting enclave.
pub static QE_LEVEL: Rule = Rule {
    name: "tdx.qe_level",
    spec: "Intel PCS API 4, Get TDX QE Identity (tcbLevels)",
    remedy: "Update the quoting service: its enclave is older than every level that Intel supports.",
};

/// What a quote owes by itself.
pub static QUOTE_RULES: &[&Rule] = &[
    &QUOTE_PADDING,
    &QUOTE_SIGNATURE,
    &ATTESTATION_KEY,
    &PCK_CERTIFICATE,
    &QE_REPORT_SIGNATURE,
    &PCK_CHAIN,
    &REPORT_DATA,
    &CERTIFICATES,
    &LISTS,
];

/// What collateral owes, whatever quote it is for.
pub static COLLATERAL_RULES: &[&Rule] =
    &[&PCK_CRL, &ROOT_CA_CRL, &TCB_SIGNER, &TCB_INFO_SIGNATURE, &TCB_INFO_FORM, &QE_IDENTITY_SIGNATURE, &QE_IDENTITY_FORM];

/// What a quote owes under its collateral.
pub static TCB_RULES: &[&Rule] = &[
    &TCB_INFO_CURRENT,
    &QE_IDENTITY_CURRENT,
    &CRL_CURRENT,
    &CRL_NUMBER,
    &EVALUATION_NUMBER,
    &AUTHORITY_REVOKED,
    &PCK_REVOKED,
    &FMSPC,
    &PCEID,
    &TCB_LEVEL,
    &MODULE,
    &MODULE_LEVEL,
    &QE_IDENTITY,
    &QE_LEVEL,
];
