use podseal_swtpm_tests::hardware::amd::{Amd, Product, SnpGuest};

use crate::verdict::Files;

const DATA: [u8; 64] = [0xa7; 64];

#[test]
fn a_report_is_verified_under_its_makers_root_only() {
    for product in [Product::Milan, Product::Genoa] {
        let amd = Amd::of(product).unwrap();
        let chip = amd.chip().unwrap();
        for version in [2, 3, 5] {
            let guest = SnpGuest { version, ..SnpGuest::honest() };
            let report = chip.report(&guest, &DATA).unwrap();
            assert_eq!(report.len(), 1184);
            let files = Files::under(&amd.ark_pem()).with("report.bin", &report).with("vcek.der", chip.vcek());
            let found =
                files.with("chain.pem", amd.chain_pem()).with("crl.der", amd.revocation_list(1, false).unwrap()).hold("snp-report", &DATA);
            assert_eq!((&found["claims"]["version"], &found["claims"]["product"]), (&version.into(), &product.as_str().into()));
        }
    }
}

#[test]
fn the_hosts_table_has_what_a_report_needs() {
    let amd = Amd::new().unwrap();
    let chip = amd.chip().unwrap();
    let report = chip.report(&SnpGuest::honest(), &DATA).unwrap();
    Files::under(&amd.ark_pem()).with("report.bin", [report, chip.table()].concat()).hold("snp-report", &DATA);
}

#[test]
fn a_guest_that_is_not_good_enough_is_refused_for_that() {
    let amd = Amd::new().unwrap();
    let chip = amd.chip().unwrap();
    let migratable = SnpGuest { policy: SnpGuest::honest().policy | 1 << 18, ..SnpGuest::honest() };
    let unmeasured = SnpGuest { measurement: [0; 48], ..SnpGuest::honest() };
    for (guest, check) in [(SnpGuest::debuggable(), "snp.debug"), (migratable, "snp.migration_agent"), (unmeasured, "snp.measured")] {
        let report = chip.report(&guest, &DATA).unwrap();
        Files::under(&amd.ark_pem()).with("report.bin", [report, chip.table()].concat()).refused_for(check, &DATA);
    }
}

#[test]
fn what_does_not_belong_together_is_rejected() {
    let amd = Amd::new().unwrap();
    let (chip, other) = (amd.chip().unwrap(), amd.chip().unwrap());
    let report = chip.report(&SnpGuest::honest(), &DATA).unwrap();
    let with = |report: &[u8], table: &[u8]| Files::under(&amd.ark_pem()).with("report.bin", [report, table].concat());
    with(&report, &other.table()).rejected_for("snp.chip_id", &DATA);
    with(&report, &chip.table()).rejected_for("snp.report_data", &[1; 64]);
    let mut changed = report.clone();
    changed[0x90] ^= 1;
    with(&changed, &chip.table()).rejected_for("snp.signature", &DATA);
    chip.sign(&mut changed).unwrap();
    with(&changed, &chip.table()).hold("snp-report", &DATA);
    let revoked = amd.revocation_list(2, true).unwrap();
    with(&report, &chip.table()).with("crl.der", revoked).rejected_for("snp.revoked", &DATA);
}
