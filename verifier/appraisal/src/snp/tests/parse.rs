use super::forge::{chips, report};
use crate::snp::{CertificateTable, Report, ReportError, TableError};

#[test]
fn report_ends_exactly() {
    let honest = report(&chips()[0], &[]);
    assert!(Report::parse(&honest).is_ok());
    for length in [0, 1, 0x29f, 0x49f] {
        assert_eq!(Report::parse(&honest[..length]), Err(ReportError::Length { found: length }));
    }
    assert_eq!(Report::parse(&[&honest[..], &[0]].concat()), Err(ReportError::Length { found: 0x4a1 }));
    for version in [0_u32, 6, 0x100, u32::MAX] {
        let strange = report(&chips()[0], &[(0, &version.to_le_bytes())]);
        assert_eq!(Report::parse(&strange), Err(ReportError::Version { found: version }));
    }
}

const VCEK: [u8; 16] = [0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd];
const MIXED: [u8; 16] = [0x8d, 0x75, 0xda, 0x63, 0x64, 0xe6, 0x64, 0x45, 0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd];

/// A table of these entries over `data`, which begins behind the entry of zeros.
fn table(entries: &[([u8; 16], u32, u32)], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (guid, offset, length) in entries {
        out.extend([&guid[..], &offset.to_le_bytes(), &length.to_le_bytes()].concat());
    }
    [&out[..], &[0; 24], data].concat()
}

#[test]
fn table_in_both_byte_orders() {
    let both = table(&[(VCEK, 96, 2), (MIXED, 98, 3), ([7; 16], 101, 1)], &[1, 2, 3, 4, 5, 6, 0, 0]);
    assert_eq!(CertificateTable::parse(&both).unwrap().entries, [&[1, 2][..], &[3, 4, 5]]);
    assert!(CertificateTable::parse(&[]).unwrap().entries.is_empty());
    assert!(CertificateTable::parse(&[0; 4096]).unwrap().entries.is_empty());
}

#[test]
fn table_that_lies() {
    let range = |offset, length| Err(TableError::Range { offset, length });
    for (what, entries, wanted) in [
        ("beyond the end", vec![(VCEK, 48, 5)], range(48, 5)),
        ("far beyond", vec![(VCEK, u32::MAX, u32::MAX)], range(u32::MAX, u32::MAX)),
        ("inside the entries", vec![(VCEK, 24, 28)], range(24, 28)),
        ("shared", vec![(VCEK, 72, 4), (MIXED, 74, 2)], range(74, 2)),
        ("unclaimed", vec![(VCEK, 48, 2)], Err(TableError::Trailing { offset: 50 })),
    ] {
        assert_eq!(CertificateTable::parse(&table(&entries, &[1, 2, 3, 4])), wanted, "{what}");
    }
    assert_eq!(CertificateTable::parse(&[1; 24 * 40]), Err(TableError::Range { offset: 0x0101_0101, length: 0x0101_0101 }));
    assert_eq!(CertificateTable::parse(&[9; 5]), Err(TableError::Endless));
    let empty = [VCEK, [0; 16]].concat()[..24].to_vec().repeat(20);
    assert_eq!(CertificateTable::parse(&empty), Err(TableError::Endless));
}
