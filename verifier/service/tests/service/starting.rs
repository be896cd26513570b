//! What the verifier demands before it opens anything.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::verifier::{Installation, binary, init};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Refused, with each of `said` in the one line on standard error.
fn refused(installation: &Installation, said: &[&str]) {
    let output = installation.check_config();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    for word in said {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

fn holds(installation: &Installation) {
    let output = installation.check_config();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn init_twice_changes_nothing() {
    let installation = Installation::new("");
    let files = ["kek", "data/admin/admin.key.pem", "data/admin/admin.cert.pem"];
    let before = files.map(|name| fs::read(installation.path(name)).unwrap());
    let output = init(&installation.config());
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["verifier"].as_str().unwrap(), installation.id.to_string());
    assert_eq!(made["admin"]["spki_sha256"].as_str().unwrap(), installation.admin_spki);
    assert_eq!(made["admin"]["configured"], true);
    assert_eq!(before, files.map(|name| fs::read(installation.path(name)).unwrap()));
}

#[test]
fn only_one_serves_from_a_directory() {
    let running = Installation::new("").start();
    let output = binary().args(["run", "--config"]).arg(running.installation.config()).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("end the podseal-verifier that serves from it"), "{error}");
    // What only looks may run beside it.
    holds(&running.installation);
}

#[test]
fn a_credential_that_was_moved_away_is_not_made_anew() {
    let installation = Installation::new("");
    fs::rename(installation.path("data/admin"), installation.path("moved")).unwrap();
    let output = init(&installation.config());
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&made["admin"], installation.path("data/admin").exists()), (&serde_json::Value::Null, false));
}

#[test]
fn the_sample_is_good_where_it_is_installed() {
    let installation = Installation::new("");
    let root = rcgen::generate_simple_self_signed(vec!["root".to_owned()]).unwrap();
    fs::write(installation.path("ek-root.pem"), root.cert.pem()).unwrap();
    let sample = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/verifier.toml")).unwrap();
    let here = sample.replace("/etc/podseal/", "").replace("/var/lib/podseal", "data").replace(&"0".repeat(64), &installation.admin_spki);
    fs::write(installation.config(), here).unwrap();
    holds(&installation);
}

#[test]
fn verifier_starts_insecurely_never() {
    let installation = Installation::new("");
    holds(&installation);
    for (name, wide, narrow) in [
        ("kek", 0o640, 0o600),
        ("kek", 0o604, 0o600),
        ("data", 0o750, 0o700),
        ("data/podseal.db", 0o644, 0o600),
        ("data/archive", 0o755, 0o700),
        ("verifier.toml", 0o664, 0o644),
    ] {
        let path = installation.path(name);
        chmod(&path, wide);
        refused(&installation, &[&format!("found mode {wide:04o}"), "wanted", "chmod", name]);
        chmod(&path, narrow);
        holds(&installation);
    }
}

#[test]
fn a_kek_file_that_is_a_link_or_somebody_elses_is_refused() {
    let installation = Installation::new("");
    let (kek, moved) = (installation.path("kek"), installation.path("moved"));
    fs::rename(&kek, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &kek).unwrap();
    refused(&installation, &["kek_file", "no symbolic link"]);
    fs::remove_file(&kek).unwrap();
    refused(&installation, &["kek_file", "podseal-verifier init"]);
    // `init` does not make another key for a store that exists.
    let again = init(&installation.config());
    assert!(String::from_utf8_lossy(&again.stderr).contains("restore the file from its backup"));
    fs::rename(&moved, &kek).unwrap();
    holds(&installation);
    if std::os::unix::fs::chown(&kek, Some(65_534), None).is_ok() {
        refused(&installation, &["found owner 65534", "chown"]);
    } else {
        eprintln!("skipped: not root, so no file can be given away");
    }
}

#[test]
fn another_kek_is_refused() {
    let installation = Installation::new("");
    fs::write(installation.path("kek"), format!("{}\n", "00".repeat(32))).unwrap();
    refused(&installation, &["does not open in its row", "restore"]);
    fs::write(installation.path("kek"), "short\n").unwrap();
    refused(&installation, &["found 6 bytes", "64 hexadecimal digits"]);
}

#[test]
fn no_administrator_is_refused() {
    let installation = Installation::new("");
    let text = fs::read_to_string(installation.config()).unwrap();
    fs::write(installation.config(), text.split("[[admin]]").next().unwrap()).unwrap();
    refused(&installation, &["admin: found none", "[[admin]]"]);
}

