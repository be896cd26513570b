//! Two clusters of one issuer, and the tokens that their API servers sign.

use std::sync::LazyLock;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use podseal_appraisal::records::{ClusterRecord, NodeDirectories};
use serde_json::{Value, json};

use super::tpm;

pub(crate) const CLUSTER: &str = "prod-eu";
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";

pub(crate) static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static OTHER_RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
pub(crate) static EC: LazyLock<EcdsaKeyPair> = LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

/// Who signs a token, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    Rs256,
    Es256,
    /// The key of the other cluster, which has the same issuer.
    OtherCluster,
    /// HS256, keyed with the RSA public key.
    Hmac,
    Nobody,
}

impl Signer {
    fn sign(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rs256 => tpm::rsassa(&RSA, message),
            Self::OtherCluster => tpm::rsassa(&OTHER_RSA, message),
            Self::Es256 => EC.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Hmac => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, RSA.public_key().as_ref()), message).as_ref().to_vec(),
            Self::Nobody => Vec::new(),
        }
    }

    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Rs256 | Self::OtherCluster => r#"{"alg":"RS256","kid":"rsa-1"}"#,
            Self::Es256 => r#"{"alg":"ES256","kid":"ec-1"}"#,
            Self::Hmac => r#"{"alg":"HS256","kid":"rsa-1"}"#,
            Self::Nobody => r#"{"alg":"none","kid":"rsa-1"}"#,
        }
    }
}

/// The compact form (RFC 7515, 7.1).
pub(crate) fn compact(header: &str, claims: &str, signer: Signer) -> Vec<u8> {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()))).into_bytes()
}

fn jwks(rsa: &RsaKeyPair) -> Vec<u8> {
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let point = EC.public_key().as_ref();
    let keys: [Value; 2] = [
        json!({"use": "sig", "kty": "RSA", "kid": "rsa-1", "alg": "RS256", "n": number(tpm::modulus(rsa)), "e": "AQAB"}),
        json!({"use": "sig", "kty": "EC", "kid": "ec-1", "alg": "ES256", "crv": "P-256", "x": number(&point[1..33]), "y": number(&point[33..])}),
    ];
    json!({"keys": keys}).to_string().into_bytes()
}

/// The cluster that the node is registered in.
pub(crate) fn cluster() -> ClusterRecord {
    ClusterRecord {
        id: CLUSTER.to_owned(),
        issuer: ISSUER.to_owned(),
        jwks: jwks(&RSA),
        tokens_name_nodes: true,
        directories: NodeDirectories::default(),
    }
}

/// Another one, of the same issuer: only its keys tell it apart.
pub(crate) fn other_cluster() -> ClusterRecord {
    ClusterRecord { id: "prod-us".to_owned(), jwks: jwks(&OTHER_RSA), ..cluster() }
}
