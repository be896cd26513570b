//! The launcher's side: one container start, and what it takes.

use zeroize::Zeroizing;

use super::{Delivery, DeliveryError, Receipt};
use crate::{
    Digest, Leaf, Limits,
    key::PublicKey,
    require,
    seal::{OpeningKey, SecretFile, decode_secrets, delivery_info},
};

/// One container's session: the key and salt born in it, and how far its sequence has come. Only [`Session::take`] moves it on:
///
/// ```compile_fail,E0616
/// # use podseal_protocol::delivery::Session;
/// fn take_again(session: &mut Session) {
///     session.last_sequence = 0;
/// }
/// ```
///
/// ```compile_fail,E0277
/// # use podseal_protocol::delivery::Session;
/// fn show(session: &Session) -> String {
///     format!("{session:?}")
/// }
/// ```
///
/// ```
/// # use podseal_protocol::delivery::Session;
/// fn tell(session: &Session) -> &[u8; 32] {
///     session.salt()
/// }
/// ```
pub struct Session {
    verifier: Digest,
    key: OpeningKey,
    salt: [u8; 32],
    last_sequence: u64,
}

/// What a session took.
pub struct Taken {
    /// The files to be placed.
    pub files: Vec<SecretFile>,
    /// The receipt about them.
    pub receipt: Receipt,
}

impl Session {
    /// Begins a session with 32 random bytes for the key and 32 for the salt; `verifier` is the pinned identity.
    #[must_use]
    pub fn new(verifier: Digest, key: Zeroizing<[u8; 32]>, salt: [u8; 32]) -> Self {
        Self { verifier, key: OpeningKey::from_seed(key), salt, last_sequence: 0 }
    }

    /// The salt.
    #[must_use]
    pub fn salt(&self) -> &[u8; 32] {
        &self.salt
    }

    /// The public half of the workload key.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        self.key.public()
    }

    /// Takes a delivery: everything that the receipt covers, then opens it.
    ///
    /// # Errors
    /// The first step that does not hold; the session is as before.
    pub fn take(&mut self, leaf_bytes: &[u8], delivery: &[u8], limits: &Limits) -> Result<Taken, DeliveryError> {
        let delivery = Delivery::decode(delivery, limits)?;
        let receipt = delivery.verified_receipt(&self.verifier, limits)?;
        let leaf_digest = Digest::of(leaf_bytes);
        require(receipt.leaf == leaf_digest, DeliveryError::OtherLeaf)?;
        let leaf = Leaf::decode(leaf_bytes, limits)?;
        require(Some(leaf.workload_key) == self.key.public(), DeliveryError::OtherKey)?;
        require(leaf.salt == self.salt, DeliveryError::OtherSalt)?;
        let found = receipt.context.sequence;
        require(leaf.sequence == found, DeliveryError::OtherSequence)?;
        require(found > self.last_sequence, DeliveryError::SequenceNotGrown { last: self.last_sequence, found })?;
        let named = receipt.context.secrets.iter().map(|s| &s.request);
        require(named.eq(&leaf.secrets), DeliveryError::OtherSecrets)?;
        let info = delivery_info(&self.verifier, &receipt.binding, &leaf_digest);
        let plaintext = self.key.open(&info, &receipt.context.aad(), &delivery.ciphertext).map_err(DeliveryError::Seal)?;
        let files = decode_secrets(&plaintext, limits).map_err(DeliveryError::Seal)?;
        let named = receipt.context.secrets.iter().map(|s| s.request.file.as_str());
        require(named.eq(files.iter().map(|f| f.file.as_str())), DeliveryError::OtherFiles)?;
        self.last_sequence = found;
        Ok(Taken { files, receipt })
    }
}
