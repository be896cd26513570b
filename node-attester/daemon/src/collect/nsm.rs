//! Documents by `/dev/nsm`, the security module inside a Nitro enclave (Linux, drivers/misc/nsm.c).

use std::{fs::OpenOptions, os::fd::AsFd as _, path::Path};

use podseal_protocol::require;

use super::{
    CollectError, ioctl,
    nsm_message::{self, Request},
};

/// `NSM_RESPONSE_MAX_SIZE`.
const MOST_ANSWER: usize = 0x3000;
const NO_DEVICE: &str =
    "this exists only inside a Nitro enclave, with Linux 6.8 or Amazon's driver nsm: correct evidence.nsm, or leave the key out";

/// Asks the device at `path` for an attestation document.
///
/// # Errors
/// What kernel or module refused; [`CollectError::Answer`].
pub fn collect(path: &Path, request: &Request<'_>) -> Result<Vec<u8>, CollectError> {
    let failed = |step| move |problem| CollectError::File { path: path.to_owned(), step, problem, remedy: NO_DEVICE };
    let device = OpenOptions::new().read(true).write(true).open(path).map_err(failed("open"))?;
    let mut answer = vec![0; MOST_ANSWER];
    let length = ioctl::nsm(device.as_fd(), &request.encode(), &mut answer).map_err(|e| failed("NSM_IOCTL_RAW")(e.into()))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    require(length <= MOST_ANSWER, CollectError::TooLong { path: path.to_owned(), most: MOST_ANSWER })?;
    answer.truncate(length);
    Ok(nsm_message::document(path, &answer)?.to_vec())
}
