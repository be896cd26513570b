use super::forge::{ak, modulus};
use crate::tpm::HashAlgorithm;
use crate::tpm::credential::{CredentialError, CredentialRandomness, kdfa, make_credential};
use crate::tpm::ek::EkPublic;
use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};

fn ek() -> (PrivateDecryptingKey, EkPublic) {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let spki = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(&private.public_key()).unwrap();
    // SubjectPublicKeyInfo of rsaEncryption puts 24 bytes before the RSAPublicKey.
    let public = super::forge::rsa_public(0x0b, 0x0003_00b2, super::forge::EK_TAIL, &modulus(&spki.as_ref()[24..]));
    (private, EkPublic::parse(&public).unwrap())
}

/// What `TPM2_ActivateCredential` does (Part 3, 12.5), by the cryptographic library's own OAEP and CFB.
fn activate(private: PrivateDecryptingKey, name: &[u8], id_object: &[u8], encrypted_secret: &[u8]) -> Option<Vec<u8>> {
    let private = OaepPrivateDecryptingKey::new(private).unwrap();
    let mut buffer = vec![0; private.min_output_size()];
    let seed = private.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted_secret, &mut buffer, Some(b"IDENTITY\0")).ok()?;
    let (hmac, identity) = id_object.strip_prefix(&[0, 32])?.split_at(32);
    let integrity = kdfa(HashAlgorithm::Sha256, seed, "INTEGRITY", &[], &[], 256);
    if HashAlgorithm::Sha256.hmac(&integrity, &[identity, name]).as_ref() != hmac {
        return None;
    }
    let storage = kdfa(HashAlgorithm::Sha256, seed, "STORAGE", name, &[], 128);
    let key = DecryptingKey::cfb128(UnboundCipherKey::new(&AES_128, &storage).unwrap()).unwrap();
    let mut plain = identity.to_vec();
    key.decrypt(&mut plain, DecryptionContext::Iv128(FixedLength::from([0; 16]))).unwrap();
    Some(plain[2..].to_vec())
}

#[test]
fn credential_opens_for_its_ak_and_no_other() {
    let (private, public) = ek();
    let randomness = CredentialRandomness { seed: [3; 32], salt: [4; 32] };
    let made = make_credential(&public, ak().name(), &[9; 32], &randomness).unwrap();
    assert_eq!(activate(private.clone(), ak().name().as_ref(), &made.id_object, &made.encrypted_secret), Some(vec![9; 32]));
    let mut other = ak().name().as_ref().to_vec();
    other[5] ^= 1;
    assert_eq!(activate(private, &other, &made.id_object, &made.encrypted_secret), None);
}

#[test]
fn credential_opens_for_its_ek_and_no_other() {
    let randomness = CredentialRandomness { seed: [3; 32], salt: [4; 32] };
    let made = make_credential(&ek().1, ak().name(), &[9; 32], &randomness).unwrap();
    assert_eq!(activate(ek().0, ak().name().as_ref(), &made.id_object, &made.encrypted_secret), None);
}

#[test]
fn secret_longer_than_a_digest_is_refused() {
    let randomness = CredentialRandomness { seed: [3; 32], salt: [4; 32] };
    assert_eq!(make_credential(&ek().1, ak().name(), &[9; 33], &randomness), Err(CredentialError::SecretTooLong { found: 33 }));
}
