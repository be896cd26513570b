use super::forge::{NOW, REPORTDATA, Scene, certification, copy, given, makers, pinned};
use super::{Outcome, rejected_at, run, run_bytes, run_with};
use crate::claims::RootKind;
use crate::tdx::{Floors, Quote, QuoteError, TcbStatus};

fn run_altered(scene: &Scene, bytes: &[u8]) -> Outcome {
    run_bytes(bytes, scene, &scene.roots(), NOW, &Floors::default(), None)
}

#[test]
fn honest_quote_gives_its_facts() {
    let outcome = run(&Scene::honest());
    assert_eq!((outcome.failed, outcome.missing), (vec![], vec![]));
    let facts = outcome.facts.unwrap();
    assert_eq!((facts.status(), facts.advisories()), (TcbStatus::UpToDate, &[][..]));
    assert_eq!(facts.anchor(), ("maker", RootKind::Test));
    assert_eq!((&facts.body().reportdata[..4], &facts.pck().serial[..]), (&b"ask\0"[..], &[0xb6, 0xe8, 0x4e, 0xd5][..]));
    // 2026-05-21, when the QE identity was issued, to 2026-06-19, when TCB info is due.
    assert_eq!((facts.window().from, facts.window().until), (1_779_321_600, 1_781_827_200));
}

#[test]
fn every_version_and_body() {
    for (version, size) in [(4, 584), (5, 584), (5, 648)] {
        let mut scene = Scene::honest();
        scene.version = version;
        scene.body.truncate(size);
        let bytes = scene.quote();
        let quote = Quote::parse(&bytes).unwrap();
        assert_eq!(quote.body_type, (version == 5).then_some(if size == 584 { 2 } else { 3 }));
        assert_eq!(quote.body.extended.is_some(), size == 648);
        assert!(run(&scene).facts.is_some(), "{version} {size}");
    }
}

#[test]
fn chain_in_der() {
    let mut scene = Scene::honest();
    scene.der_chain = true;
    assert!(run(&scene).facts.is_some());
}

#[test]
fn root_given_as_a_certificate_needs_not_come_along() {
    let mut scene = Scene::honest();
    scene.chain.truncate(2);
    scene.beside.truncate(1);
    assert!(run_with(&scene, &given(scene.maker), NOW, &Floors::default(), None).facts.is_some());
    rejected_at("tdx.pck_chain", "pinned by its key", &run(&scene));
}

#[test]
fn sample_root_named_like_intels() {
    let honest = Scene::honest();
    let other = Scene::of(&makers()[1], &super::policy::platform());
    assert!(run(&other).facts.is_some());
    rejected_at("tdx.pck_chain", "other root", &run_with(&other, &honest.roots(), NOW, &Floors::default(), None));
    rejected_at("tdx.pck_chain", "other root, given", &run_with(&other, &given(honest.maker), NOW, &Floors::default(), None));
}

#[test]
fn report_data_differs() {
    let scene = Scene::honest();
    let asked = |nonce: &[u8]| run_with(&scene, &scene.roots(), NOW, &Floors::default(), Some(nonce));
    let mut whole = [0; 64];
    whole[..3].copy_from_slice(b"ask");
    for nonce in [&b"ask"[..], b"ask\0", &whole] {
        assert!(asked(nonce).facts.is_some());
    }
    for nonce in [&b""[..], b"as", b"asl", b"ask!", &[0; 65], &[whole.as_slice(), &[0]].concat()] {
        rejected_at("tdx.report_data", "other nonce", &asked(nonce));
    }
}

#[test]
fn body_that_nobody_signed() {
    let scene = Scene::honest();
    let mut bytes = scene.quote();
    bytes[48 + 6 + REPORTDATA] ^= 1;
    rejected_at("tdx.quote_signature", "report data", &run_altered(&scene, &bytes));
    let mut bytes = scene.quote();
    bytes[40] ^= 1;
    rejected_at("tdx.quote_signature", "user data of the header", &run_altered(&scene, &bytes));
}

