//! The shape of the code: small files, short functions, honest names, nothing put off.

use crate::sources::{self, all, all_shipped, functions, has_word};

const LONGEST_FILE: usize = 600;
const LONG_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 100;
/// Stems that say where code was put, and not what it is.
const NO_NAMES: [&str; 9] = ["mod", "util", "utils", "common", "helper", "helpers", "manager", "misc", "shared"];

#[test]
fn files_are_small_and_named_for_what_they_are() {
    let mut offences = Vec::new();
    for file in all() {
        let lines = file.text.lines().count();
        if lines > LONGEST_FILE {
            offences.push(format!("{}: {lines} lines, wanted at most {LONGEST_FILE}: split it by what it does", file.path));
        } else if lines > LONG_FILE {
            println!("{}: {lines} lines; from {LONG_FILE} on it is time to split", file.path);
        }
        let stem = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if NO_NAMES.contains(&stem) {
            offences.push(format!("{}: name the module for what it is", file.path));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn functions_are_short() {
    let (mut seen, mut offences) = (0, Vec::new());
    for file in all() {
        let found = functions(&file.text);
        seen += found.len();
        for function in found.into_iter().filter(|function| function.length > LONGEST_FUNCTION) {
            let (name, line, length) = (function.name, function.line + 1, function.length);
            offences.push(format!("{}:{line}: {name} has {length} lines, wanted at most {LONGEST_FUNCTION}", file.path));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
    assert!(seen > 1000, "found {seen} functions, wanted all of them: is the code formatted otherwise?");
}

/// Written in two parts, so that this file does not find itself.
fn put_off() -> Vec<String> {
    [["todo", "!("], ["unimplemented", "!("], ["allow(dead", "_code)"], ["allow(unused", ")"], ["dbg", "!("]]
        .map(|word| word.concat())
        .into()
}

#[test]
fn nothing_is_put_off() {
    let mut offences = Vec::new();
    for source in all_shipped() {
        let code = source.code();
        offences.extend(put_off().iter().filter(|word| code.contains(word.as_str())).map(|word| format!("{}: {word}", source.path)));
        for word in [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|word| word.concat()) {
            if has_word(source.text, &word) {
                offences.push(format!("{}: {word}: finish it, or let it fail closed", source.path));
            }
        }
    }
    let ignored = ["#[ign", "ore"].concat();
    for file in all().filter(|file| file.text.contains(&ignored)) {
        offences.push(format!("{}: an ignored test: a test that needs something says what, and is skipped aloud", file.path));
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// Every file that may have unsafe code, and the file that lets it.
const UNSAFE: [&str; 2] = ["node-attester/launcher/src/kernel.rs", "node-attester/daemon/src/collect/ioctl.rs"];
const UNSAFE_ALLOWED_BY: [&str; 2] = ["node-attester/launcher/src/main.rs", "node-attester/daemon/src/collect.rs"];

#[test]
fn unsafe_code_is_where_it_is_said_to_be() {
    let mut offences = Vec::new();
    for source in all_shipped() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let place = format!("{}:{}", source.path, at + 1);
            if line.contains("allow(unsafe_code)") && !UNSAFE_ALLOWED_BY.contains(&source.path) {
                offences.push(format!("{place}: allows unsafe code"));
            }
            if !has_word(line, "unsafe") {
                continue;
            }
            if !UNSAFE.contains(&source.path) {
                offences.push(format!("{place}: unsafe code outside {UNSAFE:?}"));
            } else if !lines[at.saturating_sub(4)..at].iter().any(|above| above.contains("// SAFETY: ")) {
                offences.push(format!("{place}: unsafe without a SAFETY comment above"));
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn no_file_names_the_machine_that_built_it() {
    let root = crate::workspace::root().to_str().expect("UTF-8");
    let named: Vec<_> =
        crate::workspace::files().iter().filter(|file| file.path != "playground.json" && file.text.contains(root)).collect();
    assert!(named.is_empty(), "these name {root}: {:?}", named.iter().map(|file| &file.path).collect::<Vec<_>>());
}

#[test]
fn shipped_code_is_found() {
    let paths: Vec<_> = all_shipped().iter().map(|source| source.path).collect();
    for expected in ["protocol/src/binding.rs", "verifier/appraisal/src/appraiser.rs", "verifier/service/src/exchange.rs"] {
        assert!(paths.contains(&expected), "{expected} is not among {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains("/tests") || path.starts_with("swtpm-tests")));
    assert!(sources::tests().any(|source| source.path.starts_with("swtpm-tests/")));
}
