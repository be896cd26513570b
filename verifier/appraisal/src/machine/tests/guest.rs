//! Guests of SEV-SNP and TDX: a report or quote over the binding, and the node's own key.

use podseal_protocol::{
    Profile,
    binding::{PodLogHead, node_key_message, report_data},
    evidence::{Evidence, Part},
    key::SecretKey,
};

use super::{Held, binding, key};
use crate::{
    check::Checks,
    claims::Memory,
    endorsement::{Content, Document, Endorsed, Endorsement, PckCa, Product},
    machine::{Gathered, Hardware, NodeKey, needs},
    snp::tests::forge as snp,
    tdx::tests::forge as tdx,
};

fn own(seed: u8) -> SecretKey {
    SecretKey::from_scalar(&[seed; 32]).unwrap()
}

fn signed_by(key: &SecretKey) -> Part {
    Part::NodeKey(key.sign(&node_key_message(&binding())))
}

pub(super) fn endorsed(endorsement: Endorsement, certificates: Vec<Vec<u8>>, document: Option<Document>) -> Endorsed {
    Endorsed { endorsement, content: Content { certificates, document }, source: String::new(), fetched: 0 }
}

pub(super) fn of_amd() -> Gathered {
    Gathered::new(vec![chain_of_amd(), list_of_amd(&[])], Vec::new())
}

fn chain_of_amd() -> Endorsed {
    endorsed(Endorsement::AmdChain { product: Product::Milan, vlek: false }, snp::certificates(), None)
}

/// The ARK's list, with these serial numbers.
pub(super) fn list_of_amd(revoked: &[u8]) -> Endorsed {
    let list = snp::crl(&snp::authorities().ark, "ARK-Milan", Some(1), "270101000000Z", revoked);
    endorsed(Endorsement::AmdCrl { product: Product::Milan }, Vec::new(), Some(Document::Crl(list)))
}

fn snp_guest() -> Held {
    Held {
        profile: Profile::Snp,
        key: key(Profile::Snp, &own(1).public().to_spki()),
        machine: None,
        report: None,
        hardware: Hardware::of_roots(snp::roots()),
        endorsements: of_amd(),
        now: snp::NOW,
    }
}

fn report(profile: Profile, fields: &[(usize, &[u8])]) -> Part {
    let data = report_data(&binding(), profile);
    let report = snp::report(&snp::chips()[0], &[&[(0x50, data.as_slice())], fields].concat());
    Part::SnpReport { report, certificates: Vec::new() }
}

fn td() -> (Held, Part) {
    let mut scene = tdx::Scene::honest();
    scene.body[tdx::REPORTDATA..tdx::REPORTDATA + 64].copy_from_slice(&report_data(&binding(), Profile::Tdx));
    let document = |text: &Option<String>| text.clone().unwrap().into_bytes();
    let mut found = vec![
        endorsed(Endorsement::IntelTcbInfo { fmspc: tdx::FMSPC }, scene.beside.clone(), Some(Document::TcbInfo(document(&scene.tcb_info)))),
        endorsed(Endorsement::IntelQeIdentity, Vec::new(), Some(Document::QeIdentity(document(&scene.qe_identity)))),
    ];
    let lists = [Endorsement::IntelPckCrl { ca: PckCa::Platform }, Endorsement::IntelRootCrl];
    found.extend(lists.into_iter().zip(scene.crls.clone()).map(|(list, der)| endorsed(list, Vec::new(), Some(Document::Crl(der)))));
    let held = Held {
        profile: Profile::Tdx,
        key: key(Profile::Tdx, &own(1).public().to_spki()),
        hardware: Hardware::of_roots(scene.roots()),
        endorsements: Gathered::new(found, Vec::new()),
        now: tdx::NOW,
        ..snp_guest()
    };
    (held, Part::TdQuote(scene.quote()))
}

#[test]
fn honest_guests() {
    let machine = snp_guest().proves(vec![report(Profile::Snp, &[]), signed_by(&own(1))]);
    assert_eq!((machine.memory, machine.launch.unwrap().measurement, machine.tpm_in_tee), (Memory::Snp, [0x3e; 48], false));
    assert_eq!(machine.launch.unwrap().signer, Some(([0x1d; 48], 7)));
    assert!(machine.registers.is_none() && machine.counters.is_none());
    let (held, quote) = td();
    let machine = held.proves(vec![quote, signed_by(&own(1))]);
    assert_eq!((machine.memory, machine.launch.unwrap().measurement), (Memory::Tdx, [0x3d; 48]));
    assert_eq!(machine.registers.unwrap().set().to_string(), "1,2,3,4");
}

#[test]
fn report_of_another_guest() {
    let rule = "node.key_signature";
    snp_guest().refuses(rule, vec![report(Profile::Snp, &[]), signed_by(&own(2))]);
    snp_guest().refuses(rule, vec![report(Profile::Snp, &[])]);
    let other = Part::NodeKey(own(1).sign(binding().as_ref()));
    snp_guest().refuses(rule, vec![report(Profile::Snp, &[]), other]);
    let (held, quote) = td();
    held.refuses(rule, vec![quote, signed_by(&own(2))]);
}

/// A report for one profile is none for another, though it is over the same binding.
#[test]
fn report_for_another_profile() {
    snp_guest().refuses("snp.report_data", vec![report(Profile::AzureSnp, &[]), signed_by(&own(1))]);
}

