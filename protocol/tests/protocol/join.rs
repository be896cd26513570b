//! The activation secret belongs to one join request and to one key.

use podseal_protocol::{
    MacKey,
    join::{activation_secret, is_activation_secret},
};
use zeroize::Zeroizing;

use crate::fixtures::{activation, join, mac_key};

#[test]
fn ak_of_other_ek_learns_no_secret_of_another_join() {
    let bytes = join().encode();
    let secret = activation_secret(&mac_key(), &bytes);
    assert!(is_activation_secret(&mac_key(), &bytes, &secret));
    assert_eq!(activation().secret, Some(secret));

    let mut other = join();
    other.key.push(0);
    assert!(!is_activation_secret(&mac_key(), &other.encode(), &secret));
    assert!(!is_activation_secret(&MacKey::new(Zeroizing::new([9; 32])), &bytes, &secret));
    for position in 0..secret.len() {
        let mut altered = secret;
        altered[position] ^= 0x10;
        assert!(!is_activation_secret(&mac_key(), &bytes, &altered));
    }
}

/// One key makes both MACs; neither is ever the other, whatever is asked for.
#[test]
fn domains_disjoint_under_one_mac_key() {
    let challenge_mac = mac_key().tag(&[b"podseal.challenge-mac.v1", &join().encode()]);
    assert!(!is_activation_secret(&mac_key(), &join().encode(), &challenge_mac));
}
