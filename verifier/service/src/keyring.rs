//! The verifier's keys: made once by `init`, each in the store only under the KEK, bound to its row.
//!
//! The root certifies the others and is unwrapped only for that; its identity `h(SPKI)` is the verifier's. The TLS key is no part of this:
//! it is born at each start and never stored ([`crate::tls`]).

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use podseal_protocol::{
    Digest, MacKey,
    cbor::Encoder,
    key::{KeyStatement, KeyUse, PublicKey, SecretKey},
    seal::OpeningKey,
};
use sqlx::SqliteConnection;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    kek::{Kek, WrapError},
    random,
    store::{
        Store,
        keys::{self, KeyRow},
        state::{self, StoreId},
    },
};

const WRAP_DOMAIN: &str = "podseal.wrapped-key.v1";
/// Validity of what the root certifies, in seconds: ten years. Receipts are verified without a clock; this bounds the rest.
const VALIDITY: u64 = 10 * 366 * 86_400;

const ROOT: &str = "root";
const RECEIPT: &str = "receipt";
const IMPORT: &str = "import";
const LOG: &str = "log";
const MAC: &str = "mac";
const ARCHIVE: &str = "archive";

/// Why there is no keyring.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] sqlx::Error),
    /// `init` has not been run.
    #[error("the store has no keys: run `podseal-verifier init`")]
    NotInitialised,
    /// A row is gone.
    #[error("the store has no key for {0}: restore the database from a backup")]
    Missing(&'static str),
    /// A key does not open.
    #[error("key {purpose}, epoch {epoch}: {cause}")]
    DoesNotOpen {
        /// What it is for.
        purpose: String,
        /// Which one.
        epoch: u64,
        /// Why.
        cause: WrapError,
    },
    /// A key opened, and is none.
    #[error("key {0}: what opened does not fit its public half: restore the row from a backup")]
    Unusable(&'static str),
    /// No randomness, or the library refused.
    #[error(transparent)]
    Wrap(#[from] WrapError),
}

/// The keys of a running verifier.
pub struct Keyring {
    verifier: Digest,
    store_id: StoreId,
    kek: Kek,
    root_spki: Vec<u8>,
    receipt: SecretKey,
    receipt_certified: Vec<u8>,
    import: OpeningKey,
    import_certified: Vec<u8>,
    log: Ed25519KeyPair,
    log_certified: Vec<u8>,
    archive: Kek,
    /// Epoch and key.
    newest_mac: (u64, MacKey),
    older_macs: BTreeMap<u64, MacKey>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.verifier)
    }
}

/// A wrapped key opens in its own row alone: domain, store, table, purpose, epoch, public half, certification.
fn aad(store: &StoreId, key: &KeyRow) -> Vec<u8> {
    Encoder::message(WRAP_DOMAIN, 7)
        .bytes(store)
        .text("keys")
        .text(&key.purpose)
        .uint(key.epoch)
        .bytes(&key.public)
        .bytes(&key.certified)
        .finish()
}

struct Maker<'a> {
    kek: &'a Kek,
    store_id: StoreId,
    now: u64,
}

impl Maker<'_> {
    async fn insert(&self, connection: &mut SqliteConnection, mut row: KeyRow, private: &[u8]) -> Result<(), KeyringError> {
        row.wrapped = self.kek.wrap(&aad(&self.store_id, &row), private)?;
        Ok(keys::insert(connection, &row, self.now).await?)
    }
}

fn row(purpose: &str, public: Vec<u8>, certified: Vec<u8>) -> KeyRow {
    KeyRow { purpose: purpose.to_owned(), epoch: 1, public, certified, wrapped: Vec::new() }
}

/// A P-256 key from random bytes: nearly every 32 bytes are a scalar, and the few that are none are drawn again.
fn new_p256() -> Result<(Zeroizing<[u8; 32]>, SecretKey), KeyringError> {
    loop {
        let scalar = Zeroizing::new(random::bytes::<32>().map_err(WrapError::from)?);
        if let Some(key) = SecretKey::from_scalar(&scalar) {
            return Ok((scalar, key));
        }
    }
}