#[test]
fn parts_of_other_hardware() {
    let rule = "evidence.parts";
    for stranger in [Part::BootLog(Vec::new()), Part::NitroDocument(Vec::new()), Part::HclReport(Vec::new())] {
        snp_guest().refuses(rule, vec![report(Profile::Snp, &[]), stranger, signed_by(&own(1))]);
    }
    let (held, quote) = td();
    held.refuses(rule, vec![report(Profile::Tdx, &[]), quote, signed_by(&own(1))]);
}

#[test]
fn parts_that_are_none() {
    let rule = "evidence.form";
    let short = Part::SnpReport { report: vec![3; 1183], certificates: Vec::new() };
    snp_guest().refuses(rule, vec![short, signed_by(&own(1))]);
    snp_guest().refuses(rule, vec![signed_by(&own(1))]);
    let Part::SnpReport { report, .. } = report(Profile::Snp, &[]) else { unreachable!() };
    let table = Part::SnpReport { report, certificates: vec![1; 24] };
    snp_guest().refuses(rule, vec![table, signed_by(&own(1))]);
    let (held, _) = td();
    held.refuses(rule, vec![Part::TdQuote(vec![4; 700]), signed_by(&own(1))]);
    held.refuses(rule, vec![signed_by(&own(1))]);
}

#[test]
fn nothing_from_the_maker() {
    let rule = "evidence.endorsed";
    let without = Held { endorsements: Gathered::default(), ..snp_guest() };
    without.refuses(rule, vec![report(Profile::Snp, &[]), signed_by(&own(1))]);
    let (held, quote) = td();
    let without = Held { endorsements: Gathered::default(), ..held };
    without.refuses(rule, vec![quote, signed_by(&own(1))]);
}

/// Without AMD's list nobody knows whether an authority was withdrawn: nothing is wrong with the report, and nothing is proved by it.
#[test]
fn no_list_of_amd() {
    let parts = || vec![report(Profile::Snp, &[]), signed_by(&own(1))];
    let with = |found| Held { endorsements: Gathered::new(found, Vec::new()), ..snp_guest() };
    with(vec![chain_of_amd()]).refuses("evidence.endorsed", parts());
    // Another generation's is not asked, whatever it says.
    let Endorsed { content, .. } = list_of_amd(&[2]);
    let foreign = Endorsed { endorsement: Endorsement::AmdCrl { product: Product::Genoa }, content, ..list_of_amd(&[]) };
    with(vec![chain_of_amd(), foreign.clone()]).refuses("evidence.endorsed", parts());
    with(vec![chain_of_amd(), foreign, list_of_amd(&[])]).proves(parts());
    with(vec![chain_of_amd(), list_of_amd(&[2])]).refuses("snp.revoked", parts());
}

/// It does not name its generation: the certificate of its key does.
#[test]
fn report_of_version_2() {
    let old: &[(usize, &[u8])] = &[(0x00, &[2]), (0x188, &[0, 0, 0])];
    let parts = || vec![report(Profile::Snp, old), signed_by(&own(1))];
    snp_guest().proves(parts());
    let without = Held { endorsements: Gathered::new(vec![chain_of_amd()], Vec::new()), ..snp_guest() };
    without.refuses("evidence.endorsed", parts());
}

/// What is asked of AMD: the list always, certificates that no host's table replaces.
#[test]
fn what_a_report_needs() {
    let asked = |fields: &[(usize, &[u8])], table: &[&[u8]]| {
        let Part::SnpReport { report, .. } = report(Profile::Snp, fields) else { unreachable!() };
        let parts = vec![Part::SnpReport { report, certificates: snp::table(table) }];
        let evidence = Evidence { node: String::new(), profile: String::new(), boot_id: String::new(), pod_log: PodLogHead::NONE, parts };
        needs(&evidence).iter().map(|endorsement| endorsement.to_string().split("-vcek-").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let old: &[(usize, &[u8])] = &[(0x00, &[2]), (0x188, &[0, 0, 0])];
    let vcek = snp::certificates().remove(0);
    let each = |of: &[&str]| of.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(asked(&[], &[]), each(&["amd-milan", "amd-milan-chain", "amd-milan-crl"]));
    assert_eq!(asked(&[], &[&vcek]), each(&["amd-milan-chain", "amd-milan-crl"]), "a table with the key's certificate alone");
    assert_eq!(asked(&[], &[b"what else a host has"]), asked(&[], &[]));
    assert_eq!(asked(&[(0x1a0, &[0; 64])], &[]), each(&["amd-milan-chain", "amd-milan-crl"]), "a chip that the host hides");
    assert_eq!(asked(&[(0x48, &[4])], &[]), each(&["amd-milan-vlek-chain", "amd-milan-crl"]), "a provider's key");
    assert_eq!(asked(old, &[&vcek]), each(&["amd-milan-chain", "amd-milan-crl"]));
    let either = ["amd-milan", "amd-genoa", "amd-milan-chain", "amd-genoa-chain", "amd-milan-crl", "amd-genoa-crl"];
    assert_eq!(asked(old, &[]), each(&either));
}

#[test]
fn keys_of_no_profile() {
    let rule = "node.key";
    let long = vec![b'i'; 129];
    let cases: [(Profile, &[u8]); 6] = [
        (Profile::Snp, b"no key"),
        (Profile::Tdx, &[]),
        (Profile::NitroTpm, &[]),
        (Profile::NitroTpm, b"i-1 "),
        (Profile::NitroTpm, &[0xff]),
        (Profile::NitroTpm, &long),
    ];
    for (profile, bytes) in cases {
        let mut checks = Checks::owing(&[]);
        assert!(NodeKey::appraise(profile, bytes, &mut checks).is_none());
        assert_eq!(checks.finish()[0].rule.name, rule);
    }
}
