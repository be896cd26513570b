//! HPKE: the crate that both ends use, against RFC 9180's known answers in its base and its pre-shared-key mode.

use super::manifest::{Vector, hex, unhex, unknown};
use hpke::aead::{AeadCtxR, AeadCtxS, AesGcm128, AesGcm256, ChaCha20Poly1305, ExportOnlyAead};
use hpke::kdf::{HkdfSha256, HkdfSha512, Kdf as KdfTrait};
use hpke::kem::DhP256HkdfSha256;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable, aead::Aead, setup_receiver, setup_sender_with_rng, single_shot_open,
};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};
use std::convert::Infallible;

type PrivateKey = <DhP256HkdfSha256 as Kem>::PrivateKey;
type PublicKey = <DhP256HkdfSha256 as Kem>::PublicKey;
type EncappedKey = <DhP256HkdfSha256 as Kem>::EncappedKey;

pub(crate) fn run(vector: &Vector) {
    match vector.name() {
        "rfc9180-p256-base-psk" => rfc_9180(vector),
        "cose-hpke-encrypt0" => cose(vector),
        _ => unknown(vector),
    }
}

/// Yields the recorded input of the ephemeral key, once.
struct Recorded(Vec<u8>);

impl TryRng for Recorded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only whole keys are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only whole keys are drawn")
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        target.copy_from_slice(&std::mem::take(&mut self.0));
        Ok(())
    }
}

impl TryCryptoRng for Recorded {}

fn rfc_9180(vector: &Vector) {
    let entries = vector.json("vectors.json");
    let entries = entries.as_array().unwrap();
    assert_eq!(json!(entries.len()), *vector.claim("entries"));
    let suites = entries.iter().map(|entry| json!({"mode": entry["mode"], "kdf": entry["kdf_id"], "aead": entry["aead_id"]}));
    assert_eq!(json!(suites.collect::<Vec<_>>()), vector.claim("suites").clone());
    for entry in entries {
        match (entry["kdf_id"].as_u64().unwrap(), entry["aead_id"].as_u64().unwrap()) {
            (1, 1) => sealed::<AesGcm128, HkdfSha256>(entry),
            (1, 2) => sealed::<AesGcm256, HkdfSha256>(entry),
            (1, 3) => sealed::<ChaCha20Poly1305, HkdfSha256>(entry),
            (1, 0xffff) => drop(contexts::<ExportOnlyAead, HkdfSha256>(entry)),
            (3, 1) => sealed::<AesGcm128, HkdfSha512>(entry),
            (3, 2) => sealed::<AesGcm256, HkdfSha512>(entry),
            (3, 3) => sealed::<ChaCha20Poly1305, HkdfSha512>(entry),
            (3, 0xffff) => drop(contexts::<ExportOnlyAead, HkdfSha512>(entry)),
            other => panic!("suite {other:?}"),
        }
    }
}

type Contexts<A, K> = (AeadCtxS<A, K, DhP256HkdfSha256>, AeadCtxR<A, K, DhP256HkdfSha256>);

