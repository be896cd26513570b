//! A secret that was never used before, and how whoever plants it keeps it without having it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use crate::error::BenchError;

/// Characters of a canary: 192 random bits.
const LENGTH: usize = 32;
/// Sixty-four, some of which each form writes in its own way.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~";

/// A random password, kept as two shares of which neither says anything about it: memory that holds a `Canary` does not hold the password.
#[derive(Debug)]
pub struct Canary {
    pad: [u8; LENGTH],
    masked: [u8; LENGTH],
    born: Duration,
}

impl Canary {
    /// Draws one.
    pub fn new() -> Result<Self, BenchError> {
        let no_randomness = |_| BenchError::answer("the random generator", "nothing", "random bytes");
        let born = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (mut pad, mut random) = ([0; LENGTH], Zeroizing::new([0; LENGTH]));
        aws_lc_rs::rand::fill(&mut pad).map_err(no_randomness)?;
        aws_lc_rs::rand::fill(random.as_mut_slice()).map_err(no_randomness)?;
        let mut masked = pad;
        for (share, byte) in masked.iter_mut().zip(random.iter()) {
            *share ^= ALPHABET[usize::from(byte % 64)];
        }
        Ok(Self { pad, masked, born })
    }

    /// The password, wiped when the value goes: 32 letters, digits, `-` and `~`.
    pub fn reveal(&self) -> Zeroizing<Vec<u8>> {
        let mut revealed = Zeroizing::new(vec![0; LENGTH]);
        for ((byte, pad), masked) in revealed.iter_mut().zip(self.pad).zip(self.masked) {
            *byte = pad ^ masked;
        }
        revealed
    }

    /// When it was drawn, in whole seconds since 1970: nothing that was written before has it.
    pub fn born(&self) -> u64 {
        self.born.as_secs()
    }
}
