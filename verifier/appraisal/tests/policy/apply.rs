//! A text that cannot decide is refused when it is applied, with a line and a way out.

use super::*;
use podseal_appraisal::policy::PolicyError;
use proptest::prelude::*;

fn error(text: &str) -> PolicyError {
    match Policy::parse(text, &PolicyLimits::DEFAULT) {
        Ok(_) => panic!("taken: {text}"),
        Err(error) => error,
    }
}

fn permit(condition: &str) -> String {
    format!(
        "// first line\n@id(\"one\")\npermit (principal, action == Action::\"release\", resource == Secret::\"payments/db\")\nwhen {{ {condition} }};"
    )
}

macro_rules! refused {
    ($text:expr, $error:pat) => {{
        let text = $text;
        let error = error(&text);
        assert!(matches!(error, $error), "{text}\n{error:?}");
        error
    }};
}

#[test]
fn policy_with_type_error_refused() {
    for condition in [
        "principal.uid == \"1000\"",
        "principal.image == 7",
        "principal.env_names.contains(7)",
        "principal.privileged > 0",
        "context.secure_boot == \"true\"",
        "principal.namespace",
        "principal.mounts.contains({ destination: \"/x\", kind: \"csi\" })",
        "principal.name_that_is_not == \"x\"",
        "context.tier == \"high\"",
        "resource.value == \"x\"",
        "User::\"root\" == principal",
        "resource in Team::\"payments\"",
        "principal.pod.getTag(\"x\") == \"y\"",
        "[] == principal.devices",
    ] {
        let error = refused!(permit(condition), PolicyError::Invalid { .. });
        assert!(error.to_string().starts_with("policy.cedar:2 @one: "), "{error}");
    }
}

#[test]
fn condition_that_never_holds_is_refused() {
    refused!(permit("false"), PolicyError::Invalid { .. });
    refused!(permit("principal.uid == 1 && principal == resource"), PolicyError::Invalid { .. });
}

#[test]
fn look_alike_characters_are_refused() {
    refused!(permit("principal.namespace == \"p\u{430}yments\""), PolicyError::Invalid { .. });
    refused!(permit("principal.namespace == \"pay\u{202e}ments\""), PolicyError::Invalid { .. });
}

