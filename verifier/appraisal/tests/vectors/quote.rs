//! Quotes of real TPMs.

use super::manifest::{Vector, appraise, hex, pem, unhex, unknown};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use podseal_appraisal::eventlog::{EventLog, Registers};
use podseal_appraisal::tpm::ak::{self, AkPublic, appraise_ak};
use podseal_appraisal::tpm::buffer::unwrap_tpm2b;
use podseal_appraisal::tpm::quote::{self, QuoteEvidence, appraise_quote};
use podseal_appraisal::tpm::structures::{Attest, Attested, Attributes, PcrSelection, Public, Signature};
use podseal_appraisal::tpm::{HashAlgorithm, PcrSet, PcrValues};
use podseal_protocol::{Bank, Limits};
use serde_json::{Value, json};

pub(crate) fn run(vector: &Vector) {
    let attest = vector.file("quote.attest");
    claims_of_attest(vector, &Attest::parse(&attest).unwrap());
    if vector.verdict() == "parse" {
        assert!(!vector.has("quote.sig"));
        return;
    }
    let nonce = if vector.has("nonce.hex") { unhex_file(vector) } else { unhex(vector.claim("extra_data")) };
    assert_eq!(verdict(vector, &nonce), vector.verdict(), "{}", vector.name());
    for alternate in vector.entry["alternates"].as_array().into_iter().flatten() {
        assert_eq!(alternate["change"], "nonce");
        assert_eq!(verdict(vector, &unhex(&alternate["nonce"])), alternate["verdict"], "{}", vector.name());
    }
    assert_eq!(shipped(vector), refusals(vector), "{}", vector.name());
    if vector.has("eventlog.bin") {
        log_replays(vector);
    }
    if vector.has("ak_creation.attest") {
        super::credential::creation(vector, "ak_creation");
    }
}

/// The shipped rules that must refuse: the binding, since no recorded nonce is one, and whatever mode is not shipped.
fn refusals(vector: &Vector) -> Vec<&'static str> {
    match vector.name() {
        "coco-swtpm-64-byte-nonce"
        | "gce-cos85-nonce9009-sha256"
        | "gcp-vtpm-ecc-amd"
        | "keylime-rsa-sha256"
        | "keylime-rsa-sha256-pcr0-16" => vec!["quote.qualifying_data"],
        "gce-cos85-no-nonce-sha384" | "gce-cos85-nonce9009-sha1" | "gce-cos85-nonce9009-sha384" => {
            vec!["quote.qualifying_data", "quote.selection", "quote.pcr_digest"]
        }
        "windows-gce-sha1-signature" => vec!["ak.type"],
        "neg-derived-pcrdigest-bitflip" => vec!["quote.signature"],
        _ => unknown(vector),
    }
}

fn shipped(vector: &Vector) -> Vec<&'static str> {
    let (ak, failed) = appraise(&ak::RULES, |checks| appraise_ak(&ak_public(vector), checks));
    let Some(ak) = ak else { return failed };
    assert_eq!(failed, [""; 0]);
    shipped_quote(vector, &ak)
}

fn shipped_quote(vector: &Vector, ak: &AkPublic) -> Vec<&'static str> {
    let (attest, signature) = (vector.file("quote.attest"), vector.file("quote.sig"));
    let wanted = vector.claim("pcr_selection")[0][1].as_array().unwrap().iter().map(|index| u8::try_from(index.as_u64().unwrap()).unwrap());
    let wanted = PcrSet::of(&wanted.collect::<Vec<_>>()).unwrap();
    let mut values = PcrValues::new(Bank::Sha256);
    for index in wanted.iter() {
        // A bank without 32-byte values has none that could be handed in; zeros stand for them.
        let value = unhex(&vector.json("pcrs.json")[bank(vector).name()][index.to_string()]);
        let value: [u8; 32] = value.try_into().unwrap_or_default();
        assert!(values.insert(index, &value));
    }
    let evidence = QuoteEvidence { attest: &attest, signature: &signature, values: &values };
    let (facts, failed) = appraise(&quote::RULES, |checks| appraise_quote(ak, &evidence, &[0xff; 32], wanted, checks));
    assert!(facts.is_none());
    failed
}

fn bank(vector: &Vector) -> HashAlgorithm {
    let name = vector.claim("pcr_selection")[0][0].as_str().unwrap();
    named(name)
}

pub(crate) fn named(name: &str) -> HashAlgorithm {
    let all = [HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];
    all.into_iter().find(|hash| hash.name() == name).unwrap()
}

/// The AK's public area: as shipped, or built around the shipped key with an honest AK's attributes.
fn ak_public(vector: &Vector) -> Vec<u8> {
    if vector.has("ak.tpmt_public") {
        return claims_of_ak(vector, vector.file("ak.tpmt_public"));
    }
    if vector.has("ak.tpm2b_public") {
        return claims_of_ak(vector, unwrap_tpm2b("ak", &vector.file("ak.tpm2b_public")).unwrap().to_vec());
    }
    let key = &pem(&vector.file("ak_pub.pem"))[0];
    let head = |kind: u16| [&kind.to_be_bytes()[..], &[0, 0x0b, 0, 5, 0, 0x72, 0, 0, 0, 0x10]].concat();
    if vector.claim("sig_alg") == "ecdsa" {
        let (x, y) = key[key.len() - 64..].split_at(32);
        return [&head(0x23)[..], &[0, 0x18, 0, 0x0b, 0, 3, 0, 0x10, 0, 32], x, &[0, 32], y].concat();
    }
    let modulus = &key[key.len() - 261..key.len() - 5];
    [&head(1)[..], &[0, 0x14, 0, 0x0b, 8, 0, 0, 0, 0, 0, 1, 0], modulus].concat()
}

