use super::forge::{ATTRIBUTES, COMPONENTS, FMSPC, MRSERVICETD, MRTD, PPID, Platform, Scene, makers};
use super::run;
use crate::check::{Checks, Verdict};
use crate::tdx::{Policy, TcbStatus, appraise_policy};

pub(super) fn platform() -> Platform {
    Platform { components: COMPONENTS, pcesvn: 11, pceid: [0, 0], fmspc: FMSPC.to_vec() }
}

/// The rules of the policy that a genuine TD fails at.
fn refused(scene: &Scene, policy: &Policy<'_>) -> Vec<&'static str> {
    let facts = run(scene).facts.expect("an authentic quote");
    let mut checks = Checks::owing(&[]);
    let holds = appraise_policy(&facts, policy, &mut checks);
    let failed =
        checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect::<Vec<_>>();
    assert_eq!(holds, failed.is_empty());
    failed
}

fn with(alter: impl Fn(&mut Scene)) -> Scene {
    let mut scene = Scene::honest();
    alter(&mut scene);
    scene
}

fn with_attribute(bit: usize) -> Scene {
    with(|scene| scene.body[ATTRIBUTES + bit / 8] |= 1 << (bit % 8))
}

#[test]
fn honest_td_is_released_to() {
    assert_eq!(refused(&Scene::honest(), &Policy::SHIPPED), [""; 0]);
}

#[test]
fn debug_td() {
    for bit in 0..8 {
        assert_eq!(refused(&with_attribute(bit), &Policy::SHIPPED), ["tdx.debug_td"], "bit {bit}");
        assert_eq!(refused(&with_attribute(bit), &Policy { debug: true, ..Policy::SHIPPED }), [""; 0]);
    }
}

#[test]
fn attribute_that_nobody_knows() {
    for bit in (8..27).chain(32..62) {
        assert_eq!(refused(&with_attribute(bit), &Policy::SHIPPED), ["tdx.td_attributes"], "bit {bit}");
    }
    for bit in [27, 28, 30, 31, 62, 63] {
        assert_eq!(refused(&with_attribute(bit), &Policy::SHIPPED), [""; 0], "bit {bit}");
        assert!(refused(&with_attribute(bit), &Policy { attributes: 0, ..Policy::SHIPPED }).contains(&"tdx.td_attributes"));
    }
}

#[test]
fn migration_agent() {
    assert_eq!(refused(&with_attribute(29), &Policy::SHIPPED), ["tdx.migration_agent"]);
    assert_eq!(refused(&with_attribute(29), &Policy { migration: true, ..Policy::SHIPPED }), [""; 0]);
}

#[test]
fn service_td_bound() {
    let scene = with(|scene| scene.body[MRSERVICETD + 47] = 1);
    assert_eq!(refused(&scene, &Policy::SHIPPED), ["tdx.service_td"]);
    assert_eq!(refused(&scene, &Policy { service_td: true, ..Policy::SHIPPED }), [""; 0]);
}

#[test]
fn nothing_measured() {
    assert_eq!(refused(&with(|scene| scene.body[MRTD..MRTD + 48].fill(0)), &Policy::SHIPPED), ["tdx.measured"]);
}

#[test]
fn tcb_out_of_date() {
    let mut older = platform();
    older.components[0] = 7;
    let scene = Scene::of(&makers()[0], &older);
    assert_eq!(refused(&scene, &Policy::SHIPPED), ["tdx.tcb_out_of_date"]);
    let lenient = Policy { statuses: &[TcbStatus::UpToDate, TcbStatus::OutOfDate], ..Policy::SHIPPED };
    assert_eq!(refused(&scene, &lenient), [""; 0]);
}

#[test]
fn chip_distrusted() {
    let by_ppid = Policy { distrusted_chips: &[PPID], ..Policy::SHIPPED };
    let by_serial = Policy { distrusted_pcks: &[&[0xb6, 0xe8, 0x4e, 0xd5]], ..Policy::SHIPPED };
    for policy in [by_ppid, by_serial] {
        assert_eq!(refused(&Scene::honest(), &policy), ["tdx.chip_distrusted"]);
    }
    let others = Policy { distrusted_chips: &[[0; 16]], distrusted_pcks: &[&[1]], ..Policy::SHIPPED };
    assert_eq!(refused(&Scene::honest(), &others), [""; 0]);
}

#[test]
fn generation_distrusted() {
    let policy = Policy { distrusted_generations: &[FMSPC], ..Policy::SHIPPED };
    assert_eq!(refused(&Scene::honest(), &policy), ["tdx.generation_distrusted"]);
}
