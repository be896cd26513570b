//! One entry: what was measured, and whether the template digest is the hash of what stands beside it.

use super::list::ListError;
use crate::tpm::HashAlgorithm;
use std::borrow::Cow;

/// The form of an entry (kernel, security/integrity/ima/ima_template.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template<'a> {
    /// `ima`: SHA-1 digest and name of a file.
    Ima,
    /// `ima-ng`: digest with its algorithm, name.
    Ng,
    /// `ima-ngv2`: as `ima-ng`, with the kind of digest (`ima`, `verity`).
    NgV2,
    /// `ima-sig`: as `ima-ng`, with the file's signature, which may be empty.
    Sig,
    /// `ima-sigv2`: as `ima-ngv2`, with the file's signature.
    SigV2,
    /// `ima-buf`: as `ima-ng`, with the buffer that was measured instead of a file.
    Buf,
    /// Any other, by name: its fields are not known here.
    Unknown(&'a str),
}

impl<'a> Template<'a> {
    /// The template of this name; `None` if it can be the name of none.
    #[must_use]
    pub fn named(name: &'a [u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        let fits = (1..=255).contains(&name.len()) && name.chars().all(|character| character.is_ascii_graphic());
        let known = Self::KNOWN.into_iter().find(|known| known.name() == name);
        fits.then(|| known.unwrap_or(Self::Unknown(name)))
    }

    const KNOWN: [Self; 6] = [Self::Ima, Self::Ng, Self::NgV2, Self::Sig, Self::SigV2, Self::Buf];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Ima => "ima",
            Self::Ng => "ima-ng",
            Self::NgV2 => "ima-ngv2",
            Self::Sig => "ima-sig",
            Self::SigV2 => "ima-sigv2",
            Self::Buf => "ima-buf",
            Self::Unknown(name) => name,
        }
    }
}

/// What an entry says was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured<'e> {
    /// Algorithm of the digest as the entry names it, `sha256`; of a `ngv2` template with its kind, `ima:sha256`. `None` in the template
    /// `ima`, which has SHA-1 only.
    pub algorithm: Option<&'e str>,
    /// Digest of the file or buffer.
    pub digest: &'e [u8],
    /// Name: of a file, its path in the mount namespace of who opened it.
    pub name: &'e [u8],
    /// Signature or buffer, where the template has one.
    pub last: Option<&'e [u8]>,
}

impl Measured<'_> {
    /// Digest with its algorithm, as the ASCII form has it.
    #[must_use]
    pub fn digest_text(&self) -> String {
        let digest = crate::hex::encode(self.digest);
        self.algorithm.map_or_else(|| digest.clone(), |algorithm| format!("{algorithm}:{digest}"))
    }

    /// Algorithm of the digest, where it is one of those known here.
    #[must_use]
    pub fn hash(&self) -> Option<HashAlgorithm> {
        let name = self.algorithm.map_or("sha1", |algorithm| algorithm.rsplit(':').next().unwrap_or(algorithm));
        HashAlgorithm::ALL.into_iter().find(|hash| hash.name() == name)
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Position in the list, from 0.
    pub position: usize,
    /// Register that it was extended into.
    pub pcr: u32,
    /// Template digest: all zeros for a violation.
    pub template_digest: Cow<'a, [u8]>,
    /// Form.
    pub template: Template<'a>,
    /// Template data; `None` where the ASCII form does not tell them.
    data: Option<Cow<'a, [u8]>>,
}

/// `IMA_EVENT_NAME_LEN_MAX + 1`: in the template `ima` the name is hashed in a field of this size.
const OLD_NAME: usize = 256;

impl<'a> Entry<'a> {
    pub(super) fn new(
        position: usize,
        pcr: u32,
        template_digest: Cow<'a, [u8]>,
        template: Template<'a>,
        data: Option<Cow<'a, [u8]>>,
    ) -> Result<Self, ListError> {
        let entry = Self { position, pcr, template_digest, template, data };
        let readable = matches!(template, Template::Unknown(_)) || entry.measured().is_some();
        if readable { Ok(entry) } else { Err(ListError::Field { position, what: "digest and name" }) }
    }

    /// What was measured; `None` for a template that is not known here.
    #[must_use]
    pub fn measured(&self) -> Option<Measured<'_>> {
        let data = self.data.as_deref()?;
        if self.template == Template::Ima {
            let (digest, name) = data.split_at_checked(20)?;
            return (name.len() < OLD_NAME).then_some(Measured { algorithm: None, digest, name, last: None });
        }
        let (digest, rest) = field(data)?;
        let (name, rest) = field(rest)?;
        let (last, rest) = match self.template {
            Template::Sig | Template::SigV2 | Template::Buf => field(rest).map(|(last, rest)| (Some(last), rest))?,
            Template::Ng | Template::NgV2 => (None, rest),
            Template::Ima | Template::Unknown(_) => return None,
        };
        let end = digest.iter().position(|byte| *byte == 0)?;
        let (algorithm, digest) = digest.split_at_checked(end)?;
        let algorithm = std::str::from_utf8(algorithm.strip_suffix(b":")?).ok()?;
        let plain = !algorithm.is_empty() && algorithm.chars().all(|character| character.is_ascii_graphic());
        let name = name.strip_suffix(&[0])?;
        (plain && rest.is_empty()).then_some(Measured { algorithm: Some(algorithm), digest: digest.get(1..)?, name, last })
    }

    /// Whether the kernel could not measure what it had to: the file was open for writing, or was written while measured. Nothing then
    /// says what it was.
    #[must_use]
    pub fn is_violation(&self) -> bool {
        self.template_digest.iter().all(|byte| *byte == 0)
    }

    /// Hash of the template data; `None` where the ASCII form does not tell them.
    #[must_use]
    pub fn hash(&self, hash: HashAlgorithm) -> Option<aws_lc_rs::digest::Digest> {
        let data = self.data.as_deref()?;
        if self.template == Template::Ima {
            let filling = [0; OLD_NAME + 20];
            return Some(hash.digest(&[data, filling.get(data.len()..)?]));
        }
        Some(hash.digest(&[data]))
    }

    /// Whether the template digest is the hash of the template data; its length says by which algorithm. `None` for a violation, and
    /// where the ASCII form does not tell the data.
    #[must_use]
    pub fn digest_holds(&self) -> Option<bool> {
        if self.is_violation() {
            return None;
        }
        let Some(hash) = HashAlgorithm::ALL.into_iter().find(|hash| hash.size() == self.template_digest.len()) else {
            return Some(false);
        };
        Some(self.hash(hash)?.as_ref() == &*self.template_digest)
    }

    /// Whether the digest of a buffer is its hash; `None` where no buffer was measured, or by an algorithm that is not known here.
    #[must_use]
    pub fn buffer_digest_holds(&self) -> Option<bool> {
        let measured = self.measured().filter(|_| self.template == Template::Buf && !self.is_violation())?;
        Some(measured.hash()?.digest(&[measured.last?]).as_ref() == measured.digest)
    }
}

/// One field: its length, then that many bytes.
fn field(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}
