//! As much of a TPM as enrolment sees: an EK with a certificate of its maker, an AK, and TPM2_ActivateCredential.

use aws_lc_rs::{
    cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey},
    iv::FixedLength,
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
};
use podseal_appraisal::tpm::{HashAlgorithm, credential::kdfa, structures::Public};
use podseal_protocol::join::{Join, JoinReply, Proof};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_RSA_SHA256, PublicKeyData as _,
    RsaKeySize,
};

/// Who certifies EKs.
pub(crate) struct Maker(CertifiedIssuer<'static, KeyPair>);

impl Maker {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test TPM maker");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
}

pub(crate) struct SoftwareTpm {
    ek: KeyPair,
    certificate: Vec<u8>,
    ak: Vec<u8>,
}

/// TPMT_PUBLIC of an RSA-2048 key: name algorithm SHA-256, no policy (TPM 2.0 Part 2, 12.2.4).
fn rsa_public(attributes: u32, symmetric_and_scheme: &[u16], key: &KeyPair) -> Vec<u8> {
    // RSAPublicKey: 30 82 01 0a, 02 82 01 01 00, modulus, 02 03 01 00 01.
    let modulus = &key.der_bytes()[9..265];
    let mut out = vec![0, 1, 0, 0x0b];
    out.extend(attributes.to_be_bytes());
    out.extend([0, 0]);
    out.extend(symmetric_and_scheme.iter().flat_map(|word| word.to_be_bytes()));
    out.extend([8, 0, 0, 0, 0, 0, 1, 0]);
    out.extend(modulus);
    out
}

fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

impl SoftwareTpm {
    pub(crate) fn made_by(maker: &Maker) -> Self {
        let ek = rsa();
        let mut params = CertificateParams::new(["tpm".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
        let certificate = params.signed_by(&ek, &maker.0).unwrap().der().to_vec();
        Self { ek, certificate, ak: Self::new_ak(0x0005_0072) }
    }

    /// TPMT_PUBLIC of a new AK with these attributes.
    pub(crate) fn new_ak(attributes: u32) -> Vec<u8> {
        rsa_public(attributes, &[0x0010, 0x0014, 0x000b], &rsa())
    }

    pub(crate) fn ek_public(&self) -> Vec<u8> {
        rsa_public(0x0003_00b2, &[0x0006, 0x0080, 0x0043, 0x0010], &self.ek)
    }

    /// The EK's certificate, with this public area.
    pub(crate) fn proof(&self, public: Vec<u8>) -> Proof {
        Proof::Ek { certificate: self.certificate.clone(), intermediates: Vec::new(), public }
    }

    pub(crate) fn join(&self, node: &str, challenge: Vec<u8>, token: &str) -> Join {
        Join {
            challenge,
            token: token.to_owned(),
            node: node.to_owned(),
            cluster: "east".to_owned(),
            node_uid: format!("uid-of-{node}"),
            profile: "tpm".to_owned(),
            key: self.ak.clone(),
            proof: self.proof(self.ek_public()),
        }
    }

    /// TPM2_ActivateCredential for the object with this public area (TPM 2.0 Part 1, 24).
    pub(crate) fn activate(&self, ak_public: &[u8], reply: &JoinReply) -> [u8; 32] {
        let key = PrivateDecryptingKey::from_pkcs8(self.ek.serialized_der()).unwrap();
        let key = OaepPrivateDecryptingKey::new(key).unwrap();
        let mut buffer = vec![0; key.min_output_size()];
        let seed = key.decrypt(&OAEP_SHA256_MGF1SHA256, &reply.encrypted_secret, &mut buffer, Some(b"IDENTITY\0")).unwrap();
        let name = Public::parse(ak_public).unwrap().name();
        let storage = kdfa(HashAlgorithm::Sha256, seed, "STORAGE", name.as_ref(), &[], 128);
        let key = DecryptingKey::cfb128(UnboundCipherKey::new(&AES_128, &storage).unwrap()).unwrap();
        let mut identity = reply.credential[34..].to_vec();
        let zero = DecryptionContext::Iv128(FixedLength::from([0; 16]));
        let plain = key.decrypt(&mut identity, zero).unwrap();
        plain[2..].try_into().unwrap()
    }
}
