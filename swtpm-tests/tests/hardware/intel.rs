use podseal_swtpm_tests::hardware::intel::{Collateral, Intel, Platform, Status, Td};
use podseal_swtpm_tests::hardware::moment::{USUAL, Window};
use serde_json::json;

use crate::verdict::Files;

const DATA: [u8; 64] = [0xa7; 64];

fn files(intel: &Intel, platform: &Platform, td: &Td, collateral: &Collateral) -> Files {
    let (platforms, root) = intel.lists(collateral).unwrap();
    Files::under(&intel.root_pem())
        .with("quote.bin", platform.quote(td, &DATA).unwrap())
        .with("tcb_info.json", intel.tcb_info(collateral).unwrap())
        .with("qe_identity.json", intel.qe_identity(collateral).unwrap())
        .with("signing_chain.pem", intel.signing_chain_pem())
        .with("pck_crl.der", platforms)
        .with("root_crl.der", root)
}

#[test]
fn a_quote_is_verified_under_its_makers_root_only() {
    let intel = Intel::new().unwrap();
    let platform = intel.platform().unwrap();
    let services = Td { mr_service_td: Some([0; 48]), ..Td::honest() };
    for (td, version) in [(Td::honest().with_rtmr3([9; 48]), 4), (services, 5)] {
        let found = files(&intel, &platform, &td, &Collateral::current()).hold("tdx-quote", &DATA);
        let rtmr3 = td.rtmrs[3].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!((&found["claims"]["version"], &found["claims"]["body"]["rtmr3"]), (&json!(version), &json!(rtmr3)));
        assert_eq!(found["claims"]["tcb"]["tcb_status"], "UpToDate");
    }
}

#[test]
fn a_td_that_is_not_good_enough_is_refused_for_that() {
    let intel = Intel::new().unwrap();
    let platform = intel.platform().unwrap();
    let honest = Td::honest;
    let migratable = Td { attributes: honest().attributes | 1 << 29, ..honest() };
    let attributes = Td { attributes: honest().attributes | 1 << 20, ..honest() };
    for (td, check) in [
        (Td::debuggable(), "tdx.debug_td"),
        (migratable, "tdx.migration_agent"),
        (attributes, "tdx.td_attributes"),
        (Td { mr_service_td: Some([1; 48]), ..honest() }, "tdx.service_td"),
        (Td { mr_td: [0; 48], ..honest() }, "tdx.measured"),
    ] {
        files(&intel, &platform, &td, &Collateral::current()).refused_for(check, &DATA);
    }
    let current = Collateral::current;
    for collateral in [
        Collateral::out_of_date(),
        Collateral { module: Status::OutOfDate, ..current() },
        Collateral { enclave: Status::OutOfDate, ..current() },
        Collateral { platform: Status::SwHardeningNeeded, ..current() },
        Collateral { platform: Status::Revoked, ..current() },
    ] {
        files(&intel, &platform, &honest(), &collateral).refused_for("tdx.tcb_out_of_date", &DATA);
    }
}

#[test]
fn what_does_not_hold_is_rejected() {
    let intel = Intel::new().unwrap();
    let (platform, other) = (intel.platform().unwrap(), Intel::new().unwrap());
    let rejected = |platform: &Platform, td: &Td, collateral: &Collateral, check| {
        files(&intel, platform, td, collateral).rejected_for(check, &DATA);
    };
    let (honest, current) = (Td::honest(), Collateral::current);
    files(&intel, &platform, &honest, &current()).rejected_for("tdx.report_data", &[1; 64]);
    rejected(&platform, &honest, &Collateral::expired(), "tdx.tcb_info_current");
    let early = Window { from: USUAL.until - 1, until: USUAL.until };
    rejected(&platform, &honest, &Collateral { valid: early, ..current() }, "tdx.tcb_info_current");
    rejected(&platform, &honest, &Collateral { revoked: vec![platform.serial.clone()], ..current() }, "tdx.pck_revoked");
    rejected(&platform, &honest, &Collateral { platforms_revoked: true, ..current() }, "tdx.authority_revoked");
    rejected(&other.platform().unwrap(), &honest, &current(), "tdx.pck_chain");
    rejected(&intel.platform_with([0; 16], 0).unwrap(), &honest, &current(), "tdx.tcb_level");
    rejected(&platform, &Td { mr_signer_seam: [1; 48], ..honest.clone() }, &current(), "tdx.module");
    let mut quote = platform.quote(&honest, &DATA).unwrap();
    quote[48 + 136] ^= 1;
    files(&intel, &platform, &honest, &current()).with("quote.bin", quote).rejected_for("tdx.quote_signature", &DATA);
}
