//! The open TPM: EK, AK, and what they are used for.

use std::{fs::File, io::Read as _, path::PathBuf, str::FromStr as _, time::Duration};

use podseal_protocol::{Bank, BankDigest, Digest, evidence::Part, pod_log::Register, require};
use tss_esapi::{
    Context, TctiNameConf,
    abstraction::{AsymmetricAlgorithmSelection, DefaultKey, ek, nv},
    constants::{CapabilityType, SessionType},
    handles::{AuthHandle, KeyHandle, NvIndexTpmHandle, PersistentTpmHandle, SessionHandle, TpmHandle},
    interface_types::{
        algorithm::HashingAlgorithm,
        key_bits::RsaKeyBits,
        resource_handles::NvAuth,
        session_handles::{AuthSession, PolicySession},
    },
    structures::{CapabilityData, EncryptedSecret, IdObject, Public, SymmetricDefinition},
    traits::Marshall as _,
};

use super::{
    Collector, Identity, OwnerConfig, TpmError,
    ak::{self, LoadedAk},
    ak_state::AkState,
    pod_log, quote,
};
use crate::config::{AkKind, Tcti};

/// Connects that are tried again, and the pause before each.
const CONNECTS: u32 = 8;
const BETWEEN_CONNECTS: Duration = Duration::from_millis(50);

/// Where makers keep the default RSA-2048 EK (TCG PC Client TPM Provisioning Guidance 1.0, section 7.8).
const EK_HANDLE: u32 = 0x8101_0001;
/// Certificate of the default RSA-2048 EK (TCG EK Credential Profile 2.5, section 2.2.1.4).
const EK_CERTIFICATE: u32 = 0x01c0_0002;
const EK_KIND: AsymmetricAlgorithmSelection = AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048);
/// The kind of AK that is made where the configuration says none: a TPM makes and uses it several times faster than an RSA key, and each of the
/// PC Client profile has it (TCG PC Client Platform TPM Profile 1.05).
const UNLESS_SAID: AkKind = AkKind::Ecc;
/// How often a command is sent again when the TPM says TPM_RC_RETRY.
const RETRIES: u32 = 5;
/// First handles of what a former client may have left: HMAC sessions, policy sessions, transient objects (TPM 2.0 Part 2, section 7.2).
const LEFT_BEHIND: [u32; 3] = [0x0200_0000, 0x0300_0000, 0x8000_0000];

/// TPM2_Certify of a key, over a binding: TPMS_ATTEST and TPMT_SIGNATURE.
pub(super) type Certify = fn(&mut Context, KeyHandle, &Digest) -> Result<(Vec<u8>, Vec<u8>), TpmError>;

/// A TPM, open or to be opened by the next job.
pub(super) struct Tpm {
    config: OwnerConfig,
    open: Option<Open>,
    /// Whether it was said that the AK is of another kind than configured.
    warned: bool,
}

/// Fields are dropped in this order: the context flushes what it loaded.
struct Open {
    context: Context,
    ek: KeyHandle,
    ak: Option<LoadedAk>,
}

impl Tpm {
    pub(super) fn new(config: OwnerConfig) -> Self {
        Self { config, open: None, warned: false }
    }

    /// Runs a job, again where the TPM asks for that; after any other error the device is closed.
    pub(super) fn closing_on_error<T>(&mut self, job: impl Fn(&mut Self) -> Result<T, TpmError>) -> Result<T, TpmError> {
        let mut result = job(self);
        for _ in 0..RETRIES {
            match &result {
                Err(error) if error.says_retry() => result = job(self),
                _ => break,
            }
        }
        if result.is_err() {
            self.open = None;
        }
        result
    }

    pub(super) fn ak_name(&mut self) -> Result<Vec<u8>, TpmError> {
        Ok(self.ak()?.1.name)
    }

    /// TPMT_PUBLIC of the AK, which is made where there is none.
    pub(super) fn make_ak(&mut self) -> Result<Vec<u8>, TpmError> {
        let (path, kind) = (self.config.ak_state.clone(), self.config.ak.unwrap_or(UNLESS_SAID));
        if let Some(state) = self.state()? {
            self.is_as_configured(&state)?;
            return Ok(state.public);
        }
        let Open { context, ek, .. } = self.open()?;
        let state = ak::create(context, *ek, kind)?;
        state.write(&path)?;
        Ok(state.public)
    }

    /// Runs a job on the open TPM; after an error the device is closed.
    pub(super) fn with_context<T>(&mut self, job: impl Fn(&mut Context) -> Result<T, TpmError>) -> Result<T, TpmError> {
        self.closing_on_error(|tpm| job(&mut tpm.open()?.context))
    }

    /// A statement of another key about the AK: `certify` is given the AK and what the statement is over.
    pub(super) fn certified(&mut self, certify: Certify, binding: &Digest) -> Result<(Vec<u8>, Vec<u8>), TpmError> {
        self.closing_on_error(|tpm| {
            let (open, ak) = tpm.ak()?;
            certify(&mut open.context, ak.handle, binding)
        })
    }

