//! docs/CHECKS.md: every rule that can be the reason of a refusal, from the sources. With PODSEAL_BLESS=1 it is written anew.
//!
//! Codes that are no rules (the attester's refusals, the administration's), and configuration keys, stand in docs/OPERATING.md.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::sources::all_shipped;
use crate::workspace::{document, root};

const CHECKS: &str = "docs/CHECKS.md";
const OPERATING: &str = "docs/OPERATING.md";

const HEAD: &str = "\
# Checks

Every check by its name: what demands it, and what to do when it does not pass. A refusal carries the name of the first check that did not pass;
`podseal explain AUDIT-ID` shows all of them, with what was found and what was wanted. Codes that are not checks (the attester's own, the
administration's) are in [OPERATING](OPERATING.md#reason-codes).

This file is written by `PODSEAL_BLESS=1 cargo test -p podseal-swtpm-tests --test house`, from the rules in the sources; the same test goes red when
it is not what they say.
";

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    name: String,
    spec: String,
    remedy: String,
}

/// The string literal that follows `field:`; or the constant that it names.
fn field(rule: &str, file: &str, field: &str) -> Option<String> {
    let value = rule.split_once(&format!("{field}: "))?.1;
    match value.strip_prefix('"') {
        Some(literal) => literal_of(literal),
        None => {
            let constant = value.split([',', ' ', '\n', '}']).next()?;
            let (_, after) = file.split_once(&format!("const {constant}: &str ="))?;
            literal_of(after.trim_start().strip_prefix('"')?)
        }
    }
}

/// A literal's text: a backslash at the end of a line joins it with the next one.
fn literal_of(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(out),
            '\\' => match chars.next()? {
                '\n' => {
                    let rest = chars.as_str().trim_start();
                    chars = rest.chars();
                }
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    None
}

/// Every rule of the shipped sources, by name.
fn rules() -> BTreeSet<Rule> {
    let mut found = BTreeSet::new();
    for source in all_shipped() {
        for rule in
            source.text.split("Rule = ").flat_map(|part| part.split("Rule {").skip(1)).chain(source.text.split(": Rule =\n").skip(1))
        {
            let Some(end) = rule.find("};").or_else(|| rule.find(" };")) else { continue };
            let body = &rule[..end + 1];
            let Some(name) = field(body, source.text, "name") else { continue };
            let part = |what: &str| field(body, source.text, what).unwrap_or_else(|| panic!("{}: {name} has no {what}", source.path));
            found.insert(Rule { spec: part("spec"), remedy: part("remedy"), name });
        }
    }
    found
}

fn capitalised(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if sentence.ends_with(['.', '…']) { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str()).replace('|', "\\|")
}

fn page(rules: &BTreeSet<Rule>) -> String {
    let mut page = HEAD.to_owned();
    let mut group = "";
    for rule in rules {
        let of = rule.name.split('.').next().unwrap_or_default();
        if of != group {
            group = of;
            write!(page, "\n## {group}\n\n| reason | demanded by | what to do |\n|---|---|---|\n").expect("a string");
        }
        writeln!(page, "| `{}` | {} | {} |", rule.name, rule.spec, capitalised(&rule.remedy)).expect("a string");
    }
    page
}

#[test]
fn every_rule_is_explained() {
    let rules = rules();
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names.len(), rules.len(), "two rules of one name, and different words: {rules:#?}");
    assert!(names.len() > 80 && names.contains("quote.signature") && names.contains("token.lifetime"), "{names:?}");
    let page = page(&rules);
    if std::env::var_os("PODSEAL_BLESS").is_some() {
        std::fs::write(root().join(CHECKS), page).expect("the document is written");
        return;
    }
    let current = document(CHECKS);
    let stale: Vec<_> = page.lines().filter(|line| !current.contains(line)).collect();
    assert!(current == page, "{CHECKS} is not what the rules say; run this test with PODSEAL_BLESS=1. New: {stale:#?}");
}

/// Where codes and configuration keys stand in the sources.
const CODES: [&str; 9] = [
    "node-attester/daemon/src/config/raw.rs",
    "node-attester/daemon/src/identify/refusal.rs",
    "node-attester/daemon/src/pod_log/table.rs",
    "node-attester/daemon/src/round.rs",
    "node-attester/daemon/src/socket/frames.rs",
    "node-attester/injector/src/config.rs",
    "verifier/service/src/api/",
    "verifier/service/src/config.rs",
    "verifier/service/src/store/mutation.rs",
];

/// Literals such as `peer.not_init`.
fn dotted(code: &str) -> BTreeSet<String> {
    let literals = code.split('"').skip(1).step_by(2);
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_code = |literal: &&str| literal.split('.').count() == 2 && literal.split('.').all(part);
    literals.filter(is_code).map(str::to_owned).collect()
}

#[test]
fn every_code_and_key_is_documented() {
    let operating = document(OPERATING);
    let rules = rules();
    let files = ["attester.sock", "podseal.db", "policy.cedar"];
    let (mut seen, mut missing) = (0, Vec::new());
    for source in all_shipped().into_iter().filter(|source| CODES.iter().any(|place| source.path.starts_with(place))) {
        for code in dotted(&source.code()) {
            seen += 1;
            let known = rules.iter().any(|rule| rule.name == code) || files.contains(&code.as_str());
            if !known && !operating.contains(&format!("`{code}`")) {
                missing.push(format!("{code} ({})", source.path));
            }
        }
    }
    assert!(missing.is_empty(), "{OPERATING} says nothing about:\n{}", missing.join("\n"));
    assert!(seen > 40, "found {seen} codes and keys, wanted those of attester and verifier: has their form changed?");
}

#[test]
fn every_top_level_key_is_documented() {
    let operating = document(OPERATING);
    let raw = document("verifier/service/src/config/raw.rs");
    let fields = raw.lines().filter_map(|line| line.trim().strip_prefix("pub(super) ")?.split_once(':')).map(|(name, _)| name);
    let keys: Vec<&str> = fields.filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).collect();
    let is_there = |key: &str| {
        [format!("`{key}`"), format!(".{key}`"), format!("`{key}."), format!(".{key}.")].iter().any(|form| operating.contains(form))
    };
    let missing: Vec<_> = keys.iter().filter(|key| !is_there(key)).collect();
    assert!(keys.len() > 12 && missing.is_empty(), "{OPERATING} says nothing about {missing:?} of {keys:?}");
}

#[test]
fn the_reader_of_rules_reads() {
    let file = "const R: &str = \"do \\\n         this\";\npub static A: Rule = Rule { name: \"a.b\", spec: \"S, 1\", remedy: R };\n";
    assert_eq!(field(file, file, "remedy").as_deref(), Some("do this"));
    assert_eq!(field(file, file, "name").as_deref(), Some("a.b"));
    assert_eq!(capitalised("do this"), "Do this.");
    let codes = dotted("x(\"peer.gone\", \"Not.a\", \"a.b.c\", \"one\", \"a.2_b\")");
    assert_eq!(codes, BTreeSet::from(["a.2_b".to_owned(), "peer.gone".to_owned()]));
}
