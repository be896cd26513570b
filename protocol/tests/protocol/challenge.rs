//! A challenge counts only when this verifier's key made it, byte for byte.

use podseal_protocol::{Challenge, Digest, MacKey, Purpose, ReceivedChallenge};
use zeroize::Zeroizing;

use crate::fixtures::{LIMITS, NOW, challenge, mac_key};

#[test]
fn challenge_never_issued() {
    let bytes = challenge().issue(&mac_key());
    let received = ReceivedChallenge::parse(&bytes, &LIMITS).unwrap();
    assert!(received.issued_under(&mac_key()));
    assert_eq!(received.fields(), &challenge());
    assert_eq!(received.digest(), Digest::of(&bytes));

    for key in [MacKey::new(Zeroizing::new([0; 32])), MacKey::new(Zeroizing::new([4; 32]))] {
        assert!(!received.issued_under(&key), "another key of ours, or a guess");
        let forged = ReceivedChallenge::parse(&challenge().issue(&key), &LIMITS).unwrap();
        assert!(!forged.issued_under(&mac_key()), "made under another key");
    }
}

#[test]
fn challenge_never_issued_altered_byte_at_every_position() {
    let bytes = challenge().issue(&mac_key());
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut altered = bytes.clone();
            altered[position] ^= 1 << bit;
            let issued = ReceivedChallenge::parse(&altered, &LIMITS).is_ok_and(|received| received.issued_under(&mac_key()));
            assert!(!issued, "byte {position}, bit {bit}");
        }
    }
}

/// Whatever it says, another field makes another MAC: no MAC serves two challenges.
#[test]
fn challenge_of_other_node() {
    let honest = challenge().issue(&mac_key());
    let others = [
        Challenge { node: "node-2".to_owned(), ..challenge() },
        Challenge { purpose: Purpose::Join, ..challenge() },
        Challenge { verifier: Digest([9; 32]), ..challenge() },
        Challenge { epoch: 2, ..challenge() },
        Challenge { issued: NOW + 1, ..challenge() },
        Challenge { expires: NOW + 61, ..challenge() },
        Challenge { random: [6; 32], ..challenge() },
    ];
    for other in others {
        let mut grafted = other.issue(&mac_key());
        let mac = grafted.len() - 32;
        grafted[mac..].copy_from_slice(&honest[honest.len() - 32..]);
        assert!(!ReceivedChallenge::parse(&grafted, &LIMITS).unwrap().issued_under(&mac_key()), "{other:?}");
    }
}

#[test]
fn challenge_purposes_are_two_words() {
    assert_eq!((Purpose::Join.as_str(), Purpose::Release.as_str()), ("join", "release"));
    for purpose in [Purpose::Join, Purpose::Release] {
        let bytes = Challenge { purpose, ..challenge() }.issue(&mac_key());
        assert_eq!(ReceivedChallenge::parse(&bytes, &LIMITS).unwrap().fields().purpose, purpose);
    }
    let bytes = challenge().issue(&mac_key());
    let at = bytes.windows(7).position(|window| window == b"release").unwrap();
    for word in [b"Release", b"rel\0ase", b"renewal"] {
        let altered = [&bytes[..at], word, &bytes[at + 7..]].concat();
        assert_eq!(ReceivedChallenge::parse(&altered, &LIMITS).unwrap_err().item, "challenge.purpose");
    }
}
