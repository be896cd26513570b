//! The one place with `unsafe`: ioctl(2) with structures that hold addresses. No crate offers these at a path that the caller chooses
//! (docs/decisions/0019-sev-crate.md).
//!
//! Each address that the kernel is given is that of a buffer that outlives the call, with its own length.

use std::os::fd::BorrowedFd;

use rustix::{
    io::Errno,
    ioctl::{Opcode, Updater, ioctl, opcode},
};

/// Linux, include/uapi/linux/sev-guest.h: `struct snp_guest_request_ioctl`.
#[repr(C)]
struct SnpGuestRequest {
    version: u8,
    request: u64,
    response: u64,
    /// Low half: the firmware's error; high half: the host's.
    errors: u64,
}

const SNP_GET_REPORT: Opcode = opcode::read_write::<SnpGuestRequest>(b'S', 0);
const SNP_GET_EXT_REPORT: Opcode = opcode::read_write::<SnpGuestRequest>(b'S', 2);

/// `struct snp_report_req`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SnpReportRequest {
    data: [u8; 64],
    vmpl: u32,
    reserved: [u8; 28],
}

/// `struct snp_ext_report_req`.
#[repr(C)]
struct SnpExtendedReportRequest {
    report: SnpReportRequest,
    certificates: u64,
    certificates_length: u32,
}

/// `struct snp_report_resp`.
pub(super) const SNP_RESPONSE: usize = 4000;

/// Why a request did not come back with an answer.
pub(super) struct SnpError {
    pub(super) kernel: Errno,
    /// Of the AMD Secure Processor.
    pub(super) firmware: u32,
    /// Of the host.
    pub(super) host: u32,
}

/// SNP_GET_REPORT: the response is written to `response`.
pub(super) fn snp_report(device: BorrowedFd<'_>, data: [u8; 64], vmpl: u32, response: &mut [u8; SNP_RESPONSE]) -> Result<(), SnpError> {
    let request = SnpReportRequest { data, vmpl, reserved: [0; 28] };
    let mut call =
        SnpGuestRequest { version: 1, request: address(&raw const request), response: address(response.as_mut_ptr()), errors: 0 };
    // SAFETY: opcode and structure are those of sev-guest.h; `request` and `response` are live, and as large as the kernel takes them to be.
    let done = unsafe { ioctl(device, Updater::<SNP_GET_REPORT, _>::new(&mut call)) };
    done.map_err(|kernel| snp_error(kernel, call.errors))
}

/// SNP_GET_EXT_REPORT: the response and the host's table of certificates, which needs whole pages. Returns the length that the host wants
/// its table to have; where that is more than there was, nothing was written.
pub(super) fn snp_extended_report(
    device: BorrowedFd<'_>,
    data: [u8; 64],
    vmpl: u32,
    response: &mut [u8; SNP_RESPONSE],
    certificates: &mut [u8],
) -> (u32, Result<(), SnpError>) {
    let report = SnpReportRequest { data, vmpl, reserved: [0; 28] };
    // Lengths are of pages that the caller bounded; one that does not fit is none.
    let certificates_length = u32::try_from(certificates.len()).unwrap_or(0);
    let mut request = SnpExtendedReportRequest { report, certificates: address(certificates.as_mut_ptr()), certificates_length };
    let (request_address, response) = (address(&raw mut request), address(response.as_mut_ptr()));
    let mut call = SnpGuestRequest { version: 1, request: request_address, response, errors: 0 };
    // SAFETY: as above; the kernel writes at most `certificates_length` bytes to `certificates`, which has as many, and the length to `request`.
    let done = unsafe { ioctl(device, Updater::<SNP_GET_EXT_REPORT, _>::new(&mut call)) };
    (request.certificates_length, done.map_err(|kernel| snp_error(kernel, call.errors)))
}

fn snp_error(kernel: Errno, errors: u64) -> SnpError {
    let (low, high) = (errors & 0xffff_ffff, errors >> 32);
    SnpError { kernel, firmware: u32::try_from(low).unwrap_or(u32::MAX), host: u32::try_from(high).unwrap_or(u32::MAX) }
}

/// Linux, include/uapi/linux/nsm.h: `struct nsm_iovec`, `struct nsm_raw`.
#[repr(C)]
struct NsmBuffer {
    address: u64,
    length: u64,
}

#[repr(C)]
struct NsmRaw {
    request: NsmBuffer,
    response: NsmBuffer,
}

const NSM_IOCTL_RAW: Opcode = opcode::read_write::<NsmRaw>(0x0a, 0);

/// NSM_IOCTL_RAW: the answer is written to `response`; how long it is.
pub(super) fn nsm(device: BorrowedFd<'_>, request: &[u8], response: &mut [u8]) -> Result<u64, Errno> {
    let mut call = NsmRaw {
        request: NsmBuffer { address: address(request.as_ptr()), length: request.len() as u64 },
        response: NsmBuffer { address: address(response.as_mut_ptr()), length: response.len() as u64 },
    };
    // SAFETY: opcode and structure are those of nsm.h; both buffers are live, and the kernel keeps to their lengths.
    unsafe { ioctl(device, Updater::<NSM_IOCTL_RAW, _>::new(&mut call)) }?;
    Ok(call.response.length)
}

fn address<T>(buffer: *const T) -> u64 {
    buffer.expose_provenance() as u64
}
