//! Every rule of the crate has a test that attacks it: `attacked.txt` says which, and this checks that it is so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// `RULE TEST`, or `RULE elsewhere` for a rule that another crate records.
const ATTACKED: &str = include_str!("attacked.txt");

fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    for path in all {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
}

fn read(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found
}

/// Name of each `static …: Rule` and its identifier.
fn rules() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, text) in read("src") {
        for declaration in text.split("static ").skip(1) {
            let Some((identifier, rest)) = declaration.split_once(": Rule =") else { continue };
            if identifier.contains(char::is_whitespace) {
                continue;
            }
            let name = rest.split_once("name: \"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
            assert!(found.insert(name.to_owned(), identifier.to_owned()).is_none(), "{name} twice, in {}", path.display());
        }
    }
    found
}

fn registry() -> BTreeMap<&'static str, &'static str> {
    let lines = ATTACKED.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs: Vec<_> = lines.map(|line| line.split_once(char::is_whitespace).map(|(rule, test)| (rule, test.trim())).unwrap()).collect();
    let found: BTreeMap<_, _> = pairs.iter().copied().collect();
    assert_eq!(found.len(), pairs.len(), "a rule stands twice in attacked.txt");
    found
}

#[test]
fn every_rule_is_attacked_by_a_test() {
    let declared: BTreeSet<_> = rules().into_keys().collect();
    let attacked: BTreeSet<_> = registry().into_keys().map(str::to_owned).collect();
    assert!(declared.len() > 80, "the scan finds the rules");
    assert_eq!(declared.difference(&attacked).collect::<Vec<_>>(), [""; 0], "rules that no line of attacked.txt has");
    assert_eq!(attacked.difference(&declared).collect::<Vec<_>>(), [""; 0], "lines of attacked.txt that are no rule");
}

/// The test is there, is a test, and names the rule.
#[test]
fn every_attack_exists_and_names_its_rule() {
    let texts: Vec<_> = [read("tests"), read("src")].concat();
    for (rule, test) in registry().into_iter().filter(|(_, test)| *test != "elsewhere") {
        let bodies: Vec<_> = texts.iter().flat_map(|(_, text)| bodies(text, test)).collect();
        assert!(!bodies.is_empty(), "there is no test {test}, which is to attack {rule}");
        assert!(bodies.iter().any(|body| body.contains(&format!("\"{rule}\""))), "{test} does not name {rule}");
    }
}

/// Bodies of the tests of that name, at the top of a file or in a module of its own.
fn bodies<'a>(text: &'a str, test: &str) -> Vec<&'a str> {
    let at = |indent: &str| {
        let (head, end) = (format!("\n{indent}#[test]\n{indent}fn {test}() {{\n"), format!("\n{indent}}}\n"));
        text.split_once(&head).and_then(|(_, rest)| rest.split_once(&end)).map(|(body, _)| body)
    };
    [at(""), at("    ")].into_iter().flatten().collect()
}

/// What is attacked elsewhere is decided elsewhere: nothing in this crate records it.
#[test]
fn rules_attacked_elsewhere_are_not_recorded_here() {
    let rules = rules();
    for (rule, _) in registry().into_iter().filter(|(_, test)| *test == "elsewhere") {
        let identifier = &rules[rule];
        for (path, text) in read("src") {
            let used = text.matches(&format!("&{identifier},")).count() + text.matches(&format!("rules::{identifier}")).count();
            assert_eq!(used, 0, "{rule} is recorded in {}: attack it here", path.display());
        }
    }
}
