use super::forge::{Line, appraise, binary, file, node, registers, violation};
use crate::ima::{AGENT_RULES, LIST_RULES, List, appraise_agent, appraise_list};
use podseal_protocol::Digest;
use std::collections::{BTreeMap, BTreeSet};

fn references() -> BTreeMap<String, BTreeSet<Digest>> {
    let of = |path: &str, contents: &[&[u8]]| (path.to_owned(), contents.iter().map(|contents| Digest::of(contents)).collect());
    BTreeMap::from([of("/usr/bin/containerd", &[b"containerd 2.1", b"containerd 2.2"]), of("/usr/bin/runc", &[b"runc 1.4"])])
}

/// The files proved, and the rules that failed.
fn agent(lines: &[Line], references: &BTreeMap<String, BTreeSet<Digest>>) -> (Option<Vec<String>>, Vec<&'static str>) {
    let bytes = binary(lines);
    let list = appraise(&LIST_RULES, |checks| appraise_list(List::Binary(&bytes), &registers(lines, true), checks)).0.unwrap();
    let (files, failed) = appraise(&AGENT_RULES, |checks| appraise_agent(&list, references, checks));
    (files.map(|files| files.iter().map(|file| format!("{} {}", file.path(), file.digest())).collect()), failed)
}

fn with(line: Line) -> Vec<Line> {
    [node(), vec![line]].concat()
}

#[test]
fn honest_agent() {
    let told = [("/usr/bin/containerd", "containerd 2.2"), ("/usr/bin/runc", "runc 1.4")];
    let told = told.map(|(path, contents)| format!("{path} {}", Digest::of(contents.as_bytes())));
    assert_eq!(agent(&node(), &references()), (Some(told.to_vec()), vec![]));
    assert_eq!(agent(&with(file("/usr/bin/runc", b"runc 1.4")), &references()).1, [""; 0], "measured twice");
    assert_eq!(agent(&with(violation("/var/log/messages")), &references()).1, [""; 0], "a violation elsewhere");
}

#[test]
fn ima_file_changed() {
    assert_eq!(agent(&with(file("/usr/bin/runc", b"runc with a hole")), &references()).1, ["ima.file_changed"]);
    let mut verity = file("/usr/bin/runc", b"");
    let digest = podseal_protocol::Digest::of(b"runc 1.4");
    let name = b"/usr/bin/runc\0";
    let field = [&b"verity:sha256:\0"[..], &digest.0].concat();
    verity.template = "ima-ngv2";
    verity.data = [&u32::try_from(field.len()).unwrap().to_le_bytes()[..], &field, &14_u32.to_le_bytes(), name].concat();
    assert_eq!(agent(&with(verity), &references()).1, ["ima.file_changed"], "a digest of another kind");
}

#[test]
fn a_file_of_the_agent_that_was_not_measured() {
    assert_eq!(agent(&node()[..2], &references()).1, ["ima.agent_measured"]);
    assert_eq!(agent(&node(), &BTreeMap::new()).1, ["ima.agent_measured"], "nothing to compare with");
}

#[test]
fn a_file_of_the_agent_that_changed_while_it_was_measured() {
    assert_eq!(agent(&with(violation("/usr/bin/runc")), &references()).1, ["ima.violation"]);
}
