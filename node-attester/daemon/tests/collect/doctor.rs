//! `doctor --evidence`, the shipped program, over each source.

use std::{fs, path::Path, process::Command};

use podseal_node_attester::doctor::Questions;
use serde_json::Value;

use crate::{
    kernel::TsmEntry,
    snp,
    swtpm::{Maker, Swtpm},
};

pub(crate) const CONFIG: &str = r#"[node]
name = "node-a"
cluster = "prod-eu"
uid = "6f1c4a52-0d52-4c1c-9d0e-6f2f4f9f6d11"
[verifier]
address = "https://verifier.example:7443"
id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
[tpm]
tcti = "TCTI"
ak_state = "/var/lib/podseal/ak"
[runtime]
socket = "/run/containerd/containerd.sock"
[workload]
directory = "/run/podseal"
[limits]
tpm_ms = 2000
[evidence]
azure_wait_ms = 100
tsm = "DIR/tsm"
sev_guest = "DIR/sev-guest"
rtmr = "DIR/rtmr"
ccel = "DIR/ccel-data"
ccel_table = "DIR/ccel"
nsm = "DIR/nsm"
"#;

struct Site {
    dir: tempfile::TempDir,
    tpm: Swtpm,
    _maker: Maker,
}

impl Site {
    fn new() -> Self {
        let maker = Maker::new();
        let tpm = Swtpm::start(maker.make("node-a"));
        let dir = tempfile::tempdir().unwrap();
        let config = CONFIG.replace("DIR", dir.path().to_str().unwrap()).replace("TCTI", &tpm.tcti().to_string());
        fs::write(dir.path().join("attester.toml"), config).unwrap();
        Self { dir, tpm, _maker: maker }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Whether it exits 0, and what it says.
    fn doctor(&self, more: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podseal-node-attester"));
        command.args(["doctor", "--evidence", "--config"]).arg(self.path("attester.toml")).args(more);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    fn json(&self, more: &[&str]) -> (bool, Value) {
        let (works, said, error) = self.doctor(&[&["--json"], more].concat());
        (works, serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{error}")))
    }
}

pub(crate) fn source<'a>(said: &'a Value, name: &str) -> &'a Value {
    said["sources"].as_array().unwrap().iter().find(|source| source["source"] == name).unwrap()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_machine_without_any_source_is_in_order() {
    let site = Site::new();
    let (works, said) = site.json(&[]);
    assert!(works && said["works"] == true, "{said}");
    for source in said["sources"].as_array().unwrap() {
        assert_eq!(source["outcome"], "absent", "{source}");
    }
    let (works, text, _) = site.doctor(&[]);
    assert!(works && text.contains("no evidence to verify") && text.contains("absent     nsm"), "{text}");
}

#[test]
fn an_snp_report_is_saved_with_what_belongs_to_it() {
    let site = Site::new();
    let entry = TsmEntry::new(&site.path("tsm"), "podseal-doctor", "sev_guest").auxblob(&snp::table());
    let kernel = entry.answer(snp::report);
    let save = site.path("saved");
    let (works, said) = site.json(&["--save", save.to_str().unwrap()]);
    let data = kernel.join().unwrap().1.remove(0);
    assert!(works, "{said}");
    let found = source(&said, "configfs-tsm");
    assert_eq!(
        (&found["outcome"], &found["facts"]["provider"], &found["facts"]["generation"]),
        (&"collected".into(), &"sev_guest".into(), &"8".into())
    );
    assert_eq!(found["facts"]["certificates"], "VCEK, ARK, OTHER");
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(said["report_data"], hex);
    assert_eq!(read(&save.join("tee/report.bin")), snp::report(&data));
    assert_eq!(read(&save.join("tee/vcek.der")), b"key");
    assert_eq!(read(&save.join("tee/ark.der")), b"ark");
    assert_eq!(read(&save.join("tee/nonce.hex")), hex.as_bytes());
}

#[test]
fn a_td_has_quote_register_and_log() {
    let site = Site::new();
    let kernel = TsmEntry::new(&site.path("tsm"), "podseal-doctor", "tdx_guest").answer(|data| [b"quote", data].concat());
    fs::write(site.path("rtmr"), [0xee; 48]).unwrap();
    fs::write(site.path("ccel"), [b"CCEL".as_slice(), &[0; 52]].concat()).unwrap();
    fs::write(site.path("ccel-data"), b"log").unwrap();
    let save = site.path("saved");
    let (works, text, _) = site.doctor(&["--save", save.to_str().unwrap()]);
    kernel.join().unwrap();
    assert!(works, "{text}");
    assert!(text.contains(&"ee".repeat(48)), "{text}");
    assert!(text.ends_with(&format!("next: podseal report verify {}\n", save.join("tee").display())), "{text}");
    assert!(read(&save.join("tee/quote.bin")).starts_with(b"quote"));
    assert_eq!(read(&save.join("tee/ccel.bin")), b"log");
    assert_eq!(read(&save.join("tee/ccel_table.bin")).len(), 56);
    assert_eq!(fs::read(site.path("rtmr")).unwrap(), [0xee; 48], "a doctor extends nothing");
}

#[test]
fn a_source_that_is_there_and_fails_is_exit_1_with_its_remedy() {
    let site = Site::new();
    fs::write(site.path("nsm"), b"no device").unwrap();
    fs::write(site.path("sev-guest"), b"no device").unwrap();
    fs::write(site.path("rtmr"), b"short").unwrap();
    let (works, said) = site.json(&[]);
    assert!(!works && said["works"] == false, "{said}");
    for (name, wanted) in [("nsm", "NSM_IOCTL_RAW"), ("sev-guest", "SNP_GET_REPORT"), ("tdx-rtmr3", "found 5 bytes")] {
        let found = source(&said, name);
        assert!(found["outcome"] == "failed" && found["error"].as_str().unwrap().contains(wanted), "{found}");
    }
    let (works, text, _) = site.doctor(&[]);
    assert!(!works && text.contains("failed     nsm"), "{text}");
}

#[test]
fn a_report_over_other_data_is_a_failure() {
    let site = Site::new();
    let _kernel = TsmEntry::new(&site.path("tsm"), "podseal-doctor", "sev_guest").answer(|_| snp::report(&[1; 64]));
    let (works, said) = site.json(&[]);
    assert!(!works && source(&said, "configfs-tsm")["error"].as_str().unwrap().contains("report data"), "{said}");
}

#[test]
fn a_source_that_hangs_is_given_up() {
    let site = Site::new();
    // Nobody answers behind these pipes.
    let _entry = TsmEntry::new(&site.path("tsm"), "podseal-doctor", "tdx_guest");
    let (works, said) = site.json(&[]);
    assert!(!works, "{said}");
    let error = source(&said, "configfs-tsm")["error"].as_str().unwrap();
    assert!(error.contains("no answer within 2500 ms"), "{error}");
    assert_eq!(source(&said, "nsm")["outcome"], "absent", "the others are asked all the same");
}

#[test]
fn a_tpm_that_hangs_is_given_up() {
    let site = Site::new();
    site.tpm.signal("STOP");
    let (works, said) = site.json(&[]);
    site.tpm.signal("CONT");
    assert!(!works && source(&said, "nitro-tpm")["error"].as_str().unwrap().contains("no answer within"), "{said}");
}

#[test]
fn what_was_saved_is_never_overwritten() {
    let site = Site::new();
    fs::write(site.path("ccel"), [b"CCEL".as_slice(), &[0; 52]].concat()).unwrap();
    fs::write(site.path("ccel-data"), b"log").unwrap();
    let save = site.path("saved");
    assert!(site.doctor(&["--save", save.to_str().unwrap()]).0);
    let (works, _, error) = site.doctor(&["--save", save.to_str().unwrap()]);
    assert!(!works && error.contains("tee/ccel_table.bin") && error.contains("--save"), "{error}");
}

#[test]
fn a_tpm_that_is_configured_has_to_be_there() {
    let mut site = Site::new();
    site.tpm.power_off();
    let (works, said) = site.json(&[]);
    assert!(!works && source(&said, "nitro-tpm")["outcome"] == "failed", "{said}");
    assert_eq!(source(&said, "azure-vtpm")["outcome"], "failed", "{said}");
}

#[test]
fn without_a_topic_or_with_a_wrong_configuration_nothing_is_asked() {
    let attester = || Command::new(env!("CARGO_BIN_EXE_podseal-node-attester"));
    assert_eq!(attester().arg("doctor").output().unwrap().status.code(), Some(2));
    let output = attester().args(["doctor", "--evidence", "--config", "/nonexistent/a.toml"]).output().unwrap();
    assert!(output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("/nonexistent/a.toml"));
    let unconfigured = Questions::unconfigured();
    assert_eq!((unconfigured.tcti.to_string().as_str(), unconfigured.tpm_configured), ("device:/dev/tpmrm0", false));
}
