//! TPM 2.0 Library Specification, Part 2: the structures that travel in evidence. Parsing only: exact ends, no decision.

mod attest;
mod public;
mod selection;
mod signature;

pub use attest::{Attest, Attested, ClockInfo};
pub use public::{Attributes, KeyParameters, Name, Public, Scheme, Symmetric};
pub use selection::{PcrSelection, read_selections};
pub use signature::Signature;
