//! Sealing: the values that a grant names, to the key that it names. There is no other way to a [`Sealed`], and it has no encoder.

use podseal_appraisal::decision::Grant;
use podseal_protocol::{
    Digest,
    delivery::{Released, SealContext},
    key::PublicKey,
    seal::{SealError, SecretFile, delivery_info, encode_secrets},
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::random::{self, NoRandomness};

/// Bytes of a delivery besides ciphertext, names and versions: digests, claims, signature, receipt key.
const REST_OF_A_DELIVERY: usize = 4 << 10;

/// Why nothing was sealed.
#[derive(Debug, Error)]
pub enum SealFailure {
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// HPKE refused the key.
    #[error(transparent)]
    Hpke(#[from] SealError),
    /// There are not as many values as the grant names.
    #[error("the grant names {wanted} secrets, {found} values were read")]
    Values {
        /// Named by the grant.
        wanted: usize,
        /// Read from the store.
        found: usize,
    },
}

/// Sealed secrets, on their way into the log. Only the committer can make a delivery of it:
///
/// ```compile_fail
/// # use podseal_verifier::release::Sealed;
/// fn send_before_it_is_logged(sealed: Sealed) -> Vec<u8> {
///     sealed.ciphertext
/// }
/// ```
///
/// ```compile_fail
/// # use podseal_appraisal::decision::Grant;
/// # use podseal_verifier::release::seal;
/// fn seal_twice(grant: Grant) {
///     let first = seal(grant, vec![], "id", podseal_protocol::Digest([0; 32]));
///     let second = seal(grant, vec![], "id", podseal_protocol::Digest([0; 32]));
/// }
/// ```
///
/// ```
/// # use podseal_appraisal::decision::Grant;
/// # use podseal_verifier::release::seal;
/// fn seal_once(grant: Grant) {
///     let only = seal(grant, vec![], "id", podseal_protocol::Digest([0; 32]));
/// }
/// ```
#[derive(Debug)]
pub struct Sealed {
    pub(super) context: SealContext,
    pub(super) leaf: Digest,
    pub(super) binding: Digest,
    pub(super) claims: Vec<(String, String)>,
    pub(super) ciphertext: Vec<u8>,
}

impl Sealed {
    /// `h(ciphertext)`: what the log entry commits to.
    #[must_use]
    pub fn ciphertext_digest(&self) -> Digest {
        Digest::of(&self.ciphertext)
    }

    /// Bytes that the delivery takes, at most.
    #[must_use]
    pub fn delivery_length(&self) -> usize {
        self.ciphertext.len() + self.context.aad().len() + REST_OF_A_DELIVERY
    }

    /// The secrets inside.
    #[must_use]
    pub fn secrets(&self) -> &[Released] {
        &self.context.secrets
    }
}

/// Consumes a grant: seals `values`, in the order in which the grant names them.
///
/// # Errors
/// [`SealFailure`].
pub fn seal(grant: Grant, values: Vec<Zeroizing<Vec<u8>>>, audit_id: &str, verifier: Digest) -> Result<Sealed, SealFailure> {
    let wanted = grant.secrets().len();
    if values.len() != wanted {
        return Err(SealFailure::Values { wanted, found: values.len() });
    }
    let named = grant.secrets().iter().zip(values);
    let files: Vec<SecretFile> = named.map(|(released, value)| SecretFile { file: released.request.file.clone(), value }).collect();
    let context = SealContext {
        audit_id: audit_id.to_owned(),
        sequence: grant.sequence(),
        policy_head: grant.policy_head(),
        secrets: grant.secrets().to_vec(),
    };
    let info = delivery_info(&verifier, &grant.binding(), &grant.leaf());
    let ephemeral = Zeroizing::new(random::bytes()?);
    let key: &PublicKey = grant.key();
    let ciphertext = podseal_protocol::seal::seal(key, &info, &context.aad(), &encode_secrets(&files), &ephemeral)?;
    Ok(Sealed { context, leaf: grant.leaf(), binding: grant.binding(), claims: grant.claims().to_vec(), ciphertext })
}
