//! Recorded evidence, given as files to `report::appraise`: every entry of the manifest gets its verdict and its claims, whatever its
//! files are called where their content tells what they are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods
)]

#[path = "reports/flips.rs"]
mod flips;
#[path = "vectors/manifest.rs"]
#[allow(dead_code, reason = "each of two programs uses a part of it")]
mod manifest;
#[path = "reports/runner.rs"]
mod runner;

macro_rules! categories {
    ($($test:ident: $category:literal, $count:literal;)+) => {
        $(#[test]
        fn $test() {
            manifest::run($category, $count, runner::run);
        })+

        /// Flipped bits, by the same names.
        mod flipped {
            $(#[test]
            fn $test() {
                crate::manifest::run($category, $count, crate::flips::run);
            })+
        }
    };
}

categories! {
    azure_vtpm: "azure-vtpm", 9;
    ccel: "ccel", 7;
    eat_ear: "eat-ear", 11;
    ima: "ima", 12;
    nitro: "nitro", 15;
    nitrotpm: "nitrotpm", 1;
    snp_report: "snp-report", 15;
    tcg_eventlog: "tcg-eventlog", 26;
    tdx_quote: "tdx-quote", 15;
    tpm_ek: "tpm-ek", 6;
    tpm_quote: "tpm-quote", 11;
}