#[test]
fn attestation_key_that_nobody_certified() {
    let mut scene = Scene::honest();
    scene.certified_key = Some([7; 32]);
    rejected_at("tdx.attestation_key", "other key", &run(&scene));
    let mut scene = Scene::honest();
    scene.qe[383] = 1;
    rejected_at("tdx.attestation_key", "more than the digest", &run(&scene));
}

#[test]
fn quoting_enclave_of_no_platform() {
    let mut scene = Scene::honest();
    scene.qe_signer = copy(&makers()[1].pck);
    rejected_at("tdx.qe_report_signature", "other platform's key", &run(&scene));
}

#[test]
fn bytes_behind_the_quote() {
    let scene = Scene::honest();
    let followed = |tail: &[u8]| run_altered(&scene, &[scene.quote(), tail.to_vec()].concat());
    assert!(followed(&[0; 70]).facts.is_some());
    rejected_at("tdx.quote_padding", "a byte", &followed(&[0, 0, 1]));
}

#[test]
fn one_flipped_bit_of_the_quote() {
    let scene = Scene::honest();
    let bytes = scene.quote();
    for position in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        if Quote::parse(&flipped).is_ok_and(|quote| quote.chain().is_ok()) {
            assert!(run_altered(&scene, &flipped).facts.is_none(), "byte {position}");
        }
    }
}

#[test]
fn what_is_no_quote() {
    let bytes = Scene::honest().quote();
    for end in 0..bytes.len() {
        assert!(matches!(Quote::parse(&bytes[..end]), Err(QuoteError::Structure(_))), "{end} bytes");
    }
    let altered = |position: usize, byte: u8| {
        let mut altered = bytes.clone();
        altered[position] = byte;
        Quote::parse(&altered).unwrap_err().to_string()
    };
    for (position, byte, what) in [
        (0, 3, "the version is 0x3"),
        (2, 3, "the attestation key type is 0x3"),
        (4, 0, "the TEE type is 0x0"),
        (48, 1, "the type of the body is 0x1"),
        (50, 0x48, "the size of the body is 0x248"),
        (54 + 648 + 4 + 128, 5, "the type of the certification data is 0x5"),
        (54 + 648 + 4, 0, ""),
    ] {
        match what {
            "" => assert!(Quote::parse(&bytes).is_ok()),
            what => assert!(altered(position, byte).starts_with(what), "{what}"),
        }
    }
}

#[test]
fn certification_data_that_holds_no_chain() {
    let honest = Scene::honest();
    let mut scene = Scene::honest();
    scene.der_chain = true;
    scene.chain = vec![honest.chain[0].clone(), vec![0x30, 0x82, 0, 1]];
    assert!(matches!(Quote::parse(&scene.quote()), Err(QuoteError::Certificates { .. })));
    scene.chain = vec![];
    assert!(matches!(Quote::parse(&scene.quote()), Err(QuoteError::Certificates { .. })));
    scene.chain = vec![honest.chain[0].clone(); 9];
    assert!(matches!(Quote::parse(&scene.quote()), Err(QuoteError::Certificates { .. })));
    let mut scene = Scene::honest();
    scene.chain[1] = vec![0x30, 0];
    let bytes = scene.quote();
    assert!(matches!(Quote::parse(&bytes).unwrap().chain(), Err(QuoteError::Certificates { .. })));
    // Of another type than 5: an encrypted PPID, and the chain beside.
    let bytes = honest.quote();
    let chain = [super::forge::pem(&honest.chain), vec![0]].concat();
    let at = bytes.len() - chain.len() - 6;
    assert_eq!(bytes[at..], certification(5, &chain));
    let mut encrypted = bytes.clone();
    encrypted[at] = 3;
    assert!(Quote::parse(&encrypted).unwrap().certificates.is_empty());
    let mut beside = Scene::honest();
    assert!(run_altered(&beside, &encrypted).facts.is_none());
    beside.beside.extend(honest.chain.iter().take(2).cloned());
    let (pinned, floors) = (pinned(beside.maker), Floors::default());
    // Another type of certification data is signed by nobody, so it only says where the chain is.
    assert!(run_bytes(&encrypted, &beside, &pinned, NOW, &floors, None).facts.is_some());
}
