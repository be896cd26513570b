//! Collectors of hardware evidence: each asks one kernel interface or device, at a path that the configuration names, and says what came.
//!
//! All of them block, and some for as long as a device likes: they are called from a thread that its caller can give up. What is read is
//! bounded before it is read. Nothing here is verified but that the answer belongs to the question; whether it is to be believed, the
//! verifier decides.

pub mod attribute;
pub mod azure;
pub mod certificates;
#[allow(unsafe_code)]
mod ioctl;
pub mod nitro_tpm;
pub mod nsm;
pub mod nsm_message;
pub mod sev_guest;
pub mod snp;
pub mod tdx;
pub mod tsm;

use std::{io, path::PathBuf};

/// What a report is bound to: the 64 bytes that a TEE signs for its guest.
pub type ReportData = [u8; 64];

/// Most that is read of one report or one table of certificates: TDX quotes have some 8 KiB, the table of a host at most 64 KiB.
pub const MOST_BYTES: usize = 128 << 10;

/// Why a source gave no evidence.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file cannot be opened, read or written.
    #[error("{path}: {step}: {problem}: {remedy}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        step: &'static str,
        /// What the operating system said.
        problem: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A file has more than is taken.
    #[error("{path}: longer than {most} bytes: this is not what the configuration takes it for: correct the path")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// Bytes that are taken.
        most: usize,
    },
    /// What came is not what was asked for.
    #[error("{path}: {what}: found {found}, wanted {wanted}: {remedy}")]
    Answer {
        /// Which file or device.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// What came.
        found: String,
        /// What has to come.
        wanted: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Somebody else wrote to the same report entry, each time.
    #[error("{path}: somebody else wrote to it, {tries} times: stop the other program, or have it use an entry of its own")]
    Interfered {
        /// Which entry.
        path: PathBuf,
        /// How often it was tried.
        tries: u32,
    },
    /// A device's firmware, or the host below it, refused.
    #[error("{path}: {by} refused with {code:#x}: {remedy}")]
    Refused {
        /// Which device.
        path: PathBuf,
        /// Who.
        by: &'static str,
        /// What it said.
        code: u32,
        /// What to do.
        remedy: &'static str,
    },
    /// A Nitro security module answered with an error.
    #[error(
        "{path}: the Nitro security module answered {said}: send user data, nonce and key of at most 512, 512 and 1024 bytes; for any other error ask again"
    )]
    Nsm {
        /// Which device.
        path: PathBuf,
        /// The error's name.
        said: String,
    },
    /// The cryptographic library failed.
    #[error("{step}: the cryptographic library refused: is the TPM's key an RSA key of 2048 bits?")]
    Cryptography {
        /// Which step.
        step: &'static str,
    },
    /// A TPM answered with an error code.
    #[error("TPM {tpm}: {step}: TPM_RC {code:#x} (TPM 2.0 Part 2, section 6.6.3): {remedy}")]
    Tpm {
        /// Which TPM.
        tpm: String,
        /// Which command.
        step: &'static str,
        /// The response code.
        code: u32,
        /// What to do.
        remedy: &'static str,
    },
    /// The TPM software stack refused.
    #[error("TPM: {step}: {problem}: {remedy}")]
    Stack {
        /// Which step.
        step: &'static str,
        /// What the TPM or the stack said.
        problem: tss_esapi::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// Azure's firmware did not make a new report in time.
    #[error("NV index {index:#010x}: still the report of former data after {waited_ms} ms: raise evidence.azure_wait_ms")]
    NoNewReport {
        /// Where the report is.
        index: u32,
        /// How long it was waited for.
        waited_ms: u128,
    },
}