/// Makes every key of a new store, in one transaction; does nothing where there are keys.
///
/// # Errors
/// [`KeyringError`].
pub async fn create(store: &Store, kek: &Kek, now: u64) -> Result<(), KeyringError> {
    let mut transaction = store.write().await?;
    if state::store_id(&mut *transaction).await?.is_some() {
        return Ok(());
    }
    let store_id: StoreId = random::bytes().map_err(WrapError::from)?;
    state::found(&mut transaction, &store_id).await?;
    let maker = Maker { kek, store_id, now };
    let seed = || random::bytes::<32>().map(Zeroizing::new).map_err(WrapError::from);

    let (root_scalar, root) = new_p256()?;
    let certify = |key_use, key: &[u8]| {
        KeyStatement { key_use, key: key.to_vec(), not_before: now, not_after: now.saturating_add(VALIDITY) }.certify(&root)
    };
    maker.insert(&mut transaction, row(ROOT, root.public().to_spki(), Vec::new()), &*root_scalar).await?;

    let (scalar, receipt) = new_p256()?;
    let public = receipt.public().as_bytes().to_vec();
    let certified = certify(KeyUse::Receipt, &public);
    maker.insert(&mut transaction, row(RECEIPT, public, certified), &*scalar).await?;

    let import_seed = seed()?;
    let import = OpeningKey::from_seed(import_seed.clone()).public().ok_or(KeyringError::Unusable(IMPORT))?;
    let certified = certify(KeyUse::Import, import.as_bytes());
    maker.insert(&mut transaction, row(IMPORT, import.as_bytes().to_vec(), certified), &*import_seed).await?;

    let log_seed = seed()?;
    let log = Ed25519KeyPair::from_seed_unchecked(&*log_seed).map_err(|_| KeyringError::Unusable(LOG))?;
    let public = log.public_key().as_ref().to_vec();
    let certified = certify(KeyUse::Log, &public);
    maker.insert(&mut transaction, row(LOG, public, certified), &*log_seed).await?;

    maker.insert(&mut transaction, row(MAC, Vec::new(), Vec::new()), &*seed()?).await?;
    maker.insert(&mut transaction, row(ARCHIVE, Vec::new(), Vec::new()), &*seed()?).await?;
    transaction.commit().await?;
    Ok(())
}

/// Rows of the table, opened on demand.
struct Rows<'a> {
    kek: &'a Kek,
    store_id: StoreId,
    rows: Vec<KeyRow>,
}

impl<'a> Rows<'a> {
    async fn load(store: &Store, kek: &'a Kek) -> Result<Self, KeyringError> {
        let store_id = state::store_id(store.readers()).await?.ok_or(KeyringError::NotInitialised)?;
        Ok(Self { kek, store_id, rows: keys::list(store.readers()).await? })
    }

    fn newest(&self, purpose: &'static str) -> Result<&KeyRow, KeyringError> {
        self.rows.iter().rfind(|row| row.purpose == purpose).ok_or(KeyringError::Missing(purpose))
    }

    fn open(&self, row: &KeyRow) -> Result<Zeroizing<[u8; 32]>, KeyringError> {
        let failed = |cause| KeyringError::DoesNotOpen { purpose: row.purpose.clone(), epoch: row.epoch, cause };
        let private = self.kek.unwrap(&aad(&self.store_id, row), row.wrapped.clone()).map_err(failed)?;
        let private: &[u8; 32] = private.as_slice().try_into().map_err(|_| failed(WrapError::DoesNotOpen))?;
        Ok(Zeroizing::new(*private))
    }

    fn p256(&self, purpose: &'static str) -> Result<SecretKey, KeyringError> {
        let row = self.newest(purpose)?;
        let key = SecretKey::from_scalar(&*self.open(row)?).ok_or(KeyringError::Unusable(purpose))?;
        let public = if purpose == ROOT { PublicKey::from_spki(&row.public) } else { PublicKey::from_bytes(&row.public) };
        if public == Some(key.public()) { Ok(key) } else { Err(KeyringError::Unusable(purpose)) }
    }
}

/// The root, unwrapped for the moment of certifying.
///
/// # Errors
/// [`KeyringError`].
pub async fn root(store: &Store, kek: &Kek) -> Result<SecretKey, KeyringError> {
    Rows::load(store, kek).await?.p256(ROOT)
}

