//! Randomness: the kernel's, once it is initialised (getrandom(2) without flags).

use rustix::{
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

use crate::failure::Failure;

/// Fills `out`.
pub(crate) fn fill(mut out: &mut [u8]) -> Result<(), Failure> {
    while !out.is_empty() {
        match getrandom(&mut *out, GetRandomFlags::empty()) {
            Ok(filled) => out = out.get_mut(filled..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(Failure::System { step: "get randomness", error }),
        }
    }
    Ok(())
}
