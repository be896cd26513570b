//! An image as the runtime has it: by its digests, never by a tag.

use podseal_protocol::Digest;
use serde::Deserialize;

use super::{Refusal, cri::ImageStatusResponse};

/// An image by its digests, with the command that it brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Digest by which a registry serves it (manifest or index).
    pub manifest: Digest,
    /// Digest of its configuration.
    pub config: Digest,
    /// Its own Entrypoint.
    pub entrypoint: Vec<String>,
    /// Its own Cmd.
    pub cmd: Vec<String>,
}

/// The part of `info["info"]` that is read: the image's configuration (OCI image specification, config.md).
#[derive(Deserialize)]
struct Info {
    #[serde(rename = "imageSpec")]
    image_spec: ImageSpec,
}

#[derive(Deserialize)]
struct ImageSpec {
    #[serde(default)]
    config: Command,
}

#[derive(Deserialize, Default)]
struct Command {
    #[serde(rename = "Entrypoint")]
    entrypoint: Option<Vec<String>>,
    #[serde(rename = "Cmd")]
    cmd: Option<Vec<String>>,
}

impl Image {
    /// Reads the runtime's answer about the image that a container's status calls `reference`.
    pub(super) fn from_reply(reference: &str, reply: ImageStatusResponse) -> Result<Self, Refusal> {
        let no_digest = |problem| Refusal::ImageWithoutDigest { image: reference.to_owned(), problem };
        let image = reply.image.ok_or_else(|| no_digest("the runtime does not know it any more"))?;
        let config = Digest::from_hex(&image.id).ok_or_else(|| no_digest("its id is no SHA-256 digest"))?;
        let manifest = manifest(reference, &image.repo_digests).map_err(no_digest)?;
        let answer = |problem: String| Refusal::RuntimeAnswer { call: "ImageStatus", problem };
        let info = reply.info.get("info").ok_or_else(|| answer("no verbose info".to_owned()))?;
        let Info { image_spec: ImageSpec { config: command } } = serde_json::from_str(info).map_err(|e| answer(e.to_string()))?;
        let (entrypoint, cmd) = (command.entrypoint.unwrap_or_default(), command.cmd.unwrap_or_default());
        Ok(Self { manifest, config, entrypoint, cmd })
    }
}

impl Image {
    /// By the name in its reference, where there is one, and the manifest's digest.
    pub(super) fn named(&self, reference: &str) -> String {
        let name = reference.split_once('@').map_or(reference, |(name, _)| name);
        format!("{name}@sha256:{}", self.manifest)
    }
}

/// Runtimes disagree whether a container's image reference is a repository digest or the configuration's digest (kubernetes#115199). The
/// former has to be among the image's repository digests; with the latter there must be only one.
fn manifest(reference: &str, repo_digests: &[String]) -> Result<Digest, &'static str> {
    let mut known: Vec<Digest> = repo_digests.iter().filter_map(|d| d.split_once('@')).filter_map(|(_, d)| Digest::from_hex(d)).collect();
    known.sort_unstable();
    known.dedup();
    match reference.split_once('@') {
        Some((_, digest)) => {
            let named = Digest::from_hex(digest).ok_or("its reference has no SHA-256 digest")?;
            known.contains(&named).then_some(named).ok_or("its reference is not among its repository digests")
        }
        None => match known.as_slice() {
            [one] => Ok(*one),
            [] => Err("no repository digest: it came from no registry"),
            _ => Err("several repository digests, and its reference names none of them"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::manifest;
    use podseal_protocol::Digest;

    #[test]
    fn only_digests_count() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let (ref_a, ref_b) = (format!("repo@sha256:{a}"), format!("mirror:5000/repo@sha256:{b}"));
        let config = format!("sha256:{}", Digest::of(b"config"));
        assert_eq!(manifest(&ref_a, &[ref_b.clone(), ref_a.clone()]), Ok(a));
        assert_eq!(manifest(&config, slice::from_ref(&ref_a)), Ok(a));
        assert_eq!(manifest(&config, &[ref_a.clone(), format!("other@sha256:{a}")]), Ok(a));
        assert!(manifest(&config, &[ref_a.clone(), ref_b.clone()]).is_err());
        assert!(manifest(&ref_a, slice::from_ref(&ref_b)).is_err());
        assert!(manifest(&ref_a, &[]).is_err());
        assert!(manifest(&config, &[]).is_err());
        assert!(manifest("repo:latest", &["repo:latest".to_owned()]).is_err());
        assert!(manifest("repo@sha512:00", &[ref_a]).is_err());
    }
}