impl Keyring {
    /// Unwraps every key but the root, and takes over the KEK.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub async fn load(store: &Store, kek: Kek) -> Result<Self, KeyringError> {
        let rows = Rows::load(store, &kek).await?;
        let root_spki = rows.newest(ROOT)?.public.clone();
        let import = OpeningKey::from_seed(rows.open(rows.newest(IMPORT)?)?);
        let public = import.public().ok_or(KeyringError::Unusable(IMPORT))?;
        if rows.newest(IMPORT)?.public != public.as_bytes() {
            return Err(KeyringError::Unusable(IMPORT));
        }
        let log_row = rows.newest(LOG)?;
        let log = Ed25519KeyPair::from_seed_and_public_key(&*rows.open(log_row)?, &log_row.public);
        let mac_rows = rows.rows.iter().filter(|row| row.purpose == MAC);
        let mut macs =
            mac_rows.map(|row| Ok((row.epoch, MacKey::new(rows.open(row)?)))).collect::<Result<BTreeMap<_, _>, KeyringError>>()?;
        let newest_mac = macs.pop_last().ok_or(KeyringError::Missing(MAC))?;
        Ok(Self {
            verifier: Digest::of(&root_spki),
            store_id: rows.store_id,
            receipt: rows.p256(RECEIPT)?,
            receipt_certified: rows.newest(RECEIPT)?.certified.clone(),
            import,
            import_certified: rows.newest(IMPORT)?.certified.clone(),
            log: log.map_err(|_| KeyringError::Unusable(LOG))?,
            log_certified: log_row.certified.clone(),
            archive: Kek::new(&*rows.open(rows.newest(ARCHIVE)?)?)?,
            older_macs: macs,
            newest_mac,
            root_spki,
            kek,
        })
    }

    /// The verifier's identity: `h(SPKI of the root)`.
    #[must_use]
    pub fn verifier(&self) -> &Digest {
        &self.verifier
    }

    /// SubjectPublicKeyInfo of the root, DER.
    #[must_use]
    pub fn root_spki(&self) -> &[u8] {
        &self.root_spki
    }

    /// The store that these keys belong to.
    #[must_use]
    pub fn store_id(&self) -> &StoreId {
        &self.store_id
    }

    /// The key that wraps the data keys of secrets.
    #[must_use]
    pub fn kek(&self) -> &Kek {
        &self.kek
    }

    /// The key of the archive.
    #[must_use]
    pub fn archive(&self) -> &Kek {
        &self.archive
    }

    /// Signs receipts.
    #[must_use]
    pub fn receipt(&self) -> &SecretKey {
        &self.receipt
    }

    /// The root's word for the receipt key (`podseal.certified-key.v1`).
    #[must_use]
    pub fn receipt_certified(&self) -> &[u8] {
        &self.receipt_certified
    }

    /// Opens what operators seal.
    #[must_use]
    pub fn import(&self) -> &OpeningKey {
        &self.import
    }

    /// The root's word for the import key.
    #[must_use]
    pub fn import_certified(&self) -> &[u8] {
        &self.import_certified
    }

    /// The log key: 32 bytes of Ed25519.
    #[must_use]
    pub fn log_public(&self) -> &[u8] {
        self.log.public_key().as_ref()
    }

    /// The root's word for the log key.
    #[must_use]
    pub fn log_certified(&self) -> &[u8] {
        &self.log_certified
    }

    /// Signs the text of a checkpoint: 64 bytes of Ed25519.
    #[must_use]
    pub fn sign_log(&self, text: &[u8]) -> Vec<u8> {
        self.log.sign(text).as_ref().to_vec()
    }

    /// The key of one epoch, under which its challenges were MACed; `None` for an epoch that never was.
    #[must_use]
    pub fn mac(&self, epoch: u64) -> Option<&MacKey> {
        let (newest, key) = &self.newest_mac;
        if epoch == *newest { Some(key) } else { self.older_macs.get(&epoch) }
    }

    /// The newest epoch and its key, under which challenges are issued.
    #[must_use]
    pub fn newest_mac(&self) -> &(u64, MacKey) {
        &self.newest_mac
    }
}
