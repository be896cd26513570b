//! `certificate` and `check-config`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::injector::{Site, run, text};

fn check(site: &Site) -> (Option<i32>, String) {
    let output = run(&["check-config", "--config", site.config().to_str().expect("UTF-8")], b"");
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn files_are_the_owners_alone_and_hold() {
    let site = Site::new("");
    for name in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
        let mode = fs::metadata(site.tls(name)).expect(name).permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let (code, said) = check(&site);
    assert_eq!((code, said), (Some(0), format!("{}: good\n", site.config().display())));
}

#[test]
fn the_ca_stays_and_is_never_outlived() {
    let site = Site::new("");
    let ca = fs::read(site.tls("ca.crt")).expect("a CA");
    let again = site.certificate(&["--days", "1"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(fs::read(site.tls("ca.crt")).expect("a CA"), ca);
    let longer = site.certificate(&["--days", "4000"]);
    assert_eq!(longer.status.code(), Some(1));
    assert!(text(&longer.stderr).contains("before the certificate would"), "{}", text(&longer.stderr));

    fs::remove_file(site.tls("ca.key")).expect("removed");
    let half = site.certificate(&[]);
    assert!(text(&half.stderr).contains("found one of ca.crt and ca.key"), "{}", text(&half.stderr));
    fs::copy(site.tls("tls.key"), site.tls("ca.key")).expect("copied");
    let other = site.certificate(&[]);
    assert!(text(&other.stderr).contains("ca.key is not the key of ca.crt"), "{}", text(&other.stderr));
}

#[test]
fn names_are_those_of_kubernetes() {
    for (service, namespace, option) in
        [("a.b", "podseal", "--service"), ("", "podseal", "--service"), ("podseal", "Podseal", "--namespace")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("tls");
        let out = out.to_str().expect("UTF-8");
        let output = run(&["certificate", "--service", service, "--namespace", namespace, "--out", out], b"");
        assert!(text(&output.stderr).starts_with(&format!("podseal-injector: {option}: found")), "{}", text(&output.stderr));
    }
}

#[test]
fn a_configuration_is_checked_before_it_is_used() {
    let site = Site::new("");
    let good = fs::read_to_string(site.config()).expect("the configuration");
    for (from, to, expected) in [
        ("reload_s", "reload", ":7: unknown field `reload`"),
        ("reload_s = 1", "reload_s = 0", ":7: tls.reload_s: found \"0\", wanted 1 to 3600"),
        ("3f3f", "zz3f", ":3: verifier.id: found"),
        ("127.0.0.1:0", "localhost", ":1: listen: found \"localhost\""),
        ("[limits]", "[limits]\nconnections = 0", "limits.connections: found \"0\", wanted 1 to 65536"),
        ("[limits]", "[log]\nformat = \"xml\"\n[limits]", "log.format: found \"xml\", wanted text or json"),
        ("tls/tls.key", "tls/ca.key", "wanted a certificate and the key that it is for"),
        ("tls/tls.crt", "tls/tls.key", "wanted a certificate in PEM"),
        ("tls/tls.crt", "none", "make one with `podseal-injector certificate`"),
    ] {
        fs::write(site.config(), good.replacen(from, to, 1)).expect("written");
        let (code, said) = check(&site);
        assert_eq!(code, Some(1), "{to}: {said}");
        assert!(said.contains(expected), "{to}: {said}");
    }
    let missing = run(&["check-config", "--config", site.path().join("none").to_str().expect("UTF-8")], b"");
    assert!(text(&missing.stderr).contains("create it, or name another with --config"));
}
