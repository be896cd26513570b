//! Every value has exactly one encoding. Each item of each message is altered in every way that CBOR allows and this subset does not.

use podseal_protocol::cbor::{Malformed, Problem};

use crate::{
    cbor_walk::{ARRAY, BYTES, Item, TEXT, head, items, shortest},
    codecs::{self, Codec},
    fixtures::LIMITS,
};

fn problem(codec: &Codec, bytes: &[u8]) -> Option<Problem> {
    (codec.again)(bytes, &LIMITS).err().map(|malformed| malformed.problem)
}

fn on_each_item(codecs: &[Codec], mut attack: impl FnMut(&Codec, &[u8], Item)) {
    for codec in codecs {
        for sample in &codec.samples {
            assert_eq!((codec.again)(sample, &LIMITS).as_ref(), Ok(sample), "{}: the honest twin", codec.domain);
            items(sample).into_iter().for_each(|item| attack(codec, sample, item));
        }
    }
}

fn longer_heads(codec: &Codec, sample: &[u8], item: Item) {
    let minimal = shortest(item.major, item.value).len() - 1;
    for width in [1, 2, 4, 8].into_iter().filter(|width| *width > minimal) {
        let altered = item.with_head(sample, &head(item.major, item.value, width));
        assert_eq!(problem(codec, &altered), Some(Problem::NotMinimal), "{} at {}, head of {width}", codec.domain, item.start);
    }
    for reserved in 28..=30 {
        let altered = item.with_head(sample, &[item.major << 5 | reserved]);
        assert_eq!(problem(codec, &altered), Some(Problem::NotMinimal), "{} at {}", codec.domain, item.start);
    }
}

fn indefinite(codec: &Codec, sample: &[u8], item: Item) {
    let whole = match item.major {
        ARRAY => [&[0x9f], item.content(sample), &[0xff]].concat(),
        BYTES | TEXT => [&[item.major << 5 | 31], item.whole(sample), &[0xff]].concat(),
        _ => vec![item.major << 5 | 31],
    };
    let altered = item.replaced(sample, &whole);
    assert_eq!(problem(codec, &altered), Some(Problem::NotMinimal), "{} at {}, indefinite", codec.domain, item.start);
}

#[test]
fn noncanonical_leaf() {
    let leaf = std::slice::from_ref(codecs::of("podseal.leaf.v1"));
    on_each_item(leaf, longer_heads);
    on_each_item(leaf, indefinite);
}

#[test]
fn noncanonical_every_other_message() {
    on_each_item(codecs::all(), longer_heads);
    on_each_item(codecs::all(), indefinite);
}

