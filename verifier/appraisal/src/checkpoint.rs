//! Checkpoints of the log: C2SP `tlog-checkpoint` bodies in C2SP `signed-note` envelopes, one Ed25519 signature.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use podseal_protocol::Digest;

use crate::check::{Checks, Rule};

/// The log key signed the note.
pub static SIGNATURE: Rule = Rule {
    name: "checkpoint.signature",
    spec: "C2SP signed-note v1.0.0, Verifying signatures",
    remedy: "The checkpoint was altered or is another verifier's: compare --verifier with the identity that `podseal-verifier init` printed.",
};
/// The note is about this log.
pub static ORIGIN: Rule = Rule {
    name: "checkpoint.origin",
    spec: "C2SP tlog-checkpoint v1.0.0, Note text",
    remedy: "The checkpoint is another log's: ask the verifier whose identity is pinned.",
};
/// The note has the one form.
pub static FORM: Rule =
    Rule { name: "checkpoint.form", spec: "C2SP tlog-checkpoint v1.0.0, Note text", remedy: "The checkpoint is damaged: fetch it again." };

/// Signature type of Ed25519 in key ids and key hashes (C2SP signed-note, Signature types).
const ED25519_TYPE: u8 = 0x01;

/// Size and root of a log at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Number of entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
}

/// The log's origin, which is also the name of its key: the verifier's identity, nothing else.
#[must_use]
pub fn origin(verifier: &Digest) -> String {
    format!("podseal.dev/log/{verifier}")
}

fn key_id(name: &str, key: &[u8]) -> [u8; 4] {
    let Digest([a, b, c, d, ..]) = Digest::of(&[name.as_bytes(), b"\n", &[ED25519_TYPE], key].concat());
    [a, b, c, d]
}

impl Checkpoint {
    /// The note's text, which is what gets signed: origin, size and root, a line each.
    #[must_use]
    pub fn text(&self, verifier: &Digest) -> String {
        format!("{}\n{}\n{}\n", origin(verifier), self.size, STANDARD.encode(self.root))
    }

    /// The whole note, given the Ed25519 signature over [`Checkpoint::text`].
    #[must_use]
    pub fn note(&self, verifier: &Digest, log_key: &[u8], signature: &[u8]) -> String {
        let name = origin(verifier);
        let encoded = STANDARD.encode([key_id(&name, log_key).as_slice(), signature].concat());
        format!("{}\n\u{2014} {name} {encoded}\n", self.text(verifier))
    }

    /// Verifies a note under the certified log key, then reads the text that the signature covers.
    pub fn verify(note: &str, verifier: &Digest, log_key: &[u8], checks: &mut Checks) -> Option<Self> {
        let split = note.split_once("\n\n").and_then(|(text, rest)| Some((note.get(..=text.len())?, rest)));
        let name = origin(verifier);
        let signed = split.is_some_and(|(text, rest)| {
            rest.lines()
                .filter_map(|line| signature_of(line, &name, log_key))
                .any(|signature| UnparsedPublicKey::new(&ED25519, log_key).verify(text.as_bytes(), &signature).is_ok())
        });
        if !checks.record(&SIGNATURE, signed, "a signature of the certified log key", if signed { "one" } else { "none" }) {
            return None;
        }
        let (text, _) = split?;
        let mut lines = text.lines();
        let found = lines.next().unwrap_or_default().to_owned();
        if !checks.record(&ORIGIN, found == name, name, found) {
            return None;
        }
        let size = lines.next().and_then(canonical_number);
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok()).and_then(|bytes| bytes.try_into().ok()).map(Digest);
        let whole = lines.next().is_none();
        let parsed = size.zip(root).filter(|_| whole).map(|(size, root)| Self { size, root });
        checks.record(&FORM, parsed.is_some(), "origin, size, root: three lines", format!("{} lines", text.lines().count()));
        parsed
    }
}

fn canonical_number(line: &str) -> Option<u64> {
    let value: u64 = line.parse().ok()?;
    (value.to_string() == line).then_some(value)
}

/// The signature in `line`, when it is one by the key of that name.
fn signature_of(line: &str, name: &str, key: &[u8]) -> Option<Vec<u8>> {
    let encoded = line.strip_prefix("\u{2014} ")?.strip_prefix(name)?.strip_prefix(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    bytes.strip_prefix(&key_id(name, key)).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::check::{Verdict, first_obstacle, worst};
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    fn verified(note: &str, verifier: &Digest, key: &[u8]) -> (Option<Checkpoint>, Option<&'static str>) {
        let mut checks = Checks::owing(&[&SIGNATURE, &ORIGIN, &FORM]);
        let checkpoint = Checkpoint::verify(note, verifier, key, &mut checks);
        let list = checks.finish();
        assert_eq!(checkpoint.is_some(), worst(&list) == Verdict::Pass);
        (checkpoint, first_obstacle(&list).map(|c| c.rule.name))
    }

    #[test]
    fn checkpoint_altered_or_of_another_log() {
        let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public = key.public_key().as_ref();
        let verifier = Digest::of(b"a verifier");
        let checkpoint = Checkpoint { size: 12, root: Digest::of(b"root") };
        let sign = |text: &str| key.sign(text.as_bytes()).as_ref().to_vec();
        let note = checkpoint.note(&verifier, public, &sign(&checkpoint.text(&verifier)));
        assert_eq!(verified(&note, &verifier, public), (Some(checkpoint.clone()), None));

        assert_eq!(verified(&note.replace("\n12\n", "\n13\n"), &verifier, public).1, Some("checkpoint.signature"));
        let other = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        assert_eq!(verified(&note, &verifier, other.public_key().as_ref()).1, Some("checkpoint.signature"));

        // The same key vouches for another origin, or for a text of another form: signed, but not a checkpoint of this log.
        let signed = |text: &str| {
            let name = origin(&verifier);
            let encoded = STANDARD.encode([key_id(&name, public).as_slice(), &sign(text)].concat());
            format!("{text}\n\u{2014} {name} {encoded}\n")
        };
        let text = checkpoint.text(&verifier);
        assert_eq!(verified(&signed(&text), &verifier, public).1, None);
        assert_eq!(verified(&signed(&text.replace("/log/", "/gol/")), &verifier, public).1, Some("checkpoint.origin"));
        assert_eq!(verified(&signed(&text.replace("\n12\n", "\n012\n")), &verifier, public).1, Some("checkpoint.form"));
        assert_eq!(verified(&signed(&format!("{text}more\n")), &verifier, public).1, Some("checkpoint.form"));
    }
}
