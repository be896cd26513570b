//! The steps.

use crate::check::Rule;

/// Signed header exactly ES384, and no header that nobody signed.
pub static HEADERS: Rule = Rule {
    name: "nitro.headers",
    spec: "Nitro Enclaves Attestation Process, 3.1",
    remedy: "Send the document as the NSM or the NitroTPM returned it; nothing may be added to its headers.",
};
/// The key of the leaf signed exactly these bytes.
pub static SIGNATURE: Rule = Rule {
    name: "nitro.signature",
    spec: "RFC 9052, 4.4; RFC 9053, 2.1; Nitro Enclaves Attestation Process, 3.2.4",
    remedy: "Send the document as it was returned; if it is unchanged, it was not signed by the hypervisor.",
};
/// The leaf's key is one that signs.
pub static KEY_USAGE: Rule = Rule {
    name: "nitro.key_usage",
    spec: "Nitro Enclaves Attestation Process, 3.2.3.3; RFC 5280, 4.2.1.3",
    remedy: "Distrust the document: the hypervisor's certificates are for digital signatures.",
};
/// The bundle leads to a root for Nitro, at this time.
pub static CHAIN: Rule = Rule {
    name: "nitro.chain",
    spec: "Nitro Enclaves Attestation Process, 3.2.3; RFC 5280, 6.1",
    remedy: "Take a new document: its certificate is good for three hours. A document under another root is not AWS's.",
};
/// The document says a time at which its certificate was good, and which is not to come.
pub static TIMESTAMP: Rule = Rule {
    name: "nitro.timestamp",
    spec: "Nitro Enclaves Attestation Process, 2.2, 3.2.3.1",
    remedy: "Distrust the document: hypervisors stamp documents within the life of their certificate.",
};
/// The document answers what was asked, in its nonce and nowhere else.
pub static NONCE: Rule = Rule {
    name: "nitro.nonce",
    spec: "Nitro Enclaves Attestation Process, 2.2.2",
    remedy: "Ask for a document with the nonce of this challenge; a recorded document is never accepted again.",
};
/// No certificate came along that is not of the document's path.
pub static BESIDE: Rule = Rule {
    name: "nitro.certificates_beside",
    spec: "Nitro Enclaves Attestation Process, 3.2.3",
    remedy: "Leave out certificates that are not of the document's bundle, or copy the root's again: it differs from the one inside.",
};
/// Each revocation list beside the document is a current one of an authority on its path.
pub static CRL: Rule = Rule {
    name: "nitro.crl",
    spec: "Nitro Enclaves Attestation Process, 3.2.3; RFC 5280, 5 and 6.3.3",
    remedy: "Fetch the list again from the address in the certificate, or leave it out: it is out of date, altered or another authority's.",
};
/// No certificate of the path is on one of the lists.
pub static REVOKED: Rule =
    Rule { name: "nitro.revoked", spec: "RFC 5280, 6.3.3", remedy: "Trust nothing under the certificate that is named: AWS withdrew it." };
/// The enclave is not one that its host looks into.
pub static DEBUG: Rule = Rule {
    name: "nitro.debug",
    spec: "AWS Nitro Enclaves User Guide, cryptographic attestation; nitro-cli, run-enclave --debug-mode",
    remedy: "Start the enclave without --debug-mode: with it, PCR 0 to 2 are zero and the host reads its console.",
};
/// Some register says what runs there.
pub static MEASURED: Rule = Rule {
    name: "nitro.measured",
    spec: "Nitro Enclaves User Guide, PCR 0 to 2; EC2 User Guide, NitroTPM Attestation Document contents, PCR 4 and 7",
    remedy: "Start an image that is measured: a document whose registers are all zero says nothing about what runs.",
};
/// The kernel's command line is part of what was measured.
pub static COMMAND_LINE: Rule = Rule {
    name: "nitro.command_line",
    spec: "EC2 User Guide, NitroTPM Attestation Document contents, PCR 12",
    remedy: "Boot the image with the command line that is built into it: PCR 12 is zero then.",
};

/// Whether the document is a hypervisor's; the nonce's rule where one is expected, those of certificates and lists
/// beside it where there are any.
pub static RULES: [&Rule; 9] = [&HEADERS, &SIGNATURE, &KEY_USAGE, &CHAIN, &TIMESTAMP, &NONCE, &BESIDE, &CRL, &REVOKED];
/// Whether the shipped default policy would release anything on it; those of debug for enclaves, of the command line for `NitroTPM`.
pub static POLICY_RULES: [&Rule; 3] = [&DEBUG, &MEASURED, &COMMAND_LINE];
