//! Azure's virtual TPM, as far as a software TPM can be one: the indices and the key lie at the same handles.

use std::{fs, path::Path, process::Command, time::Duration};

use podseal_node_attester::{
    collect::{CollectError, azure},
    owner::{TpmError, connect},
};
use podseal_protocol::{Digest, evidence::Part};
use tempfile::TempDir;

use crate::swtpm::{Maker, Swtpm};

pub(crate) struct Vm {
    pub(crate) tpm: Swtpm,
    dir: TempDir,
    _maker: Maker,
}

/// Header, hardware report and runtime data with this user data; shorter than Azure's, since a software TPM's indices have 2048 bytes.
pub(crate) fn hcl_report(user_data: &[u8]) -> Vec<u8> {
    let hex: String = user_data.iter().map(|byte| format!("{byte:02X}")).collect();
    let json = format!("{{\"keys\":[],\"vm-configuration\":{{}},\"user-data\":\"{hex}\"}}");
    let mut report = b"HCLA".to_vec();
    report.resize(0x4d4, 0);
    report.extend(json.bytes());
    report
}

impl Vm {
    pub(crate) fn new() -> Self {
        let maker = Maker::new();
        let tpm = Swtpm::start(maker.make("vm"));
        Self { tpm, dir: tempfile::tempdir().unwrap(), _maker: maker }
    }

    pub(crate) fn tool(&self, tool: &str, arguments: &[&str]) {
        let mut command = Command::new(tool);
        command.args(arguments).env("TPM2TOOLS_TCTI", self.tpm.tcti().to_string()).current_dir(self.dir.path());
        let output = command.output().expect("tpm2-tools is installed: run scripts/setup");
        assert!(output.status.success(), "{tool} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    pub(crate) fn index(&self, index: &str, bytes: &[u8]) {
        self.file("contents", bytes);
        let attributes = "ownerread|ownerwrite|authread|authwrite";
        self.tool("tpm2_nvdefine", &["-Q", "-C", "o", index, "-s", &bytes.len().to_string(), "-a", attributes]);
        self.tool("tpm2_nvwrite", &["-Q", "-C", "o", index, "-i", "contents"]);
    }

    /// An RSA key that may only sign what the TPM made, as Azure's.
    pub(crate) fn ak(&self) {
        self.tool("tpm2_createprimary", &["-Q", "-C", "e", "-G", "rsa", "-c", "primary"]);
        let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign";
        let create = ["-Q", "-C", "primary", "-G", "rsa2048:rsassa-sha256:null", "-u", "ak.pub", "-r", "ak.priv", "-a", attributes];
        self.tool("tpm2_create", &create);
        self.tool("tpm2_flushcontext", &["-t"]);
        self.tool("tpm2_load", &["-Q", "-C", "primary", "-u", "ak.pub", "-r", "ak.priv", "-c", "ak"]);
        self.tool("tpm2_evictcontrol", &["-Q", "-C", "o", "-c", "ak", "0x81000003"]);
        self.tool("tpm2_flushcontext", &["-t"]);
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn report_key_and_certificate_come_from_their_places() {
    let vm = Vm::new();
    let data = [0xc5; 64];
    vm.index("0x01400001", &hcl_report(&data));
    vm.index("0x01C101D0", b"certificate");
    vm.ak();
    let mut context = connect(&vm.tpm.tcti()).unwrap();
    assert!(azure::is_there(&mut context));
    let found = azure::collect(&mut context, &data, SHORT).unwrap();
    assert_eq!(found.hcl_report, hcl_report(&data));
    assert_eq!(found.ak_certificate.as_deref(), Some(b"certificate".as_slice()));
    let public = fs::read(vm.dir().join("ak.pub")).unwrap();
    assert_eq!(found.ak_public, public[2..], "TPMT_PUBLIC, without the size before it");

    let nonce = Digest::of(b"nonce");
    let Part::TpmQuote { attest, pcrs, .. } = azure::quote(&mut context, &[0, 1, 4], &nonce).unwrap() else { panic!("no quote") };
    assert!(attest.windows(34).any(|window| window == [&[0, 32], nonce.as_ref()].concat()));
    assert_eq!(pcrs.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 4]);
    drop(context);

    vm.tool("tpm2_nvread", &["-C", "o", "0x01400002", "-o", "written"]);
    assert_eq!(fs::read(vm.dir().join("written")).unwrap(), data, "what was asked over is where the firmware looks");
}

#[test]
fn an_index_for_report_data_that_is_there_is_used() {
    let vm = Vm::new();
    vm.index("0x01400001", &hcl_report(&[3; 64]));
    vm.index("0x01400002", &[0; 64]);
    vm.ak();
    let mut context = connect(&vm.tpm.tcti()).unwrap();
    let found = azure::collect(&mut context, &[3; 64], SHORT).unwrap();
    assert_eq!(found.ak_certificate, None, "this image has none");
}

#[test]
fn a_report_of_former_data_is_waited_for_and_then_refused() {
    let vm = Vm::new();
    vm.index("0x01400001", &hcl_report(&[1; 64]));
    let mut context = connect(&vm.tpm.tcti()).unwrap();
    let error = azure::collect(&mut context, &[2; 64], SHORT).unwrap_err();
    assert!(matches!(&error, CollectError::NoNewReport { index: azure::REPORT, waited_ms: 400.. }), "{error}");
    assert!(error.to_string().contains("evidence.azure_wait_ms"), "{error}");
}

#[test]
fn a_tpm_that_is_no_such_vms_is_told() {
    let vm = Vm::new();
    let mut context = connect(&vm.tpm.tcti()).unwrap();
    assert!(!azure::is_there(&mut context));
    let error = azure::collect(&mut context, &[1; 64], SHORT).unwrap_err();
    assert!(error.to_string().contains("0x01400001") && error.to_string().contains("no Azure confidential VM"), "{error}");
    let error = azure::quote(&mut context, &[0], &Digest::of(b"nonce")).unwrap_err();
    assert!(matches!(&error, TpmError::Command { step: "handle 0x81000003", .. }), "{error}");
    drop(context);
    vm.index("0x01400001", &hcl_report(&[1; 64]));
    let mut context = connect(&vm.tpm.tcti()).unwrap();
    let error = azure::collect(&mut context, &[1; 64], SHORT).unwrap_err();
    assert!(error.to_string().contains("ReadPublic of the AK at 0x81000003"), "{error}");
}