#[test]
fn unknown_config_key_refused() {
    for more in ["[limits]\nrequest_secnods = 3\n", "[telemetry]\nlevel = \"info\"\n", "[endorsements]\ncrl_day = 3\n"] {
        refused(&Installation::new(more), &["unknown field", "docs/OPERATING.md"]);
    }
    let installation = Installation::new("");
    let text = fs::read_to_string(installation.config()).unwrap();
    fs::write(installation.config(), format!("listne = \"x\"\n{text}")).unwrap();
    refused(&installation, &["unknown field `listne`"]);
}

#[test]
fn endorsements_come_from_where_the_configuration_says() {
    let service = "[[endorsements.service]]\nkind = \"azure-thim\"\nurl = \"http://169.254.169.254\"\nplain_http = true\n";
    // Without TLS no roots are needed.
    holds(&Installation::new(&format!("[endorsements]\ndirectory = \"kept\"\ntls_roots = \"missing\"\n{service}")));
}

#[test]
fn roots_of_hardware_are_a_folder() {
    holds(&Installation::new("[hardware]\n"));
    refused(&Installation::new("[hardware]\nrots = \"roots\"\n"), &["unknown field `rots`"]);
    let installation = Installation::new("[hardware]\nroots = \"roots\"\n");
    refused(&installation, &["roots"]);
    fs::create_dir(installation.path("roots")).unwrap();
    refused(&installation, &["hardware.roots"]);
    let root = rcgen::generate_simple_self_signed(vec!["root".to_owned()]).unwrap();
    fs::write(installation.path("roots/root.pem"), root.cert.pem()).unwrap();
    // Folders and what is no root do not count.
    fs::create_dir(installation.path("roots/old")).unwrap();
    fs::write(installation.path("roots/notes"), "the maker's, of 2026").unwrap();
    holds(&installation);
    for name in ["a.pem", "b.pem"] {
        fs::write(installation.path("roots").join(name), root.cert.pem() + &"\n".repeat(600 << 10)).unwrap();
    }
    refused(&installation, &["hardware.roots", "wanted at most 256 and 1048576 bytes"]);
    fs::remove_file(installation.path("roots/a.pem")).unwrap();
    holds(&installation);
    chmod(&installation.path("roots"), 0o777);
    refused(&installation, &["hardware.roots"]);
}

#[test]
fn values_outside_their_bounds_are_refused() {
    let root = rcgen::generate_simple_self_signed(vec!["root".to_owned()]).unwrap();
    for (more, said) in [
        ("[limits]\nconnections = 0\n", "limits.connections: found \"0\", wanted 1 to 65536"),
        ("[[admin]]\nname = \"b\"\nspki_sha256 = \"12\"\n", "admin.spki_sha256: found \"12\""),
        ("[[admin]]\nname = \"ops\"\nspki_sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n", "there twice"),
        ("[[ek_root]]\nname = \"r\"\nfile = \"root.pem\"\nkind = \"prod\"\n", "\"production\" or \"test\""),
        ("[[ek_root]]\nname = \"r\"\nfile = \"missing.pem\"\nkind = \"test\"\n", "missing.pem"),
        ("[[ek_root]]\nname = \"r\"\nfile = \"kek\"\nkind = \"test\"\n", "found 0 certificates"),
        ("[endorsements]\ncrl_days = 0\n", "endorsements.crl_days: found \"0\", wanted 1 to 3660"),
        ("[endorsements]\ntotal_seconds = 301\n", "endorsements.total_seconds: found \"301\""),
        (
            "[[endorsements.service]]\nkind = \"amd\"\nurl = \"https://kds.example\"\n",
            "endorsements.service.kind: found \"amd\", wanted amd-kds",
        ),
        ("[[endorsements.service]]\nkind = \"amd-kds\"\nurl = \"http://kds.example\"\n", "plain_http = true"),
        (
            "[endorsements]\ntls_roots = \"kek\"\n[[endorsements.service]]\nkind = \"crl\"\nurl = \"https://c.example\"\n",
            "endorsements.tls_roots",
        ),
    ] {
        let installation = Installation::new(more);
        fs::write(installation.path("root.pem"), root.cert.pem()).unwrap();
        refused(&installation, &[said]);
    }
}
