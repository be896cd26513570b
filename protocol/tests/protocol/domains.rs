//! Bytes made for one purpose are never taken for another.
#![allow(clippy::disallowed_methods)]

use std::{collections::BTreeSet, fs, path::Path};

use podseal_protocol::{
    Digest,
    cbor::Problem,
    seal::{delivery_info, import_info},
};

use crate::{
    cbor_walk::{TEXT, items, shortest},
    codecs,
    fixtures::{self as f, LIMITS},
};

/// Domains of bytes that are only ever hashed, MACed or given to HPKE, never parsed.
const NEVER_PARSED: [&str; 7] = [
    "podseal.binding.v1",
    "podseal.node-key.v1",
    "podseal.seal-info.v1",
    "podseal.import-info.v1",
    "podseal.seal-aad.v1",
    "podseal.challenge-mac.v1",
    "podseal.activation-secret.v1",
];

fn sources(folder: &Path, out: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else {
            out.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// Every domain string that stands in the crate's sources, once for each place.
fn in_the_sources() -> Vec<String> {
    let mut texts = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut texts);
    let literals = texts.iter().flat_map(|text| text.split('"').skip(1).step_by(2));
    literals.filter(|text| text.starts_with("podseal.") && text.ends_with(".v1")).map(str::to_owned).collect()
}

#[test]
fn domains_disjoint() {
    let found = in_the_sources();
    let distinct: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(distinct.len(), found.len(), "one domain string stands in two places: {found:?}");
    let known: BTreeSet<&str> = codecs::all().iter().map(|codec| codec.domain).chain(NEVER_PARSED).collect();
    assert_eq!(distinct, known, "a domain that this test does not know, or one that is gone");
    // None is the beginning of another, so that they separate also where they stand without a length (the two MAC domains).
    for one in &distinct {
        assert!(distinct.iter().all(|other| one == other || !other.starts_with(one)), "{one}");
    }
}

#[test]
fn domains_disjoint_in_every_decoder() {
    let context = f::context().aad();
    let info = delivery_info(&f::verifier(), &Digest::of(b""), &Digest::of(b""));
    let import = import_info(&f::verifier(), "payments/db");
    let codecs = codecs::all();
    for codec in codecs {
        let others = codecs.iter().filter(|other| other.domain != codec.domain).flat_map(|other| &other.samples);
        for bytes in others.chain([&context, &info, &import]) {
            assert!((codec.again)(bytes, &LIMITS).is_err(), "{} took {bytes:02x?}", codec.domain);
        }
    }
}

/// The fields of one message under the domain of every other: the string alone decides.
#[test]
fn domains_disjoint_with_equal_fields() {
    let codecs = codecs::all();
    for codec in codecs {
        let domains = codecs.iter().map(|other| other.domain).chain(NEVER_PARSED);
        for other in domains.chain(["", "podseal", "PODSEAL"]).filter(|other| *other != codec.domain) {
            for sample in &codec.samples {
                let named = items(sample)[1];
                assert_eq!(named.content(sample), codec.domain.as_bytes());
                let altered = named.replaced(sample, &[shortest(TEXT, other.len() as u64).as_slice(), other.as_bytes()].concat());
                let found = (codec.again)(&altered, &LIMITS).map_err(|malformed| malformed.problem);
                assert_eq!(found, Err(Problem::WrongDomain), "{} as {other}", codec.domain);
            }
        }
    }
}
