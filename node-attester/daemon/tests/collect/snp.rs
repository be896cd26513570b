use std::path::Path;

use podseal_node_attester::collect::{
    certificates::{Kind, TableError, entries},
    snp::{about, answers},
};

/// A report by its offsets: version 3, VMPL 1, a Milan whose reported TCB is 3, 0, 8, 115.
pub(crate) fn report(data: &[u8]) -> Vec<u8> {
    let mut report = vec![0; 0x4a0];
    report[0] = 3;
    report[0x30] = 1;
    report[0x34] = 1;
    report[0x50..0x90].copy_from_slice(data);
    report[0x180..0x188].copy_from_slice(&[3, 0, 0, 0, 0, 0, 8, 115]);
    report[0x188..0x18b].copy_from_slice(&[0x19, 0x01, 0x01]);
    report[0x1a0..0x1e0].fill(0xab);
    report
}

/// A table of one VCEK, one ARK and something else.
pub(crate) fn table() -> Vec<u8> {
    let guids = ["63da758de6644564adc5f4b93be8accd", "c0b406a4a803495297433fb6014cd0ae", "11111111111111111111111111111111"];
    let mut table = Vec::new();
    for (at, guid) in guids.iter().enumerate() {
        let bytes = (0..16).map(|at| u8::from_str_radix(&guid[2 * at..2 * at + 2], 16).unwrap());
        table.extend(bytes);
        table.extend((96 + 3 * u32::try_from(at).unwrap()).to_le_bytes());
        table.extend(3_u32.to_le_bytes());
    }
    table.extend([0; 24]);
    table.extend(b"keyarkwho");
    table.resize(4096, 0);
    table
}

#[test]
fn a_report_says_what_belongs_to_it() {
    let about = about(&report(&[4; 64])).unwrap();
    assert_eq!((about.version, about.vmpl, about.vlek, about.generation.as_deref()), (3, 1, false, Some("Milan")));
    assert_eq!(about.chip_id.as_deref(), Some("ab".repeat(64).as_str()));
    let url = format!("https://kdsintf.amd.com/vcek/v1/Milan/{}?blSPL=03&teeSPL=00&snpSPL=08&ucodeSPL=115", "ab".repeat(64));
    assert_eq!(about.vcek_url.as_deref(), Some(url.as_str()));
}

#[test]
fn turin_has_a_short_chip_id_and_one_more_level() {
    let mut report = report(&[4; 64]);
    report[0x188] = 0x1a;
    report[0x180..0x188].copy_from_slice(&[1, 2, 3, 4, 0, 0, 0, 77]);
    let url = about(&report).unwrap().vcek_url.unwrap();
    let wanted = format!("https://kdsintf.amd.com/vcek/v1/Turin/{}?blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=77&fmcSPL=01", "ab".repeat(8));
    assert_eq!(url, wanted);
}

#[test]
fn a_report_under_a_vlek_or_of_a_hidden_chip_has_no_address() {
    let mut vlek = report(&[4; 64]);
    vlek[0x48] = 1 << 2;
    let said = about(&vlek).unwrap();
    assert!(said.vlek && said.vcek_url.is_none());
    let mut hidden = report(&[4; 64]);
    hidden[0x1a0..0x1e0].fill(0);
    let said = about(&hidden).unwrap();
    assert!(said.chip_id.is_none() && said.vcek_url.is_none());
    let mut unknown = report(&[4; 64]);
    unknown[0x188] = 0x77;
    assert_eq!(about(&unknown), None, "a processor that is not known yet");
    assert_eq!(about(&[0; 10]), None);
}

#[test]
fn a_report_over_other_data_or_of_another_size_answers_nothing() {
    let path = Path::new("/entry");
    assert!(answers(path, &report(&[4; 64]), &[4; 64]).is_ok());
    let other = answers(path, &report(&[4; 64]), &[5; 64]).unwrap_err().to_string();
    assert!(other.contains("report data: found 0404"), "{other}");
    let long = [report(&[4; 64]), vec![0]].concat();
    for (report, wanted) in [(&long[..1183], "found 1183 bytes"), (&long[..], "found 1185 bytes"), (&[], "found 0 bytes")] {
        let error = answers(path, report, &[4; 64]).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_table_is_read_as_far_as_it_goes() {
    let table = table();
    let found: Vec<_> = entries(&table).unwrap().into_iter().map(|entry| (entry.kind, entry.bytes)).collect();
    assert_eq!(found, [(Kind::Vcek, b"key".as_slice()), (Kind::Ark, b"ark"), (Kind::Other, b"who")]);
    assert_eq!(entries(&[0; 24]).unwrap(), []);
}

#[test]
fn a_table_that_points_outside_or_does_not_end_is_refused() {
    for (at, value) in [(16, u32::MAX), (20, u32::MAX), (16, 4094), (20, 4001)] {
        let mut table = table();
        table[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(matches!(entries(&table), Err(TableError::Outside { size: 4096, .. })), "{at} {value}");
    }
    let entry = [vec![1; 16], vec![0; 8]].concat();
    for endless in [&entry.repeat(3)[..], &entry[..23], &[]] {
        assert_eq!(entries(endless), Err(TableError::Endless { found: endless.len() }));
    }
    let many = [entry.repeat(17), vec![0; 24]].concat();
    assert_eq!(entries(&many), Err(TableError::Endless { found: many.len() }), "seventeen entries");
    assert_eq!(entries(&many[24..]).unwrap().len(), 16);
}
