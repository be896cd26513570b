use super::forge::{Line, appraise, binary, buffer, file, node, registers, sha1, violation};
use crate::ima::{Extension, Keyring, List, ListError, Survey, Template, appraise_survey};
use crate::tpm::HashAlgorithm;
use podseal_protocol::Digest;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn survey(list: List<'_>) -> Result<Survey, ListError> {
    let mut seen = 0;
    let survey = Survey::of(list, &[HashAlgorithm::Sha256], &Keyring::default(), |_, _| seen += 1)?;
    assert_eq!(survey.entries, seen);
    assert_eq!(survey.entries, survey.matches + survey.mismatches.len() + survey.violations + survey.unreadable);
    Ok(survey)
}

/// The line that the kernel would print for an `ima-ng` entry.
fn ng(name: &str, contents: &[u8]) -> String {
    format!("10 {} ima-ng sha256:{} {name}\n", hex(&sha1(&file(name, contents).data)), Digest::of(contents))
}

#[test]
fn both_forms_lead_to_the_same_register() {
    let lines = [file("/bin/a b", b"a"), buffer(".ima", &Digest::of(b"key").0, b"key"), violation("/bin/c")];
    let second = format!("10 {} ima-buf sha256:{} .ima {}\n", hex(&sha1(&lines[1].data)), Digest::of(b"key"), hex(b"key"));
    let third = format!("10 {} ima-ng sha256:{} /bin/c\n", "0".repeat(40), "0".repeat(64));
    let text = [ng("/bin/a b", b"a"), second, third].concat();
    let wanted = registers(&lines, true).get(10).unwrap().to_vec();
    let bytes = binary(&lines);
    for list in [List::Ascii(text.as_bytes()), List::Ascii(text.trim_end().as_bytes()), List::Binary(&bytes)] {
        let survey = survey(list).unwrap();
        assert_eq!((survey.entries, survey.matches, survey.violations, survey.buffer_matches), (3, 2, 1, 1));
        assert_eq!(survey.names, ["/bin/a b", ".ima", "/bin/c"]);
        assert_eq!(survey.first, Some((format!("sha256:{}", Digest::of(b"a")), "/bin/a b".to_owned())));
        let replay = survey.registers.iter().find(|replay| replay.extension() == Extension::Rehashed).unwrap();
        assert_eq!(replay.value().unwrap(), wanted);
    }
}

#[test]
fn old_template_has_a_name_of_256_bytes() {
    let digest = sha1(b"contents");
    let mut data = [&digest[..], b"/init"].concat();
    data.resize(276, 0);
    let entry = [&10_u32.to_le_bytes()[..], &sha1(&data), &3_u32.to_le_bytes(), b"ima", &digest, &5_u32.to_le_bytes(), b"/init"].concat();
    let text = format!("10 {} ima {} /init\n", hex(&sha1(&data)), hex(&digest));
    for list in [List::Binary(&entry), List::Ascii(text.as_bytes())] {
        let survey = survey(list).unwrap();
        assert_eq!((survey.matches, survey.mismatches.len()), (1, 0));
        assert_eq!(survey.last, Some((hex(&digest), "/init".to_owned())));
    }
}

#[test]
fn template_digest_of_another_length_names_its_algorithm() {
    let data = file("/init", b"contents").data;
    let line = |digest: &str| format!("10 {digest} ima-ng sha256:{} /init\n", Digest::of(b"contents"));
    assert_eq!(survey(List::Ascii(line(&Digest::of(&data).to_string()).as_bytes())).unwrap().matches, 1);
    assert_eq!(survey(List::Ascii(line(&"12".repeat(22)).as_bytes())).unwrap().mismatches, [0]);
}

#[test]
fn an_altered_entry_and_an_altered_buffer() {
    let mut text = ng("/init", b"contents");
    text.insert(text.len() - 1, 'x');
    let altered = survey(List::Ascii([ng("/bin/a", b"a"), text].concat().as_bytes())).unwrap().mismatches;
    assert_eq!(altered, [1]);
    let bytes = binary(&[buffer(".ima", &Digest::of(b"key").0, b"another key")]);
    let read = survey(List::Binary(&bytes)).unwrap();
    assert_eq!(read.buffer_mismatches, [0]);
    assert_eq!(appraise(&[], |checks| appraise_survey(&read, checks).then_some(())).1, ["ima.buffer_digest"]);
}

#[test]
fn unknown_templates() {
    let lines = [file("/init", b"contents"), Line { template: "evm-sig", ..file("/bin/a", b"a") }];
    let bytes = binary(&lines);
    let read = survey(List::Binary(&bytes)).unwrap();
    assert_eq!((read.matches, read.unreadable), (2, 0));
    assert_eq!(read.registers[0].value().unwrap(), registers(&lines, true).get(10).unwrap());
    let text = [ng("/init", b"contents"), format!("10 {} evm-sig what ever\n", "12".repeat(20))].concat();
    let read = survey(List::Ascii(text.as_bytes())).unwrap();
    assert_eq!((read.matches, read.unreadable, read.names.len()), (1, 1, 1));
    assert_eq!(read.registers[0].value(), None, "nobody knows what was extended");
    assert_eq!(Template::named(b"a\nb"), None);
}

#[test]
fn white_space_behind_a_list_is_told() {
    assert_eq!(survey(List::Binary(&[binary(&node()), b"\n".to_vec()].concat())).unwrap().trailing, 1);
}

#[test]
fn what_is_no_list() {
    let bytes = binary(&node());
    for end in (1..bytes.len()).filter(|end| ![&node()[..1], &node()[..2]].iter().any(|part| binary(part).len() == *end)) {
        let whole = survey(List::Binary(&bytes[..end])).is_ok_and(|survey| survey.trailing == 0);
        assert!(!whole, "{end}");
    }
    let good = ng("/init", b"contents");
    for (what, text) in [
        ("register", good.replacen("10 ", "x ", 1)),
        ("register", good.replacen("10 ", "256 ", 1)),
        ("template digest", format!("10 12 ima-ng sha256:{} /init", "12".repeat(32))),
        ("fields", good.replace("sha256:", "sha256")),
        ("fields", good.replace(" /init", "")),
        ("register", format!("{good}\n")),
    ] {
        let position = usize::from(text.ends_with("\n\n"));
        assert_eq!(survey(List::Ascii(text.as_bytes())).unwrap_err(), ListError::Field { position, what }, "{text}");
    }
    assert_eq!(survey(List::Ascii(b"")).unwrap_err(), ListError::Empty);
    let mut huge = bytes.clone();
    huge[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(survey(List::Binary(&huge)), Err(ListError::Truncated { position: 0, .. })));
}

#[test]
fn never_panics() {
    let bytes = binary(&[node(), vec![buffer(".ima", &[7; 32], b"key")]].concat());
    let text = [ng("/init", b"contents"), ng("/bin/a", b"a")].concat().into_bytes();
    for whole in [&bytes, &text] {
        for at in 0..whole.len() {
            for byte in [0, b' ', b'\n', b':', 0x7f, 0xff] {
                let mut altered = whole.clone();
                altered[at] = byte;
                for bytes in [&altered[..], &altered[..at]] {
                    let _ = survey(List::Binary(bytes));
                    let _ = survey(List::Ascii(bytes));
                }
            }
        }
    }
}
