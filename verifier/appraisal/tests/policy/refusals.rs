//! What a refusal says, and that nothing which could not be evaluated is released.

use super::*;

const MISSING: &str = "nothing was there";

type Drop = fn(&mut NodeClaims, &mut WorkloadClaims);

/// Every claim that can be not appraised.
const OPTIONAL: &[(&str, Drop, &str)] = &[
    ("context.memory", |node, _| node.memory = Claim::NotAppraised(MISSING), "context.memory == \"none\""),
    ("context.boot", |node, _| node.boot = Claim::NotAppraised(MISSING), "context.boot == \"kernel\""),
    ("context.tpm_in_tee", |node, _| node.tpm_in_tee = Claim::NotAppraised(MISSING), "context.tpm_in_tee"),
    ("context.agent", |node, _| node.agent = Claim::NotAppraised(MISSING), "context.agent == \"self-asserted\""),
    ("context.root", |node, _| node.root = Claim::NotAppraised(MISSING), "context.root == \"production\""),
    ("context.secure_boot", |node, _| node.secure_boot = Claim::NotAppraised(MISSING), "context.secure_boot"),
    ("principal.token_names_node", |_, workload| workload.token_names_node = Claim::NotAppraised(MISSING), "principal.token_names_node"),
];

fn without(drop: Drop) -> (NodeClaims, WorkloadClaims) {
    let (mut node, mut workload) = (node(), workload());
    drop(&mut node, &mut workload);
    (node, workload)
}

fn refuses_for_lack_of(text: &str, attribute: &str, (node, workload): (NodeClaims, WorkloadClaims)) {
    let outcome = policy(text).decide(&node, &workload, &secret());
    assert!(!outcome.allowed(), "{text}");
    assert_eq!(outcome.obstacles, [attribute], "{text}");
    assert!(rules(&outcome, Verdict::Fail).contains(&"policy.claims_appraised"), "{text}");
    let check = outcome.checks.iter().find(|c| c.rule.name == "policy.attribute" && c.verdict == Verdict::NotAppraised).unwrap();
    assert!(check.found.starts_with(&format!("{attribute} is not appraised: {MISSING} (")), "{check:?}");
}

