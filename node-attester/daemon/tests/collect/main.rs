//! The collectors, each against something that plays the kernel's, the device's or the firmware's part behind the same path.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod azure;
mod devices;
mod doctor;
mod kernel;
mod nitro;
mod nitro_tpm;
mod snp;
#[path = "../owner/swtpm.rs"]
mod swtpm;
mod tdx;
#[cfg(target_arch = "x86_64")]
mod traced;
mod tsm;
