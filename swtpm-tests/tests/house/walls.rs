//! Which crate may depend on which: the walls of docs/ARCHITECTURE.md.

use std::collections::BTreeSet;

use crate::sources::{self, Source};
use crate::workspace::{self, closure, members};

/// Each room, and the rooms that it may know. Whoever is not here may know every room: the harness.
const ROOMS: [(&str, &[&str]); 10] = [
    ("podseal-protocol", &[]),
    ("podseal-appraisal", &["podseal-protocol"]),
    ("podseal-wire", &["podseal-protocol"]),
    ("podseal-endorsements", &["podseal-protocol", "podseal-appraisal"]),
    ("podseal-verifier", &["podseal-protocol", "podseal-appraisal", "podseal-endorsements", "podseal-wire"]),
    ("podseal", &["podseal-protocol", "podseal-appraisal", "podseal-endorsements", "podseal-wire"]),
    ("podseal-node-attester", &["podseal-protocol", "podseal-wire"]),
    ("podseal-launcher", &["podseal-protocol"]),
    ("podseal-injector", &["podseal-protocol"]),
    ("podseal-test-workload", &["podseal-protocol"]),
];
const HARNESS: &str = "podseal-swtpm-tests";

/// All that may end up in what launcher, attester and verifier share: hashes, P-256, HPKE, and what those are made of.
const PROTOCOL: [&str; 51] = [
    "aead",
    "aes",
    "aes-gcm",
    "base16ct",
    "block-buffer",
    "cfg-if",
    "cipher",
    "cmov",
    "const-oid",
    "cpubits",
    "cpufeatures",
    "crypto-bigint",
    "crypto-common",
    "ctr",
    "ctutils",
    "der",
    "digest",
    "ecdsa",
    "elliptic-curve",
    "ff",
    "ghash",
    "group",
    "hkdf",
    "hmac",
    "hpke",
    "hybrid-array",
    "inout",
    "libc",
    "num-traits",
    "p256",
    "p384",
    "p521",
    "podseal-protocol",
    "polyval",
    "primefield",
    "primeorder",
    "proc-macro2",
    "quote",
    "rand_core",
    "rfc6979",
    "sec1",
    "sha2",
    "signature",
    "spki",
    "subtle",
    "syn",
    "typenum",
    "unicode-ident",
    "universal-hash",
    "wnaf",
    "zeroize",
];
/// What the launcher has besides: system calls, and wiping.
const LAUNCHER: [&str; 5] = ["bitflags", "linux-raw-sys", "podseal-launcher", "rustix", "zeroize_derive"];

/// Whatever brings an event loop along.
const ASYNCHRONOUS: [&str; 8] = ["tokio", "async-std", "smol", "mio", "futures-executor", "hyper", "tonic", "rustls"];

/// Modules of std in which a crate waits, or looks at the machine it runs on.
const OUTSIDE: [&str; 6] = ["fs", "net", "env", "process", "thread", "os"];
const CLOCKS: [&str; 2] = ["SystemTime", "Instant"];

fn strangers(found: &BTreeSet<String>, known: &[&str]) -> Vec<String> {
    found.iter().filter(|name| !known.contains(&name.as_str())).cloned().collect()
}

#[test]
fn rooms_know_only_the_rooms_below() {
    let rooms: BTreeSet<&str> = members().keys().map(String::as_str).collect();
    for (room, below) in ROOMS {
        let member = members().get(room).unwrap_or_else(|| panic!("found no crate {room}, wanted one: correct ROOMS"));
        let known: Vec<&String> = member.needs.iter().filter(|need| rooms.contains(need.as_str())).collect();
        let wrong: Vec<_> = known.iter().filter(|need| !below.contains(&need.as_str())).collect();
        assert!(
            wrong.is_empty(),
            "{}/Cargo.toml: {room} depends on {wrong:?}, may on {below:?}: move the code, not the wall",
            member.folder
        );
    }
    let others = strangers(&members().keys().cloned().collect(), &ROOMS.map(|(room, _)| room));
    assert_eq!(others, [HARNESS], "a new crate: give it its place in ROOMS and in docs/ARCHITECTURE.md");
}

