use std::time::Duration;

use podseal_node_attester::collect::azure;
use podseal_node_attester::config::Tcti;
use podseal_node_attester::owner::connect;
use podseal_protocol::{Digest, evidence::Part};
use podseal_swtpm_tests::hardware::amd::{Amd, SnpGuest};
use podseal_swtpm_tests::hardware::microsoft::{AzureVtpm, honest};
use podseal_swtpm_tests::raw_tpm::Bank;
use podseal_swtpm_tests::swtpm::Swtpm;
use podseal_swtpm_tests::tpm_ca::TpmCa;
use serde_json::json;
use tempfile::TempDir;

use crate::verdict::Files;

const VM: &str = "5c6e1c0a-7d35-4e21-9a53-0f2d6a9b7c11";
const SOON: Duration = Duration::from_millis(10);
const REGISTERS: [u8; 3] = [0, 4, 7];

fn tpm(dir: &TempDir) -> Swtpm {
    let (ca, state) = (TpmCa::new(dir.path().join("ca")).unwrap(), dir.path().join("tpm"));
    ca.manufacture("azure", &state, &[Bank::Sha256]).unwrap();
    let tpm = Swtpm::start(&state).unwrap();
    tpm.client().unwrap().pcr_extend(4, &[(Bank::Sha256, vec![1; 32])]).unwrap();
    tpm
}

/// One round of a node's: a report over `data`, then a quote over `nonce`.
fn collected(vtpm: &AzureVtpm, amd: &Amd, vcek: &[u8], data: [u8; 64], nonce: &Digest) -> Files {
    let tcti = Tcti::Swtpm { host: "127.0.0.1".to_owned(), port: vtpm.proxy().port() };
    let mut context = connect(&tcti).unwrap();
    assert!(azure::is_there(&mut context));
    let found = azure::collect(&mut context, &data, SOON).unwrap_or_else(|error| panic!("{error}; {:?}", vtpm.failure()));
    let Part::TpmQuote { attest, signature, pcrs } = azure::quote(&mut context, &REGISTERS, nonce).unwrap() else { panic!("no quote") };
    assert!(found.hcl_report.starts_with(&vtpm.hcl_report()));
    let values = pcrs.iter().map(|(index, value)| format!("\"{index}\":\"{value}\"")).collect::<Vec<_>>().join(",");
    Files::under(&amd.ark_pem())
        .with("hcl_report.bin", found.hcl_report)
        .with("quote.attest", attest)
        .with("quote.sig", signature)
        .with("pcrs.json", format!("{{{values}}}"))
        .with("vcek.der", vcek)
        .with("chain.pem", amd.chain_pem())
}

#[test]
fn a_software_tpm_becomes_an_azure_vms() {
    let dir = tempfile::tempdir().unwrap();
    let (tpm, amd) = (tpm(&dir), Amd::new().unwrap());
    let chip = amd.chip().unwrap();
    let vtpm = AzureVtpm::start(&tpm, &chip, &AzureVtpm::guest(), VM).unwrap();
    let nonce = Digest::of(b"nonce");
    for round in 0..3 {
        let data = [round; 64];
        let found = collected(&vtpm, &amd, chip.vcek(), data, &nonce).hold("azure-vtpm", nonce.as_ref());
        let runtime = &found["claims"]["runtime_data"];
        assert!(runtime.to_string().contains(VM) && runtime.to_string().contains(&format!("{round:02X}").repeat(64)), "{found:#}");
        assert_eq!(found["claims"]["snp"]["guest_svn"], json!(8));
    }
    collected(&vtpm, &amd, chip.vcek(), [9; 64], &nonce).rejected_for("quote.qualifying_data", &[1; 32]);
    let checked = [
        (SnpGuest { vmpl: 1, ..AzureVtpm::guest() }, "snp.vmpl"),
        (SnpGuest { policy: SnpGuest::debuggable().policy, ..AzureVtpm::guest() }, "snp.debug"),
    ];
    for (guest, check) in checked {
        vtpm.answer_by(honest(&chip, &guest));
        collected(&vtpm, &amd, chip.vcek(), [9; 64], &nonce).refused_for(check, nonce.as_ref());
    }
    let other = chip.clone();
    vtpm.answer_by(Box::new(move |_| other.report(&AzureVtpm::guest(), &[7; 64])));
    collected(&vtpm, &amd, chip.vcek(), [9; 64], &nonce).rejected_for("azure.runtime_data", nonce.as_ref());
}
