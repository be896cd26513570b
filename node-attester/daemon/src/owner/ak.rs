//! The attestation key: made once, by enrolment, and loaded from its file at each opening of the TPM.

use tss_esapi::{
    Context,
    abstraction::{AsymmetricAlgorithmSelection, KeyCustomization, ak},
    attributes::object::ObjectAttributesBuilder,
    handles::{KeyHandle, ObjectHandle},
    interface_types::{
        algorithm::{HashingAlgorithm, SignatureSchemeAlgorithm},
        ecc::EccCurve,
        key_bits::RsaKeyBits,
    },
    structures::{Private, Public},
    traits::{Marshall as _, UnMarshall as _},
};

use super::{TpmError, ak_state::AkState};
use crate::config::AkKind;

#[derive(Clone)]
pub(super) struct LoadedAk {
    pub(super) handle: KeyHandle,
    pub(super) name: Vec<u8>,
}

/// A machine whose power is cut now and then would lock the key up: its authorization counts as a failed one each time (TPM 2.0 Part 1, 19.8).
struct NoDictionaryAttack;

impl KeyCustomization for NoDictionaryAttack {
    fn attributes(&self, attributes: ObjectAttributesBuilder) -> ObjectAttributesBuilder {
        attributes.with_no_da(true)
    }
}

/// A restricted signing key under the EK: fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA (TPM 2.0 Part 2, section 8.3.3). Scheme and
/// name are with SHA-256.
pub(super) fn create(context: &mut Context, ek: KeyHandle, kind: AkKind) -> Result<AkState, TpmError> {
    let (algorithm, scheme) = match kind {
        AkKind::Rsa => (AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048), SignatureSchemeAlgorithm::RsaSsa),
        AkKind::Ecc => (AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256), SignatureSchemeAlgorithm::EcDsa),
    };
    let made = ak::create_ak_2(context, ek, HashingAlgorithm::Sha256, algorithm, scheme, None, NoDictionaryAttack);
    let made = made.map_err(TpmError::at("TPM2_Create of the AK"))?;
    let public = made.out_public.marshall().map_err(TpmError::at("TPMT_PUBLIC of the AK"))?;
    Ok(AkState { kind, public, private: made.out_private.value().to_vec() })
}

pub(super) fn load(context: &mut Context, ek: KeyHandle, state: AkState) -> Result<LoadedAk, TpmError> {
    let public = Public::unmarshall(&state.public).map_err(TpmError::at("TPMT_PUBLIC of the AK"))?;
    let private = Private::try_from(state.private).map_err(TpmError::at("TPM2B_PRIVATE of the AK"))?;
    let handle = ak::load_ak(context, ek, None, private, public)
        .map_err(TpmError::at("TPM2_Load of the AK (is this the TPM that was enrolled?)"))?;
    let name = context.tr_get_name(ObjectHandle::from(handle)).map_err(TpmError::at("name of the AK"))?;
    Ok(LoadedAk { handle, name: name.value().to_vec() })
}