    /// Closes the device: somebody else is to use it.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// The firmware's event log.
    pub(super) fn boot_log(&self) -> Result<Vec<u8>, TpmError> {
        read_event_log(&self.config.event_log, self.config.limits.evidence_part)
    }

    pub(super) fn identity(&mut self) -> Result<Identity, TpmError> {
        let ak_public = self.make_ak()?;
        let Open { context, ek, .. } = self.open()?;
        let index = NvIndexTpmHandle::new(EK_CERTIFICATE).map_err(TpmError::at("NV index of the EK certificate"))?;
        let read = context.execute_with_nullauth_session(|c| nv::read_full(c, NvAuth::Owner, index));
        let certificate = read.map_err(|problem| TpmError::NoEkCertificate { problem })?;
        let (ek_public, ..) = context.execute_without_session(|c| c.read_public(*ek)).map_err(TpmError::at("TPM2_ReadPublic of the EK"))?;
        Ok(Identity {
            ek_certificate: der_alone(certificate)?,
            ek_public: ek_public.marshall().map_err(TpmError::at("TPMT_PUBLIC of the EK"))?,
            ak_public,
        })
    }

    pub(super) fn recovered(&mut self, credential: &[u8], encrypted_secret: &[u8]) -> Result<[u8; 32], TpmError> {
        let (Open { context, ek, .. }, ak) = self.ak()?;
        let ek = *ek;
        let credential = IdObject::try_from(credential).map_err(TpmError::at("TPM2B_ID_OBJECT"))?;
        let secret = EncryptedSecret::try_from(encrypted_secret).map_err(TpmError::at("TPM2B_ENCRYPTED_SECRET"))?;
        let session = policy_session(context)?;
        let recovered = context.execute_with_temporary_object(SessionHandle::from(session).into(), |context, _| {
            endorsement_policy(context, session)?;
            let sessions = (Some(AuthSession::Password), Some(session), None);
            context.execute_with_sessions(sessions, |c| c.activate_credential(ak.handle, ek, credential, secret))
        });
        let recovered = recovered.map_err(TpmError::at("TPM2_ActivateCredential"))?;
        let wrong = |_| TpmError::Answer {
            step: "TPM2_ActivateCredential",
            found: format!("{} bytes", recovered.value().len()),
            wanted: "32 bytes",
        };
        recovered.value().try_into().map_err(wrong)
    }

    fn ak(&mut self) -> Result<(&mut Open, LoadedAk), TpmError> {
        let ak = match self.open.as_ref().and_then(|open| open.ak.clone()) {
            Some(ak) => ak,
            None => {
                let path = self.config.ak_state.clone();
                let state = self.state()?.inspect(|state| self.warn_of_another_kind(state));
                let open = self.open()?;
                ak::load(&mut open.context, open.ek, state.ok_or(TpmError::NotEnrolled { path })?)?
            }
        };
        let open = self.open()?;
        open.ak = Some(ak.clone());
        Ok((open, ak))
    }

    fn state(&self) -> Result<Option<AkState>, TpmError> {
        AkState::read(&self.config.ak_state, &self.config.limits)
    }

    /// Whether the key is of the kind that the configuration says, where it says one.
    fn is_as_configured(&self, state: &AkState) -> Result<(), TpmError> {
        let wanted = self.config.ak.unwrap_or(state.kind);
        require(state.kind == wanted, TpmError::OtherKeyKind { path: self.config.ak_state.clone(), found: state.kind, wanted })
    }

    /// The verifier knows the key that there is, so the node goes on with it. Said once.
    fn warn_of_another_kind(&mut self, state: &AkState) {
        if self.warned {
            return;
        }
        if let Err(error) = self.is_as_configured(state) {
            tracing::warn!(%error, "the node goes on with the key that it has");
            self.warned = true;
        }
    }

    fn open(&mut self) -> Result<&mut Open, TpmError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.config.tcti)?,
        };
        Ok(self.open.insert(open))
    }
}

impl Collector for Tpm {
    fn collect(&mut self, binding: &Digest) -> Result<Vec<Part>, TpmError> {
        let pcrs = self.config.pcrs.clone();
        let quote = self.closing_on_error(|tpm| {
            let (open, ak) = tpm.ak()?;
            quote::quote(&mut open.context, ak.handle, &pcrs, binding)
        })?;
        Ok(vec![quote, Part::BootLog(self.boot_log()?)])
    }

    fn pod_log_register(&self) -> Register {
        Register::TPM
    }

    fn register(&mut self) -> Result<BankDigest, TpmError> {
        self.with_context(|context| pod_log::register(context, Bank::Sha256))
    }

    fn extend(&mut self, digest: &BankDigest) -> Result<(), TpmError> {
        self.with_context(|context| pod_log::extend(context, digest))
    }
}

/// Connects, a few times where that fails: a TPM that has just been powered on, or whose last client has just gone, takes nobody for a moment.
pub(super) fn connect(tcti: &Tcti) -> Result<Context, TpmError> {
    let name = tcti.to_string();
    let mut tries = 1..=CONNECTS;
    loop {
        match TctiNameConf::from_str(&name).and_then(Context::new) {
            Ok(context) => return Ok(context),
            Err(problem) if tries.next().is_none() => return Err(TpmError::Unreachable { tcti: name, problem }),
            Err(_) => std::thread::sleep(BETWEEN_CONNECTS),
        }
    }
}

