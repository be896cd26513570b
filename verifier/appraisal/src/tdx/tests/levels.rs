use super::forge::{MRSIGNERSEAM, SEAMATTRIBUTES, SVN, Scene, makers, svn_level};
use super::policy::platform;
use super::{rejected_at, run};
use crate::tdx::TcbStatus;

#[test]
fn collateral_of_another_platform() {
    rejected_at("tdx.fmspc", "FMSPC", &run(&Scene::honest().with_tcb_info("00806F05", "50806F00")));
    rejected_at("tdx.pceid", "PCEID", &run(&Scene::honest().with_tcb_info(r#""pceId":"0000""#, r#""pceId":"0001""#)));
}

#[test]
fn first_level_that_is_reached() {
    let [maker, _] = makers();
    let mut older = platform();
    older.components[0] = 7;
    let facts = run(&Scene::of(maker, &older)).facts.unwrap();
    assert_eq!((facts.status(), facts.advisories()), (TcbStatus::OutOfDate, &["INTEL-SA-00960".to_owned()][..]));
    let mut older = platform();
    older.pcesvn = 10;
    assert_eq!(run(&Scene::of(maker, &older)).facts.unwrap().status(), TcbStatus::OutOfDate);
    let mut scene = Scene::honest();
    scene.body[SVN + 2] = 7;
    assert_eq!(run(&scene).facts.unwrap().status(), TcbStatus::OutOfDate);
}

#[test]
fn platform_below_every_level() {
    let [maker, _] = makers();
    for component in [0, 1, 2, 3, 4, 5, 7] {
        let mut old = platform();
        old.components[component] = 0;
        rejected_at("tdx.tcb_level", "component", &run(&Scene::of(maker, &old)));
    }
    let mut old = platform();
    old.pcesvn = 4;
    rejected_at("tdx.tcb_level", "PCE", &run(&Scene::of(maker, &old)));
    let mut scene = Scene::honest();
    scene.body[SVN + 2] = 4;
    rejected_at("tdx.tcb_level", "late microcode", &run(&scene));
}

/// Modules of version 1.0 are levels of the platform, and compare the first two numbers too.
#[test]
fn module_without_an_identity() {
    let mut scene = Scene::honest();
    scene.body[SVN..SVN + 2].copy_from_slice(&[5, 0]);
    assert_eq!(run(&scene).facts.unwrap().status(), TcbStatus::UpToDate);
    scene.body[SVN] = 4;
    assert_eq!(run(&scene).facts.unwrap().status(), TcbStatus::OutOfDate);
    scene.body[SVN] = 2;
    rejected_at("tdx.tcb_level", "module of version 1.0", &run(&scene));
}

#[test]
fn module_that_intel_does_not_name() {
    let altered = |at: usize, byte: u8| {
        let mut scene = Scene::honest();
        scene.body[at] = byte;
        run(&scene)
    };
    rejected_at("tdx.module", "signer", &altered(MRSIGNERSEAM, 1));
    rejected_at("tdx.module", "attributes", &altered(SEAMATTRIBUTES + 7, 0x80));
    rejected_at("tdx.module", "version", &altered(SVN + 1, 2));
    let mut scene = Scene::honest();
    scene.body[SVN..SVN + 2].copy_from_slice(&[5, 0]);
    scene.body[MRSIGNERSEAM] = 1;
    rejected_at("tdx.module", "signer of version 1.0", &run(&scene));
    // Only what the mask covers counts.
    let masked = Scene::honest().with_tcb_info("FFFFFFFFFFFFFFFF\",\"tcbLevels", "FFFFFFFFFFFFFF7F\",\"tcbLevels");
    let mut scene = Scene { body: Scene::honest().body, ..masked };
    scene.body[SEAMATTRIBUTES + 7] = 0x80;
    assert!(run(&scene).facts.is_some());
}

#[test]
fn module_by_its_levels() {
    let mut scene = Scene::honest();
    scene.body[SVN] = 5;
    assert_eq!(run(&scene).facts.unwrap().status(), TcbStatus::OutOfDate);
    scene.body[SVN] = 3;
    rejected_at("tdx.module_level", "older than every level", &run(&scene));
}

#[test]
fn enclave_that_intel_does_not_name() {
    for (what, at, byte) in [("MISCSELECT", 16, 1), ("attributes", 48, 0x13), ("signer", 128, 0), ("product", 256, 1)] {
        let mut scene = Scene::honest();
        scene.qe[at] = byte;
        rejected_at("tdx.qe_identity", what, &run(&scene));
    }
    let mut scene = Scene::honest();
    scene.qe[48] = 0x11;
    scene.qe[63] = 0xff;
    assert!(run(&scene).facts.is_some(), "what no mask covers");
}

#[test]
fn enclave_by_its_levels() {
    let mut scene = Scene::honest();
    scene.qe[258] = 3;
    assert_eq!(run(&scene).facts.unwrap().status(), TcbStatus::OutOfDate);
    scene.qe[258] = 1;
    rejected_at("tdx.qe_level", "older than every level", &run(&scene));
}

#[test]
fn status_of_all_parts() {
    use TcbStatus::*;
    for (platform, part, both) in [
        (UpToDate, UpToDate, UpToDate),
        (UpToDate, OutOfDate, OutOfDate),
        (SwHardeningNeeded, UpToDate, SwHardeningNeeded),
        (SwHardeningNeeded, OutOfDate, OutOfDate),
        (ConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded),
        (ConfigurationAndSwHardeningNeeded, OutOfDate, OutOfDateConfigurationNeeded),
        (OutOfDate, UpToDate, OutOfDate),
        (OutOfDateConfigurationNeeded, OutOfDate, OutOfDateConfigurationNeeded),
        (UpToDate, Revoked, Revoked),
        (Revoked, UpToDate, Revoked),
        (UpToDate, ConfigurationNeeded, ConfigurationNeeded),
    ] {
        assert_eq!(platform.with(part), both, "{platform:?} {part:?}");
    }
    let revoked = Scene::honest().with_qe_identity(&svn_level(4, "UpToDate"), &svn_level(4, "Revoked"));
    assert_eq!(run(&revoked).facts.unwrap().status(), Revoked);
}
