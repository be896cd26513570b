//! What an SEV-SNP report says, as far as a node needs to know it: which certificates belong to it, and whether it answers the question
//! (AMD publication 56860, SEV Secure Nested Paging Firmware ABI Specification, table 23). Its signature is the verifier's matter.

use std::path::Path;

use podseal_protocol::{hex, require};
use sev::{Generation, firmware::guest::AttestationReport, parser::ByteParser as _};

use super::{CollectError, ReportData};

/// Bytes of a report.
pub const REPORT: usize = 0x4a0;
/// Where the report data stands.
const DATA: usize = 0x50;

/// What a report says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Of the format.
    pub version: u32,
    /// The level that it was asked for.
    pub vmpl: u32,
    /// The processor's generation by its name in AMD's key distribution service, where the report says it (version 3 and later).
    pub generation: Option<String>,
    /// Whether the provider's key signed it (VLEK), and not the chip's.
    pub vlek: bool,
    /// Hexadecimal; `None` where the host hides it.
    pub chip_id: Option<String>,
    /// Where AMD has the VCEK, where the report says enough for it (AMD publication 57230, section 4.1).
    pub vcek_url: Option<String>,
}

/// Whether `report` is one, and over `data`.
///
/// # Errors
/// [`CollectError::Answer`].
pub fn answers(path: &Path, report: &[u8], data: &ReportData) -> Result<(), CollectError> {
    let answer = |what, found: String, wanted: String, remedy| CollectError::Answer { path: path.to_owned(), what, found, wanted, remedy };
    let remedy = "see `dmesg` for what the guest driver said, then ask again";
    let (found, wanted) = (format!("{} bytes", report.len()), format!("{REPORT} bytes"));
    require(report.len() == REPORT, answer("report", found, wanted, remedy))?;
    let found = report.get(DATA..DATA + data.len()).unwrap_or_default();
    let remedy = "find out what stands between this attester and its firmware, or who else uses this entry";
    require(found == data, answer("report data", hex::encode(found), hex::encode(data), remedy))
}

/// Reads a report. One of a version, or of a processor, that is not known yet says nothing here and is collected all the same.
#[must_use]
pub fn about(report: &[u8]) -> Option<About> {
    let report = AttestationReport::from_bytes(report).ok()?;
    let generation = report.cpuid_fam_id.zip(report.cpuid_mod_id).and_then(|(family, model)| Generation::identify_cpu(family, model).ok());
    let vlek = report.key_info.signing_key() == 1;
    let chip_id = (report.chip_id != [0; 64]).then(|| hex::encode(&report.chip_id));
    let turin = matches!(generation, Some(Generation::Turin));
    let name = generation.map(|generation| generation.titlecase());
    let vcek_url = match (&name, &chip_id) {
        (Some(name), Some(chip)) if !vlek => {
            let tcb = report.reported_tcb;
            // Turin's chip id has eight bytes.
            let chip = if turin { chip.get(..16).unwrap_or(chip) } else { chip };
            let fmc = tcb.fmc.map(|fmc| format!("&fmcSPL={fmc:02}")).unwrap_or_default();
            let (loader, tee, snp, microcode) = (tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode);
            let levels = format!("blSPL={loader:02}&teeSPL={tee:02}&snpSPL={snp:02}&ucodeSPL={microcode:02}{fmc}");
            Some(format!("https://kdsintf.amd.com/vcek/v1/{name}/{chip}?{levels}"))
        }
        _ => None,
    };
    Some(About { version: report.version, vmpl: report.vmpl, generation: name, vlek, chip_id, vcek_url })
}
