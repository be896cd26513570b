#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod launch;
mod registers;

use std::ops::Range;

use super::*;
use crate::{
    check::{Check, Verdict, first_obstacle, worst},
    eventlog::EventKind,
};

const NOW: u64 = 1_750_000_000;
/// 2030-01-01T00:00:00Z.
const EXPIRES: u64 = 1_893_456_000;

/// A measured boot: events in log order as (register, text), the registers replayed from them.
struct Boot0 {
    quoted: PcrValues,
    layout: Layout,
    proved: PcrSet,
    events: Vec<ReplayedEvent>,
    texts: Vec<&'static str>,
    secure_boot: Claim<bool>,
}

const GOLDEN: &[(u8, &str)] = &[
    (0, "crtm version 7"),
    (0, "firmware volume"),
    (1, "boot order"),
    (2, "option rom"),
    (3, "option rom settings"),
    (7, "SecureBoot = 1"),
    (4, "shim"),
    (4, "kernel"),
    (8, "grub_cmd: linux /vmlinuz ro quiet"),
    (9, "/initrd.img"),
];

fn boot(events: &[(u8, &'static str)]) -> Boot0 {
    boot_in(Bank::Sha256, Layout::Tpm, 0..10, events)
}

fn boot_in(bank: Bank, layout: Layout, quotes: Range<u8>, events: &[(u8, &'static str)]) -> Boot0 {
    let mut registers = [bank.zero(); 24];
    let mut replayed = Vec::new();
    for (position, (pcr, text)) in events.iter().enumerate() {
        let digest = bank.digest(text.as_bytes());
        let register = &mut registers[usize::from(*pcr)];
        *register = bank.digest(&[register.as_ref(), digest.as_ref()].concat());
        replayed.push(ReplayedEvent { position: position + 1, pcr: *pcr, kind: EventKind::IPL, digest });
    }
    let mut quoted = PcrValues::new(bank);
    for pcr in quotes {
        assert!(quoted.insert(pcr, registers[usize::from(pcr)].as_ref()));
    }
    let texts = events.iter().map(|(_, text)| *text).collect();
    Boot0 { proved: quoted.set(), quoted, layout, events: replayed, texts, secure_boot: Claim::Appraised(true) }
}

fn file(header: &str, events: &[(u8, &str)]) -> String {
    let mut toml = format!("name = \"golden\"\nexpires = 2030-01-01T00:00:00Z\n{header}\n");
    for (pcr, text) in events {
        toml.push_str(&format!("[[event]]\npcr = {pcr}\ntype = \"EV_IPL\"\ntext = \"{text}\"\n"));
    }
    toml
}

fn golden() -> Reference {
    Reference::parse(&file("", GOLDEN)).unwrap()
}

fn appraise(references: &[Reference], boot: &Boot0, now: u64) -> (Claim<Boot>, Vec<Check>) {
    appraise_launched(references, boot, None, now)
}

fn appraise_launched(references: &[Reference], boot: &Boot0, launch: Option<Launch>, now: u64) -> (Claim<Boot>, Vec<Check>) {
    let describe = |event: &ReplayedEvent| boot.texts.get(event.position - 1).map(|text| (*text).to_owned());
    let measured = Measured {
        launch,
        quoted: Some(&boot.quoted),
        layout: Some(boot.layout),
        proved: boot.proved,
        events: boot.events.iter().collect(),
        secure_boot: boot.secure_boot.clone(),
        describe: &describe,
    };
    let mut checks = Checks::owing(&[]);
    let claim = compare(references, &measured, now, &mut checks).reach;
    (claim, checks.finish())
}

#[track_caller]
fn differs(rule: &str, references: &[Reference], boot: &Boot0) -> (Claim<Boot>, Check) {
    let (claim, checks) = appraise(references, boot, NOW);
    let obstacle = first_obstacle(&checks).unwrap().clone();
    assert_eq!((obstacle.rule.name, obstacle.verdict), (rule, Verdict::Fail));
    (claim, obstacle)
}

#[test]
fn the_golden_boot() {
    let (claim, checks) = appraise(&[golden()], &boot(GOLDEN), NOW);
    assert_eq!((claim, worst(&checks)), (Claim::Appraised(Boot::Kernel), Verdict::Pass));
}

#[test]
fn command_line_changed() {
    let mut events = GOLDEN.to_vec();
    events[8].1 = "grub_cmd: linux /vmlinuz ro init=/bin/sh";
    let (claim, check) = differs("reference.kernel", &[golden()], &boot(&events));
    assert_eq!(claim, Claim::Appraised(Boot::Firmware));
    assert!(check.found.starts_with("event 9 of the log, PCR 8, grub_cmd: linux /vmlinuz ro init=/bin/sh with digest "), "{}", check.found);
    assert!(check.expected.starts_with("in PCR 8 EV_IPL: grub_cmd: linux /vmlinuz ro quiet with digest "), "{}", check.expected);
    assert_eq!(check.origin, "reference set golden");
}

#[test]
fn firmware_changed() {
    let mut events = GOLDEN.to_vec();
    events[1].1 = "another firmware volume";
    let (claim, check) = differs("reference.firmware", &[golden()], &boot(&events));
    assert_eq!(claim, Claim::Appraised(Boot::None));
    assert!(check.found.starts_with("event 2 of the log, PCR 0"), "{}", check.found);
}

#[test]
fn one_event_more_less_or_in_another_order() {
    let mut more = GOLDEN.to_vec();
    more.push((4, "second kernel"));
    let (_, check) = differs("reference.kernel", &[golden()], &boot(&more));
    assert_eq!(check.expected, "no further event in PCR 4");
    let (_, check) = differs("reference.kernel", &[golden()], &boot(&GOLDEN[..9]));
    assert_eq!(check.found, "no further event in PCR 9");
    let mut swapped = GOLDEN.to_vec();
    swapped.swap(6, 7);
    differs("reference.kernel", &[golden()], &boot(&swapped));
    let mut covered_too = GOLDEN.to_vec();
    covered_too[5].1 = "SecureBoot = 0";
    differs("reference.kernel", &[golden()], &boot(&covered_too));
}

#[test]
fn registers_by_their_total() {
    let measured = boot(GOLDEN);
    let header = (0..10).map(|pcr| format!("{pcr} = \"{}\"\n", crate::hex::encode(measured.quoted.get(pcr).unwrap())));
    let by_total = Reference::parse(&file(&format!("[pcr]\n{}", header.collect::<String>()), &[])).unwrap();
    let (claim, checks) = appraise(std::slice::from_ref(&by_total), &measured, NOW);
    assert_eq!((claim, worst(&checks)), (Claim::Appraised(Boot::Kernel), Verdict::Pass));
    let mut events = GOLDEN.to_vec();
    events[9].1 = "/other.img";
    let (_, check) = differs("reference.kernel", &[by_total], &boot(&events));
    assert!(check.expected.starts_with("PCR 9 = "));
}

#[test]
fn uncovered_register_satisfies_nothing() {
    let without = |gone: u8| Reference::parse(&file("", &GOLDEN.iter().copied().filter(|e| e.0 != gone).collect::<Vec<_>>())).unwrap();
    for pcr in [0, 1, 2, 3] {
        let (claim, checks) = appraise(&[without(pcr)], &boot(GOLDEN), NOW);
        assert!(matches!(claim, Claim::NotAppraised(_)), "PCR {pcr}");
        assert!(checks.iter().all(|check| check.rule.name != "reference.firmware"), "PCR {pcr}");
    }
    for pcr in [4, 8, 9] {
        assert_eq!(appraise(&[without(pcr)], &boot(GOLDEN), NOW).0, Claim::Appraised(Boot::Firmware), "PCR {pcr}");
    }
    assert_eq!(appraise(&[without(7)], &boot(GOLDEN), NOW).0, Claim::Appraised(Boot::Kernel));
    let (claim, checks) = appraise(&[], &boot(GOLDEN), NOW);
    assert!(matches!(claim, Claim::NotAppraised(_)) && checks.is_empty());
}

#[test]
fn events_that_nothing_proves_do_not_count() {
    let mut measured = boot(GOLDEN);
    measured.proved = PcrSet::of(&[0, 1, 2, 3, 4, 7, 9]).unwrap();
    let (claim, checks) = appraise(&[golden()], &measured, NOW);
    assert_eq!((claim, worst(&checks)), (Claim::Appraised(Boot::Firmware), Verdict::NotAppraised));
    assert_eq!(first_obstacle(&checks).unwrap().rule.name, "reference.kernel");
}

#[test]
fn expired_values() {
    assert_eq!(worst(&appraise(&[golden()], &boot(GOLDEN), EXPIRES - 1).1), Verdict::Pass);
    let (claim, checks) = appraise(&[golden()], &boot(GOLDEN), EXPIRES);
    assert_eq!(claim, Claim::Appraised(Boot::None));
    assert_eq!(first_obstacle(&checks).unwrap().rule.name, "reference.not_expired");
}

#[test]
fn secure_boot_off() {
    let demanding = [Reference::parse(&file("require_secure_boot = true", GOLDEN)).unwrap()];
    let mut measured = boot(GOLDEN);
    assert_eq!(appraise(&demanding, &measured, NOW).0, Claim::Appraised(Boot::Kernel));
    measured.secure_boot = Claim::Appraised(false);
    let (claim, _) = differs("reference.secure_boot", &demanding, &measured);
    assert_eq!(claim, Claim::Appraised(Boot::None));
    measured.secure_boot = Claim::NotAppraised("PCR 7 is not quoted");
    assert_eq!(worst(&appraise(&demanding, &measured, NOW).1), Verdict::NotAppraised);
}

#[test]
fn the_nearest_of_several_sets() {
    let mut other = GOLDEN.to_vec();
    other[0].1 = "crtm version 8";
    let named = |name: &str, events: &[(u8, &str)]| Reference::parse(&file("", events).replace("golden", name)).unwrap();
    let sets = [named("new", &other), golden(), named("firmware-only", &GOLDEN[..5])];
    let (claim, checks) = appraise(&sets, &boot(GOLDEN), NOW);
    assert_eq!((claim, checks[0].origin.as_ref()), (Claim::Appraised(Boot::Kernel), "reference set golden"));
    let mut changed = GOLDEN.to_vec();
    changed[7].1 = "another kernel";
    let (_, check) = differs("reference.kernel", &sets[..2], &boot(&changed));
    assert_eq!(check.origin, "reference set golden");
    assert_eq!(appraise(&sets, &boot(&changed), NOW).0, Claim::Appraised(Boot::Firmware));
}

#[test]
fn files_that_cannot_be_used() {
    let wrong = |toml: &str| Reference::parse(toml).unwrap_err();
    let event = |body: &str| wrong(&file(&format!("[[event]]\n{body}"), &[]));
    let unlisted = |pcr: &str| ReferenceError::Register { found: pcr.to_owned(), layout: Layout::Tpm };
    assert_eq!(wrong(&file("", &[])), ReferenceError::Nothing);
    assert!(matches!(wrong(&file("surprise = 1", GOLDEN)), ReferenceError::Toml(_)));
    assert!(matches!(wrong("name = \"a\""), ReferenceError::Toml(_)));
    assert!(matches!(event("pcr = 8\ntext = \"a\"\nsurprise = 1"), ReferenceError::Toml(_)));
    assert_eq!(event("pcr = 10\ntext = \"a\""), unlisted("10"));
    assert_eq!(event("pcr = 8"), ReferenceError::DigestOrText(1));
    assert_eq!(event("pcr = 8\ntext = \"a\"\ndigest = \"00\""), ReferenceError::DigestOrText(1));
    assert_eq!(event("pcr = 8\ndigest = \"00\""), ReferenceError::NotADigest { found: "00".to_owned(), pcr: 8, bank: Bank::Sha256 });
    let zeros = "0".repeat(64);
    assert_eq!(wrong(&file(&format!("[pcr]\n00 = \"{zeros}\""), &[])), unlisted("00"));
    assert_eq!(wrong(&file(&format!("[pcr]\n16 = \"{zeros}\""), &[])), unlisted("16"));
    assert_eq!(wrong(&file(&format!("[pcr]\n8 = \"{zeros}\""), GOLDEN)), ReferenceError::Twice(8));
    assert!(matches!(wrong(&file("", GOLDEN).replace("00Z", "00+01:00")), ReferenceError::Expires(_)));
    assert!(matches!(wrong(&file("", GOLDEN).replace("golden", "")), ReferenceError::Name(_)));
}

/// A crypto-agile log (PFP 1.06, 10.2) of this bank's digests.
fn log(bank: Bank, events: &[(u8, &str)]) -> Vec<u8> {
    let id = bank.algorithm().to_le_bytes();
    let mut spec_id = b"Spec ID Event03\0".to_vec();
    spec_id.extend([0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, id[0], id[1], u8::try_from(bank.size()).unwrap(), 0, 0]);
    let mut bytes = [0u32.to_le_bytes(), 3u32.to_le_bytes()].concat();
    bytes.extend([0; 20]);
    bytes.extend(u32::try_from(spec_id.len()).unwrap().to_le_bytes());
    bytes.extend(spec_id);
    for (pcr, text) in events {
        bytes.extend([u32::from(*pcr).to_le_bytes(), 0x0du32.to_le_bytes(), 1u32.to_le_bytes()].concat());
        bytes.extend(id);
        bytes.extend(bank.digest(text.as_bytes()).as_ref());
        bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

fn wanted(bank: Bank, layout: Layout, registers: &[u8]) -> Capture<'static> {
    Capture { name: "golden", expires: EXPIRES, bank, layout, registers: PcrSet::of(registers).unwrap(), launch: None }
}

#[test]
fn a_captured_file_accepts_the_boot_that_it_was_captured_from() {
    let wanted = wanted(Bank::Sha256, Layout::Tpm, &[0, 1, 2, 3, 4, 5, 7, 8, 9]);
    let toml = capture(&log(Bank::Sha256, GOLDEN), &wanted, &Limits::DEFAULT).unwrap();
    let captured = Reference::parse(&toml).unwrap();
    assert_eq!((captured.name(), captured.expires(), captured.registers()), ("golden", EXPIRES, wanted.registers));
    assert!(toml.contains("text = \"grub_cmd: linux /vmlinuz ro quiet\""), "{toml}");
    assert!(!toml.contains("bank") && !toml.contains("layout"), "what every file had so far: {toml}");
    assert_eq!(appraise(std::slice::from_ref(&captured), &boot(GOLDEN), NOW).0, Claim::Appraised(Boot::Kernel));
    let mut silent = GOLDEN.to_vec();
    silent.push((5, "an event where there was none"));
    let (_, check) = differs("reference.kernel", &[captured], &boot(&silent));
    assert!(check.expected.starts_with("PCR 5 = 0000"), "{}", check.expected);
    assert!(matches!(capture(&[1, 2, 3], &wanted, &Limits::DEFAULT), Err(CaptureError::Log(_))));
    let never = Capture { expires: u64::MAX, ..wanted };
    assert_eq!(capture(&log(Bank::Sha256, GOLDEN), &never, &Limits::DEFAULT), Err(CaptureError::Expires(u64::MAX)));
    let other = Capture { bank: Bank::Sha384, ..wanted };
    let error = CaptureError::Log(crate::eventlog::LogError::NoBank { bank: "sha384" });
    assert_eq!(capture(&log(Bank::Sha256, GOLDEN), &other, &Limits::DEFAULT), Err(error));
}
