//! The shipped policy folders, and the form of their cases.

use super::*;
use podseal_appraisal::policy::{Case, CaseError, Wanted, run_cases};
use std::path::{Path, PathBuf};

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/examples");
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn cases(folder: &Path, wanted: Wanted, name: &str) -> Vec<Case> {
    let files = std::fs::read_dir(folder.join(name)).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| Case::parse(&file.display().to_string(), wanted, &std::fs::read_to_string(&file).unwrap()).unwrap()).collect()
}

#[test]
fn every_case_of_every_folder_holds() {
    assert!(!examples().is_empty());
    for folder in examples() {
        let policy = policy(&std::fs::read_to_string(folder.join("policy.cedar")).unwrap());
        let (allow, deny) = (cases(&folder, Wanted::Allow, "allow"), cases(&folder, Wanted::Deny, "deny"));
        assert!(!allow.is_empty() && !deny.is_empty(), "{}", folder.display());
        for result in run_cases(&policy, &[allow, deny].concat()) {
            assert!(result.holds, "{}: {}", result.name, result.found);
        }
    }
}

#[test]
fn case_that_does_not_hold_says_what_was_found() {
    let folder = &examples()[0];
    let (allow, deny) = (cases(folder, Wanted::Allow, "allow"), cases(folder, Wanted::Deny, "deny"));
    let open = policy(r#"@id("all") permit (principal, action, resource == Secret::"payments/db");"#);
    assert!(run_cases(&open, &deny).iter().any(|result| !result.holds && result.found == "released"));
    let results = run_cases(&policy(""), &allow);
    assert!(results.iter().all(|result| !result.holds && result.found == "refused: no permit names this secret"));
    let mut other = deny[0].clone();
    other.expect = Some("principal.gid".into());
    let text = std::fs::read_to_string(folder.join("policy.cedar")).unwrap();
    assert!(!run_cases(&policy(&text), &[other])[0].holds, "refused, but not for that");
}

#[test]
fn other_forms_are_refused() {
    let text = std::fs::read_to_string(examples()[0].join("allow/payment-api.json")).unwrap();
    let parse = |wanted, text: &str| Case::parse("case", wanted, text);
    assert!(parse(Wanted::Allow, &text).is_ok());
    assert!(matches!(parse(Wanted::Deny, &text), Err(CaseError::Expect { .. })));
    let with = text.replacen('{', "{ \"expect\": \"principal.uid\",", 1);
    assert!(parse(Wanted::Deny, &with).is_ok());
    assert!(matches!(parse(Wanted::Allow, &with), Err(CaseError::Expect { .. })));
    assert!(matches!(parse(Wanted::Allow, &text.replacen('{', "{ \"unknown\": 1,", 1)), Err(CaseError::Json { .. })));
    assert!(matches!(parse(Wanted::Allow, &text.replace("\"uid\": 10001", "\"uid\": -1")), Err(CaseError::Json { .. })));
    assert!(matches!(
        parse(Wanted::Allow, &text.replace("\"kernel\",\n    \"tpm", "\"moon\",\n    \"tpm")),
        Err(CaseError::Value { field: "boot", .. })
    ));
    assert!(matches!(parse(Wanted::Allow, &text.replace("sha256:aaaa", "sha256:")), Err(CaseError::Value { field: "image", .. })));
    assert!(matches!(parse(Wanted::Allow, &text.replace("host-trusted", "all")), Err(CaseError::Accepts { .. })));
    assert!(matches!(parse(Wanted::Allow, &" ".repeat(Case::LIMIT + 1)), Err(CaseError::TooLong { .. })));
}