#[test]
fn protocol_and_launcher_have_nothing_but_what_is_listed() {
    let protocol = strangers(&closure("podseal-protocol", "normal"), &[&PROTOCOL[..], &LAUNCHER[4..]].concat());
    assert!(
        protocol.is_empty(),
        "podseal-protocol brings {protocol:?} along, which runs in every container: do without, or list it in PROTOCOL"
    );
    let launcher = strangers(&closure("podseal-launcher", "normal"), &[&PROTOCOL[..], &LAUNCHER[..]].concat());
    assert!(launcher.is_empty(), "podseal-launcher brings {launcher:?} along: it is protocol, rustix, zeroize, and no more");
}

#[test]
fn deciders_wait_for_nothing() {
    for room in ["podseal-protocol", "podseal-appraisal", "podseal-launcher"] {
        let linked = closure(room, "normal");
        let waits: Vec<_> = ASYNCHRONOUS.iter().filter(|name| linked.contains(**name)).collect();
        assert!(waits.is_empty(), "{room} brings {waits:?} along: what waits lives in a daemon");
    }
    let mut offences = Vec::new();
    for room in ["podseal-protocol", "podseal-appraisal"] {
        let member = &members()[room];
        for source in sources::shipped(&member.folder) {
            offences.extend(looks_outside(&source));
        }
        let bans = workspace::document(&format!("{}/clippy.toml", member.folder));
        for banned in ["std::fs", "std::net", "std::env", "std::time::SystemTime", "std::time::Instant"] {
            assert!(bans.contains(banned), "{}/clippy.toml does not ban {banned}: clippy is the first to see it", member.folder);
        }
    }
    assert!(offences.is_empty(), "time, files, sockets and environment are arguments of what decides:\n{}", offences.join("\n"));
}

/// Each use of what is outside, whether by its path or by way of a `use`.
fn looks_outside(source: &Source) -> Vec<String> {
    let code = source.code();
    let mut found = Vec::new();
    for clock in CLOCKS.into_iter().filter(|clock| sources::has_word(&code, clock)) {
        found.push(format!("{}: {clock}", source.path));
    }
    for module in OUTSIDE {
        // As a word: `std::fs as files` too.
        let name = format!("std::{module}");
        let path = code.split(&name).skip(1).any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
        let groups = code.split("use std::{").skip(1).filter_map(|rest| rest.split(';').next());
        let grouped = groups.into_iter().any(|group| sources::has_word(group, module));
        if path || grouped {
            found.push(format!("{}: std::{module}", source.path));
        }
    }
    found
}

#[test]
fn verifier_has_no_tpm_library() {
    for room in ["podseal-verifier", "podseal", "podseal-appraisal", "podseal-endorsements", "podseal-wire", "podseal-launcher"] {
        let linked = closure(room, "normal,build");
        let tpm: Vec<_> = linked.iter().filter(|name| name.contains("tss") || name.contains("tpm")).collect();
        assert!(tpm.is_empty(), "{room} brings {tpm:?} along: a C library for TPMs has no place in what judges them");
    }
}

#[test]
fn shipped_crates_have_no_test_code() {
    for (room, _) in ROOMS {
        let member = &members()[room];
        assert!(!member.needs.contains(HARNESS), "{}/Cargo.toml: {room} depends on the harness", member.folder);
        assert!(
            member.features.is_empty(),
            "{room} has cargo features {:?}: one build is shipped, and tests drive that one",
            member.features
        );
    }
}

#[test]
fn one_registry_and_one_set_of_lints() {
    let lock = workspace::document("Cargo.lock");
    let sources: BTreeSet<&str> = lock.lines().filter(|line| line.starts_with("source = ")).collect();
    assert!(sources.len() == 1 && sources.iter().all(|line| line.starts_with("source = \"registry+")), "one registry: {sources:?}");
    for (room, member) in members() {
        let manifest = workspace::document(&format!("{}/Cargo.toml", member.folder));
        let own = ["podseal-launcher", "podseal-node-attester"].contains(&room.as_str())
            && manifest.contains("[lints.rust]\nunsafe_code = \"deny\"");
        assert!(own || manifest.contains("[lints]\nworkspace = true"), "{}/Cargo.toml: wanted [lints] workspace = true", member.folder);
    }
}
