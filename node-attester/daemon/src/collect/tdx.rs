//! TDX beside its quote: the run-time register that user space may extend, and the log of what the firmware measured.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA384, digest};
use podseal_protocol::{hex, require};

use super::{CollectError, attribute};

/// Bytes of a run-time register.
pub const REGISTER: usize = 48;
/// Bytes of the table that says where the log is (ACPI 6.5, section 5.2.36; Intel, Guest-Hypervisor Communication Interface, section 4.3.3).
const TABLE: usize = 56;

const NO_REGISTER: &str = "run Linux 6.16 or later with the driver tdx_guest in a TDX guest, as root, or correct evidence.rtmr";
const NO_LOG: &str = "this guest's firmware left no CCEL: use another, or correct evidence.ccel and evidence.ccel_table";

/// A run-time measurement register by its sysfs attribute, `…/measurements/rtmr3:sha384`
/// (Linux, Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest).
#[derive(Debug, Clone)]
pub struct Rtmr(pub PathBuf);

impl Rtmr {
    /// What it holds.
    ///
    /// # Errors
    /// [`CollectError::File`], [`CollectError::Answer`].
    pub fn value(&self) -> Result<[u8; REGISTER], CollectError> {
        let bytes = attribute::read(&self.0, REGISTER, NO_REGISTER)?;
        let answer = |bytes: Vec<u8>| self.answer(format!("{} bytes", bytes.len()), format!("{REGISTER} bytes"), NO_REGISTER);
        bytes.try_into().map_err(answer)
    }

    /// Extends it: SHA-384 of what it held and `digest` (Intel TDX Module ABI, TDG.MR.RTMR.EXTEND). Returns what it holds then.
    ///
    /// # Errors
    /// Where it fails the register may have been extended or not. [`CollectError::Answer`] where somebody else extended it meanwhile.
    pub fn extend(&self, digest: &[u8; REGISTER]) -> Result<[u8; REGISTER], CollectError> {
        let before = self.value()?;
        attribute::write(&self.0, digest, NO_REGISTER)?;
        let found = self.value()?;
        let wanted = extended(&before, digest);
        let remedy = "find out what else extends this register: the node has to boot again for a log that agrees with it";
        require(found == wanted, self.answer(hex::encode(&found), hex::encode(&wanted), remedy))?;
        Ok(found)
    }

    fn answer(&self, found: String, wanted: String, remedy: &'static str) -> CollectError {
        CollectError::Answer { path: self.0.clone(), what: "run-time measurement register", found, wanted, remedy }
    }
}

fn extended(before: &[u8; REGISTER], by: &[u8; REGISTER]) -> [u8; REGISTER] {
    let mut value = [0; REGISTER];
    let hash = digest(&SHA384, &[before.as_slice(), by.as_slice()].concat());
    value.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    value
}

/// The confidential-computing event log, as the firmware left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ccel {
    /// The ACPI table.
    pub table: Vec<u8>,
    /// The log.
    pub log: Vec<u8>,
}

/// Reads the table and a log of at most `most` bytes.
///
/// # Errors
/// [`CollectError::File`], [`CollectError::TooLong`], [`CollectError::Answer`] where the table is no CCEL.
pub fn ccel(table: &Path, log: &Path, most: usize) -> Result<Ccel, CollectError> {
    let (table_path, table) = (table, attribute::read(table, TABLE, NO_LOG)?);
    let answer = |found, wanted: &str| CollectError::Answer {
        path: table_path.to_owned(),
        what: "ACPI table",
        found,
        wanted: wanted.to_owned(),
        remedy: NO_LOG,
    };
    require(table.starts_with(b"CCEL"), answer(format!("{:?}", String::from_utf8_lossy(table.get(..4).unwrap_or_default())), "CCEL"))?;
    let log = attribute::read(log, most, NO_LOG)?;
    Ok(Ccel { table, log })
}
