//! The one place where a step of this crate's verifications is decided.

/// `Ok` when the step holds, otherwise the named refusal.
///
/// # Errors
/// `otherwise`, when `holds` is false.
pub fn require<E>(holds: bool, otherwise: E) -> Result<(), E> {
    if holds { Ok(()) } else { Err(otherwise) }
}
