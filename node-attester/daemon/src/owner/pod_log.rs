//! The pod log's register: TPM2_PCR_Extend (TPM 2.0 Part 3, section 22.2) of one bank. Other banks are left as they are: nothing that is
//! evidence comes from them.

use podseal_protocol::{Bank, BankDigest, pod_log::REGISTER};
use tss_esapi::{
    Context,
    handles::PcrHandle,
    structures::{self, DigestValues},
};

use super::{TpmError, quote};

const HANDLE: PcrHandle = PcrHandle::Pcr13;

pub(super) fn register(context: &mut Context, bank: Bank) -> Result<BankDigest, TpmError> {
    let values = quote::read(context, bank, &[REGISTER])?;
    let answer = || TpmError::Answer { step: "TPM2_PCR_Read", found: "no value".to_owned(), wanted: "one register of the bank" };
    values.first().map(|(_, value)| *value).ok_or_else(answer)
}

pub(super) fn extend(context: &mut Context, digest: &BankDigest) -> Result<(), TpmError> {
    let mut digests = DigestValues::new();
    let value = structures::Digest::try_from(digest.as_ref().to_vec()).map_err(TpmError::at("digest of a record"))?;
    digests.set(quote::algorithm(digest.bank()), value);
    context.execute_with_nullauth_session(|c| c.pcr_extend(HANDLE, digests)).map_err(TpmError::at("TPM2_PCR_Extend"))
}
