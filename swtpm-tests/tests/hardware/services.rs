use std::process::Command;

use podseal_swtpm_tests::binaries::program;
use podseal_swtpm_tests::hardware::amd::{Amd, Product};
use podseal_swtpm_tests::hardware::intel::{Collateral, Intel};
use podseal_swtpm_tests::hardware::services::Services;
use serde_json::{Value, json};

fn fetch(services: &Services, names: &[&str]) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("podseal").unwrap());
    command.args(["endorsements", "fetch", "--output", "json", "--directory"]).arg(dir.path()).args(services.arguments()).args(names);
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn everything_that_makers_publish_is_found() {
    let services = Services::start().unwrap();
    let chip = Amd::of(Product::Genoa).unwrap().chip().unwrap();
    services.publish_chip(&chip);
    services.publish_amd_list(7, false);
    services.publish_intel(&Intel::new().unwrap(), Collateral::current());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let vcek = format!("amd-genoa-vcek-{}-{}", hex(&chip.id), hex(&[4, 0, 0, 0, 0, 0, 24, 219]));
    let names = [
        vcek.as_str(),
        "amd-genoa-chain",
        "amd-genoa-crl",
        "intel-tdx-tcb-00806f050000",
        "intel-tdx-qe-identity",
        "intel-pck-crl-platform",
        "intel-root-crl",
    ];
    let found = fetch(&services, &names);
    assert_eq!(found["missing"], json!([]), "{found:#}");
    let found = found["endorsements"].as_array().unwrap();
    let number = |name: &str| found.iter().find(|one| one["name"] == name).unwrap()["number"].clone();
    // Numbers are shown in hexadecimal digits.
    assert_eq!((found.len(), number("amd-genoa-crl"), number("intel-tdx-tcb-00806f050000")), (names.len(), json!("7"), json!("13")));
    assert!(services.asked().iter().any(|asked| asked.ends_with("blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219")), "{:?}", services.asked());
}

#[test]
fn what_is_not_published_is_not_found() {
    let services = Services::start().unwrap();
    services.publish_chip(&Amd::new().unwrap().chip().unwrap());
    for name in ["amd-genoa-chain", "intel-root-crl", &format!("amd-milan-vcek-{}-{}", "00".repeat(64), "00".repeat(8))] {
        let found = fetch(&services, &[name]);
        assert_eq!((found["endorsements"].clone(), &found["missing"][0]["name"]), (json!([]), &json!(name)), "{found:#}");
    }
    services.fail(true);
    let found = fetch(&services, &["amd-milan-chain"]);
    assert_eq!(found["endorsements"], json!([]), "{found:#}");
}