/// Both ends set up; the encapsulated key and every export are as recorded.
fn contexts<A: Aead, K: KdfTrait>(entry: &Value) -> Contexts<A, K> {
    let bytes = |name: &str| unhex(&entry[name]);
    let secret = PrivateKey::from_bytes(&bytes("skRm")).unwrap();
    let public = PublicKey::from_bytes(&bytes("pkRm")).unwrap();
    let (psk, psk_id) = if entry["mode"] == 1 { (bytes("psk"), bytes("psk_id")) } else { (vec![], vec![]) };
    let bundle = || PskBundle::new(&psk, &psk_id).unwrap();
    let (sender_mode, receiver_mode) = match entry["mode"].as_u64().unwrap() {
        0 => (OpModeS::Base, OpModeR::Base),
        1 => (OpModeS::Psk(bundle()), OpModeR::Psk(bundle())),
        other => panic!("mode {other}"),
    };
    let info = bytes("info");
    let (encapped, sender) =
        setup_sender_with_rng::<A, K, DhP256HkdfSha256>(&sender_mode, &public, &info, &mut Recorded(bytes("ikmE"))).unwrap();
    assert_eq!(hex(&encapped.to_bytes()), entry["enc"]);
    let encapped = EncappedKey::from_bytes(&bytes("enc")).unwrap();
    let receiver = setup_receiver::<A, K, DhP256HkdfSha256>(&receiver_mode, &secret, &encapped, &info).unwrap();
    for export in entry["exports"].as_array().unwrap() {
        let mut derived = [vec![0; usize::try_from(export["L"].as_u64().unwrap()).unwrap()], vec![]];
        derived[1] = derived[0].clone();
        sender.export(&unhex(&export["exporter_context"]), &mut derived[0]).unwrap();
        receiver.export(&unhex(&export["exporter_context"]), &mut derived[1]).unwrap();
        assert_eq!(derived.map(|derived| hex(&derived)), [(); 2].map(|()| export["exported_value"].as_str().unwrap().to_owned()));
    }
    (sender, receiver)
}

fn sealed<A: Aead, K: KdfTrait>(entry: &Value) {
    let (mut sender, mut receiver) = contexts::<A, K>(entry);
    let mut sequence = 0;
    for encryption in entry["encryptions"].as_array().unwrap() {
        let (aad, plain, cipher) = (unhex(&encryption["aad"]), unhex(&encryption["pt"]), unhex(&encryption["ct"]));
        let wanted: u32 = std::str::from_utf8(&aad).unwrap().strip_prefix("Count-").unwrap().parse().unwrap();
        while sequence < wanted {
            let between = sender.seal(b"left out of the vector", &[]).unwrap();
            receiver.open(&between, &[]).unwrap();
            sequence += 1;
        }
        assert_eq!(sender.seal(&plain, &aad).unwrap(), cipher);
        let mut flipped = cipher.clone();
        flipped[0] ^= 1;
        assert!(receiver.open(&flipped, &aad).is_err());
        assert_eq!(receiver.open(&cipher, &aad).unwrap(), plain);
        sequence += 1;
    }
}

/// COSE_Encrypt0 with HPKE: `aad` is the Enc_structure of RFC 9052, 5.3.
fn cose(vector: &Vector) {
    assert_eq!(vector.verdict(), "valid");
    let (message, answer) = (vector.file("message.cose"), vector.json("vector.json"));
    // 16([h'A1011823', {4: h'3031', -4: h'04…' (65 bytes)}, h'…' (36 bytes)])
    let rest = message.strip_prefix(&[0xd0, 0x83, 0x44]).unwrap();
    let (protected, rest) = rest.split_at(4);
    assert_eq!(protected, [0xa1, 0x01, 0x18, u8::try_from(answer["alg"].as_u64().unwrap()).unwrap()]);
    let (encapped, rest) = rest.strip_prefix(&[0xa2, 0x04, 0x42, 0x30, 0x31, 0x23, 0x58, 65]).unwrap().split_at(65);
    let cipher = rest.strip_prefix(&[0x58, 36]).unwrap();
    assert_eq!(cipher.len(), 36);
    let external = unhex(&answer["external_aad"]);
    let aad = [&[0x83, 0x68][..], b"Encrypt0", &[0x44], protected, &[0x40 | u8::try_from(external.len()).unwrap()], &external].concat();
    let secret = PrivateKey::from_bytes(&unhex(&answer["skR"])).unwrap();
    let encapped = EncappedKey::from_bytes(encapped).unwrap();
    let open =
        |aad: &[u8]| single_shot_open::<AesGcm128, HkdfSha256, DhP256HkdfSha256>(&OpModeR::Base, &secret, &encapped, &[], cipher, aad);
    assert_eq!(open(&aad).unwrap(), vector.claim("plaintext").as_str().unwrap().as_bytes());
    assert_eq!(hex(&open(&aad).unwrap()), answer["plaintext"]);
    assert!(open(&external).is_err());
}
