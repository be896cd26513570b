//! Which signature algorithm a certificate or list names, and whether its issuer's key made it.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::oid_registry::{
    OID_NIST_HASH_SHA256 as SHA256, OID_NIST_HASH_SHA384 as SHA384, OID_NIST_HASH_SHA512 as SHA512, OID_PKCS1_RSASSAPSS,
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
    OID_SIG_ECDSA_WITH_SHA512,
};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

/// Whether the key `spki` (`SubjectPublicKeyInfo`, DER) made `signature` over `signed`, in the algorithm named.
///
/// SHA-1 is no algorithm here, and an algorithm for another kind of key or curve refuses the key.
#[must_use]
pub fn signed_by(spki: &[u8], algorithm: &AlgorithmIdentifier<'_>, signed: &[u8], signature: &[u8]) -> bool {
    algorithms(algorithm).iter().any(|algorithm| UnparsedPublicKey::new(*algorithm, spki).verify(signed, signature).is_ok())
}

/// Whether a certificate or list is written exactly as `SEQUENCE { signed, algorithm, BIT STRING }`, the algorithm with the very bytes that
/// it has inside of what is signed (RFC 5280, 4.1.1.2): the parser takes other spellings too, and nothing signed vouches for these.
pub(super) fn is_exact(der: &[u8]) -> bool {
    let parts = elements(der).unwrap_or_default();
    match parts.as_slice() {
        [signed, algorithm, [0x03, ..]] => elements(signed).is_some_and(|inside| inside.contains(algorithm)),
        _ => false,
    }
}

/// The elements of a `SEQUENCE`, each with its tag.
fn elements(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (rest, sequence) = Any::from_der(der).ok()?;
    if !rest.is_empty() || der.first() != Some(&0x30) {
        return None;
    }
    let (mut contents, mut elements) = (sequence.data, Vec::new());
    while !contents.is_empty() {
        let (after, _) = Any::from_der(contents).ok()?;
        elements.push(contents.get(..contents.len().checked_sub(after.len())?)?);
        contents = after;
    }
    Some(elements)
}

fn algorithms(identifier: &AlgorithmIdentifier<'_>) -> &'static [&'static dyn VerificationAlgorithm] {
    let oid = &identifier.algorithm;
    if *oid == OID_PKCS1_SHA256WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA256]
    } else if *oid == OID_PKCS1_SHA384WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA384]
    } else if *oid == OID_PKCS1_SHA512WITHRSA {
        &[&RSA_PKCS1_2048_8192_SHA512]
    } else if *oid == OID_SIG_ECDSA_WITH_SHA256 {
        &[&ECDSA_P256_SHA256_ASN1, &ECDSA_P384_SHA256_ASN1]
    } else if *oid == OID_SIG_ECDSA_WITH_SHA384 {
        &[&ECDSA_P256_SHA384_ASN1, &ECDSA_P384_SHA384_ASN1]
    } else if *oid == OID_SIG_ECDSA_WITH_SHA512 {
        &[&ECDSA_P521_SHA512_ASN1]
    } else if *oid == OID_PKCS1_RSASSAPSS {
        pss(identifier)
    } else {
        &[]
    }
}

/// RFC 4055, 3.1: the parameters say hash, mask and salt. One hash for both and a salt of its length are what makers use and what the
/// library verifies; the default of absent parameters is SHA-1.
fn pss(identifier: &AlgorithmIdentifier<'_>) -> &'static [&'static dyn VerificationAlgorithm] {
    let Some(parameters) = identifier.parameters.as_ref().and_then(|parameters| RsaSsaPssParams::try_from(parameters).ok()) else {
        return &[];
    };
    let hash = parameters.hash_algorithm_oid();
    let mask = parameters.mask_gen_algorithm().is_ok_and(|mask| mask.hash == *hash);
    match (mask, parameters.salt_length()) {
        (true, 32) if *hash == SHA256 => &[&RSA_PSS_2048_8192_SHA256],
        (true, 48) if *hash == SHA384 => &[&RSA_PSS_2048_8192_SHA384],
        (true, 64) if *hash == SHA512 => &[&RSA_PSS_2048_8192_SHA512],
        _ => &[],
    }
}
