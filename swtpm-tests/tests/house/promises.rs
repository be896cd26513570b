//! docs/THREAT_MODEL.md: every promise is in its table, and names tests that are there.
//!
//! With PODSEAL_BLESS=1 the table's last column is written anew from the tests that are found.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{functions, has_word, tests};
use crate::workspace::{document, members, root};

const THREAT_MODEL: &str = "docs/THREAT_MODEL.md";

/// What the first release promises. One that is added to the document is held to its test as well.
const FIRST_SECRET: [&str; 68] = [
    "pod_of_same_namespace_gets_nothing",
    "other_service_account",
    "other_image_same_name",
    "tag_moved_to_other_digest",
    "claims_come_from_the_runtime",
    "secrets_come_from_the_annotation",
    "annotation_cannot_widen",
    "exec_in_same_container_cannot_ask",
    "child_of_init_cannot_ask",
    "second_session_of_one_container",
    "pid_reused",
    "container_gone_in_between",
    "pod_recreated_under_same_name",
    "sidecar_of_same_pod",
    "shared_pid_namespace",
    "same_digest_ld_preload",
    "same_digest_other_args",
    "same_digest_extra_mount",
    "privileged_pod",
    "host_namespaces",
    "launcher_replaced",
    "challenge_replayed",
    "challenge_never_issued",
    "challenge_of_other_node",
    "challenge_expired",
    "forged_leaf",
    "leaf_of_other_batch",
    "one_bad_leaf_spares_the_others",
    "relay_through_other_node",
    "noncanonical_leaf",
    "duplicate_keys",
    "trailing_bytes",
    "domains_disjoint",
    "oversized_every_field",
    "ak_self_made",
    "ak_not_restricted",
    "ak_of_other_ek",
    "ek_root_unknown",
    "test_root_is_never_production",
    "node_not_enrolled",
    "two_enrolments_race",
    "join_token_twice",
    "pcr_unselected",
    "pcr_bank_other",
    "selection_twice",
    "log_does_not_replay",
    "log_truncated",
    "log_of_other_boot",
    "token_of_other_pod",
    "token_of_other_node",
    "token_without_pod",
    "token_long_lived",
    "token_alg_none",
    "token_hmac_with_public_key",
    "same_issuer_other_cluster",
    "forged_delivery",
    "delivery_for_other_container",
    "delivery_opened_twice",
    "log_before_deliver",
    "ciphertext_rows_swapped",
    "every_route_unauthenticated",
    "errors_carry_no_expected_values",
    "verifier_starts_insecurely_never",
    "unknown_config_key_refused",
    "missing_part_never_raises_status",
    "leak_hunt",
    "leak_hunt_finds_planted_canaries",
    "no_secret_in_any_log",
];

/// A test: the folder of its crate, and its name.
type Found = BTreeMap<String, BTreeSet<(String, String)>>;

/// Tests whose name begins with that of a promise.
fn tests_of(promises: &BTreeSet<&str>) -> Found {
    let mut found = Found::new();
    for source in tests() {
        let room = members().values().map(|member| &member.folder).filter(|folder| source.path.starts_with(&format!("{folder}/")));
        let Some(room) = room.max_by_key(|folder| folder.len()) else { continue };
        for function in functions(source.text).into_iter().filter(|function| is_test(source.text, function.line, &function.name)) {
            for promise in promises.iter().filter(|promise| function.name.starts_with(**promise)) {
                found.entry((*promise).to_owned()).or_default().insert((room.clone(), function.name.clone()));
            }
        }
    }
    found
}

/// A function with `#[test]` above it, or one that the end-to-end tests' own list names.
fn is_test(text: &str, line: usize, name: &str) -> bool {
    let above = text.lines().take(line).collect::<Vec<_>>();
    let attributes = above.iter().rev().take_while(|line| line.trim_start().starts_with("#[") || line.trim_start().starts_with("//"));
    let attribute = attributes.into_iter().any(|line| line.contains("test]") || line.contains("tokio::test"));
    let named = |quoted: &str| text.contains(&format!("\"{quoted}")) || text.contains(&format!("::{quoted}\""));
    attribute || (named(name) && has_word(text, name) && text.matches(name).count() > 1)
}