#[test]
fn permit_on_a_missing_claim_refuses() {
    for (attribute, drop, condition) in OPTIONAL {
        let text = format!(r#"@id("one") permit (principal, action, resource == Secret::"payments/db") when {{ {condition} }};"#);
        assert!(policy(&text).decide(&node(), &workload(), &secret()).allowed(), "honest twin of {attribute}");
        refuses_for_lack_of(&text, attribute, without(*drop));
    }
}

#[test]
fn permit_for_the_lack_of_a_missing_claim_refuses() {
    for (attribute, drop, condition) in OPTIONAL {
        let text = format!(r#"@id("one") permit (principal, action, resource == Secret::"payments/db") unless {{ {condition} }};"#);
        refuses_for_lack_of(&text, attribute, without(*drop));
    }
}

#[test]
fn forbid_on_a_missing_claim_refuses_though_a_permit_holds() {
    for (attribute, drop, condition) in OPTIONAL {
        let text = format!("{PERMIT} @id(\"no\") forbid (principal, action, resource) when {{ !({condition}) }};");
        assert!(policy(&text).decide(&node(), &workload(), &secret()).allowed(), "honest twin of {attribute}");
        refuses_for_lack_of(&text, attribute, without(*drop));
    }
}

#[test]
fn missing_claim_refuses_though_another_permit_holds() {
    let text =
        format!("{PERMIT} @id(\"b\") permit (principal, action, resource == Secret::\"payments/db\") when {{ context.tpm_in_tee }};");
    refuses_for_lack_of(&text, "context.tpm_in_tee", without(OPTIONAL[2].1));
}

#[test]
fn missing_claim_that_nobody_needs_does_not_matter() {
    let (node, workload) = without(OPTIONAL[6].1);
    assert!(policy(PERMIT).decide(&node, &workload, &secret()).allowed());
}

#[test]
fn overflow_refuses_and_is_named() {
    let text = format!("{PERMIT} @id(\"sum\") forbid (principal, action, resource) when {{ principal.uid + 9223372036854775807 == 1 }};");
    let outcome = policy(&text).decide(&node(), &workload(), &secret());
    assert!(!outcome.allowed());
    assert_eq!(outcome.obstacles, ["principal.uid"]);
    let mut root = workload();
    root.uid = 0;
    assert!(policy(&text).decide(&node(), &root, &secret()).allowed(), "honest twin");
}

#[test]
fn other_secret_has_no_permit() {
    let other = SecretMetadata::new("payments/other", ["host-trusted"]).unwrap();
    let outcome = policy(PERMIT).decide(&node(), &workload(), &other);
    assert!(!outcome.allowed());
    assert_eq!(rules(&outcome, Verdict::Fail), ["policy.permit"]);
    let check = outcome.checks.iter().find(|c| c.verdict == Verdict::Fail).unwrap();
    assert_eq!(check.found, "no permit names this secret");
}

#[test]
fn empty_policy_releases_nothing() {
    assert!(!policy("").decide(&node(), &workload(), &secret()).allowed());
    assert!(policy("").secrets().is_empty());
}

#[test]
fn several_conditions_are_named_apart() {
    let text = r#"
@id("two")
permit (principal, action, resource == Secret::"payments/db")
when { principal.uid == 1 && (principal.gid == 1001 && principal.namespace == "x") }
unless { context.boot == "kernel" || principal.container == "other" };"#;
    let outcome = policy(text).decide(&node(), &workload(), &secret());
    assert_eq!(outcome.obstacles, ["principal.uid", "principal.namespace", "context.boot"]);
    let conditions: Vec<_> = outcome.checks.iter().filter(|c| c.rule.name == "policy.attribute").collect();
    assert_eq!(conditions.len(), 5);
    assert!(conditions.iter().all(|c| c.origin == "policy.cedar:2 @two"));
    assert_eq!(conditions[3].expected, "!(context.boot == \"kernel\")");
    assert_eq!(conditions[3].found, "context.boot = \"kernel\"");
}

#[test]
fn nearest_permit_comes_first() {
    let permit = |id: &str, condition: &str| {
        format!("@id(\"{id}\") permit (principal, action, resource == Secret::\"payments/db\") when {{ {condition} }};\n")
    };
    let text = permit("far", "principal.uid == 1 && principal.gid == 1")
        + &permit("near", "principal.uid == 1000 && principal.namespace == \"x\"");
    let outcome = policy(&text).decide(&node(), &workload(), &secret());
    assert_eq!(outcome.obstacles, ["principal.namespace", "principal.uid", "principal.gid"]);
}

#[test]
fn what_a_list_does_not_cover_is_shown() {
    let text = r#"@id("l") permit (principal, action, resource == Secret::"payments/db") when { ["PATH", "HOME"].containsAll(principal.env_names) };"#;
    let mut workload = workload();
    assert!(policy(text).decide(&node(), &workload, &secret()).allowed());
    workload.env.push(EnvVar { name: "LOG_SINK".into(), value: Digest([1; 32]) });
    let outcome = policy(text).decide(&node(), &workload, &secret());
    let check = outcome.checks.iter().find(|c| c.rule.name == "policy.attribute").unwrap();
    assert_eq!(check.verdict, Verdict::Fail);
    assert!(check.found.ends_with("; not covered: \"LOG_SINK\""), "{check:?}");
}

#[test]
fn head_is_the_digest_of_the_text() {
    assert_eq!(policy(PERMIT).head(), Digest::of(PERMIT.as_bytes()));
    assert_ne!(policy(&format!("{PERMIT}\n")).head(), policy(PERMIT).head());
}
