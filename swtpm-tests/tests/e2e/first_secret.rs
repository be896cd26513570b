//! The first secret: one attested container gets it, and no other.

use podseal_protocol::Digest;
use podseal_swtpm_tests::binaries::repository;
use podseal_swtpm_tests::site::workload::file_digest;
use podseal_swtpm_tests::site::{Counterfeit, Explained, Site, Workload};

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("honest_pod_gets_its_password", honest_pod_gets_its_password),
    ("pod_of_same_namespace_gets_nothing", pod_of_same_namespace_gets_nothing),
    ("other_service_account", other_service_account),
    ("each_attribute_is_decisive", each_attribute_is_decisive),
    ("drafted_policy_lets_in_what_was_refused", drafted_policy_lets_in_what_was_refused),
];

/// The explanation names this attribute, and nothing else, as what stood in the way.
pub(crate) fn refused_for(explained: &Explained, attribute: &str) {
    assert_eq!(explained.result(), "refused", "{}", explained.told());
    let told = explained.told();
    assert!(told.contains(attribute), "{attribute} is not named in\n{told}");
}

fn honest_pod_gets_its_password(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let workload = Workload::new(site, "first");
    let value = site.entitle(&workload, node)?;
    let pod = workload.run(site, node)?;
    let portrait = pod.started()?;

    assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(value), "{portrait}");
    let file = &portrait["files"][0];
    assert_eq!((&file["mode"], &file["owner"]), (&"0400".into(), &10_001.into()), "{portrait}");
    assert_eq!((&portrait["pid"], &portrait["uid"], &portrait["args"]), (&1.into(), &10_001.into(), &serde_json::json!(["/payment-api"])));
    assert_eq!(pod.container.status()?.info["runtimeSpec"]["root"]["readonly"], true);

    let audit_id = pod.released_as()?;
    let explained = site.explain(&audit_id)?;
    assert_eq!((explained.result(), explained.obstacles()), ("released", Vec::new()), "{}", explained.told());
    assert_eq!(explained.0.places.len(), 2, "{explained:?}");
    assert_eq!(site.admin().podseal(&["explain", &audit_id])?["result"], "released");
    the_record_holds(site)
}

/// The log verifies, and every entry is decided the same again.
fn the_record_holds(site: &Site) -> Outcome {
    let verified = site.admin().run(&["log", "verify"], b"")?;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let rechecked = site.admin().run(&["audit", "recheck", "--all"], b"")?;
    assert_eq!(rechecked.code, Some(0), "{rechecked:?}");
    Ok(())
}

fn pod_of_same_namespace_gets_nothing(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let honest = Workload::new(site, "neighbours");
    site.entitle(&honest, node)?;
    honest.run(site, node)?.started()?;

    let mut neighbour = honest.clone().named("report-0").account("report");
    neighbour.container = "report".into();
    let refused = neighbour.run(site, node)?.refused()?;
    assert_eq!((refused.code, refused.reason.is_empty()), (77, false), "{refused:?}");
    let explained = site.explain(&refused.audit_id)?;
    for attribute in ["principal.pod", "principal.service_account", "principal.container"] {
        refused_for(&explained, attribute);
    }
    Ok(())
}

fn other_service_account(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let honest = Workload::new(site, "accounts");
    site.entitle(&honest, node)?;
    honest.run(site, node)?.started()?;

    let refused = honest.account("default").run(site, node)?.refused()?;
    assert_eq!(refused.code, 77, "{refused:?}");
    refused_for(&site.explain(&refused.audit_id)?, "principal.service_account");
    Ok(())
}

fn drafted_policy_lets_in_what_was_refused(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let workload = Workload::new(site, "drafted");
    let value = b"the value of a drafted permit";
    site.put_secret("drafted/db", value)?;
    let refused = workload.run(site, node)?.refused()?;
    assert_eq!(refused.reason, "policy.permit", "{refused:?}");

    let drafted = site.admin().podseal(&["policy", "draft", &refused.audit_id])?;
    site.allow_text("drafted".into(), drafted["text"].as_str().unwrap_or_default().into())?;
    let portrait = workload.run(site, node)?.started()?;
    assert_eq!(file_digest(&portrait, "/podseal/secrets/db"), Some(Digest::of(value)), "{portrait}");

    let other = workload.clone().account("default").run(site, node)?.refused()?;
    refused_for(&site.explain(&other.audit_id)?, "principal.service_account");

    // Where the evidence fails, there is nobody to write a permit for.
    let elsewhere = workload.token(|token| token.audience = vec!["another".into()]).run(site, node)?.refused()?;
    let none = site.admin().run(&["policy", "draft", &elsewhere.audit_id], b"")?;
    assert_eq!(none.code, Some(1), "{none:?}");
    Ok(())
}

fn each_attribute_is_decisive(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let fake = Counterfeit::enrol(site, "attributes", "attributes")?;
    let honest = Workload::new(site, "attributes").permit(site, node)?.is("context.node", "attributes").of_clean_pod_log();
    site.allow(&honest)?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;

    let mut pinned: Vec<String> = honest.attributes().into_iter().map(String::from).collect();
    for attribute in &pinned {
        site.allow(&honest.clone().negated(attribute))?;
        let explained = fake.ask_one(&fake.claim()?)?.refused(site)?;
        let obstacles = explained.obstacles();
        assert_eq!(
            (explained.result(), &obstacles[..]),
            ("refused", &["policy.permit", "policy.attribute"][..]),
            "{attribute}: {}",
            explained.told()
        );
        let decisive = explained.0.checks.iter().find(|check| check.name == "policy.attribute" && check.verdict != "pass");
        let decisive = decisive.expect("it is among the obstacles");
        assert!(decisive.found.starts_with(attribute), "{attribute}: {}", explained.told());
    }

    site.allow(&honest)?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;

    pinned.sort();
    assert_eq!(pinned, attributes_of_the_schema());
    Ok(())
}

/// `principal.x`, `resource.x` and `context.x` of every attribute that the schema declares, sorted.
fn attributes_of_the_schema() -> Vec<String> {
    let schema = std::fs::read_to_string(repository().join("policies/podseal.cedarschema")).expect("the schema is there");
    let mut found = Vec::new();
    let mut of = None;
    for line in schema.lines().map(str::trim) {
        match (line, of) {
            ("entity Workload = {", _) => of = Some("principal"),
            ("entity Secret = {", _) => of = Some("resource"),
            ("context: {", _) => of = Some("context"),
            ("};" | "}," | "}", _) => of = None,
            (attribute, Some(of)) if !attribute.starts_with("//") => {
                found.extend(attribute.split_once(':').map(|(name, _)| format!("{of}.{name}")));
            }
            _ => {}
        }
    }
    found.sort();
    found
}
