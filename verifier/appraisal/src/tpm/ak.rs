//! The attestation key: what its public area must say before anything that it signs counts.
//!
//! TPM 2.0 Library Specification, Part 1, 33 and Part 2, 8.3: a restricted signing key signs only what the TPM itself made, and only a
//! key that the TPM made and never lets go says something about this TPM.

mod key;

use super::signer::Signer;
use super::structures::{Attributes, KeyParameters, Name, Public, Scheme, Signature};
use crate::check::{Checks, Rule};
use key::Key;
use std::sync::Arc;

/// The key is RSA-2048 with exponent 65537 and RSASSA, or ECC on NIST P-256 with ECDSA; scheme and name are with SHA-256.
pub static AK_TYPE: Rule = Rule {
    name: "ak.type",
    spec: "TCG TPM 2.0 Part 2, 12.2.4; SEC 1, 2.3.4",
    remedy: "Create the AK as RSA-2048 with RSASSA or as ECC P-256 with ECDSA, scheme and name with SHA-256, and enrol the node again.",
};
/// The key signs only what the TPM made.
pub static AK_RESTRICTED: Rule = Rule {
    name: "ak.restricted",
    spec: "TCG TPM 2.0 Part 2, 8.3.3 (restricted)",
    remedy: "Create the AK with the attribute restricted: an unrestricted key signs any bytes, a forged quote too.",
};
/// The key signs.
pub static AK_SIGN: Rule =
    Rule { name: "ak.sign", spec: "TCG TPM 2.0 Part 2, 8.3.3 (sign)", remedy: "Create the AK with the attribute sign." };
/// The key does not decrypt.
pub static AK_NOT_DECRYPT: Rule =
    Rule { name: "ak.not_decrypt", spec: "TCG TPM 2.0 Part 2, 8.3.3 (decrypt)", remedy: "Create the AK without the attribute decrypt." };
/// The key never leaves its TPM.
pub static AK_FIXED_TPM: Rule = Rule {
    name: "ak.fixed_tpm",
    spec: "TCG TPM 2.0 Part 2, 8.3.3 (fixedTPM)",
    remedy: "Create the AK with the attribute fixedTPM: a key that can be duplicated may be used on another machine.",
};
/// The key never gets another parent.
pub static AK_FIXED_PARENT: Rule = Rule {
    name: "ak.fixed_parent",
    spec: "TCG TPM 2.0 Part 2, 8.3.3 (fixedParent)",
    remedy: "Create the AK with the attribute fixedParent.",
};
/// The TPM made the private part.
pub static AK_SENSITIVE_DATA_ORIGIN: Rule = Rule {
    name: "ak.sensitive_data_origin",
    spec: "TCG TPM 2.0 Part 2, 8.3.3 (sensitiveDataOrigin)",
    remedy: "Let the TPM make the AK: a private key that came from outside has copies.",
};

/// What every AK owes.
pub static RULES: [&Rule; 7] =
    [&AK_TYPE, &AK_RESTRICTED, &AK_SIGN, &AK_NOT_DECRYPT, &AK_FIXED_TPM, &AK_FIXED_PARENT, &AK_SENSITIVE_DATA_ORIGIN];

/// An AK whose public area passed every rule, ready to verify. Cloning is cheap; keep it and no quote parses the key again.
#[derive(Debug, Clone)]
pub struct AkPublic {
    name: Name,
    key: Arc<Key>,
    signer: Arc<Signer>,
}

impl AkPublic {
    /// The object's name, which credentials and the registry go by.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Scheme and hash in words, as [`Signature::scheme`] has them.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.key.scheme()
    }

    /// Whether it is not the key `other`, whatever else its public area says.
    #[must_use]
    pub fn is_other_than(&self, other: &Signer) -> bool {
        *self.signer != *other
    }

    /// Whether `signature` is one of `message` by this key, in this key's own scheme.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature<'_>) -> bool {
        self.key.verifies(message, signature)
    }
}

/// Appraises the AK's `TPMT_PUBLIC` (without size prefix).
///
/// Records each of [`RULES`]; only a key that passes all comes back. Bytes that are no public area fail `ak.type`, the rest stays owed.
pub fn appraise_ak(tpmt_public: &[u8], checks: &mut Checks) -> Option<AkPublic> {
    const WANTED: &str = "RSA-2048 with exponent 65537 and RSASSA sha256, or ECC on curve 0x0003 with ECDSA sha256; name algorithm sha256";
    let public = match Public::parse(tpmt_public) {
        Ok(public) => public,
        Err(error) => {
            checks.record(&AK_TYPE, false, WANTED, error.to_string());
            return None;
        }
    };
    let key = Key::of(&public);
    let mut holds = checks.record(&AK_TYPE, key.is_some(), WANTED, describe(&public));
    for (rule, attribute, wanted, name) in [
        (&AK_RESTRICTED, Attributes::RESTRICTED, true, "restricted"),
        (&AK_SIGN, Attributes::SIGN, true, "sign"),
        (&AK_NOT_DECRYPT, Attributes::DECRYPT, false, "decrypt"),
        (&AK_FIXED_TPM, Attributes::FIXED_TPM, true, "fixedTPM"),
        (&AK_FIXED_PARENT, Attributes::FIXED_PARENT, true, "fixedParent"),
        (&AK_SENSITIVE_DATA_ORIGIN, Attributes::SENSITIVE_DATA_ORIGIN, true, "sensitiveDataOrigin"),
    ] {
        let found = public.attributes.has(attribute);
        holds &=
            checks.record(rule, found == wanted, format!("{name} {}", set_or_clear(wanted)), format!("{name} {}", set_or_clear(found)));
    }
    let signer = Arc::new(Signer::of_public(&public)?);
    Some(AkPublic { name: public.name(), key: Arc::new(key?), signer }).filter(|_| holds)
}

fn describe(public: &Public<'_>) -> String {
    let key = match public.key {
        KeyParameters::Rsa { bits, exponent, modulus } => {
            format!("RSA-{bits} with exponent {exponent} and {} bytes of modulus", modulus.len())
        }
        KeyParameters::Ecc { curve, kdf, x, y } => {
            let kdf = if kdf.is_some() { " with a key derivation scheme" } else { "" };
            format!("ECC on curve {curve:#06x}{kdf}, a point of {} and {} bytes", x.len(), y.len())
        }
    };
    let scheme = match public.scheme {
        Some(Scheme { algorithm, hash: Some(hash) }) => format!("scheme {algorithm:#06x} with hash {hash:#06x}"),
        Some(Scheme { algorithm, hash: None }) => format!("scheme {algorithm:#06x}"),
        None => "no scheme".to_owned(),
    };
    format!("{key}, {scheme}, name algorithm {}", public.name_algorithm.name())
}

fn set_or_clear(set: bool) -> &'static str {
    if set { "set" } else { "clear" }
}
