use super::forge::Scene;
use super::run;
use crate::check::{Checks, Verdict};
use crate::eventlog::EventLog;
use crate::tdx::ccel::{CcelError, CcelTable, Rtmrs, SecureBoot, appraise_hand_over, appraise_rtmrs};
use podseal_protocol::Limits;
use sha2::{Digest as _, Sha384};

const ACTION: u32 = 0x8000_0007;
const DRIVER_CONFIG: u32 = 0x8000_0001;
const SEPARATOR: u32 = 4;
/// Place of the event in [`boot`].
const HANDED_OVER: usize = 4;
const RTMR0: usize = 328;

fn header() -> Vec<u8> {
    let data = [&b"Spec ID Event03\0"[..], &[0, 0, 0, 0, 0, 2, 0, 2, 1, 0, 0, 0, 0x0c, 0, 48, 0, 0]].concat();
    [&1_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), &[0; 20], &u32::try_from(data.len()).unwrap().to_le_bytes(), &data].concat()
}

fn event(register: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let digest = Sha384::digest(data);
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    [&register.to_le_bytes()[..], &kind.to_le_bytes(), &1_u32.to_le_bytes(), &[0x0c, 0], &digest, &size, data].concat()
}

fn variable(name: &str, contents: &[u8]) -> Vec<u8> {
    let name = name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    // EFI_GLOBAL_VARIABLE
    let global = 0x8c2b_0398_e000_0daa_11d2_93ca_8be4_df61_u128.to_le_bytes();
    [&global[..], &(name.len() as u64 / 2).to_le_bytes(), &(contents.len() as u64).to_le_bytes(), &name, contents].concat()
}

fn boot() -> Vec<(u32, u32, Vec<u8>)> {
    vec![
        (1, DRIVER_CONFIG, variable("SecureBoot", &[1])),
        (1, DRIVER_CONFIG, variable("PK", &[7; 30])),
        (1, SEPARATOR, vec![0; 4]),
        (2, ACTION, b"Exit Boot Services Invocation".to_vec()),
        (2, ACTION, b"Exit Boot Services Returned with Success".to_vec()),
        (3, 0x0d, b"kernel".to_vec()),
    ]
}

fn log(events: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    [header(), events.iter().flat_map(|(register, kind, data)| event(*register, *kind, data)).collect()].concat()
}

/// The registers after `events`, computed apart from the crate's replay.
fn registers(events: &[(u32, u32, Vec<u8>)]) -> [[u8; 48]; 4] {
    let mut registers = [[0; 48]; 4];
    for (register, _, data) in events {
        let value = &mut registers[*register as usize - 1];
        *value = Sha384::digest([&value[..], &Sha384::digest(data)].concat()).into();
    }
    registers
}

/// The rules at which `log` fails beside a verified quote of these registers.
fn compared(bytes: &[u8], quoted: &[[u8; 48]; 4]) -> Vec<&'static str> {
    let mut scene = Scene::honest();
    scene.body[RTMR0..RTMR0 + 192].copy_from_slice(&quoted.concat());
    let facts = run(&scene).facts.unwrap();
    let log = EventLog::parse(bytes, &Limits::DEFAULT).unwrap();
    let mut checks = Checks::owing(&[]);
    if appraise_rtmrs(&Rtmrs::replay(&log).unwrap(), facts.body(), &mut checks) {
        appraise_hand_over(&log, &mut checks);
    }
    checks.finish().into_iter().filter(|check| check.verdict == Verdict::Fail).map(|check| check.rule.name).collect()
}

#[test]
fn log_of_the_quotes_boot() {
    let quoted = registers(&boot());
    for filling in [vec![], vec![0xff; 300], vec![0; 300]] {
        assert_eq!(compared(&[log(&boot()), filling].concat(), &quoted), [""; 0]);
    }
    // What the system extends into RTMR 3 later, no boot log tells.
    let mut later = quoted;
    later[3] = [5; 48];
    assert_eq!(compared(&log(&boot()), &later), [""; 0]);
}

#[test]
fn log_of_another_boot() {
    let quoted = registers(&boot());
    for register in 0..3 {
        let mut other = quoted;
        other[register][47] ^= 1;
        assert_eq!(compared(&log(&boot()), &other), ["ccel.rtmrs"]);
    }
    for left_out in 0..boot().len() {
        let mut events = boot();
        events.remove(left_out);
        assert_eq!(compared(&log(&events), &quoted), ["ccel.rtmrs"], "without event {left_out}");
    }
    let mut events = boot();
    events.push((4, 0x0d, b"later".to_vec()));
    assert_eq!(compared(&log(&events), &quoted), ["ccel.rtmrs"], "an event of RTMR 3 that was not extended");
}

#[test]
fn exit_boot_services_missing() {
    let mut events = boot();
    events.remove(HANDED_OVER);
    assert_eq!(compared(&log(&events), &registers(&events)), ["ccel.exit_boot_services"]);
    // In another register, or as another type of event, it says nothing.
    for (register, kind) in [(3, ACTION), (2, 0x0d)] {
        let mut events = boot();
        (events[HANDED_OVER].0, events[HANDED_OVER].1) = (register, kind);
        assert_eq!(compared(&log(&events), &registers(&events)), ["ccel.exit_boot_services"]);
    }
}

#[test]
fn registers_that_no_td_has() {
    for register in [0, 5, 23] {
        let bytes = log(&[(register, 0x0d, b"x".to_vec())]);
        let log = EventLog::parse(&bytes, &Limits::DEFAULT).unwrap();
        assert_eq!(Rtmrs::replay(&log), Err(CcelError::Register { position: 1, found: register }));
    }
}

#[test]
fn secure_boot_as_the_log_tells_it() {
    let of = |events: &[(u32, u32, Vec<u8>)]| SecureBoot::of(&EventLog::parse(&log(events), &Limits::DEFAULT).unwrap());
    let told = of(&boot());
    assert_eq!((told.on, told.databases.get("PK")), (Some(true), Some(&30)));
    let twice = [boot(), vec![(1, DRIVER_CONFIG, variable("SecureBoot", &[0]))]].concat();
    assert_eq!(of(&twice).on, None, "whoever measures it again contradicts the firmware");
    let mut late = boot();
    late.swap(0, 2);
    assert_eq!(of(&late).on, None, "what comes behind the firmware's separator is not its word");
}

#[test]
fn acpi_table() {
    let mut table = [&b"CCEL"[..], &56_u32.to_le_bytes(), &[1, 0], &[0x20; 26], &[2, 0, 0, 0], &0x4_0000_u64.to_le_bytes()].concat();
    table.extend(0xbedb_f000_u64.to_le_bytes());
    table[9] = table.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
    assert_eq!(CcelTable::parse(&table).unwrap(), CcelTable { area: 0x4_0000, address: 0xbedb_f000 });
    for position in 0..table.len() {
        let mut flipped = table.clone();
        flipped[position] ^= 4;
        assert!(CcelTable::parse(&flipped).is_err(), "byte {position}");
        assert!(CcelTable::parse(&table[..position]).is_err());
    }
}
