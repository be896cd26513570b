//! `check-config`: what is wrong is named by file, line and key, with what was found, what is wanted and what to do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{fs, process::Command};

const GOOD: &str = r#"[node]
name = "node-a"
cluster = "prod-eu"
uid = "6f1c4a52-0d52-4c1c-9d0e-6f2f4f9f6d11"

[verifier]
address = "https://verifier.example:7443"
id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

[tpm]
tcti = "swtpm:host=127.0.0.1,port=2321"
ak_state = "/var/lib/podseal/ak"

[runtime]
socket = "/run/containerd/containerd.sock"

[workload]
directory = "/run/podseal"
"#;

/// Whether it is accepted, and what it says.
fn check(config: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attester.toml");
    fs::write(&path, config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_podseal-node-attester")).arg("check-config").arg("--config").arg(&path).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_good_configuration_is_accepted_and_nothing_is_opened() {
    assert!(check(GOOD).0, "{}", check(GOOD).1);
    for optional in [
        "[limits]\nconnections = 8\nsecrets_bytes = 65536\n",
        "[log]\nformat = \"json\"\n",
        "[pod_log]\nfile = \"/var/lib/podseal/pod-log\"\n",
        "[network]\nuid = 4711\ngid = 4712\n",
        "[evidence]\n",
        "[evidence]\nprivlevel = 3\nazure_wait_ms = 100\ntsm = \"/tsm\"\nsev_guest = \"/s\"\nrtmr = \"/r\"\nccel = \"/c\"\nccel_table = \"/t\"\nnsm = \"/n\"\n",
        "[hardening]\nexceptions = []\n",
        "[hardening]\nexceptions = [\"landlock\", \"landlock-net\", \"privileged-network\", \"seccomp\"]\n",
        "[limits]\nframe_ms = 10\nidentify_ms = 600000\nround_ms = 1000\nconnect_ms = 1000\ncall_ms = 1000\n",
    ] {
        assert!(check(&format!("{GOOD}\n{optional}")).0, "{optional}");
    }
    let device = GOOD.replace("swtpm:host=127.0.0.1,port=2321", "device:/dev/tpmrm0");
    for optional in ["pcrs = [0, 7, 15]", "ak = \"rsa\"", "ak = \"ecc\""] {
        assert!(check(&device.replace("[runtime]", &format!("{optional}\n[runtime]"))).0, "{optional}");
    }
}

#[test]
fn the_sample_is_good() {
    let sample = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/attester.toml")).unwrap();
    assert!(check(&sample).0, "{}", check(&sample).1);
}

/// What proves the node decides which sections there have to be: a guest without a TPM has none, nor a register for a pod log.
#[test]
fn profile_and_its_sections() {
    let of = |profile: &str, config: &str| check(&config.replace("[verifier]", &format!("profile = \"{profile}\"\n\n[verifier]")));
    let bare = GOOD.replace("[tpm]\ntcti = \"swtpm:host=127.0.0.1,port=2321\"\nak_state = \"/var/lib/podseal/ak\"\n\n", "");
    let logged = |config: &str| format!("{config}\n[pod_log]\nfile = \"/var/lib/podseal/pod-log\"\n");
    for profile in ["tpm", "azure-snp", "nitro-tpm"] {
        assert!(of(profile, &logged(GOOD)).0, "{profile}: {}", of(profile, &logged(GOOD)).1);
        let (accepted, said) = of(profile, &bare);
        assert!(!accepted && said.contains("[tpm]"), "{profile}: {said}");
    }
    for profile in ["snp", "tdx"] {
        assert!(of(profile, &bare).0, "{profile}: {}", of(profile, &bare).1);
        let (accepted, said) = of(profile, GOOD);
        assert!(!accepted && said.contains("remove [tpm]"), "{profile}: {said}");
    }
    assert!(of("tdx", &logged(&bare)).0);
    assert!(!of("snp", &logged(&bare)).0);
    let (accepted, said) = of("sgx", GOOD);
    assert!(!accepted && said.contains("node.profile: found") && said.contains("nitro-tpm"), "{said}");
}

#[test]
fn unknown_config_key_refused() {
    for (place, line) in [("[node]", 2), ("[verifier]", 7), ("[tpm]", 11), ("[runtime]", 15), ("[workload]", 18)] {
        let (accepted, said) = check(&GOOD.replace(place, &format!("{place}\nsurprise = 1")));
        assert!(!accepted && said.contains("surprise") && said.contains(&format!("attester.toml:{line}: ")), "{said}");
    }
    for table in ["network", "hardening", "evidence"] {
        let (accepted, said) = check(&format!("{GOOD}\n[{table}]\nsurprise = 1\n"));
        assert!(!accepted && said.contains("surprise"), "{said}");
    }
    let (accepted, said) = check(&format!("{GOOD}\n[surprise]\n"));
    assert!(!accepted && said.contains("surprise"), "{said}");
}

#[test]
fn a_missing_key_is_named() {
    for key in ["name", "cluster", "uid", "address", "id", "tcti", "ak_state", "socket", "directory"] {
        let without: String = GOOD.lines().filter(|line| !line.starts_with(&format!("{key} ="))).flat_map(|line| [line, "\n"]).collect();
        let (accepted, said) = check(&without);
        assert!(!accepted && said.contains(&format!("`{key}`")), "{key}: {said}");
    }
}

#[test]
fn a_value_that_cannot_be_meant_is_named_with_its_line() {
    for (from, to, line, key) in [
        ("\"node-a\"", "\"\"", 2, "node.name"),
        ("\"node-a\"", "\"node a\"", 2, "node.name"),
        ("https://verifier.example:7443", "http://verifier.example:7443", 7, "verifier.address"),
        ("https://verifier.example:7443", "https://verifier.example", 7, "verifier.address"),
        ("https://verifier.example:7443", "https://verifier.example:0", 7, "verifier.address"),
        ("00112233445566778899aabbccddeeff00112233", "00112233", 8, "verifier.id"),
        ("swtpm:host=127.0.0.1,port=2321", "swtpm:path=/tmp/socket", 11, "tpm.tcti"),
        ("swtpm:host=127.0.0.1,port=2321", "swtpm:host=127.0.0.1,port=65535", 11, "tpm.tcti"),
        ("swtpm:host=127.0.0.1,port=2321", "device:tpm0", 11, "tpm.tcti"),
        ("swtpm:host=127.0.0.1,port=2321", "tabrmd:", 11, "tpm.tcti"),
        ("/var/lib/podseal/ak", "ak", 12, "tpm.ak_state"),
        ("[runtime]", "ak = \"ECC\"\n[runtime]", 14, "tpm.ak"),
        ("[runtime]", "ak = \"\"\n[runtime]", 14, "tpm.ak"),
        ("[runtime]", "pcrs = []\n[runtime]", 14, "tpm.pcrs"),
        ("[runtime]", "pcrs = [7, 0]\n[runtime]", 14, "tpm.pcrs"),
        ("[runtime]", "pcrs = [0, 16]\n[runtime]", 14, "tpm.pcrs"),
        ("[workload]", "[limits]\nconnections = 0\n[workload]", 18, "limits.connections"),
        ("[workload]", "[evidence]\nprivlevel = 4\n[workload]", 18, "evidence.privlevel"),
        ("[workload]", "[evidence]\nnsm = \"nsm\"\n[workload]", 18, "evidence.nsm"),
        ("[workload]", "[evidence]\ntsm = \"/tsm\"\nazure_wait_ms = 99\n[workload]", 19, "evidence.azure_wait_ms"),
        ("[workload]", "[log]\nformat = \"xml\"\n[workload]", 18, "log.format"),
        ("[workload]", "[network]\nuid = 0\n[workload]", 18, "network.uid"),
        ("[workload]", "[network]\nuid = 7\ngid = 4294967295\n[workload]", 19, "network.gid"),
        ("[workload]", "[hardening]\nexceptions = [\n\"seccomp\",\n\"surprise\"]\n[workload]", 20, "hardening.exceptions"),
    ] {
        let (accepted, said) = check(&GOOD.replace(from, to));
        assert!(!accepted, "{to}");
        assert!(said.contains(&format!("attester.toml:{line}: {key}: found")) && said.contains("wanted"), "{to}: {said}");
    }
}

#[test]
fn what_is_not_toml_or_not_there_is_said_so() {
    let (accepted, said) = check(&GOOD.replace("[tpm]", "[tpm"));
    assert!(!accepted && said.contains("attester.toml:10: "), "{said}");
    let missing =
        Command::new(env!("CARGO_BIN_EXE_podseal-node-attester")).args(["check-config", "--config", "/nonexistent/a.toml"]).output();
    let missing = missing.unwrap();
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("/nonexistent/a.toml"));
}
