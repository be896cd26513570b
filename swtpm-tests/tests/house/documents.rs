//! The documents: what points into them points at something, and what they point at is there.

use std::collections::BTreeSet;

use crate::sources::all_shipped;
use crate::workspace::{document, ending, files, root};

/// Documents that a reader is promised.
const DOCUMENTS: [&str; 12] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "SECURITY.md",
    "docs/ARCHITECTURE.md",
    "docs/LIMITATIONS.md",
    "docs/OPERATING.md",
    "docs/PROTOCOL.md",
    "docs/CHECKS.md",
    "docs/THREAT_MODEL.md",
    "policies/README.md",
];

/// A heading's words, without marks and quotes, in lower case.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| line.strip_prefix('#')).map(|rest| rest.trim_start_matches('#').trim().replace('`', "").to_lowercase())
}

/// What can be pointed at in a document: its headings without their numbers, the parts of these, and the first cells of its tables.
fn anchors(text: &str) -> BTreeSet<String> {
    let unnumbered = |words: String| words.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').to_owned();
    let whole: Vec<String> = headings(text).map(unnumbered).collect();
    let parts = whole.iter().flat_map(|words| words.split([',', ':', '(']).flat_map(|part| part.split(" and ")));
    let parts: Vec<String> = parts.map(|part| part.trim().to_owned()).collect();
    let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let cells = cells.map(|cell| cell.trim().replace('`', "").to_lowercase());
    cells.chain(whole).chain(parts).collect()
}

fn points_at(anchors: &BTreeSet<String>, section: &str) -> bool {
    let section = section.to_lowercase();
    anchors.contains(&section) || (section.contains(" and ") && section.split(" and ").all(|part| anchors.contains(part.trim())))
}

/// Each `docs/X.md, section` of a `spec` line: document and section. What follows a colon is a remark.
fn pointers(line: &str) -> Vec<(&str, &str)> {
    let spec = line.split_once("spec: \"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
    let parts = spec.split(';').map(str::trim).filter(|part| part.starts_with("docs/"));
    let pointer = |part: &'_ str| part.split_once(',').map_or((part.len(), part.len()), |(path, _)| (path.len(), path.len() + 1));
    parts
        .map(|part| {
            let (end, from) = pointer(part);
            (&part[..end], part[from..].split(':').next().unwrap_or_default().trim())
        })
        .collect()
}

#[test]
fn every_document_is_there() {
    let missing: Vec<_> = DOCUMENTS.iter().filter(|path| !files().iter().any(|file| file.path == **path)).collect();
    assert!(missing.is_empty(), "found no {missing:?}, wanted them");
}

#[test]
fn every_check_points_at_a_section() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for source in all_shipped() {
        for line in source.text.lines() {
            let outside = ["DESIGN", "LAYOUT", "STYLE"].into_iter().filter(|name| line.contains("spec: \"") && line.contains(name));
            wrong.extend(outside.map(|name| format!("{}: points at {name}, which no reader has: {}", source.path, line.trim())));
            for (path, section) in pointers(line) {
                seen += 1;
                if !points_at(&anchors(document(path)), section) {
                    wrong.push(format!("{}: {path} has no section {section:?}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20, "found {seen} pointers into docs/, wanted those of the rules: has their form changed?");
}

/// Targets of links in brackets and parentheses.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("://") && !link.is_empty())
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for file in ending(&[".md"]) {
        let folder = root().join(&file.path).parent().expect("a file has a folder").to_owned();
        for link in links(&file.text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(&file.path) } else { folder.join(path) };
            let slug = |words: String| words.replace(' ', "-").replace(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'), "");
            let Ok(text) = (if target.is_dir() { Ok(String::new()) } else { std::fs::read_to_string(&target) }) else {
                wrong.push(format!("{}: {link} is not there", file.path));
                continue;
            };
            if !anchor.is_empty() && !headings(&text).map(slug).any(|slug| slug == anchor) {
                wrong.push(format!("{}: {link}: no such heading", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_that_is_documented_exists() {
    let makefile = document("Makefile");
    let mut wrong = Vec::new();
    for file in ending(&[".md"]) {
        let commands = file.text.split("`make ").skip(1).chain(file.text.split("\n    make ").skip(1));
        for command in commands {
            let target = command.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')).next().unwrap_or_default();
            if !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))) {
                wrong.push(format!("{}: make {target}: the Makefile has no such target", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for command in ["make demo", "make test"] {
        assert!(document("README.md").contains(command), "README.md does not name `{command}`");
    }
}

#[test]
fn every_key_of_the_playground_is_described() {
    let operating = document("docs/OPERATING.md");
    let sources = ending(&[".rs"]).filter(|file| file.path.contains("bin/podseal-playground") && file.text.contains("json!("));
    let keys: BTreeSet<&str> = sources
        .flat_map(|file| file.text.split("\":").filter_map(|before| before.rsplit('"').next()))
        .filter(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .collect();
    let is_there = |key: &str| [format!("`{key}`"), format!(".{key}`"), format!("`{key}.")].iter().any(|form| operating.contains(form));
    let missing: Vec<_> = keys.iter().filter(|key| !is_there(key)).collect();
    assert!(
        keys.len() > 10 && missing.is_empty(),
        "docs/OPERATING.md says nothing about {missing:?} of playground.json, which has {keys:?}"
    );
}

#[test]
fn the_reader_of_documents_reads() {
    let found = anchors("# Title\n\n## 3. Leaf and pod set\n### `podseal.entry.v1`\n| `limits.pending_nodes` | 256 |\n## Log, archive\n");
    for section in ["pod set", "leaf and pod set", "pod set and leaf", "podseal.entry.v1", "limits.pending_nodes", "Log"] {
        assert!(points_at(&found, section), "{section} in {found:?}");
    }
    assert!(!points_at(&found, "pod") && !points_at(&found, "pod set and cat"));
    let pointed = pointers("    spec: \"RFC 1, 2; docs/X.md, pod set and leaf: objects; docs/Y.md, a\",");
    assert_eq!(pointed, [("docs/X.md", "pod set and leaf"), ("docs/Y.md", "a")]);
    assert_eq!(links("[a](b.md#c) and [d](https://e)").collect::<Vec<_>>(), ["b.md#c"]);
}