pub(crate) fn claims_of_ak(vector: &Vector, bytes: Vec<u8>) -> Vec<u8> {
    let claimed = vector.claim("ak");
    let public = Public::parse(&bytes).unwrap();
    assert_eq!(public.name().to_string(), claimed["name"]);
    assert_eq!(format!("{:08x}", public.attributes.0), claimed["attrs"]);
    for (attribute, name) in [
        (Attributes::RESTRICTED, "restricted"),
        (Attributes::SIGN, "sign"),
        (Attributes::DECRYPT, "decrypt"),
        (Attributes::FIXED_TPM, "fixedTPM"),
        (Attributes::FIXED_PARENT, "fixedParent"),
    ] {
        assert_eq!(public.attributes.has(attribute), claimed[name], "{name}");
    }
    bytes
}

fn claims_of_attest(vector: &Vector, attest: &Attest<'_>) {
    let Attested::Quote { selections, digest } = &attest.attested else { panic!("no quote") };
    let found = [
        ("extra_data", json!(hex(attest.extra_data))),
        ("qualified_signer", json!(hex(attest.qualified_signer))),
        ("clock", json!(attest.clock.clock)),
        ("reset_count", json!(attest.clock.reset_count)),
        ("restart_count", json!(attest.clock.restart_count)),
        ("safe", json!(u8::from(attest.clock.safe))),
        ("firmware_version", json!(format!("{:016x}", attest.firmware_version))),
        ("pcr_selection", selections.iter().map(selection).collect::<Value>()),
        ("pcr_digest", json!(hex(digest))),
    ];
    for (name, found) in found {
        let claimed = vector.claim(name);
        assert!(*claimed == found || claimed.is_null(), "{}: {name} {found}, claimed {claimed}", vector.name());
    }
}

fn selection(selection: &PcrSelection) -> Value {
    let indices = PcrSet::from_mask(selection.mask).unwrap().iter().collect::<Vec<_>>();
    json!([HashAlgorithm::from_id(selection.bank).unwrap().name(), indices])
}

/// The verdict in every mode, by this test's own verification.
fn verdict(vector: &Vector, nonce: &[u8]) -> &'static str {
    let attest_bytes = vector.file("quote.attest");
    let signature_bytes = vector.file("quote.sig");
    let signature = Signature::parse(&signature_bytes).unwrap();
    let attest = Attest::parse(&attest_bytes).unwrap();
    let Attested::Quote { selections, digest } = &attest.attested else { panic!("no quote") };
    let values = vector.json("pcrs.json");
    let selected = selections.iter().flat_map(|selection| {
        let bank = HashAlgorithm::from_id(selection.bank).unwrap().name();
        let values = &values;
        PcrSet::from_mask(selection.mask).unwrap().iter().map(move |index| (index, unhex(&values[bank][index.to_string()])))
    });
    let selected = selected.collect::<Vec<_>>();
    let (hash, signed) = signature_holds(vector, &signature, &attest_bytes);
    let computed = hash.digest(&selected.iter().map(|(_, value)| value.as_slice()).collect::<Vec<_>>());
    if !signed || attest.extra_data != nonce || computed.as_ref() != *digest {
        return "invalid";
    }
    let measured = !selected.iter().any(|(index, _)| *index == 0)
        || selected.iter().any(|(index, value)| *index < 16 && value.iter().any(|b| *b != 0));
    if nonce.is_empty() || hash == HashAlgorithm::Sha1 || !measured { "authentic_policy" } else { "valid" }
}

fn signature_holds(vector: &Vector, signature: &Signature<'_>, message: &[u8]) -> (HashAlgorithm, bool) {
    let key = &pem(&vector.file("ak_pub.pem"))[0];
    let (hash, scheme, holds) = match *signature {
        Signature::RsaSsa { hash: HashAlgorithm::Sha1, signature } => {
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key);
            (HashAlgorithm::Sha1, "rsassa", key.verify(message, signature).is_ok())
        }
        Signature::RsaSsa { hash: HashAlgorithm::Sha256, signature } => {
            (HashAlgorithm::Sha256, "rsassa", UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(message, signature).is_ok())
        }
        Signature::EcDsa { hash: HashAlgorithm::Sha256, r, s } => {
            let fixed = [r, s].map(|part| [vec![0; 32 - part.len()], part.to_vec()].concat()).concat();
            (HashAlgorithm::Sha256, "ecdsa", UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(message, &fixed).is_ok())
        }
        _ => panic!("{}", signature.scheme()),
    };
    assert_eq!((scheme, hash.name()), (vector.claim("sig_alg").as_str().unwrap(), vector.claim("sig_hash").as_str().unwrap()));
    (hash, holds)
}

fn log_replays(vector: &Vector) {
    let bytes = vector.file("eventlog.bin");
    let log = EventLog::parse(&bytes, &Limits::DEFAULT).unwrap();
    let registers = Registers::replay(&log, bank(vector)).unwrap();
    let values = &vector.json("pcrs.json")[bank(vector).name()];
    let compared = vector.claim("log_pcrs_compared")[bank(vector).name()].as_array().unwrap().iter().map(|index| index.as_u64().unwrap());
    // The registers that are closed at boot must replay also where the log has no event of them.
    for index in compared.chain((0..10).chain([14])) {
        let replayed = registers.get(u8::try_from(index).unwrap()).unwrap();
        assert_eq!(hex(replayed), values[index.to_string()], "{} PCR {index}", vector.name());
    }
}

fn unhex_file(vector: &Vector) -> Vec<u8> {
    unhex(&Value::String(String::from_utf8(vector.file("nonce.hex")).unwrap().trim().to_owned()))
}
