//! The TPM's owner against a real software TPM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod ak_kinds;
#[path = "../client/pinned.rs"]
mod pinned;
mod pod_log;
mod resend;
mod swtpm;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, time::Duration};

use ak_kinds::verify;
use podseal_node_attester::{
    config::{AkKind, Evidence},
    owner::{Owner, OwnerConfig, TpmError},
};
use podseal_protocol::{Digest, Limits, Profile, evidence::Part};
use swtpm::{Maker, Swtpm};

const PCRS: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const LOG: &[u8] = b"what the firmware left";

fn config(tpm: &Swtpm, dir: &Path, ak: Option<AkKind>) -> OwnerConfig {
    let event_log = dir.join("event-log");
    fs::write(&event_log, LOG).unwrap();
    let (tcti, ak_state, deadline) = (tpm.tcti(), dir.join("ak"), Duration::from_secs(30));
    let (profile, evidence) = (Profile::Tpm, Evidence::default());
    OwnerConfig { profile, evidence, tcti, ak, ak_state, event_log, pcrs: PCRS.to_vec(), limits: Limits::DEFAULT, deadline, pod_log: None }
}

/// Where the configuration says nothing about the AK's kind.
fn owner(tpm: &Swtpm, dir: &Path) -> Owner {
    Owner::start(config(tpm, dir, None)).unwrap()
}

async fn collect(owner: &Owner, binding: Digest) -> Result<Vec<Part>, TpmError> {
    owner.collect(0, move |_| binding).await.map(|collected| collected.parts)
}

/// The modulus of an RSA-2048 TPMT_PUBLIC: its last field (TPM 2.0 Part 2, section 12.2.4).
fn modulus(public: &[u8]) -> &[u8] {
    let (length, modulus) = public[public.len() - 258..].split_at(2);
    assert_eq!(length, [1, 0]);
    modulus
}

/// `0x000b` and the SHA-256 of the public area (TPM 2.0 Part 1, section 16).
fn name(public: &[u8]) -> Vec<u8> {
    [&[0x00, 0x0b], Digest::of(public).as_ref()].concat()
}

#[tokio::test]
async fn a_quote_verifies_under_the_enrolled_key() {
    let maker = Maker::new();
    let tpm = Swtpm::start(maker.make("node-a"));
    let dir = tempfile::tempdir().unwrap();
    let owner = owner(&tpm, dir.path());
    let identity = owner.enrol().await.unwrap();
    assert_eq!(owner.signer().await.unwrap(), name(&identity.ak_public));

    let binding = Digest::of(b"binding");
    let parts = collect(&owner, binding).await.unwrap();
    let [Part::TpmQuote { attest, signature, pcrs }, Part::BootLog(log)] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!(log, LOG);
    verify(AkKind::Ecc, &identity.ak_public, attest, signature);
    assert!(attest.windows(34).any(|w| w == [&[0, 32], binding.as_ref()].concat()), "the qualifying data is the binding");
    assert_eq!(pcrs.iter().map(|(index, _)| *index).collect::<Vec<_>>(), PCRS);
    let values: Vec<u8> = pcrs.iter().flat_map(|(_, value)| value.0).collect();
    assert!(attest.ends_with(Digest::of(&values).as_ref()), "the values hash to what was signed");
}