#[test]
fn unknown_action_or_entity_is_refused() {
    refused!(r#"@id("a") permit (principal, action == Action::"read", resource == Secret::"payments/db");"#, PolicyError::Invalid { .. });
    refused!(r#"@id("a") forbid (principal is User, action, resource);"#, PolicyError::Invalid { .. });
    refused!(r#"@id("a") forbid (principal, action, resource == Key::"x");"#, PolicyError::Invalid { .. });
    refused!(r#"@id("a") permit (principal, action, resource == Key::"x");"#, PolicyError::PermitScope { .. });
}

#[test]
fn has_is_refused() {
    for condition in [
        "principal has token_names_node",
        "!(principal has token_names_node) || principal.token_names_node",
        "context has boot && context.boot == \"kernel\"",
        "if context has root then context.root == \"production\" else true",
        "principal.uid == 1000 && (resource has name)",
    ] {
        let error = refused!(permit(condition), PolicyError::Has { .. });
        assert!(error.to_string().starts_with("policy.cedar:2 @one: `"), "{error}");
    }
    refused!(r#"@id("f") forbid (principal, action, resource) when { principal has image };"#, PolicyError::Has { .. });
}

#[test]
fn attribute_that_cannot_be_named_is_refused() {
    refused!(permit("(if principal.privileged then principal else principal).uid == 1"), PolicyError::Indirect { .. });
    refused!(permit("{ a: context }.a.boot == \"kernel\""), PolicyError::Indirect { .. });
    refused!(permit("context == context"), PolicyError::Indirect { .. });
    refused!(permit("principal == Workload::\"payment-api\""), PolicyError::Indirect { .. });
    refused!(permit("Secret::\"other/secret\".name == \"x\""), PolicyError::Indirect { .. });
}

#[test]
fn permit_names_one_secret() {
    for scope in ["resource", "resource is Secret", "resource in Secret::\"payments/db\"", "resource is Secret in Secret::\"payments/db\""]
    {
        refused!(format!("@id(\"a\") permit (principal, action, {scope});"), PolicyError::PermitScope { .. });
    }
    refused!(r#"@id("a") permit (principal, action, resource == ?resource);"#, PolicyError::Template { .. });
    for scope in ["resource", "resource is Secret", "resource == Secret::\"payments/db\""] {
        policy(&format!("@id(\"a\") forbid (principal, action, {scope});"));
    }
}

#[test]
fn workloads_have_no_names() {
    for scope in ["principal == Workload::\"asking\"", "principal in Workload::\"asking\"", "principal is Workload in Workload::\"asking\""]
    {
        refused!(format!("@id(\"a\") forbid ({scope}, action, resource);"), PolicyError::PrincipalScope { .. });
    }
    policy(r#"@id("a") forbid (principal is Workload, action, resource);"#);
}

#[test]
fn statements_have_names_of_their_own() {
    let error = refused!("\n\npermit (principal, action, resource == Secret::\"a/b\");", PolicyError::Id { .. });
    assert!(error.to_string().starts_with("policy.cedar:3: "), "{error}");
    for id in ["", "two words", "line\\nbreak", &"x".repeat(65), "\u{e9}"] {
        refused!(format!("@id(\"{id}\") forbid (principal, action, resource);"), PolicyError::Id { .. });
    }
    let error = refused!(format!("{PERMIT}\n{PERMIT}"), PolicyError::DuplicateId { .. });
    assert!(error.to_string().contains("@everyone"), "{error}");
    let error = refused!(r#"@id("privileged") forbid (principal, action, resource);"#, PolicyError::DuplicateId { .. });
    assert!(error.to_string().contains("baseline.cedar:"), "{error}");
}

#[test]
fn syntax_error_names_its_line() {
    let error = refused!("@id(\"a\")\npermit (principal, action,\n  resource === 7);", PolicyError::Syntax { .. });
    assert!(error.to_string().starts_with("policy.cedar:3: "), "{error}");
    refused!("allow everything;", PolicyError::Syntax { .. });
    refused!("\0", PolicyError::Syntax { .. });
}

#[test]
fn limits_hold() {
    let narrow = |limits: PolicyLimits, text: &str| Policy::parse(text, &limits).unwrap_err();
    let default = PolicyLimits::DEFAULT;
    assert!(matches!(narrow(PolicyLimits { text: PERMIT.len() - 1, ..default }, PERMIT), PolicyError::TooLong { .. }));
    assert!(Policy::parse(PERMIT, &PolicyLimits { text: PERMIT.len(), ..default }).is_ok());
    assert!(matches!(narrow(PolicyLimits { statements: 0, ..default }, PERMIT), PolicyError::TooMany { .. }));
    assert!(matches!(narrow(PolicyLimits { statement: 10, ..default }, PERMIT), PolicyError::StatementTooLong { .. }));
    refused!(permit(&format!("{}true{}", "(".repeat(100_000), ")".repeat(100_000))), PolicyError::TooDeep { .. });
    refused!(permit(&format!("{}true", "true && ".repeat(50_000))), PolicyError::TooDeep { .. });
    refused!(permit(&format!("{}true", "if true then true else ".repeat(20_000))), PolicyError::TooDeep { .. });
}

/// The deepest texts that the limits let through, on the 2 MiB stack that tests and the verifier's workers have.
#[test]
fn deepest_texts_are_evaluated() {
    let limits = PolicyLimits::DEFAULT;
    let chain = "principal.uid > 0 && ".repeat(limits.operators / 3 - 1);
    let choice = "if principal.uid > 0 then principal.uid > 0 else ".repeat(limits.operators / 3 - 1);
    let nested = "(principal.uid > 0 && ".repeat(limits.nesting - 1);
    let sets = ("[".repeat(limits.nesting - 4), "]".repeat(limits.nesting - 4));
    for condition in [
        format!("{chain}principal.uid > 0"),
        format!("{choice}principal.uid > 0"),
        format!("{nested}principal.uid > 0{}", ")".repeat(limits.nesting - 1)),
        format!("{}1{} == {}1{} && principal.uid > 0", sets.0, sets.1, sets.0, sets.1),
    ] {
        let policy = policy(&permit(&condition));
        assert!(policy.decide(&node(), &workload(), &secret()).allowed(), "{condition}");
        let mut root = workload();
        root.uid = 0;
        assert!(!policy.decide(&node(), &root, &secret()).allowed(), "{condition}");
    }
}

#[test]
fn brackets_in_strings_and_comments_do_not_nest() {
    let many = "([{".repeat(200);
    policy(&format!("// {many}\n{}", permit(&format!("principal.namespace == \"\\\"{many}\\\\\""))));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = Policy::parse(&text, &PolicyLimits::DEFAULT);
    }

    #[test]
    fn no_condition_panics(condition in "(principal|context|resource|has|if|then|else|in|\\.|uid|boot|[0-9]|\"x\"|==|&&|\\(|\\)| ){0,24}") {
        let _ = Policy::parse(&permit(&condition), &PolicyLimits::DEFAULT);
    }
}
