use super::forge::{Line, appraise, binary, boot_aggregate, file, node, registers, violation};
use crate::ima::{LIST_RULES, List, appraise_list};
use crate::tpm::PcrValues;
use podseal_protocol::Bank;

fn failures(bytes: &[u8], quoted: &PcrValues) -> Vec<&'static str> {
    appraise(&LIST_RULES, |checks| appraise_list(List::Binary(bytes), quoted, checks)).1
}

fn proved(lines: &[Line], quoted: &PcrValues) -> usize {
    let bytes = binary(lines);
    let (list, failed) = appraise(&LIST_RULES, |checks| appraise_list(List::Binary(&bytes), quoted, checks));
    assert_eq!(failed, [""; 0]);
    let list = list.unwrap();
    assert_eq!(list.entries().count(), list.proved());
    list.proved()
}

#[test]
fn honest_lists_of_new_and_old_kernels() {
    let lines = [node(), vec![violation("/var/log/messages")]].concat();
    assert_eq!(proved(&lines, &registers(&lines, true)), 4);
    let mut old = node();
    old[0] = boot_aggregate(7);
    assert_eq!(proved(&old, &registers(&old, false)), 3);
}

#[test]
fn what_was_measured_after_the_quote_is_not_proved() {
    assert_eq!(proved(&node(), &registers(&node()[..2], true)), 2);
}

#[test]
fn ima_list_truncated() {
    let quoted = registers(&node(), true);
    let bytes = binary(&node());
    for length in 1..node().len() {
        assert_eq!(failures(&binary(&node()[..length]), &quoted), ["ima.replays"]);
    }
    assert_eq!(failures(&bytes[..bytes.len() - 1], &quoted), ["ima.well_formed"]);
    assert_eq!(failures(&[], &quoted), ["ima.well_formed"]);
}

#[test]
fn an_entry_left_out_added_or_moved() {
    let quoted = registers(&node(), true);
    let mut without = node();
    without.remove(1);
    let mut more = node();
    more.insert(1, file("/usr/bin/other", b"never ran"));
    let mut moved = node();
    moved.swap(1, 2);
    for lines in [without, more, moved] {
        assert_eq!(failures(&binary(&lines), &quoted), ["ima.replays"]);
    }
}

#[test]
fn an_entry_changed_beside_its_digest() {
    let quoted = registers(&node(), false);
    let mut bytes = binary(&node());
    *bytes.iter_mut().rev().nth(1).unwrap() ^= 1;
    // What an old kernel extended is the template digest alone: it still replays.
    assert_eq!(failures(&bytes, &quoted), ["ima.template_digest"]);
}

#[test]
fn a_list_of_no_boot_or_of_another() {
    let mut other = node();
    other[0] = file("boot_aggregate", b"another boot");
    let none = &node()[1..];
    for lines in [&other, none] {
        assert_eq!(failures(&binary(lines), &registers(lines, true)), ["ima.boot_aggregate"]);
    }
    let eight = [vec![boot_aggregate(8)], node()].concat();
    assert_eq!(failures(&binary(&eight), &registers(&eight, true)), ["ima.boot_aggregate"]);
}

#[test]
fn another_register_is_not_appraised() {
    let mut lines = node();
    lines.push(Line { pcr: 11, ..file("/usr/bin/runc", b"another") });
    assert_eq!(failures(&binary(&lines), &registers(&lines, true)), ["ima.register"]);
}

#[test]
fn a_quote_without_pcr_10_proves_no_list() {
    let all = registers(&node(), true);
    let mut quoted = PcrValues::new(Bank::Sha256);
    for (index, value) in all.iter().filter(|(index, _)| *index < 10) {
        assert!(quoted.insert(index, value));
    }
    assert_eq!(failures(&binary(&node()), &quoted), ["ima.replays"]);
}
