//! Recorded evidence with independently worked-out verdicts: every entry of the manifest in these categories is run, and an entry that
//! nobody here knows fails. The vectors lie beside the checkout, or where `PODSEAL_VECTORS` says.
//!
//! Modes that Podseal does not ship (SHA-1 and ECDSA signatures, other banks, HPKE with a pre-shared key) are verified by code of this
//! test alone; there the shipped rules must refuse, by name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods
)]

#[path = "vectors/credential.rs"]
mod credential;
#[path = "vectors/ek.rs"]
mod ek;
#[path = "vectors/endorsement.rs"]
mod endorsement;
#[path = "vectors/eventlog.rs"]
mod eventlog;
#[path = "vectors/hpke_modes.rs"]
mod hpke_modes;
#[path = "vectors/manifest.rs"]
#[allow(dead_code, reason = "each of two programs uses a part of it")]
mod manifest;
#[path = "vectors/quote.rs"]
mod quote;

#[test]
fn tpm_quote() {
    manifest::run("tpm-quote", 11, quote::run);
}

#[test]
fn tpm_ek() {
    manifest::run("tpm-ek", 6, ek::run);
}

#[test]
fn tpm_credential() {
    manifest::run("tpm-credential", 7, credential::run);
}

#[test]
fn tcg_eventlog() {
    manifest::run("tcg-eventlog", 26, eventlog::run);
}

#[test]
fn hpke() {
    manifest::run("hpke", 2, hpke_modes::run);
}

#[test]
fn endorsements_of_amd() {
    manifest::run("snp-report", 15, endorsement::amd);
}

#[test]
fn endorsements_of_intel() {
    manifest::run("tdx-quote", 15, endorsement::intel);
}
