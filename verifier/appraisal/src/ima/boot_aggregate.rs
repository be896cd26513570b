//! The first entry: one digest over the registers that the boot ended with.

use super::IMA_BOOT_AGGREGATE;
use super::entry::Entry;
use crate::check::Checks;
use crate::hex::encode as hex;
use crate::tpm::HashAlgorithm;
use aws_lc_rs::digest::Digest;

/// Name of the entry.
pub const BOOT_AGGREGATE: &[u8] = b"boot_aggregate";

/// The digests that registers of one bank can be aggregated to, each with the last register in it: PCR 0 to 7, and since Linux 5.8 PCR 0
/// to 9 but for SHA-1. None where a register is not known.
pub fn boot_aggregates<'v>(bank: HashAlgorithm, value: impl Fn(u8) -> Option<&'v [u8]>) -> impl Iterator<Item = (u8, Digest)> {
    let last = if bank == HashAlgorithm::Sha1 { &[7][..] } else { &[7, 9][..] };
    last.iter().filter_map(move |last| {
        let values = (0..=*last).map(&value).collect::<Option<Vec<_>>>()?;
        Some((*last, bank.digest(&values)))
    })
}

/// A boot aggregate, and what it could be.
#[derive(Debug, Clone)]
pub(crate) struct BootAggregate {
    said: Vec<u8>,
    possible: Vec<(u8, Digest)>,
}

/// The boot aggregate of `entry`; `None` if it has none, or the registers of its bank are not known.
pub(crate) fn of<'v>(entry: &Entry<'_>, value: impl Fn(u8) -> Option<&'v [u8]>) -> Option<BootAggregate> {
    let measured = entry.measured().filter(|measured| measured.name == BOOT_AGGREGATE && !entry.is_violation())?;
    let possible = boot_aggregates(measured.hash()?, value).collect::<Vec<_>>();
    (!possible.is_empty()).then(|| BootAggregate { said: measured.digest.to_vec(), possible })
}

/// Records whether the boot aggregate is the one of the registers.
pub(crate) fn record(boot: Option<&BootAggregate>, checks: &mut Checks) -> bool {
    let expected = boot.into_iter().flat_map(|boot| &boot.possible);
    let expected = expected.map(|(last, digest)| format!("{} (PCR 0 to {last})", hex(digest.as_ref()))).collect::<Vec<_>>();
    let holds = boot.is_some_and(|boot| boot.possible.iter().any(|(_, digest)| digest.as_ref() == boot.said));
    let found = boot.map_or_else(|| "no boot aggregate in the bank of the registers".to_owned(), |boot| hex(&boot.said));
    let expected = if expected.is_empty() { "a boot aggregate, and the registers that it is of".to_owned() } else { expected.join(" or ") };
    checks.record(&IMA_BOOT_AGGREGATE, holds, expected, found)
}
