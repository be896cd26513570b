use super::forge::{NOW, Scene, answer, makers, qe_identity, tcb_info};
use super::{Outcome, rejected_at, run, run_with};
use crate::tdx::{CollateralError, Floors, Part, SignedJson};

#[test]
fn each_part_is_missed() {
    let missing = |alter: fn(&mut Scene)| {
        let mut scene = Scene::honest();
        alter(&mut scene);
        let outcome = run(&scene);
        assert!(outcome.facts.is_none() && outcome.failed.is_empty());
        outcome.missing
    };
    assert_eq!(missing(|scene| scene.tcb_info = None), [Part::TcbInfo]);
    assert_eq!(missing(|scene| scene.qe_identity = None), [Part::QeIdentity]);
    assert_eq!(missing(|scene| scene.beside.clear()), [Part::TcbSigningChain]);
    assert_eq!(missing(|scene| scene.crls.clear()), [Part::PckCrl, Part::RootCaCrl]);
}

/// What was signed, and then altered.
#[test]
fn collateral_that_nobody_signed() {
    let mut scene = Scene::honest();
    scene.tcb_info = scene.tcb_info.map(|json| json.replacen("2026-06-19", "2027-06-19", 1));
    rejected_at("tdx.tcb_info_signature", "a later end", &run(&scene));
    let mut scene = Scene::honest();
    scene.tcb_info = Some(answer("tcbInfo", &tcb_info(), &makers()[1].signer));
    rejected_at("tdx.tcb_info_signature", "another signer", &run(&scene));
    let mut scene = Scene::honest();
    scene.tcb_info = scene.tcb_info.map(|json| json.replacen(r#""version":3"#, r#""version": 3"#, 1));
    rejected_at("tdx.tcb_info_signature", "a space", &run(&scene));
    let mut scene = Scene::honest();
    scene.qe_identity = scene.qe_identity.map(|json| json.replacen(r#""isvprodid":2"#, r#""isvprodid":3"#, 1));
    rejected_at("tdx.qe_identity_signature", "another product", &run(&scene));
    let mut scene = Scene::honest();
    scene.qe_identity = Some(answer("enclaveIdentity", &qe_identity(), &makers()[1].signer));
    rejected_at("tdx.qe_identity_signature", "another signer", &run(&scene));
}

#[test]
fn collateral_of_another_form() {
    for (from, to) in [
        (r#""id":"TDX""#, r#""id":"SGX""#),
        (r#""version":3"#, r#""version":2"#),
        (r#""tcbType":0"#, r#""tcbType":1"#),
        (r#""pceId":"0000""#, r#""pceId":"0000","pceId":"0000""#),
        (r#""pceId":"0000""#, r#""pceid":"0000""#),
        (r#""issueDate":"2026-05-20T00:00:00Z","#, ""),
        (r#"{"svn":8}"#, r#"{"svn":256}"#),
        (r#"{"svn":8},"#, ""),
        ("UpToDate", "Fine"),
    ] {
        rejected_at("tdx.tcb_info_form", to, &run(&Scene::honest().with_tcb_info(from, to)));
    }
    for (from, to) in [(r#""id":"TD_QE""#, r#""id":"QE""#), (r#""version":2"#, r#""version":1"#), (r#""isvprodid":2,"#, "")] {
        rejected_at("tdx.qe_identity_form", to, &run(&Scene::honest().with_qe_identity(from, to)));
    }
}

#[test]
fn collateral_out_of_date() {
    rejected_at("tdx.tcb_info_current", "past", &run(&Scene::honest().with_tcb_info("2026-06-19", "2026-05-31")));
    rejected_at("tdx.tcb_info_current", "future", &run(&Scene::honest().with_tcb_info("2026-05-20", "2026-06-02")));
    rejected_at("tdx.qe_identity_current", "past", &run(&Scene::honest().with_qe_identity("2026-06-20", "2026-05-31")));
    rejected_at("tdx.qe_identity_current", "future", &run(&Scene::honest().with_qe_identity("2026-05-21", "2026-06-02")));
    // Both ends count.
    assert!(run(&Scene::honest().with_tcb_info("2026-06-19", "2026-06-01")).facts.is_some());
    assert!(run(&Scene::honest().with_tcb_info("2026-05-20", "2026-06-01")).facts.is_some());
}

fn under(scene: &Scene, evaluation: u32) -> Outcome {
    run_with(scene, &scene.roots(), NOW, &Floors { evaluation, ..Floors::default() }, None)
}

#[test]
fn older_unexpired_tcb_info() {
    let older = (r#""tcbEvaluationDataNumber":19"#, r#""tcbEvaluationDataNumber":18"#);
    assert!(under(&Scene::honest(), 19).facts.is_some());
    rejected_at("tdx.evaluation_number", "TCB info", &under(&Scene::honest().with_tcb_info(older.0, older.1), 19));
    rejected_at("tdx.evaluation_number", "QE identity", &under(&Scene::honest().with_qe_identity(older.0, older.1), 19));
}

#[test]
fn what_is_no_answer_of_the_service() {
    let digits = "0".repeat(128);
    let parse = |inner: &str, signature: &str| {
        SignedJson::tcb_info(format!(r#"{{"tcbInfo":{inner},"signature":"{signature}"}}"#).as_bytes()).map(|json| json.bytes.to_vec())
    };
    assert_eq!(parse(r#" { "a": 1 }  "#, &digits).unwrap(), br#"{ "a": 1 }"#);
    for signature in ["", "00", &"0".repeat(126), &"A".repeat(128), &"g".repeat(128)] {
        assert_eq!(parse("{}", signature), Err(CollateralError::Signature { what: "TCB info" }));
    }
    for json in ["", "{", "[]", r#"{"tcbInfo":{},"tcbInfo":{},"signature":""}"#, r#"{"tcbInfo":{},"Signature":""}"#] {
        assert!(matches!(SignedJson::tcb_info(json.as_bytes()), Err(CollateralError::Json { .. })), "{json}");
    }
    for json in [r#"{"tcbInfo":{}}"#, r#"{"signature":""}"#] {
        assert!(matches!(SignedJson::tcb_info(json.as_bytes()), Err(CollateralError::Member { .. })), "{json}");
    }
}