#[tokio::test]
async fn the_ek_is_the_certified_one_and_the_key_is_made_once() {
    let maker = Maker::new();
    let tpm = Swtpm::start(maker.make("node-a"));
    let dir = tempfile::tempdir().unwrap();
    let identity = owner(&tpm, dir.path()).enrol().await.unwrap();
    let modulus = modulus(&identity.ek_public);
    assert!(identity.ek_certificate.windows(256).any(|w| w == modulus), "the certificate is about this EK");
    let length = usize::from(u16::from_be_bytes([identity.ek_certificate[2], identity.ek_certificate[3]]));
    assert_eq!(identity.ek_certificate.len(), length + 4, "without the padding of the NV index");
    assert_eq!(fs::metadata(dir.path().join("ak")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(owner(&tpm, dir.path()).enrol().await.unwrap().ak_public, identity.ak_public);
}

#[tokio::test]
async fn a_credential_is_activated_by_the_right_tpm_and_key_only() {
    let maker = Maker::new();
    let (one, two) = (Swtpm::start(maker.make("one")), Swtpm::start(maker.make("two")));
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (owner, other) = (owner(&one, dir.path()), owner(&two, other_dir.path()));
    let identity = owner.enrol().await.unwrap();
    let other_identity = other.enrol().await.unwrap();
    let secret = [7; 32];
    let (credential, encrypted) = make_credential(dir.path(), &identity.ek_public, &name(&identity.ak_public), &secret);
    assert_eq!(owner.activate(credential.clone(), encrypted.clone()).await.unwrap(), secret);
    assert!(other.activate(credential, encrypted).await.is_err(), "another TPM");
    let (credential, encrypted) = make_credential(dir.path(), &identity.ek_public, &name(&other_identity.ak_public), &secret);
    assert!(owner.activate(credential, encrypted).await.is_err(), "another key");
    assert!(collect(&owner, Digest([1; 32])).await.is_ok(), "a failed activation does no harm");
}

#[tokio::test]
async fn a_tpm_that_went_away_and_came_back_is_used_again() {
    let maker = Maker::new();
    let mut tpm = Swtpm::start(maker.make("node-a"));
    let dir = tempfile::tempdir().unwrap();
    let owner = owner(&tpm, dir.path());
    owner.enrol().await.unwrap();
    collect(&owner, Digest([1; 32])).await.unwrap();
    tpm.power_off();
    let first = collect(&owner, Digest([2; 32])).await.expect_err("no TPM");
    assert!(matches!(first, TpmError::Command { .. } | TpmError::Unreachable { .. }), "{first}");
    let second = collect(&owner, Digest([3; 32])).await.expect_err("no TPM");
    assert!(matches!(second, TpmError::Unreachable { .. }), "{second}");
    tpm.power_on();
    collect(&owner, Digest([4; 32])).await.unwrap();
}

#[tokio::test]
async fn a_tpm_that_hangs_costs_a_deadline_and_is_used_again() {
    let maker = Maker::new();
    let tpm = Swtpm::start(maker.make("node-a"));
    let dir = tempfile::tempdir().unwrap();
    owner(&tpm, dir.path()).enrol().await.unwrap();
    let deadline = Duration::from_millis(700);
    let owner = Owner::start(OwnerConfig { deadline, ..config(&tpm, dir.path(), None) }).unwrap();
    collect(&owner, Digest([1; 32])).await.unwrap();
    tpm.signal("STOP");
    let error = collect(&owner, Digest([2; 32])).await.expect_err("it hangs");
    assert!(matches!(error, TpmError::Late { after, .. } if after == deadline), "{error}");
    tpm.signal("CONT");
    // What it had begun, it ends first.
    for _ in 0..20 {
        if collect(&owner, Digest([3; 32])).await.is_ok() {
            return;
        }
    }
    panic!("it is not used again");
}

#[tokio::test]
async fn without_an_enrolled_key_there_is_no_evidence() {
    let maker = Maker::new();
    let tpm = Swtpm::start(maker.make("node-a"));
    let dir = tempfile::tempdir().unwrap();
    let error = collect(&owner(&tpm, dir.path()), Digest([0; 32])).await.expect_err("not enrolled");
    assert!(matches!(error, TpmError::NotEnrolled { .. }), "{error}");
}

#[tokio::test]
async fn a_key_file_that_others_can_use_or_that_is_not_this_tpms_is_refused() {
    let maker = Maker::new();
    let (one, two) = (Swtpm::start(maker.make("one")), Swtpm::start(maker.make("two")));
    let dir = tempfile::tempdir().unwrap();
    owner(&one, dir.path()).enrol().await.unwrap();
    let error = owner(&two, dir.path()).signer().await.expect_err("the key of another TPM");
    assert!(error.to_string().contains("is this the TPM that was enrolled?"), "{error}");

    let ak = dir.path().join("ak");
    for mode in [0o640, 0o604, 0o620, 0o660] {
        fs::set_permissions(&ak, fs::Permissions::from_mode(mode)).unwrap();
        let error = owner(&one, dir.path()).signer().await.expect_err("others can use it");
        assert!(matches!(error, TpmError::InsecureKeyFile { .. }), "{mode:o}: {error}");
    }
    fs::set_permissions(&ak, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(owner(&one, dir.path()).signer().await.is_ok());
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&ak, Some(4711), None).unwrap();
        let error = owner(&one, dir.path()).signer().await.expect_err("somebody else's");
        assert!(matches!(&error, TpmError::InsecureKeyFile { found, .. } if found == "owner 4711"), "{error}");
        std::os::unix::fs::chown(&ak, Some(0), None).unwrap();
    } else {
        assert!(std::env::var_os("CI").is_none(), "giving a file away needs root");
    }
    for damaged in [Vec::new(), b"?".to_vec(), [fs::read(&ak).unwrap(), vec![0]].concat()] {
        fs::write(&ak, damaged).unwrap();
        let error = owner(&one, dir.path()).signer().await.expect_err("damaged");
        assert!(matches!(error, TpmError::DamagedKeyFile { .. }), "{error}");
    }
    fs::rename(&ak, dir.path().join("real")).unwrap();
    let status = Command::new("mkfifo").arg("-m600").arg(&ak).status().unwrap();
    assert!(status.success());
    let error = owner(&one, dir.path()).signer().await.expect_err("a pipe");
    assert!(matches!(&error, TpmError::InsecureKeyFile { found, .. } if found == "no regular file"), "{error}");
    fs::remove_file(&ak).unwrap();
    std::os::unix::fs::symlink(dir.path().join("real"), &ak).unwrap();
    let error = owner(&one, dir.path()).signer().await.expect_err("a link");
    assert!(matches!(error, TpmError::File { .. }), "{error}");
}

/// TPM2_MakeCredential by tpm2-tools, without a TPM: contents of TPM2B_ID_OBJECT and of TPM2B_ENCRYPTED_SECRET.
fn make_credential(dir: &Path, ek_public: &[u8], ak_name: &[u8], secret: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (ek, plain, made) = (dir.join("ek.pub"), dir.join("secret"), dir.join("credential"));
    fs::write(&ek, [&u16::try_from(ek_public.len()).unwrap().to_be_bytes(), ek_public].concat()).unwrap();
    fs::write(&plain, secret).unwrap();
    let ak_name: String = ak_name.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut tool = Command::new("tpm2_makecredential");
    tool.args(["-T", "none", "-Q", "-n", &ak_name]).arg("-e").arg(&ek).arg("-s").arg(&plain).arg("-o").arg(&made);
    let output = tool.output().expect("tpm2-tools is installed: run scripts/setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // tpm2-tools' file: magic and version, 4 bytes each, then both structures with their lengths.
    let file = fs::read(&made).unwrap();
    let (credential, rest) = file[10..].split_at(usize::from(u16::from_be_bytes([file[8], file[9]])));
    (credential.to_vec(), rest[2..].to_vec())
}
