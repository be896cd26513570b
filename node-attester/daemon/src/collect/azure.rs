//! Evidence of an Azure confidential VM, from its virtual TPM: the hardware report that its paravisor (HCL) keeps in an NV index, and the
//! attestation key whose public half that report names (Microsoft, Azure confidential VM guest attestation design).

use std::time::{Duration, Instant};

use podseal_protocol::{Digest, evidence::Part, hex, require};
use tss_esapi::{
    Context,
    abstraction::nv,
    handles::{KeyHandle, NvIndexHandle, NvIndexTpmHandle, ObjectHandle, PersistentTpmHandle, TpmHandle},
    interface_types::{resource_handles::NvAuth, session_handles::AuthSession},
    structures::{Data, MaxNvBuffer, NvPublicBuilder, SignatureScheme},
    traits::Marshall as _,
};

use super::{CollectError, ReportData};
use crate::owner::{TpmError, quote};

/// The HCL report.
pub const REPORT: u32 = 0x0140_0001;
/// Where report data is written.
pub const REPORT_DATA: u32 = 0x0140_0002;
/// The attestation key.
pub const AK: u32 = 0x8100_0003;
/// Its certificate.
pub const AK_CERTIFICATE: u32 = 0x01c1_01d0;

/// How long it is waited for a new report, in waits.
const WAITS: u32 = 4;
/// Between two looks after the first wait.
const LOOK: Duration = Duration::from_millis(500);

const NO_HCL: &str = "this is no Azure confidential VM, or its TPM is another than tpm.tcti names";
const NO_DATA: &str = "the index takes 64 bytes; on an image that does not define it, define it: tpm2_nvdefine -C o 0x01400002 -s 64";

/// What the virtual TPM holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureEvidence {
    /// The HCL report: header, hardware report, runtime data.
    pub hcl_report: Vec<u8>,
    /// TPMT_PUBLIC of the attestation key.
    pub ak_public: Vec<u8>,
    /// Its certificate in DER, where there is one; zeros may follow.
    pub ak_certificate: Option<Vec<u8>>,
}

/// Whether the TPM has an HCL report.
pub fn is_there(context: &mut Context) -> bool {
    nv_handle(context, REPORT).is_ok()
}

/// Writes `data`, waits at least `wait`, and reads the report over it.
///
/// The paravisor makes a new report some seconds after the writing and says nothing when it has; the report's runtime data then names the
/// data (`"user-data"`, hexadecimal).
///
/// # Errors
/// What the TPM refused; [`CollectError::NoNewReport`].
pub fn collect(context: &mut Context, data: &ReportData, wait: Duration) -> Result<AzureEvidence, CollectError> {
    nv_handle(context, REPORT).map_err(|problem| CollectError::Stack {
        step: "TPM2_NV_ReadPublic of 0x01400001",
        problem,
        remedy: NO_HCL,
    })?;
    write(context, data)?;
    let since = Instant::now();
    std::thread::sleep(wait);
    let hcl_report = loop {
        let report = read(context, REPORT, "NV_Read of the HCL report", NO_HCL)?;
        if names(&report, data) {
            break report;
        }
        let waited = since.elapsed();
        require(waited < wait.saturating_mul(WAITS), CollectError::NoNewReport { index: REPORT, waited_ms: waited.as_millis() })?;
        std::thread::sleep(LOOK.min(wait));
    };
    let (ak_public, ak_certificate) = (ak_public(context)?, read(context, AK_CERTIFICATE, "NV_Read of the AK certificate", NO_HCL).ok());
    Ok(AzureEvidence { hcl_report, ak_public, ak_certificate })
}

/// A quote by the attestation key over `pcrs` with `nonce`, and the values that it covers.
///
/// # Errors
/// What the TPM refused.
pub fn quote(context: &mut Context, pcrs: &[u8], nonce: &Digest) -> Result<Part, TpmError> {
    let ak = ak(context).map_err(TpmError::at("handle 0x81000003"))?;
    quote::quote(context, ak, pcrs, nonce)
}