impl Open {
    fn new(tcti: &Tcti) -> Result<Self, TpmError> {
        let mut context = connect(tcti)?;
        flush_what_was_left(&mut context)?;
        let ek = endorsement_key(&mut context)?;
        Ok(Self { context, ek, ak: None })
    }
}

/// The device is ours alone, so whatever is loaded was left by an attester that was killed; a TPM has few slots. Behind the kernel's
/// resource manager nothing is listed.
fn flush_what_was_left(context: &mut Context) -> Result<(), TpmError> {
    for first in LEFT_BEHIND {
        let listed = context.execute_without_session(|c| c.get_capability(CapabilityType::Handles, first, 64));
        let (CapabilityData::Handles(handles), _) = listed.map_err(TpmError::at("TPM2_GetCapability"))? else { continue };
        for handle in handles.into_inner() {
            if u32::from(handle) >> 24 == first >> 24 {
                let object =
                    context.execute_without_session(|c| c.tr_from_tpm_public(handle)).map_err(TpmError::at("a handle left behind"))?;
                context.flush_context(object).map_err(TpmError::at("TPM2_FlushContext"))?;
            }
        }
    }
    Ok(())
}

/// The maker's persistent EK where it has the default template, else the same key made anew from the TPM's seed.
fn endorsement_key(context: &mut Context) -> Result<KeyHandle, TpmError> {
    let template = ek::create_ek_public_from_default_template_2(EK_KIND, DefaultKey).map_err(TpmError::at("EK template"))?;
    let handle = PersistentTpmHandle::new(EK_HANDLE).map_err(TpmError::at("EK handle"))?;
    if let Ok(object) = context.execute_without_session(|c| c.tr_from_tpm_public(TpmHandle::Persistent(handle))) {
        let ek = KeyHandle::from(object);
        let (public, ..) = context.execute_without_session(|c| c.read_public(ek)).map_err(TpmError::at("TPM2_ReadPublic of the EK"))?;
        if is_default(&public, &template) {
            return Ok(ek);
        }
    }
    ek::create_ek_object_2(context, EK_KIND, DefaultKey).map_err(TpmError::at("TPM2_CreatePrimary of the EK"))
}

fn is_default(public: &Public, template: &Public) -> bool {
    match (public, template) {
        (
            Public::Rsa { object_attributes: a, name_hashing_algorithm: b, auth_policy: c, parameters: d, .. },
            Public::Rsa { object_attributes: e, name_hashing_algorithm: f, auth_policy: g, parameters: h, .. },
        ) => (a, b, c, d) == (e, f, g, h),
        _ => false,
    }
}

fn policy_session(context: &mut Context) -> Result<AuthSession, TpmError> {
    let symmetric = SymmetricDefinition::AES_128_CFB;
    let session = context
        .execute_without_session(|c| c.start_auth_session(None, None, None, SessionType::Policy, symmetric, HashingAlgorithm::Sha256))
        .map_err(TpmError::at("TPM2_StartAuthSession"))?;
    session.ok_or(TpmError::Answer { step: "TPM2_StartAuthSession", found: "no session".to_owned(), wanted: "a policy session" })
}

/// PolicyA of the default EK: TPM2_PolicySecret with the endorsement hierarchy (TCG EK Credential Profile 2.5, section B.3).
fn endorsement_policy(context: &mut Context, session: AuthSession) -> tss_esapi::Result<()> {
    let session = PolicySession::try_from(session)?;
    context.execute_with_nullauth_session(|c| {
        c.policy_secret(session, AuthHandle::Endorsement, Default::default(), Default::default(), Default::default(), None)
    })?;
    Ok(())
}

/// Cuts the padding that many makers write behind the certificate.
fn der_alone(mut bytes: Vec<u8>) -> Result<Vec<u8>, TpmError> {
    // ITU-T X.690, sections 8.1.3.4 and 8.1.3.5: SEQUENCE, then one length byte, or 0x82 and two of them.
    let length = match bytes.as_slice() {
        [0x30, 0x82, high, low, ..] => Some(4 + usize::from(u16::from_be_bytes([*high, *low]))),
        [0x30, 0x81, length, ..] => Some(3 + usize::from(*length)),
        _ => None,
    };
    let length = length.filter(|length| *length <= bytes.len()).ok_or_else(|| TpmError::Answer {
        step: "EK certificate",
        found: format!("{} bytes", bytes.len()),
        wanted: "an X.509 certificate in DER",
    })?;
    bytes.truncate(length);
    Ok(bytes)
}

fn read_event_log(path: &PathBuf, most: usize) -> Result<Vec<u8>, TpmError> {
    let unreadable = |problem| TpmError::File { path: path.clone(), problem };
    let mut log = Vec::new();
    File::open(path).map_err(unreadable)?.take(most as u64 + 1).read_to_end(&mut log).map_err(unreadable)?;
    if log.len() > most { Err(TpmError::EventLogTooLong { path: path.clone(), most }) } else { Ok(log) }
}
