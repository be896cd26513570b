//! What a process of the attester can still do after it has restricted itself, tried by a process in the same state: this program, run again.
//!
//! Every attempt has its honest twin, an unrestricted process that succeeds. Needs root; without it the tests are skipped and say so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod probe;
mod site;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use site::{Answers, Site, status};

type Outcome = Result<(), Failed>;
type Test = (&'static str, fn() -> Outcome);

const TESTS: &[Test] = &[
    ("network_process_has_no_rights_in_its_status", network_process_has_no_rights_in_its_status),
    ("network_process_has_no_rights_to_files", network_process_has_no_rights_to_files),
    ("network_process_has_no_rights_to_sockets", network_process_has_no_rights_to_sockets),
    ("network_process_has_no_rights_over_processes", network_process_has_no_rights_over_processes),
    ("privileged_process_has_no_network", privileged_process_has_no_network),
    ("privileged_process_has_no_programs", privileged_process_has_no_programs),
    ("privileged_process_keeps_three_capabilities", privileged_process_keeps_three_capabilities),
    ("software_tpm_needs_its_exception", software_tpm_needs_its_exception),
    ("who_is_not_what_it_has_to_be_does_not_start", who_is_not_what_it_has_to_be_does_not_start),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, state, attempts @ ..] = words.as_slice()
        && verb == "probe"
    {
        return probe::run(state, attempts);
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: giving rights up needs rights: run it as root");
        return ExitCode::SUCCESS;
    }
    let trials = TESTS.iter().map(|(name, test)| Trial::test(*name, test)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Each attempt succeeds where nothing is restricted, and fails with this error in `state`.
fn refused(site: &Site, state: &str, attempts: &[(String, &str)]) -> Result<Answers, Failed> {
    let words: Vec<&str> = attempts.iter().map(|(attempt, _)| attempt.as_str()).collect();
    let free = site.probe("free", &words)?;
    let restricted = site.probe(state, &words)?;
    for (attempt, error) in attempts {
        assert_eq!(free.of(attempt), "ok", "{attempt}, unrestricted");
        assert_eq!(restricted.of(attempt), *error, "{attempt}, {state}");
    }
    Ok(restricted)
}

fn network_process_has_no_rights_in_its_status() -> Outcome {
    let site = Site::new()?;
    let restricted = site.probe("network", &["raise-core"])?;
    let pid = restricted.pid();
    assert_eq!((restricted.of("raise-core"), site::is_dumpable(pid)), ("EPERM", false));
    for (key, wanted) in [
        ("Uid", "65534 65534 65534 65534"),
        ("Gid", "65534 65534 65534 65534"),
        ("Groups", ""),
        ("CapInh", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
    ] {
        assert_eq!(status(pid, key), wanted, "{key}");
    }
    assert_eq!(site::core_limit(pid), "0 0");
    Ok(())
}

fn network_process_has_no_rights_to_files() -> Outcome {
    let site = Site::new()?;
    // A stand-in for the TPM's device and the AK's file, which are root's; a file that everybody may read; and one to be made.
    let attempts = [
        (format!("open:{}", site.path("ak")), "EACCES"),
        (format!("open:{}", site.path("public")), "EACCES"),
        ("open:/etc/passwd".to_owned(), "EACCES"),
        ("open:/proc/self/status".to_owned(), "EACCES"),
        ("list:/etc".to_owned(), "EACCES"),
        (format!("make:{}", site.path("open/new")), "EACCES"),
        (format!("remove:{}", site.path("open/old")), "EPERM"),
    ];
    refused(&site, "network", &attempts)?;
    assert_eq!(site.probe("network", &["open:/etc/hosts"])?.of("open:/etc/hosts"), "ok", "what names are looked up with");
    Ok(())
}

fn network_process_has_no_rights_to_sockets() -> Outcome {
    let site = Site::new()?;
    let attempts = [
        (format!("unix:{}", site.path("runtime.sock")), "EPERM"),
        (format!("unix:{}", site.path("everybodys.sock")), "EPERM"),
        (format!("tcp:{}", site.other_port()), "EACCES"),
        ("listen".to_owned(), "EPERM"),
        ("netlink".to_owned(), "EPERM"),
        ("datagram-pair".to_owned(), "EPERM"),
    ];
    let verifier = format!("tcp:{}", site.port());
    refused(&site, "network", &attempts)?;
    assert_eq!(site.probe("network", &[&verifier])?.of(&verifier), "ok", "the verifier's port");
    Ok(())
}

fn network_process_has_no_rights_over_processes() -> Outcome {
    let site = Site::new()?;
    let victim = site.victim()?;
    let attempts = [
        (format!("ptrace:{}", victim.pid()), "EPERM"),
        (format!("signal:{}", victim.pid()), "EPERM"),
        ("thread".to_owned(), "ok"),
        ("exec".to_owned(), "EPERM"),
    ];
    refused(&site, "network", &attempts).map(drop)
}

fn privileged_process_has_no_network() -> Outcome {
    let site = Site::new()?;
    let attempts = [
        (format!("tcp:{}", site.port()), "EACCES"),
        ("listen".to_owned(), "EACCES"),
        ("udp".to_owned(), "EACCES"),
        ("netlink".to_owned(), "EACCES"),
        (format!("unix:{}", site.path("runtime.sock")), "ok"),
    ];
    refused(&site, "privileged", &attempts).map(drop)
}

fn privileged_process_has_no_programs() -> Outcome {
    let site = Site::new()?;
    let victim = site.victim()?;
    let attempts = [(format!("ptrace:{}", victim.pid()), "EACCES"), ("exec".to_owned(), "EACCES")];
    refused(&site, "privileged", &attempts).map(drop)
}

fn privileged_process_keeps_three_capabilities() -> Outcome {
    let site = Site::new()?;
    let restricted = site.probe("privileged", &["dumpable"])?;
    assert_eq!(restricted.of("dumpable"), "no");
    let pid = restricted.pid();
    // capabilities(7): CAP_SYS_CHROOT 18, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21.
    let kept = format!("{:016x}", (1_u64 << 18) | (1 << 19) | (1 << 21));
    let none = "0000000000000000";
    for (key, wanted) in [("CapEff", kept.as_str()), ("CapPrm", &kept), ("CapBnd", &kept), ("CapInh", none), ("CapAmb", none)] {
        assert_eq!(status(pid, key), wanted, "{key}");
    }
    assert_eq!((status(pid, "NoNewPrivs"), status(pid, "Seccomp"), site::core_limit(pid)), ("1".into(), "2".into(), "0 0".into()));
    Ok(())
}

fn software_tpm_needs_its_exception() -> Outcome {
    let site = Site::new()?;
    let refused = site.refusal("privileged-swtpm")?;
    assert!(refused.contains("privileged-network") && refused.contains("wanted none"), "{refused}");
    let tcp = format!("tcp:{}", site.port());
    let excepted = site.probe("privileged-swtpm-excepted", &[&tcp, "exec"])?;
    assert_eq!((excepted.of(&tcp), excepted.of("exec")), ("ok", "EACCES"));
    Ok(())
}

fn who_is_not_what_it_has_to_be_does_not_start() -> Outcome {
    let site = Site::new()?;
    let said = site.refusal_as(65_534, "network")?;
    assert!(said.contains("capability bounding set"), "{said}");
    let said = site.refusal_as(1_000, "network")?;
    assert!(said.contains("user of the network process"), "{said}");
    let said = site.refusal_as(65_534, "privileged")?;
    assert!(said.contains("capabilities of the privileged process"), "{said}");
    Ok(())
}
