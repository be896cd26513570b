//! Every attribute of the schema decides.

use super::*;
use cedar_policy::SchemaFragment;
use podseal_appraisal::policy::SCHEMA;
use std::collections::{BTreeMap, BTreeSet};

/// Attributes that are one text, and what the claims have.
const TEXTS: [(&str, &str); 15] = [
    ("principal.cluster", "demo"),
    ("principal.namespace", "payments"),
    ("principal.pod", "payment-api-0"),
    ("principal.service_account", "payment-api"),
    ("principal.container", "api"),
    ("principal.cwd", "/srv"),
    ("resource.name", "payments/db"),
    ("context.node", "node-1"),
    ("context.cluster", "demo"),
    ("context.profile", "tpm"),
    ("context.memory", "none"),
    ("context.boot", "kernel"),
    ("context.agent", "self-asserted"),
    ("context.root", "production"),
    ("context.pod_log", "observed"),
];

/// A condition that holds on the claims of this file's parent, and the same with one value changed.
fn conditions() -> BTreeMap<&'static str, (String, String)> {
    let mut all = BTreeMap::new();
    let mut both = |attribute: &'static str, right: String, wrong: String| {
        assert!(all.insert(attribute, (right, wrong)).is_none(), "{attribute} twice");
    };
    let mut equal = |attribute: &'static str, right: &str, wrong: &str| {
        both(attribute, format!("{attribute} == {right}"), format!("{attribute} == {wrong}"));
    };
    let digest = |byte: &str| format!("\"sha256:{}\"", byte.repeat(32));
    for (attribute, right) in TEXTS {
        equal(attribute, &format!("{right:?}"), "\"other\"");
    }
    for (attribute, byte) in [("principal.image", "aa"), ("principal.image_config", "bb"), ("principal.launcher", "cc")] {
        equal(attribute, &digest(byte), &digest("ee"));
    }
    for (attribute, right) in [
        ("principal.privileged", "false"),
        ("principal.host_network", "false"),
        ("principal.host_pid", "false"),
        ("principal.host_ipc", "false"),
        ("principal.shared_pid_namespace", "false"),
        ("principal.read_only_root", "true"),
        ("principal.no_new_privileges", "true"),
        ("principal.token_names_node", "true"),
        ("context.tpm_in_tee", "true"),
        ("context.secure_boot", "true"),
    ] {
        equal(attribute, right, if right == "true" { "false" } else { "true" });
    }
    for (attribute, right) in [
        ("principal.hooks", "0"),
        ("principal.uid", "1000"),
        ("principal.gid", "1001"),
        ("principal.pod_execs", "0"),
        ("context.pod_log_gaps", "0"),
    ] {
        equal(attribute, right, "7");
    }
    equal("principal.args", r#""[\"/podseal/launch\",\"--\",\"/app \\\"x\\\"\"]""#, r#""[\"/podseal/launch\",\"--\",\"/app\",\"x\"]""#);
    equal("principal.env_names", r#"["PATH"]"#, r#"["HOME"]"#);
    equal("principal.devices", r#"["/dev/null"]"#, r#"["/dev/tpm0"]"#);
    equal("principal.capabilities", r#"["CAP_CHOWN"]"#, r#"["CAP_SETUID"]"#);
    equal("resource.accepts", r#"["host-trusted"]"#, r#"["host-trusted", "test-root"]"#);
    equal("context.privileged_images", &format!("[{}]", digest("44")), &format!("[{}]", digest("45")));
    equal("context.agent_exceptions", r#"["privileged-network"]"#, r#"["landlock", "privileged-network"]"#);
    let variable = |byte: &str| format!(r#"[{{ name: "PATH", value: {} }}]"#, digest(byte));
    equal("principal.env", &variable("11"), &variable("12"));
    let mount = |read_only: bool| format!(r#"[{{ destination: "/podseal", kind: "podseal", read_only: {read_only} }}]"#);
    equal("principal.mounts", &mount(true), &mount(false));
    let sibling = |byte: &str| format!(r#"[{{ name: "proxy", image: {}, privileged: false }}]"#, digest(byte));
    equal("principal.siblings", &sibling("dd"), &sibling("de"));
    all
}

/// Every attribute that the schema declares, as policies write it.
fn declared() -> BTreeSet<String> {
    let (fragment, _) = SchemaFragment::from_cedarschema_str(SCHEMA).unwrap();
    let json = fragment.to_json_value().unwrap();
    let of = |variable: &str, record: &serde_json::Value| -> Vec<String> {
        record["attributes"].as_object().unwrap().keys().map(|name| format!("{variable}.{name}")).collect()
    };
    let types = json[""]["entityTypes"].as_object().unwrap();
    assert_eq!(types.keys().collect::<Vec<_>>(), ["Secret", "Workload"]);
    let context = &json[""]["actions"]["release"]["appliesTo"]["context"];
    [of("principal", &types["Workload"]["shape"]), of("resource", &types["Secret"]["shape"]), of("context", context)]
        .concat()
        .into_iter()
        .collect()
}

fn with_wrong(wrong: Option<&str>) -> String {
    let chosen = conditions().into_iter().map(|(attribute, (right, bad))| if wrong == Some(attribute) { bad } else { right });
    let all = chosen.collect::<Vec<_>>().join(" &&\n");
    format!("@id(\"payments-db\")\npermit (principal, action, resource == Secret::\"payments/db\") when {{\n{all}\n}};")
}

#[test]
fn every_attribute_of_the_schema_has_a_case() {
    let cases: BTreeSet<String> = conditions().keys().map(ToString::to_string).collect();
    assert_eq!(cases, declared());
    assert!(cases.len() > 30);
}

#[test]
fn right_values_release() {
    let outcome = policy(&with_wrong(None)).decide(&node(), &workload(), &secret());
    assert!(outcome.allowed(), "{:#?}", outcome.checks);
    assert_eq!(outcome.determining, ["payments-db"]);
    assert!(outcome.obstacles.is_empty());
    assert_eq!(rules(&outcome, Verdict::Pass), ["policy.claims_appraised", "policy.forbid", "policy.permit"]);
}

#[test]
fn one_wrong_value_refuses_and_names_the_attribute() {
    for attribute in declared() {
        let outcome = policy(&with_wrong(Some(&attribute))).decide(&node(), &workload(), &secret());
        assert!(!outcome.allowed(), "{attribute}");
        assert_eq!(outcome.obstacles, [attribute.as_str()]);
        let failed: Vec<_> = outcome.checks.iter().filter(|c| c.verdict != Verdict::Pass).collect();
        let [permit, condition] = failed.as_slice() else { panic!("{attribute}: {failed:#?}") };
        assert_eq!((permit.rule.name, condition.rule.name), ("policy.permit", "policy.attribute"));
        assert_eq!(permit.found, format!("@payments-db fails in {attribute}"));
        assert!(condition.expected.contains(&attribute), "{condition:?}");
        assert!(condition.found.starts_with(&format!("{attribute} = ")), "{condition:?}");
        assert_eq!(condition.origin, "policy.cedar:1 @payments-db");
    }
}

#[test]
fn each_attribute_decides_alone() {
    for (attribute, (right, wrong)) in conditions() {
        for (condition, released) in [(right, true), (wrong, false)] {
            let text = format!(r#"@id("one") permit (principal, action, resource == Secret::"payments/db") when {{ {condition} }};"#);
            assert_eq!(policy(&text).decide(&node(), &workload(), &secret()).allowed(), released, "{attribute}");
        }
    }
}