/// Maps don't exist, so no key can come twice; nor do tags, floats, negative and simple values, anywhere.
#[test]
fn duplicate_keys_have_no_map_to_be_in() {
    on_each_item(codecs::all(), |codec, sample, item| {
        let whole = item.whole(sample);
        let forms: [(&str, Vec<u8>); 13] = [
            ("an empty map", vec![0xa0]),
            ("a map with one key twice", [&[0xa2, 0x61, b'a'], whole, &[0x61, b'a'], whole].concat()),
            ("an indefinite map", vec![0xbf, 0xff]),
            ("a tag", [&[0xc1], whole].concat()),
            ("a bignum", [&[0xc2], whole].concat()),
            ("a negative integer", vec![0x20]),
            ("a long negative integer", vec![0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            ("false", vec![0xf4]),
            ("null", vec![0xf6]),
            ("a simple value", vec![0xf8, 0xff]),
            ("a half float", vec![0xf9, 0, 0]),
            ("a double", vec![0xfb, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("a break", vec![0xff]),
        ];
        for (name, form) in forms {
            let altered = item.replaced(sample, &form);
            assert_eq!(problem(codec, &altered), Some(Problem::WrongType), "{} at {}: {name}", codec.domain, item.start);
        }
        if item.major == ARRAY && item.value.is_multiple_of(2) {
            let map = item.with_head(sample, &shortest(5, item.value / 2));
            assert_eq!(problem(codec, &map), Some(Problem::WrongType), "{} at {}: array as map", codec.domain, item.start);
        }
    });
}

/// Where a list is a map in all but name, its names are held to come once.
#[test]
fn duplicate_keys_in_lists() {
    for (domain, list, wanted) in [
        ("podseal.leaf.v1", "db", Problem::Twice),
        ("podseal.secrets.v1", "db", Problem::Twice),
        ("podseal.receipt.v1", "agent", Problem::NotSorted),
        ("podseal.podset.v1", "beef", Problem::NotSorted),
    ] {
        let codec = codecs::of(domain);
        let sample = &codec.samples[0];
        let all = items(sample);
        let name = all.iter().position(|item| item.major == TEXT && item.content(sample) == list.as_bytes()).unwrap();
        // The element is the array that the name opens; the next element follows it.
        let element = all[name - 1];
        let next = all.iter().find(|item| item.start == element.end).unwrap();
        let altered = next.replaced(sample, element.whole(sample));
        assert_eq!(problem(codec, &altered), Some(wanted), "{domain}");
    }
    let evidence = codecs::of("podseal.evidence.v1");
    let sample = &evidence.samples[0];
    let log = *items(sample).iter().find(|item| item.major == ARRAY && item.whole(sample).starts_with(&[0x82, 0x02])).unwrap();
    let quote = *items(sample).iter().find(|item| item.major == ARRAY && item.whole(sample).starts_with(&[0x84, 0x01])).unwrap();
    assert_eq!(problem(evidence, &log.replaced(sample, quote.whole(sample))), Some(Problem::NotSorted), "two quotes");
    assert_eq!(problem(evidence, &quote.replaced(sample, log.whole(sample))), Some(Problem::NotSorted), "two boot logs");
}

#[test]
fn trailing_bytes() {
    for codec in codecs::all() {
        for sample in &codec.samples {
            for more in [&[0x00][..], &[0x80], &[0xff], b"more", sample] {
                let longer = [sample, more].concat();
                // The padding of secrets ends where its last non-zero byte stands, so that a zero is content there as well.
                assert_eq!(problem(codec, &longer), Some(Problem::Trailing), "{} and {more:02x?}", codec.domain);
            }
        }
    }
}

#[test]
fn trailing_bytes_missing() {
    for codec in codecs::all() {
        for sample in &codec.samples {
            for end in 0..sample.len() {
                assert_eq!(problem(codec, &sample[..end]), Some(Problem::Truncated), "{}: {end} bytes of it", codec.domain);
            }
        }
    }
}

/// One element more or less than announced, in every array.
#[test]
fn trailing_bytes_within_arrays() {
    on_each_item(codecs::all(), |codec, sample, item| {
        if item.major == ARRAY {
            for count in [item.value + 1, item.value.saturating_sub(1)].into_iter().filter(|count| *count != item.value) {
                let altered = item.with_head(sample, &shortest(ARRAY, count));
                assert!(problem(codec, &altered).is_some(), "{} at {}: {count} announced", codec.domain, item.start);
            }
        }
    });
}

/// Digests, keys, salts and signatures have one length; text and bytes are not each other; text is UTF-8.
#[test]
fn noncanonical_strings() {
    on_each_item(codecs::all(), |codec, sample, item| {
        let content = item.content(sample);
        if item.major == BYTES && [32, 64, 65].contains(&content.len()) {
            for other in [&content[1..], &[content, &[0]].concat()] {
                let altered = item.replaced(sample, &[&shortest(BYTES, other.len() as u64), other].concat());
                let found = problem(codec, &altered);
                let refused = matches!(found, Some(Problem::WrongLength | Problem::TooLong));
                assert!(refused || codec.domain == "podseal.key.v1", "{} at {}: {found:?}", codec.domain, item.start);
            }
        }
        if [BYTES, TEXT].contains(&item.major) {
            let altered = item.with_head(sample, &shortest(item.major ^ 1, item.value));
            assert_eq!(problem(codec, &altered), Some(Problem::WrongType), "{} at {}", codec.domain, item.start);
        }
        if item.major == TEXT && !content.is_empty() {
            let mut altered = sample.to_vec();
            altered[item.body] = 0xff;
            assert_eq!(problem(codec, &altered), Some(Problem::NotUtf8), "{} at {}", codec.domain, item.start);
        }
    });
}

/// What goes wrong is told with its place, and with nothing of what was there.
#[test]
fn errors_carry_no_expected_values() {
    let leaf = codecs::of("podseal.leaf.v1");
    let sample = &leaf.samples[0];
    let namespace = *items(sample).iter().find(|item| item.content(sample) == b"payments").unwrap();
    let malformed = (leaf.again)(&namespace.replaced(sample, &[0x20]), &LIMITS).unwrap_err();
    assert_eq!(malformed, Malformed { item: "leaf.namespace", at: namespace.start, problem: Problem::WrongType });
    let text = malformed.to_string();
    assert_eq!(text, format!("malformed leaf.namespace at byte {}: it has another CBOR type than wanted", namespace.start));
}
