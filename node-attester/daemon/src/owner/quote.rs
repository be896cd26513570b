//! TPM2_Quote (TPM 2.0 Part 3, section 18.4) together with the registers that it covers.

use podseal_protocol::{Bank, BankDigest, Digest, evidence::Part};
use tss_esapi::{
    Context,
    handles::KeyHandle,
    interface_types::algorithm::HashingAlgorithm,
    structures::{AttestInfo, Data, PcrSelectionList, PcrSlot, SignatureScheme},
    traits::Marshall as _,
};

use super::TpmError;

/// How often a register may change between quote and reading before it is given up.
const TRIES: u32 = 5;
/// TPM2_PCR_Read returns at most eight values (TPM 2.0 Part 2, section 10.9.7: TPML_DIGEST).
const VALUES_A_CALL: usize = 8;

/// A quote over the SHA-256 bank with `binding` as qualifying data, and the values that hash to what it signed.
pub(crate) fn quote(context: &mut Context, ak: KeyHandle, pcrs: &[u8], binding: &Digest) -> Result<Part, TpmError> {
    let selection = selection(Bank::Sha256, pcrs)?;
    for _ in 0..TRIES {
        let data = Data::try_from(binding.0.to_vec()).map_err(TpmError::at("qualifying data"))?;
        let quoted = context.execute_with_nullauth_session(|c| c.quote(ak, data, SignatureScheme::Null, selection.clone()));
        let (attest, signature) = quoted.map_err(TpmError::at("TPM2_Quote"))?;
        let AttestInfo::Quote { info } = attest.attested() else {
            return Err(TpmError::Answer { step: "TPM2_Quote", found: format!("{:?}", attest.attestation_type()), wanted: "a quote" });
        };
        let values = read(context, Bank::Sha256, pcrs)?;
        let all = values.iter().flat_map(|(_, value)| value.as_ref().to_vec()).collect::<Vec<u8>>();
        // TPM 2.0 Part 2, section 10.12.1: TPMS_QUOTE_INFO.pcrDigest.
        if Digest::of(&all).as_ref() == info.pcr_digest().value() {
            return Ok(Part::TpmQuote {
                attest: attest.marshall().map_err(TpmError::at("TPMS_ATTEST"))?,
                signature: signature.marshall().map_err(TpmError::at("TPMT_SIGNATURE"))?,
                pcrs: values.into_iter().filter_map(|(pcr, value)| Some((pcr, value.sha256()?))).collect(),
            });
        }
    }
    Err(TpmError::RegistersMove { tries: TRIES })
}

/// Values of registers of one bank, in the order of `pcrs`.
pub(super) fn read(context: &mut Context, bank: Bank, pcrs: &[u8]) -> Result<Vec<(u8, BankDigest)>, TpmError> {
    let mut values = Vec::with_capacity(pcrs.len());
    for some in pcrs.chunks(VALUES_A_CALL) {
        let wanted = selection(bank, some)?;
        let (_, found, digests) = context.execute_without_session(|c| c.pcr_read(wanted.clone())).map_err(TpmError::at("TPM2_PCR_Read"))?;
        let answer = |found: String| TpmError::Answer { step: "TPM2_PCR_Read", found, wanted: "the selected registers of the bank" };
        if found != wanted || digests.len() != some.len() {
            return Err(answer(format!("{} values, {found:?}", digests.len())));
        }
        for (pcr, digest) in some.iter().zip(digests.value()) {
            let value = BankDigest::from_bytes(bank, digest.value()).ok_or_else(|| answer(format!("{} bytes", digest.value().len())))?;
            values.push((*pcr, value));
        }
    }
    Ok(values)
}

/// The bank, as the TPM software stack has it.
pub(super) fn algorithm(bank: Bank) -> HashingAlgorithm {
    match bank {
        Bank::Sha256 => HashingAlgorithm::Sha256,
        Bank::Sha384 => HashingAlgorithm::Sha384,
    }
}

fn selection(bank: Bank, pcrs: &[u8]) -> Result<PcrSelectionList, TpmError> {
    let slots = pcrs.iter().map(|pcr| PcrSlot::try_from(1_u32 << (pcr & 31)));
    let slots = slots.collect::<Result<Vec<_>, _>>().map_err(TpmError::at("register number"))?;
    PcrSelectionList::builder().with_selection(algorithm(bank), &slots).build().map_err(TpmError::at("TPML_PCR_SELECTION"))
}
