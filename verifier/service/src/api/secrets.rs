//! Secrets: in they come sealed to the import key, or are born here; out they go only to attested containers.

use podseal_appraisal::{policy::SecretMetadata, records::SecretRecord};
use podseal_protocol::{Limits, leaf::is_secret_name, seal::import_info};
use podseal_wire::{GenerateSecretRequest, PutSecretRequest, Secret, SecretList, SecretVersion};
use tonic::{Code, Status};
use zeroize::Zeroizing;

use super::{
    Verifier,
    admin::{change, known_form, to_wire},
    gate::Admin,
    reply,
};
use crate::{
    random,
    store::{
        mutation::Mutation,
        secrets::{self, SealedVersion},
    },
};

/// Of a generated secret.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Characters: 16 carry 95 bits.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=1024;
/// Bytes of the encapsulated key and the tag around a sealed value.
const SEALING: usize = 65 + 16;

pub(super) async fn put(verifier: &Verifier, admin: &Admin, request: PutSecretRequest) -> Result<SecretVersion, Status> {
    let accepts = check_metadata(&request.name, request.accepts)?;
    let length = request.sealed.len().saturating_sub(SEALING);
    let within = (1..=Limits::DEFAULT.secret).contains(&length);
    known_form(within, "secret.length", &length.to_string(), "a value of 1 to 65536 bytes")?;
    let info = import_info(verifier.keys.verifier(), &request.name);
    let value = verifier.keys.import().open(&info, &[], &request.sealed).map_err(|_| {
        let detail = "the sealed value does not open: seal it to this verifier's import key, under this name (podseal secret put)";
        reply::explained(Code::InvalidArgument, "secret.sealed", detail)
    })?;
    store(verifier, admin, request.name, accepts, &value).await
}

pub(super) async fn generate(verifier: &Verifier, admin: &Admin, request: GenerateSecretRequest) -> Result<SecretVersion, Status> {
    let accepts = check_metadata(&request.name, request.accepts)?;
    let length = request.length as usize;
    known_form(LENGTHS.contains(&length), "secret.length", &length.to_string(), "16 to 1024 characters")?;
    let value = characters(length).map_err(|e| reply::broken("generating a secret", e))?;
    store(verifier, admin, request.name, accepts, &value).await
}

/// Uniform characters: bytes beyond the largest multiple of 62 are drawn again.
fn characters(length: usize) -> Result<Zeroizing<Vec<u8>>, random::NoRandomness> {
    const FAIR: u8 = 62 * 4;
    let mut value = Zeroizing::new(Vec::with_capacity(length));
    while value.len() < length {
        let draw = Zeroizing::new(random::bytes::<64>()?);
        let fair = draw.iter().filter(|byte| **byte < FAIR).filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        let missing = length - value.len();
        value.extend(fair.take(missing));
    }
    Ok(value)
}

fn check_metadata(name: &str, accepts: Vec<String>) -> Result<Vec<String>, Status> {
    known_form(is_secret_name(name, &Limits::DEFAULT), "secret.name", name, "NAMESPACE/NAME of a-z, 0-9, '-' and '.'")?;
    let metadata = SecretMetadata::new(name, accepts).map_err(|error| reply::explained(Code::InvalidArgument, "secret.accepts", error))?;
    Ok(metadata.accepts().iter().cloned().collect())
}

async fn store(verifier: &Verifier, admin: &Admin, name: String, accepts: Vec<String>, value: &[u8]) -> Result<SecretVersion, Status> {
    let version = secrets::next_version(verifier.store.readers(), &name).await.map_err(|e| reply::broken("reading secrets", e))?;
    let before = secrets::get(verifier.store.readers(), &name).await.map_err(|e| reply::broken("reading secrets", e))?;
    // A new value is no new judgement of its owner: without any word, the words of the version before go on.
    let kept = before.map(|stored| stored.record.accepts).filter(|_| accepts.is_empty());
    let record = SecretRecord { name: name.clone(), version, accepts: kept.unwrap_or(accepts) };
    let sealed = SealedVersion::seal(verifier.keys.kek(), verifier.keys.store_id(), record, value);
    let sealed = sealed.map_err(|e| reply::broken("encrypting a secret", e))?;
    let outcome = change(verifier, admin, Mutation::PutSecret(sealed)).await?;
    Ok(SecretVersion { name, version, change: Some(to_wire(outcome)) })
}

pub(super) async fn list(verifier: &Verifier) -> Result<SecretList, Status> {
    let stored = secrets::list(verifier.store.readers()).await.map_err(|e| reply::broken("reading secrets", e))?;
    let secrets = stored.into_iter().map(|secret| Secret {
        name: secret.record.name,
        version: secret.record.version,
        accepts: secret.record.accepts,
        changed: secret.changed,
        releases: secret.releases,
    });
    Ok(SecretList { secrets: secrets.collect() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn generated_characters_are_uniform_and_never_the_same() {
        let long = characters(62 * 2000).unwrap();
        for letter in ALPHABET {
            let count = long.iter().filter(|found| *found == letter).count();
            assert!((1700..2300).contains(&count), "{} came {count} times in 2000", char::from(*letter));
        }
        assert_ne!(characters(16).unwrap(), characters(16).unwrap());
        assert_eq!(characters(16).unwrap().len(), 16);
    }
}
