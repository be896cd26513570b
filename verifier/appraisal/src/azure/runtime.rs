//! The runtime data: which keys the vTPM has, and which VM it belongs to.

use super::ATTESTATION_KEY;
use crate::check::Checks;
use crate::json::{self, Text};
use crate::tpm::signer::Signer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// Name of the attestation key.
const AK: &str = "HCLAkPub";
/// Bytes of a document: the NV index has room for less.
const LONGEST: usize = 16 << 10;
/// Keys that a document may name.
const MOST_KEYS: usize = 16;

/// Why a document is no runtime data.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("runtime data: {0}; read NV index 0x01400001 again and send it unchanged")]
pub struct RuntimeError(String);

json::object! {
    Document {
        keys: Vec<Key<'a>> = "keys",
        configuration: Configuration<'a> = "vm-configuration",
        user_data: Text<'a> = "user-data",
    }
}
json::object! {
    Key { kid: Text<'a> = "kid", kty: Text<'a> = "kty", n: Text<'a> = "n", e: Text<'a> = "e", }
}
json::object! {
    Configuration { vm_id: Text<'a> = "vmUniqueId", }
}

/// What the document says. Facts only where the hardware vouches for it ([`super::appraise_binding`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeData {
    keys: Vec<(String, Option<Signer>)>,
    vm_id: Option<String>,
    user_data: Option<String>,
}

impl RuntimeData {
    /// Reads the document. No member may stand twice in it, at any depth.
    ///
    /// # Errors
    /// [`RuntimeError`].
    pub fn parse(document: &[u8]) -> Result<Self, RuntimeError> {
        podseal_protocol::require(document.len() <= LONGEST, RuntimeError(format!("more than {LONGEST} bytes")))?;
        let document: Document<'_> = json::parse(document).map_err(RuntimeError)?;
        let keys = document.keys.unwrap_or_default();
        podseal_protocol::require(keys.len() <= MOST_KEYS, RuntimeError(format!("more than {MOST_KEYS} keys")))?;
        let keys = keys.iter().map(|key| (key.kid.as_deref().unwrap_or_default().to_owned(), signer(key))).collect();
        let text = |text: Option<Text<'_>>| text.map(|text| text.to_string());
        Ok(Self { keys, vm_id: text(document.configuration.and_then(|it| it.vm_id)), user_data: text(document.user_data) })
    }

    /// The attestation key: the one that is named so, which only one may be.
    pub fn attestation_key(&self, checks: &mut Checks) -> Option<&Signer> {
        let named = self.keys.iter().filter(|(kid, _)| kid == AK).collect::<Vec<_>>();
        let key = if let [(_, Some(key))] = named.as_slice() { Some(key) } else { None };
        let found = format!("{} named so{}", named.len(), if key.is_some() { "" } else { ", not one usable RSA key" });
        let holds = checks.record(&ATTESTATION_KEY, key.is_some(), "one RSA key HCLAkPub", found);
        key.filter(|_| holds)
    }

    /// `vmUniqueId`: Azure's name of the VM, the same for its whole life.
    #[must_use]
    pub fn vm_id(&self) -> Option<&str> {
        self.vm_id.as_deref()
    }

    /// `user-data`: what the guest wrote into NV index 0x01400002 before, in hexadecimal digits.
    #[must_use]
    pub fn user_data(&self) -> Option<&str> {
        self.user_data.as_deref()
    }
}

fn signer(key: &Key<'_>) -> Option<Signer> {
    let decode = |text: &Option<Text<'_>>| URL_SAFE_NO_PAD.decode(text.as_ref()?.as_bytes()).ok();
    let (modulus, exponent) = (decode(&key.n)?, decode(&key.e)?);
    if key.kty.as_deref() == Some("RSA") { Signer::of_rsa(&modulus, &exponent) } else { None }
}
