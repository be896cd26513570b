//! Known answers of credential activation, and an AK's creation.

use super::manifest::{Vector, hex, pem, unhex, unknown};
use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use podseal_appraisal::tpm::buffer::{Reader, unwrap_tpm2b};
use podseal_appraisal::tpm::credential::{CredentialRandomness, kdfa, make_credential};
use podseal_appraisal::tpm::ek::EkPublic;
use podseal_appraisal::tpm::structures::{Attest, Attested, KeyParameters, Name, Public, Scheme, Signature};
use podseal_appraisal::tpm::{HashAlgorithm, encrypt_oaep};
use serde_json::Value;

pub(crate) fn run(vector: &Vector) {
    match vector.name() {
        "ak-creation-rsa" => {
            super::quote::claims_of_ak(vector, vector.file("ak.tpmt_public"));
            let (name, creation_hash) = creation(vector, "creation");
            assert_eq!((hex(&name), hex(&creation_hash)), (text(vector.claim("attested_name")), text(vector.claim("creation_hash"))));
        }
        "kat-kdfa" => known_answers(vector, kdfa_answer),
        "kat-kdfe" => known_answers(vector, kdfe_answer),
        "kat-rsa-labeled-encaps" => known_answers(vector, rsa_answer),
        "kat-ecc-labeled-encaps" => known_answers(vector, ecc_answer),
        "makecredential-rsa-fixed-seed" => fixed_seed(vector),
        "tpm2-makecredential-file-keylime" => file_of_tpm2_tools(vector),
        _ => unknown(vector),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn known_answers(vector: &Vector, each: fn(&Value)) {
    let entries = vector.json("vectors.json");
    let entries = entries.as_array().unwrap();
    assert_eq!(entries.len() as u64, vector.claim("entries").as_u64().unwrap());
    entries.iter().for_each(each);
}

fn hash_of(entry: &Value) -> HashAlgorithm {
    HashAlgorithm::from_id(u16::try_from(entry["HashAlg"].as_u64().unwrap()).unwrap()).unwrap()
}

fn bits_of(entry: &Value) -> u16 {
    u16::try_from(entry["Bits"].as_u64().unwrap()).unwrap()
}

fn kdfa_answer(entry: &Value) {
    let (u, v) = (unhex(&entry["ContextU"]), unhex(&entry["ContextV"]));
    let derived = kdfa(hash_of(entry), &unhex(&entry["Key"]), entry["Label"].as_str().unwrap(), &u, &v, bits_of(entry));
    assert_eq!(hex(&derived), entry["Result"], "{}", entry["Name"]);
}

fn kdfe_answer(entry: &Value) {
    let (u, v) = (unhex(&entry["ContextU"]), unhex(&entry["ContextV"]));
    let derived = kdfe(hash_of(entry), &unhex(&entry["Z"]), entry["Label"].as_str().unwrap(), &u, &v, bits_of(entry));
    assert_eq!(hex(&derived), entry["Result"], "{}", entry["Name"]);
}

/// KDFe (Part 1, 11.4.10.3): for ECC EKs, which are not shipped.
fn kdfe(hash: HashAlgorithm, z: &[u8], label: &str, party_u: &[u8], party_v: &[u8], bits: u16) -> Vec<u8> {
    let length = usize::from(bits).div_ceil(8);
    let blocks = (1_u32..).take(length.div_ceil(hash.size()));
    let mut out = blocks
        .flat_map(|counter| hash.digest(&[&counter.to_be_bytes(), z, label.as_bytes(), &[0], party_u, party_v]).as_ref().to_vec())
        .collect::<Vec<_>>();
    out.truncate(length);
    if !bits.is_multiple_of(8) {
        out[0] &= (1 << (bits % 8)) - 1;
    }
    out
}

/// The scheme's hash where the key has a scheme, the name algorithm where not (Part 1, B.4 and C.6).
fn scheme_hash(public: &Public<'_>) -> HashAlgorithm {
    match public.scheme {
        Some(Scheme { hash: Some(hash), .. }) => HashAlgorithm::from_id(hash).unwrap(),
        _ => public.name_algorithm,
    }
}

fn rsa_answer(entry: &Value) {
    let bytes = unhex(&entry["PublicKey"]);
    let public = Public::parse(&bytes).unwrap();
    let KeyParameters::Rsa { modulus, .. } = public.key else { panic!("no RSA key") };
    let label = [entry["Label"].as_str().unwrap().as_bytes(), &[0]].concat();
    let encrypted = encrypt_oaep(scheme_hash(&public), modulus, &label, &unhex(&entry["Secret"]), &unhex(&entry["OAEPSalt"])).unwrap();
    assert_eq!(hex(&encrypted), entry["Ciphertext"], "{}", entry["Name"]);
}

fn ecc_answer(entry: &Value) {
    let bytes = unhex(&entry["PublicKey"]);
    let public = Public::parse(&bytes).unwrap();
    let KeyParameters::Ecc { curve, x, y, .. } = public.key else { panic!("no ECC key") };
    let (algorithm, size) = match curve {
        3 => (&ECDH_P256, 32),
        4 => (&ECDH_P384, 48),
        5 => (&ECDH_P521, 66),
        other => panic!("curve {other}"),
    };
    let pad = |part: &[u8]| [vec![0; size - part.len()], part.to_vec()].concat();
    let ephemeral = PrivateKey::from_private_key(algorithm, &pad(&unhex(&entry["EphemeralPrivate"]))).unwrap();
    let point = ephemeral.compute_public_key().unwrap().as_ref()[1..].to_vec();
    let (u, v) = point.split_at(size);
    let cipher = [&u16::try_from(size).unwrap().to_be_bytes()[..], u, &u16::try_from(size).unwrap().to_be_bytes(), v].concat();
    assert_eq!(hex(&cipher), entry["Ciphertext"], "{}", entry["Name"]);
    let peer = agreement::UnparsedPublicKey::new(algorithm, [vec![4], pad(x), pad(y)].concat());
    let secret = agreement::agree(&ephemeral, peer, (), |z| {
        // Part 1, C.6.1: the secret is as long as the name algorithm's digest.
        let hash = public.name_algorithm;
        Ok(kdfe(hash, z, entry["Label"].as_str().unwrap(), u, &pad(x), u16::try_from(hash.size() * 8).unwrap()))
    });
    assert_eq!(hex(&secret.unwrap()), entry["Secret"], "{}", entry["Name"]);
}

fn fixed_seed(vector: &Vector) {
    let answer = vector.json("vector.json");
    let ek = vector.file("ek.tpm2b_public");
    let ek = EkPublic::parse(unwrap_tpm2b("ek", &ek).unwrap()).unwrap();
    let name = Name::parse(&unhex(&answer["aik_name"])).unwrap();
    let randomness = CredentialRandomness { seed: unhex(&answer["seed"]).try_into().unwrap(), salt: [0x77; 32] };
    let made = make_credential(&ek, &name, &unhex(&answer["credential"]), &randomness).unwrap();
    assert_eq!(hex(&made.id_object), answer["id_object"]);
    assert_eq!(hex(&made.id_object), *vector.claim("id_object"));
    assert_eq!(made.encrypted_secret.len(), 256);
    let head = [&[0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1, 0, 68][..], &made.id_object, &[1, 0]].concat();
    assert_eq!(vector.file("credential_first80.bin"), head);
}

/// The file form of tpm2-tools around the same two structures.
fn file_of_tpm2_tools(vector: &Vector) {
    assert_eq!(vector.verdict(), "parse");
    let file = vector.file("mkcred.out");
    let mut reader = Reader::new("credential file", &file);
    assert_eq!((reader.u32().unwrap(), reader.u32().unwrap()), (0xbadc_c0de, 1));
    let (id_object, encrypted) = (reader.tpm2b().unwrap(), reader.tpm2b().unwrap());
    reader.finish().unwrap();
    let secret = vector.file("secret.data");
    assert_eq!(hex(&secret), *vector.claim("secret"));
    assert_eq!((hex(&vector.file("actcred.out")), encrypted.len()), (text(vector.claim("activated")), 256));
    assert_eq!((&id_object[..2], id_object.len()), (&[0, 32][..], 34 + 2 + secret.len()));
    let name = Name::parse(&vector.file("ak.name")).unwrap();
    assert_eq!(name.to_string(), *vector.claim("ak_name"));
    // The same inputs make a credential of the same form.
    let ek = vector.file("ek.pub");
    let ek = EkPublic::parse(unwrap_tpm2b("ek", &ek).unwrap()).unwrap();
    let made = make_credential(&ek, &name, &secret, &CredentialRandomness { seed: [1; 32], salt: [2; 32] }).unwrap();
    assert_eq!((made.id_object.len(), made.encrypted_secret.len()), (id_object.len(), encrypted.len()));
}

/// `TPM2_CertifyCreation`: signature, name and creation hash check, in the AK's own scheme. Returns name and hash as attested.
pub(crate) fn creation(vector: &Vector, prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let (attest, signature) = (vector.file(&format!("{prefix}.attest")), vector.file(&format!("{prefix}.sig")));
    let (public, data) = (vector.file("ak.tpmt_public"), vector.file(&format!("{prefix}.data")));
    let Signature::RsaSsa { hash, signature } = Signature::parse(&signature).unwrap() else { panic!("no RSASSA") };
    let algorithm: &'static dyn VerificationAlgorithm = match hash {
        HashAlgorithm::Sha1 => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        HashAlgorithm::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        other => panic!("{}", other.name()),
    };
    let key = UnparsedPublicKey::new(algorithm, pem(&vector.file("ak_pub.pem")).remove(0));
    key.verify(&attest, signature).unwrap();
    let public = Public::parse(&public).unwrap();
    let parsed = Attest::parse(&attest).unwrap();
    let Attested::Creation { name, creation_hash } = parsed.attested else { panic!("no creation") };
    assert_eq!(name, public.name().as_ref());
    assert_eq!(creation_hash, public.name_algorithm.digest(&[&data]).as_ref());
    (name.to_vec(), creation_hash.to_vec())
}
