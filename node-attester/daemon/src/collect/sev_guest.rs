//! Reports by `/dev/sev-guest` (Linux, Documentation/virt/coco/sev-guest.rst), for kernels without configfs-tsm.

use std::{fs::File, os::fd::AsFd as _, path::Path};

use podseal_protocol::require;

use super::{
    CollectError, MOST_BYTES, ReportData,
    ioctl::{self, SNP_RESPONSE, SnpError},
    snp,
};

const PAGE: usize = 4096;
/// `SNP_GUEST_VMM_ERR_INVALID_LEN`: the table does not fit.
const TOO_SHORT: u32 = 1;
const NO_DEVICE: &str = "load the driver (modprobe sev-guest) in a guest that runs under SEV-SNP, or correct evidence.sev_guest";
const REFUSED: &str = "correct evidence.privlevel; for any other code see SEV-SNP's status codes (AMD publication 56860, section 5)";

/// A report, and the host's table of certificates where it has one ([`super::certificates`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnpReport {
    /// The report's 1184 bytes.
    pub report: Vec<u8>,
    /// The table.
    pub certificates: Option<Vec<u8>>,
}

/// Asks the device at `path` for a report over `data` at level `vmpl`.
///
/// # Errors
/// What kernel, firmware or host refused; [`CollectError::Answer`].
pub fn collect(path: &Path, data: &ReportData, vmpl: u8) -> Result<SnpReport, CollectError> {
    let open = |problem| CollectError::File { path: path.to_owned(), step: "open", problem, remedy: NO_DEVICE };
    let device = File::open(path).map_err(open)?;
    let mut response = Box::new([0; SNP_RESPONSE]);
    // The table has whole pages, and the host says how many when there are too few.
    let mut table = Vec::new();
    let vmpl = u32::from(vmpl);
    for _ in 0..2 {
        let (wanted, done) = ioctl::snp_extended_report(device.as_fd(), *data, vmpl, &mut response, &mut table);
        match done {
            Ok(()) => {
                let certificates = Some(table).filter(|table| table.iter().any(|byte| *byte != 0));
                return Ok(SnpReport { report: report(path, &response, data)?, certificates });
            }
            Err(SnpError { host: TOO_SHORT, .. }) => {
                let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
                require(wanted <= MOST_BYTES, CollectError::TooLong { path: path.to_owned(), most: MOST_BYTES })?;
                table = vec![0; wanted.next_multiple_of(PAGE)];
            }
            Err(_) => break,
        }
    }
    // A host without a table may refuse the whole request.
    ioctl::snp_report(device.as_fd(), *data, vmpl, &mut response).map_err(|error| refused(path, &error))?;
    Ok(SnpReport { report: report(path, &response, data)?, certificates: None })
}

/// MSG_REPORT_RSP (AMD publication 56860, table 24): status, size, reserved bytes up to 0x20, the report.
fn report(path: &Path, response: &[u8; SNP_RESPONSE], data: &ReportData) -> Result<Vec<u8>, CollectError> {
    let mut words = response.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
    let (status, size) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    require(status == 0, CollectError::Refused { path: path.to_owned(), by: "the AMD Secure Processor", code: status, remedy: REFUSED })?;
    let end = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(0x20);
    let report = response.get(0x20..end).unwrap_or_default().to_vec();
    snp::answers(path, &report, data)?;
    Ok(report)
}

fn refused(path: &Path, error: &SnpError) -> CollectError {
    let path = path.to_owned();
    match error {
        SnpError { host, .. } if *host != 0 => CollectError::Refused { path, by: "the host", code: *host, remedy: REFUSED },
        SnpError { firmware, .. } if *firmware != 0 => {
            CollectError::Refused { path, by: "the AMD Secure Processor", code: *firmware, remedy: REFUSED }
        }
        SnpError { kernel, .. } => CollectError::File { path, step: "SNP_GET_REPORT", problem: (*kernel).into(), remedy: NO_DEVICE },
    }
}