/// TPM2_Certify of `key` by the attestation key, over `binding` (TPM 2.0 Part 3, section 18.2): TPMS_ATTEST and TPMT_SIGNATURE.
///
/// # Errors
/// What the TPM refused.
pub fn certify(context: &mut Context, key: KeyHandle, binding: &Digest) -> Result<(Vec<u8>, Vec<u8>), TpmError> {
    let ak = ak(context).map_err(TpmError::at("handle 0x81000003"))?;
    let data = Data::try_from(binding.0.to_vec()).map_err(TpmError::at("qualifying data"))?;
    let sessions = (Some(AuthSession::Password), Some(AuthSession::Password), None);
    let certified = context.execute_with_sessions(sessions, |c| c.certify(key.into(), ak, data, SignatureScheme::Null));
    let (attest, signature) = certified.map_err(TpmError::at("TPM2_Certify"))?;
    let attest = attest.marshall().map_err(TpmError::at("TPMS_ATTEST"))?;
    Ok((attest, signature.marshall().map_err(TpmError::at("TPMT_SIGNATURE"))?))
}

/// Whether the report's runtime data, the JSON behind the hardware report, has `data` as user data. Hexadecimal digits, either case.
fn names(report: &[u8], data: &ReportData) -> bool {
    let wanted = format!("\"user-data\":\"{}\"", hex::encode(data));
    let text: Vec<u8> = report.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect();
    text.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

fn nv_handle(context: &mut Context, index: u32) -> tss_esapi::Result<NvIndexHandle> {
    let index = NvIndexTpmHandle::new(index)?;
    Ok(context.execute_without_session(|c| c.tr_from_tpm_public(TpmHandle::NvIndex(index)))?.into())
}

/// By owner authorization, which is empty in such a VM. An index has at most 64 KiB (TPM 2.0 Part 2, section 13.5: a UINT16).
fn read(context: &mut Context, index: u32, step: &'static str, remedy: &'static str) -> Result<Vec<u8>, CollectError> {
    let failed = |problem| CollectError::Stack { step, problem, remedy };
    let handle = NvIndexTpmHandle::new(index).map_err(failed)?;
    context.execute_with_nullauth_session(|c| nv::read_full(c, NvAuth::Owner, handle)).map_err(failed)
}

/// Defines the index where the image has none: the paravisor looks at whatever is written there.
fn write(context: &mut Context, data: &ReportData) -> Result<(), CollectError> {
    let failed = |problem| CollectError::Stack { step: "NV_Write of the report data", problem, remedy: NO_DATA };
    let buffer = MaxNvBuffer::try_from(data.to_vec()).map_err(failed)?;
    let handle = match nv_handle(context, REPORT_DATA) {
        Ok(handle) => handle,
        Err(_) => define(context).map_err(|problem| CollectError::Stack { step: "NV_DefineSpace", problem, remedy: NO_DATA })?,
    };
    context.execute_with_nullauth_session(|c| c.nv_write(NvAuth::Owner, handle, buffer, 0)).map_err(failed)
}

fn define(context: &mut Context) -> tss_esapi::Result<NvIndexHandle> {
    use tss_esapi::{
        attributes::NvIndexAttributesBuilder,
        interface_types::{algorithm::HashingAlgorithm, resource_handles::Provision},
    };
    let attributes =
        NvIndexAttributesBuilder::new().with_owner_write(true).with_owner_read(true).with_auth_write(true).with_auth_read(true).build()?;
    let public = NvPublicBuilder::new()
        .with_nv_index(NvIndexTpmHandle::new(REPORT_DATA)?)
        .with_index_name_algorithm(HashingAlgorithm::Sha256)
        .with_index_attributes(attributes)
        .with_data_area_size(64)
        .build()?;
    context.execute_with_nullauth_session(|c| c.nv_define_space(Provision::Owner, None, public))
}

fn ak(context: &mut Context) -> tss_esapi::Result<KeyHandle> {
    let handle = TpmHandle::Persistent(PersistentTpmHandle::new(AK)?);
    let object: ObjectHandle = context.execute_without_session(|c| c.tr_from_tpm_public(handle))?;
    Ok(object.into())
}

fn ak_public(context: &mut Context) -> Result<Vec<u8>, CollectError> {
    let failed = |problem| CollectError::Stack { step: "ReadPublic of the AK at 0x81000003", problem, remedy: NO_HCL };
    let ak = ak(context).map_err(failed)?;
    let (public, ..) = context.execute_without_session(|c| c.read_public(ak)).map_err(failed)?;
    public.marshall().map_err(failed)
}