/// The lines of `text`, each with its promise where it is a row of a table of promises.
fn lines(text: &str) -> impl Iterator<Item = (&str, Option<Row<'_>>)> {
    text.lines().scan(false, |in_table, line| {
        *in_table = line.starts_with("| promise |") || (*in_table && line.starts_with('|'));
        Some((line, in_table.then(|| row(line)).flatten()))
    })
}

/// A promise, the row up to its last cell, and that cell: the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row<'a> {
    promise: &'a str,
    before: &'a str,
    tests: &'a str,
}

fn row(line: &str) -> Option<Row<'_>> {
    let (promise, _) = line.strip_prefix("| `")?.split_once("` |")?;
    let at = line.strip_suffix('|')?.rfind('|')?;
    let (before, tests) = line.split_at(at + 1);
    Some(Row { promise, before, tests: tests.trim_end_matches('|').trim() })
}

fn cell(tests: Option<&BTreeSet<(String, String)>>) -> String {
    let tests = tests.into_iter().flatten().map(|(room, name)| format!("{room}: `{name}`"));
    tests.collect::<Vec<_>>().join("<br>")
}

#[test]
fn every_promise_is_kept_by_a_test() {
    let text = document(THREAT_MODEL);
    let rows: Vec<Row<'_>> = lines(text).filter_map(|(_, row)| row).collect();
    let named: BTreeSet<&str> = rows.iter().map(|row| row.promise).collect();
    let missing: Vec<_> = FIRST_SECRET.iter().filter(|promise| !named.contains(**promise)).collect();
    assert!(missing.is_empty(), "{THREAT_MODEL} has no row for {missing:?}");
    let found = tests_of(&named);
    if std::env::var_os("PODSEAL_BLESS").is_some() {
        std::fs::write(root().join(THREAT_MODEL), blessed(text, &found)).expect("the document is written");
        return;
    }
    let untested: Vec<_> = named.iter().filter(|promise| !found.contains_key(**promise)).collect();
    assert!(untested.is_empty(), "{} promises without a test whose name begins with theirs: {untested:?}", untested.len());
    for row in rows {
        let known = cell(found.get(row.promise));
        let gone: Vec<_> = row.tests.split("<br>").filter(|test| !known.split("<br>").any(|other| other == *test)).collect();
        let promise = row.promise;
        assert!(gone.is_empty(), "{THREAT_MODEL}, {promise}: {gone:?} is not there: found {known}; PODSEAL_BLESS=1 writes what is found");
    }
}

fn blessed(text: &str, found: &Found) -> String {
    let written = |(line, row): (&str, Option<Row<'_>>)| match row {
        Some(row) => format!("{} {} |\n", row.before, cell(found.get(row.promise))),
        None => format!("{line}\n"),
    };
    lines(text).map(written).collect()
}

#[test]
fn the_reader_of_tables_reads() {
    let table =
        "| promise | what | test |\n|---|---|---|\n| `one` | is a `b` | protocol: `one_a` |\n| `two` | x |  |\n\n| `file` | y | z |\n";
    let rows: Vec<_> = lines(table).filter_map(|(_, row)| row).map(|row| (row.promise, row.tests)).collect();
    assert_eq!(rows, [("one", "protocol: `one_a`"), ("two", "")]);
    let found = Found::from([("two".to_owned(), BTreeSet::from([("protocol".to_owned(), "two_b".to_owned())]))]);
    let written = blessed(table, &found);
    assert!(written.contains("| `two` | x | protocol: `two_b` |\n") && written.ends_with("\n\n| `file` | y | z |\n"), "{written}");
    assert!(is_test("#[test]\nfn a() {}\n", 1, "a") && !is_test("fn a() {}\nfn b() { a() }\n", 0, "a"));
    assert!(is_test("const T: &[Test] = &[(\"x::a_b\", a_b)];\nfn a_b() {}\n", 1, "a_b"));
}
