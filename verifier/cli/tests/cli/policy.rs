//! `policy test`, on the shipped example and on what was changed in it.

use std::{fs, path::Path};

use crate::program::podseal;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/examples/payments");

fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["allow", "deny"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        for file in fs::read_dir(Path::new(EXAMPLE).join(name)).unwrap().map(|file| file.unwrap().path()) {
            fs::copy(&file, folder.path().join(name).join(file.file_name().unwrap())).unwrap();
        }
    }
    fs::copy(Path::new(EXAMPLE).join("policy.cedar"), folder.path().join("policy.cedar")).unwrap();
    folder
}

fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(folder.join(file), text.replacen(from, to, 1)).unwrap();
}

#[test]
fn the_example_passes() {
    let ran = podseal(&["policy", "test", EXAMPLE, "--output", "json"]).exits(0).json();
    assert_eq!(ran["passed"], ran["total"]);
    assert!(ran["total"].as_u64().unwrap() >= 2);
    assert_eq!(ran["secrets"][0], "payments/db");
    let text = podseal(&["policy", "test", EXAMPLE]).exits(0).out;
    assert_eq!(text, format!("{0}/{0} pass; releases payments/db\n", ran["total"]));
}

#[test]
fn case_that_is_flipped_fails() {
    let folder = copy();
    fs::rename(folder.path().join("allow/payment-api.json"), folder.path().join("deny/payment-api.json")).unwrap();
    edit(folder.path(), "deny/payment-api.json", "{", "{ \"expect\": \"principal.image\",");
    let ran = podseal(&["policy", "test", folder.path().to_str().unwrap()]).exits(1);
    for part in ["x   deny/payment-api.json", "expected  refused: principal.image", "found     released"] {
        assert!(ran.out.contains(part), "{}", ran.out);
    }
    // Nor is it applied: it does not even come to a connection.
    let connection = ["--address", "https://127.0.0.1:1", "--verifier", &"3f".repeat(32)];
    let apply = ["policy", "apply", folder.path().to_str().unwrap()];
    assert!(podseal(&[apply.as_slice(), &connection].concat()).exits(1).out.contains("not applied"));
}

#[test]
fn policy_that_widens_fails_its_deny_cases() {
    let folder = copy();
    edit(folder.path(), "policy.cedar", "principal.service_account == \"payment-api\" &&", "");
    let ran = podseal(&["policy", "test", folder.path().to_str().unwrap(), "--output", "json"]).exits(1).json();
    let failed: Vec<_> = ran["cases"].as_array().unwrap().iter().filter(|case| case["holds"] == false).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0]["name"], &failed[0]["found"]), (&"deny/other-service-account.json".into(), &"released".into()));
}

#[test]
fn folder_without_cases_or_policy_is_no_test() {
    let folder = copy();
    let path = folder.path().to_str().unwrap();
    fs::remove_dir_all(folder.path().join("deny")).unwrap();
    podseal(&["policy", "test", path]).exits(2).says(&["deny", "found no case"]);
    fs::write(folder.path().join("policy.cedar"), "permit (principal, action, resource);").unwrap();
    podseal(&["policy", "test", path]).exits(2).says(&["policy.cedar", "@id"]);
    fs::remove_file(folder.path().join("policy.cedar")).unwrap();
    podseal(&["policy", "test", path]).exits(2).says(&["policy.cedar"]);
}
