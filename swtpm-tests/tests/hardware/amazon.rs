use std::collections::BTreeMap;

use podseal_node_attester::collect::nitro_tpm;
use podseal_node_attester::collect::nsm_message::Request;
use podseal_node_attester::config::Tcti;
use podseal_node_attester::owner::connect;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::hardware::amazon::{Amazon, Carried, NitroTpm, Source};
use podseal_swtpm_tests::hardware::nitro_tpm::NitroTpmProxy;
use podseal_swtpm_tests::raw_tpm::Bank;
use podseal_swtpm_tests::swtpm::Swtpm;
use podseal_swtpm_tests::tpm_ca::TpmCa;
use serde_json::json;

use crate::verdict::Files;

const NONCE: [u8; 64] = [0xa7; 64];

fn instance() -> NitroTpm {
    let zero_but = [4_u8, 7].map(|index| (index, [index; 48]));
    NitroTpm::instance("i-0123456789abcdef0", (0..24).map(|index| (index, [0; 48])).chain(zero_but).collect())
}

fn carried() -> Carried {
    Carried { nonce: Some(NONCE.to_vec()), user_data: Some(b"data".to_vec()), public_key: None }
}

fn files(amazon: &Amazon, document: &[u8]) -> Files {
    Files::under(&amazon.root_pem()).with("document.cose", document)
}

#[test]
fn a_document_is_verified_under_its_makers_root_only() {
    let amazon = Amazon::new().unwrap();
    let enclave = NitroTpm { source: Source::Enclave, ..NitroTpm::instance("i-1-enc2", (0..16).map(|index| (index, [1; 48])).collect()) };
    for (attested, kind) in [(instance(), "nitrotpm"), (enclave, "nitro")] {
        let found = files(&amazon, &amazon.document(&attested, &carried()).unwrap()).hold(kind, &NONCE);
        assert_eq!((&found["claims"]["module_id"], &found["claims"]["user_data"]), (&json!(attested.module_id), &json!("64617461")));
    }
}

#[test]
fn what_is_not_good_enough_is_refused_and_what_does_not_hold_is_rejected() {
    let amazon = Amazon::new().unwrap();
    let with = |changes: &[(u8, [u8; 48])]| {
        let pcrs = instance().pcrs.into_iter().chain(changes.iter().copied()).collect::<BTreeMap<_, _>>();
        files(&amazon, &amazon.document(&NitroTpm { pcrs, ..instance() }, &carried()).unwrap())
    };
    with(&[(12, [1; 48])]).refused_for("nitro.command_line", &NONCE);
    with(&[(4, [0; 48]), (7, [0; 48])]).refused_for("nitro.measured", &NONCE);
    let debug = NitroTpm { source: Source::Enclave, pcrs: (0..3).map(|index| (index, [0; 48])).collect(), ..instance() };
    files(&amazon, &amazon.document(&debug, &carried()).unwrap()).refused_for("nitro.debug", &NONCE);
    with(&[]).rejected_for("nitro.nonce", &[1; 64]);
    let late = NitroTpm { made: 4 * 3600, ..instance() };
    files(&amazon, &amazon.document(&late, &carried()).unwrap()).rejected_for("nitro.timestamp", &NONCE);
    let mut changed = amazon.document(&instance(), &carried()).unwrap();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    files(&amazon, &changed).rejected_for("nitro.signature", &NONCE);
}

#[test]
fn a_software_tpm_becomes_a_nitro_tpm() {
    let dir = tempfile::tempdir().unwrap();
    let ca = TpmCa::new(dir.path().join("ca")).unwrap();
    let state = dir.path().join("tpm");
    ca.manufacture("nitro", &state, &[Bank::Sha256, Bank::Sha384]).unwrap();
    let tpm = Swtpm::start(&state).unwrap();
    tpm.client().unwrap().pcr_extend(4, &[(Bank::Sha256, vec![1; 32]), (Bank::Sha384, vec![1; 48])]).unwrap();
    let amazon = Amazon::new().unwrap();
    let nitro = NitroTpmProxy::start(tpm.port(), &amazon, "i-0123456789abcdef0").unwrap();
    let tcti = Tcti::Swtpm { host: "127.0.0.1".to_owned(), port: nitro.proxy().port() };
    let pcr4 =
        |tpm: &Swtpm| tpm.client().unwrap().pcr_read(Bank::Sha384, 4).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let request = Request { nonce: Some(&NONCE), user_data: Some(b"data"), public_key: Some(&[3; 1024]) };
    for round in 0..3 {
        assert!(nitro_tpm::is_there(&tcti).unwrap());
        let document = nitro_tpm::collect(&tcti, &request).unwrap();
        let found = files(&amazon, &document).hold("nitrotpm", &NONCE);
        assert_eq!(found["claims"]["pcrs"]["4"], json!(pcr4(&tpm)), "round {round}: {found:#}");
        // The TPM software stack, in between.
        drop(connect(&tcti).unwrap());
        tpm.client().unwrap().pcr_extend(4, &[(Bank::Sha384, vec![2; 48])]).unwrap();
    }
    nitro.answer_by(Box::new(|_, _| Err(BenchError::answer("the hypervisor", "nothing", "a document"))));
    let error = nitro_tpm::collect(&tcti, &request).unwrap_err().to_string();
    assert!(error.contains("InternalError"), "{error}");
}
