//! Lists byte by byte, and the register that they lead to, computed apart from the crate's replay.

use crate::check::{Checks, Rule, Verdict};
use crate::tpm::PcrValues;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use podseal_protocol::Bank;
use sha2::{Digest as _, Sha256};

/// One measurement to be.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) pcr: u32,
    pub(super) template: &'static str,
    /// Template data as the kernel hashes them.
    pub(super) data: Vec<u8>,
    pub(super) violation: bool,
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}

fn digest_and_name(digest: &[u8], name: &str) -> Vec<u8> {
    [counted(&[b"sha256:\0", digest].concat()), counted(&[name.as_bytes(), &[0]].concat())].concat()
}

/// `ima-ng`, of a file with these contents.
pub(super) fn file(name: &str, contents: &[u8]) -> Line {
    Line { pcr: 10, template: "ima-ng", data: digest_and_name(&Sha256::digest(contents), name), violation: false }
}

/// `ima-sig`, of a file with this digest and signature.
pub(super) fn signed(name: &str, digest: &[u8], signature: &[u8]) -> Line {
    Line { pcr: 10, template: "ima-sig", data: [digest_and_name(digest, name), counted(signature)].concat(), violation: false }
}

/// `ima-buf`, said to have this digest.
pub(super) fn buffer(name: &str, digest: &[u8], buffer: &[u8]) -> Line {
    Line { pcr: 10, template: "ima-buf", data: [digest_and_name(digest, name), counted(buffer)].concat(), violation: false }
}

pub(super) fn violation(name: &str) -> Line {
    Line { violation: true, data: digest_and_name(&[0; 32], name), ..file(name, b"") }
}

pub(super) fn sha1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

fn template_digest(line: &Line) -> Vec<u8> {
    if line.violation { vec![0; 20] } else { sha1(&line.data) }
}

pub(super) fn binary(lines: &[Line]) -> Vec<u8> {
    let line = |line: &Line| {
        [&line.pcr.to_le_bytes()[..], &template_digest(line), &counted(line.template.as_bytes()), &counted(&line.data)].concat()
    };
    lines.iter().flat_map(line).collect()
}

/// PCR 0 to 9 of the machine: register n holds n throughout.
fn boot_register(index: u8) -> [u8; 32] {
    [index; 32]
}

/// The boot aggregate of PCR 0 to `last`.
pub(super) fn boot_aggregate(last: u8) -> Line {
    let registers = (0..=last).flat_map(boot_register).collect::<Vec<_>>();
    Line { data: digest_and_name(&Sha256::digest(registers), "boot_aggregate"), ..file("", b"") }
}

/// A node that started two programs.
pub(super) fn node() -> Vec<Line> {
    vec![boot_aggregate(9), file("/usr/bin/containerd", b"containerd 2.2"), file("/usr/bin/runc", b"runc 1.4")]
}

/// What a TPM holds after `lines`, SHA-256: each digest is the hash of the data in this bank, or else the SHA-1 one with zeros behind.
pub(super) fn registers(lines: &[Line], rehashed: bool) -> PcrValues {
    let mut value = [0_u8; 32];
    for line in lines.iter().filter(|line| line.pcr == 10) {
        let mut extended = [0_u8; 32];
        if line.violation {
            extended = [0xff; 32];
        } else if rehashed {
            extended = Sha256::digest(&line.data).into();
        } else {
            extended[..20].copy_from_slice(&sha1(&line.data));
        }
        value = Sha256::digest([value, extended].concat()).into();
    }
    let mut quoted = PcrValues::new(Bank::Sha256);
    for index in 0..10 {
        assert!(quoted.insert(index, &boot_register(index)));
    }
    assert!(quoted.insert(10, &value));
    quoted
}

/// Runs one appraisal; what it returned, and the rules that failed.
pub(super) fn appraise<T>(rules: &[&'static Rule], run: impl FnOnce(&mut Checks) -> Option<T>) -> (Option<T>, Vec<&'static str>) {
    let mut checks = Checks::owing(rules);
    let result = run(&mut checks);
    let checks = checks.finish();
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect::<Vec<_>>();
    assert_eq!(result.is_some(), checks.iter().all(|check| check.verdict == Verdict::Pass));
    (result, failed)
}
