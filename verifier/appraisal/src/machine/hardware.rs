//! Whose hardware counts, and what is good enough: roots, and a policy of floors and distrust.

mod policy;

use podseal_protocol::{
    Limits,
    cbor::{Decoder, Encoder, Malformed, Problem},
};

use crate::x509::{RootError, Roots};
pub(super) use policy::Policy;
pub use policy::PolicyError;

const DOMAIN: &str = "podseal.hardware.v1";
/// Files of a folder of roots.
const MOST_FILES: usize = 256;
/// All that they hold, in bytes: they go into the archive with what is judged by them.
const LARGEST: usize = 1 << 20;

/// Why a verifier cannot judge hardware so.
#[derive(Debug, thiserror::Error)]
pub enum HardwareError {
    /// The roots.
    #[error(transparent)]
    Roots(#[from] RootError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// More than is archived with each decision.
    #[error("found {files} files with roots, {bytes} bytes, wanted at most {MOST_FILES} and {LARGEST} bytes: leave out what no root is in")]
    TooMuch {
        /// How many.
        files: usize,
        /// All together.
        bytes: usize,
    },
}

/// Roots and policy, ready to judge with. Kept while they stand: paths that were found are not looked for again.
#[derive(Debug, Clone)]
pub struct Hardware {
    files: Vec<(String, Vec<u8>)>,
    roots: Roots,
    text: String,
    policy: Policy,
}

impl Hardware {
    /// The makers' roots that are built in, and the policy of `text`; an empty one is the shipped policy.
    ///
    /// # Errors
    /// [`HardwareError::Policy`].
    pub fn shipped(text: &str) -> Result<Self, HardwareError> {
        Self::new(Roots::shipped_files(), text)
    }

    /// No roots: nothing of hardware other than a TPM of its own is believed.
    #[must_use]
    pub fn none() -> Self {
        Self { files: Vec::new(), roots: Roots::default(), text: String::new(), policy: Policy::default() }
    }

    /// The roots of a folder's files (name, contents), as [`Roots::of_folder`] reads them, and the policy of `text`. What else lies in the
    /// folder is left aside.
    ///
    /// # Errors
    /// [`HardwareError`].
    pub fn new(mut files: Vec<(String, Vec<u8>)>, text: &str) -> Result<Self, HardwareError> {
        let (roots, policy) = (Roots::of_folder(&files)?, Policy::parse(text)?);
        files.retain(|file| Roots::of_folder(std::slice::from_ref(file)).is_ok());
        let bytes = files.iter().map(|(name, bytes)| name.len() + bytes.len()).sum();
        podseal_protocol::require(files.len() <= MOST_FILES && bytes <= LARGEST, HardwareError::TooMuch { files: files.len(), bytes })?;
        Ok(Self { files, roots, text: text.to_owned(), policy })
    }

    /// These roots under the shipped policy.
    #[cfg(test)]
    pub(super) fn of_roots(roots: Roots) -> Self {
        Self { roots, ..Self::none() }.under("").unwrap_or_else(|_| Self::none())
    }

    /// The same roots under another policy.
    ///
    /// # Errors
    /// [`HardwareError::Policy`].
    pub fn under(&self, text: &str) -> Result<Self, HardwareError> {
        Ok(Self { policy: Policy::parse(text)?, text: text.to_owned(), ..self.clone() })
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.roots
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The canonical bytes, for the archive.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let e = Encoder::message(DOMAIN, 3).list(&self.files, |e, (name, bytes)| e.array(2).text(name).bytes(bytes));
        e.text(&self.text).finish()
    }

    /// Parses what [`Hardware::encode`] wrote.
    ///
    /// # Errors
    /// [`Malformed`] when it is not in its canonical form, or has roots or a policy that cannot be.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut d = Decoder::message(bytes, DOMAIN, 3, limits)?;
        let at = d.offset();
        let files = d.list("hardware.roots", MOST_FILES, |d| {
            d.array("hardware.root", 2)?;
            Ok((d.text("hardware.root.name", limits.text)?.to_owned(), d.bytes("hardware.root.file", limits.attachment)?.to_vec()))
        })?;
        let text = d.text("hardware.policy", limits.attachment)?.to_owned();
        d.end("hardware")?;
        if files.is_empty() {
            return Self::none().under(&text).map_err(|_| Malformed { item: "hardware.policy", at, problem: Problem::WrongValue });
        }
        Self::new(files, &text).map_err(|_| Malformed { item: "hardware.roots", at, problem: Problem::WrongValue })
    }
}
