//! The pod log's register: TPM2_PCR_Extend (TPM 2.0 Part 3, section 22.2) of the SHA-256 bank. Other banks are left as they are: nothing
//! that is quoted comes from them.

use podseal_protocol::{BankDigest, pod_log::REGISTER};
use tss_esapi::{
    Context,
    handles::PcrHandle,
    interface_types::algorithm::HashingAlgorithm,
    structures::{self, DigestValues},
};

use super::{TpmError, quote};

const HANDLE: PcrHandle = PcrHandle::Pcr13;

pub(super) fn register(context: &mut Context) -> Result<BankDigest, TpmError> {
    let values = quote::read(context, &[REGISTER])?;
    let answer = || TpmError::Answer { step: "TPM2_PCR_Read", found: "no value".to_owned(), wanted: "one register of the SHA-256 bank" };
    values.first().map(|(_, value)| (*value).into()).ok_or_else(answer)
}

pub(super) fn extend(context: &mut Context, digest: &BankDigest) -> Result<(), TpmError> {
    let mut digests = DigestValues::new();
    digests
        .set(HashingAlgorithm::Sha256, structures::Digest::try_from(digest.as_ref().to_vec()).map_err(TpmError::at("digest of a record"))?);
    context.execute_with_nullauth_session(|c| c.pcr_extend(HANDLE, digests)).map_err(TpmError::at("TPM2_PCR_Extend"))
}
