use super::forge::{boot, entry, log, log_with_header, replay, sha1_event, variable};
use crate::eventlog::{Description, EventLog, LogError, describe, secure_boot, secure_boot_of_td};
use crate::tpm::HashAlgorithm;
use crate::tpm::buffer::StructureError;
use podseal_protocol::Limits;
use proptest::prelude::*;

#[test]
fn filling_behind_the_log_is_ignored() {
    let bytes = log(&boot());
    let plain = replay(&bytes).unwrap();
    for filling in [0, 0xff] {
        let filled = replay(&[bytes.clone(), vec![filling; 456]].concat()).unwrap();
        assert_eq!(filled.registers(), plain.registers());
    }
    assert!(replay(&[&bytes[..], &[1; 20]].concat()).is_err());
}

#[test]
fn limits_hold() {
    let bytes = log(&boot());
    let few = Limits { events: 5, ..Limits::DEFAULT };
    assert_eq!(EventLog::parse(&bytes, &few).unwrap_err(), LogError::TooManyEvents { limit: 5 });
    assert!(EventLog::parse(&bytes, &Limits { events: 6, ..Limits::DEFAULT }).is_ok());
    let small = Limits { evidence_part: 10, ..Limits::DEFAULT };
    assert_eq!(EventLog::parse(&bytes, &small).unwrap_err(), LogError::TooLarge { found: bytes.len(), limit: 10 });
}

#[test]
fn header_that_contradicts_itself() {
    for (what, algorithms) in [
        ("none", &[][..]),
        ("seventeen", &[(0x0b, 32); 17]),
        ("wrong size", &[(0x0b, 31)]),
        ("no size", &[(0x99, 0)]),
        ("huge size", &[(0x99, 0xffff)]),
        ("twice", &[(0x0b, 32), (0x0b, 32)]),
    ] {
        assert!(matches!(replay(&log_with_header(algorithms, &[])).unwrap_err(), LogError::Header { .. }), "{what}");
    }
    assert_eq!(replay(&log_with_header(&[(0x04, 20)], &boot())).unwrap_err(), LogError::Digests { position: 1 });
    assert_eq!(replay(&log_with_header(&[(0x04, 20)], &[])).unwrap_err(), LogError::NoBank { bank: "sha256" });
}

#[test]
fn no_register_above_23() {
    assert_eq!(replay(&log(&[entry(24, 4, &[0; 4])])).unwrap_err(), LogError::Register { position: 1, found: 24 });
    assert!(replay(&log(&[entry(u32::MAX, 3, b"a message")])).is_ok());
}

#[test]
fn empty_and_sha1_only_logs_cannot_serve() {
    assert_eq!(replay(&[]).unwrap_err(), LogError::Empty);
    assert_eq!(replay(&[0; 64]).unwrap_err(), LogError::Empty);
    assert_eq!(replay(&sha1_event(4, 0x0d, b"boot")).unwrap_err(), LogError::NoBank { bank: "sha256" });
}

#[test]
fn size_beyond_the_log_is_an_error_not_an_allocation() {
    let mut bytes = sha1_event(4, 0x0d, b"boot");
    bytes[28..32].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = StructureError::Truncated { what: "boot log", wanted: u32::MAX as usize, left: 4 };
    assert_eq!(replay(&bytes).unwrap_err(), LogError::Event { position: 0, error });
}

fn described(entries: &[super::forge::Entry]) -> Vec<Description> {
    let bytes = log(entries);
    let parsed = EventLog::parse(&bytes, &Limits::DEFAULT).unwrap();
    let bank = HashAlgorithm::Sha256;
    parsed.events()[1..].iter().map(|event| describe(event, bank, parsed.digest(event, bank).unwrap())).collect()
}

#[test]
fn events_in_words() {
    let mut lying = entry(9, 0x0d, b"a harmless text");
    lying.measured = b"something else".to_vec();
    let mut boot_order = entry(1, 0x8000_0002, &variable("BootOrder", &[0, 0, 1, 0]));
    boot_order.measured = vec![0, 0, 1, 0];
    let hostile = entry(8, 0x0d, "grub_cmd: \u{1b}[2J \u{202e}x".as_bytes());
    let described = described(&[&boot()[..], &[lying, boot_order, hostile]].concat());
    let text = described.iter().map(|one| (one.text.as_str(), one.covered)).collect::<Vec<_>>();
    assert_eq!(
        text,
        [
            ("EV_S_CRTM_VERSION: firmware 1.2", true),
            ("EV_EFI_VARIABLE_DRIVER_CONFIG: SecureBoot = 1", true),
            ("EV_SEPARATOR: end of the firmware's part", true),
            ("EV_IPL: grub_cmd: linux /vmlinuz root=/dev/sda1", true),
            ("EV_IPL: initrd", true),
            ("EV_IPL: a harmless text", false),
            ("EV_EFI_VARIABLE_BOOT: BootOrder, 4 bytes", true),
            ("EV_IPL: 19 bytes of data", true),
        ]
    );
}

fn everything(bytes: &[u8]) {
    let _ = replay(bytes);
    let Ok(parsed) = EventLog::parse(bytes, &Limits::DEFAULT) else { return };
    for bank in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
        let _ = (secure_boot(&parsed, bank), secure_boot_of_td(&parsed, bank));
        for event in parsed.events() {
            let _ = describe(event, bank, parsed.digest(event, bank).unwrap_or_default());
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        everything(&bytes);
    }

    #[test]
    fn arbitrary_event_data_never_panics(kind in prop::sample::select(vec![1_u32, 3, 4, 13, 0x8000_0001, 0x8000_0003]), data in proptest::collection::vec(any::<u8>(), 0..120)) {
        everything(&log(&[entry(7, kind, &data)]));
    }

    #[test]
    fn mutated_logs_never_panic(position in any::<prop::sample::Index>(), byte: u8, end in any::<prop::sample::Index>()) {
        let mut bytes = log(&boot());
        let (position, end) = (position.index(bytes.len()), end.index(bytes.len()));
        bytes[position] = byte;
        everything(&bytes);
        everything(&bytes[..end]);
    }
}
