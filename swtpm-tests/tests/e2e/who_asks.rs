//! Who asks is said by the kernel and the runtime, what is asked by the pod's annotation, and what is given by the policy.

use podseal_protocol::cbor::Encoder;
use podseal_protocol::delivery::Session;
use podseal_swtpm_tests::binaries::static_program;
use podseal_swtpm_tests::image::{Image, Stored};
use podseal_swtpm_tests::site::workload::file_digest;
use podseal_swtpm_tests::site::{Node, Site, Workload};
use serde_json::json;
use zeroize::Zeroizing;

use crate::fixtures::Fixtures;
use crate::refusals::{REFUSED, answered, as_launcher, refused_by, refused_by_attributes, refused_on_the_node, without};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("other_image_same_name", other_image_same_name),
    ("tag_moved_to_other_digest", tag_moved_to_other_digest),
    ("claims_come_from_the_runtime", claims_come_from_the_runtime),
    ("secrets_come_from_the_annotation", secrets_come_from_the_annotation),
    ("annotation_cannot_widen", annotation_cannot_widen),
];

const SECRET: &str = "/podseal/secrets/db";
/// More secrets than one container can ask for.
const TOO_MANY: usize = 65;

/// An application of which there are several editions, each with its own digest.
fn edition(repository: &str, tag: &str, edition: &str) -> Image {
    let image = Image::new(repository, tag).program("/payment-api", &static_program("payment-api")).text("/edition", edition, 0o644);
    image.entrypoint(&["/payment-api"]).env(&["PATH=/"]).working_dir("/").folder("/podseal", 0o755)
}

fn other_image_same_name(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let approved = node.runtime().import(&edition("podseal.test/ledger", "1", "approved"))?;
    let workload = Workload::new(site, "same-name").image(&approved);
    let value = site.entitle(&workload, node)?;
    assert_eq!(file_digest(&workload.run(site, node)?.started()?, SECRET), Some(value));

    let other = node.runtime().import(&edition("podseal.test/ledger", "2", "other"))?;
    let refused = workload.image(&other).run(site, node)?.refused()?;
    refused_by_attributes(&site.explain(&refused.audit_id)?, &["principal.image", "principal.image_config"]);
    Ok(())
}

fn tag_moved_to_other_digest(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let approved = node.runtime().import(&edition("podseal.test/moving", "1", "approved"))?;
    let workload = Workload::new(site, "tag").image(&approved);
    let value = site.entitle(&workload, node)?;
    let by_tag = workload.clone().image(&Stored { config: approved.reference.clone(), ..approved.clone() });
    assert_eq!(file_digest(&by_tag.run(site, node)?.started()?, SECRET), Some(value));

    let moved = node.runtime().import(&edition("podseal.test/moving", "1", "moved"))?;
    assert_eq!((&moved.reference, moved.manifest == approved.manifest), (&approved.reference, false));
    let refused = by_tag.run(site, node)?.refused()?;
    let explained = site.explain(&refused.audit_id)?;
    refused_by_attributes(&explained, &["principal.image", "principal.image_config"]);
    assert!(explained.told().contains(&moved.manifest), "{}", explained.told());
    assert_eq!(file_digest(&workload.run(site, node)?.started()?, SECRET), Some(value));
    Ok(())
}

/// The message of a launcher that adds what it says about itself.
fn request(token: &str, about_itself: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let mut seed = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(seed.as_mut())?;
    let session = Session::new(podseal_protocol::Digest([0; 32]), seed, [7; 32]);
    let key = session.public_key().ok_or("the session has no key")?;
    let message = Encoder::message("podseal.workload-request.v1", 4 + about_itself.len() as u64);
    let message = message.bytes(session.salt()).bytes(key.as_bytes()).bytes(token.as_bytes());
    let bytes = about_itself.iter().fold(message, |message, field| message.text(field)).finish();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn claims_come_from_the_runtime(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.strangers()?;
    let as_launcher = |words: &[&str]| as_launcher("/podseal/launch", site.verifier().id(), words).join(" ");
    let with_words = |workload: &Workload, words: &[&str]| workload.clone().command(&as_launcher(words).split(' ').collect::<Vec<_>>());
    let victim = Workload::new(site, "claims");
    let value = site.entitle(&victim, node)?;
    site.allow(&victim.permit(site, node)?.without("principal.args"))?;

    let run = with_words(&victim, &["ask"]).run(site, node)?;
    let answer = answered(&run.container)?;
    assert_eq!(answer["files"], json!({ "db": value.to_string() }), "{answer}");
    let runtime_says = |workload: &Workload, pod_uid: &str, container_id: &str| {
        json!({
            "cluster": site.cluster().id(),
            "namespace": workload.namespace,
            "pod": workload.name,
            "pod_uid": pod_uid,
            "service_account": workload.service_account,
            "node_uid": node.machine().uid(),
            "container": workload.container,
            "container_id": container_id,
            "launcher": node.launcher().to_string(),
            "secrets": ["db=claims/db"],
        })
    };
    assert_eq!(answer["leaf"], runtime_says(&victim, run.pod.uid(), run.container.id()));

    // The victim runs on; its identity is what the attacker would like to have.
    let token = site.cluster().issuer().token(&victim.token_request(site, node, run.pod.uid()))?;
    let identity = ["claims", &victim.name, run.pod.uid(), &victim.service_account, &victim.container, run.container.id()];
    let attacker = victim.clone().named("stranger-0").account("stranger");
    let claims_more = with_words(&attacker, &["send", &request(&token, &identity)?]).run(site, node)?;
    let answer = answered(&claims_more.container)?;
    assert_eq!((&answer["refused"], &answer["audit_id"]), (&"request.malformed".into(), &"".into()), "{answer}");

    let with_its_token = with_words(&attacker, &["send", &request(&token, &[])?]).run(site, node)?;
    let answer = answered(&with_its_token.container)?;
    let explained = site.explain(answer["audit_id"].as_str().unwrap_or_default())?;
    assert_eq!((&answer["refused"], explained.reason()), (&"token.pod".into(), "token.pod"), "{answer}\n{}", explained.told());
    assert!(explained.told().contains(with_its_token.pod.uid()), "{}", explained.told());

    // The same four fields, sent by the pod that they are about.
    let mut again = victim.clone();
    again.uid = Some("5d0a1c1e-3f7b-4f0e-a1b2-0123456789ab".into());
    let uid = again.uid.clone().unwrap_or_default();
    let token = site.cluster().issuer().token(&again.token_request(site, node, &uid))?;
    let run = with_words(&again, &["send", &request(&token, &[])?]).run(site, node)?;
    assert_eq!(answered(&run.container)?["leaf"], runtime_says(&again, &uid, run.container.id()));
    Ok(())
}

/// Entitles a workload to `NAMESPACE/db` and `NAMESPACE/other`, whatever its arguments and variables are.
fn entitle_to_both(site: &Site, node: &Node, workload: &Workload) -> Result<podseal_protocol::Digest, Box<dyn std::error::Error>> {
    let value = site.entitle(workload, node)?;
    let permit = without(workload.permit(site, node)?, &["principal.args", "principal.env", "principal.env_names"]);
    site.allow(&permit)?;
    let other = format!("{}/other", workload.namespace);
    site.put_secret(&other, b"the other value")?;
    let mut permit = permit.is("resource.name", &other);
    permit.secret = other;
    site.allow(&permit)?;
    Ok(value)
}

fn secrets_come_from_the_annotation(fixtures: &Fixtures) -> Outcome {
    const OTHER: &str = "/podseal/secrets/other";
    let (site, node) = fixtures.honest()?;
    let id = site.verifier().id();
    let workload = Workload::new(site, "annotated");
    let value = entitle_to_both(site, node, &workload)?;
    let mut both = workload.clone().command(&as_launcher("/podseal/launch", id, &["/payment-api", SECRET, OTHER]));
    both.secrets = Some("db=annotated/db,other=annotated/other".into());
    let portrait = both.run(site, node)?.started()?;
    assert_eq!(file_digest(&portrait, SECRET), Some(value), "{portrait}");
    assert_eq!(file_digest(&portrait, OTHER), Some(podseal_protocol::Digest::of(b"the other value")), "{portrait}");

    let asks_by_env = |container: podseal_swtpm_tests::pod::Container| {
        container.env("PODSEAL_SECRETS", "other=annotated/other").env("podseal.dev/secrets", "other=annotated/other")
    };
    let words = ["/payment-api", SECRET, OTHER, "other=annotated/other"];
    let asks_otherwise = workload.clone().container(asks_by_env).command(&as_launcher("/podseal/launch", id, &words));
    let run = asks_otherwise.run(site, node)?;
    let portrait = run.started()?;
    assert_eq!(file_digest(&portrait, SECRET), Some(value), "{portrait}");
    assert!(portrait["files"][1]["error"].is_string(), "{portrait}");
    let released = site.explain(&run.released_as()?)?;
    assert_eq!(released.0.secrets, ["db=annotated/db@1"], "{}", released.0.secrets.join(" "));

    let mut only_otherwise = asks_otherwise.clone();
    only_otherwise.secrets = None;
    refused_on_the_node(&only_otherwise.run(site, node)?.refused()?, "pod.asks_for_nothing");

    let words = ["/podseal/launch", "--verifier", id, "--secret", "other=annotated/other", "--", "/payment-api"];
    let by_option = workload.command(&words).run(site, node)?.refused()?;
    assert_eq!((by_option.code, by_option.reason.as_str()), (64, ""), "{by_option:?}");
    Ok(())
}

fn annotation_cannot_widen(fixtures: &Fixtures) -> Outcome {
    let (site, node) = fixtures.honest()?;
    let (workload, neighbour) = (Workload::new(site, "narrow"), Workload::new(site, "narrow-neighbour"));
    let value = site.entitle(&workload, node)?;
    assert_eq!(file_digest(&workload.run(site, node)?.started()?, SECRET), Some(value));
    site.entitle(&neighbour, node)?;
    neighbour.run(site, node)?.started()?;
    site.put_secret("narrow/unpermitted", b"nobody's")?;
    let asking = |annotation: String| {
        let mut asking = workload.clone();
        asking.secrets = Some(annotation);
        asking.run(site, node)?.refused()
    };

    let refused = asking("db=narrow/db,more=narrow/unpermitted".into())?;
    let explained = site.explain(&refused.audit_id)?;
    refused_by(&explained, "policy.permit");
    assert!(explained.told().contains("narrow/unpermitted"), "{}", explained.told());

    let refused = asking("db=narrow-neighbour/db".into())?;
    refused_by_attributes(&site.explain(&refused.audit_id)?, &["principal.namespace"]);

    let refused = asking("db=narrow/db,more=narrow/no-such".into())?;
    refused_by(&site.explain(&refused.audit_id)?, "secret.exists");

    let many: Vec<String> = (0..TOO_MANY).map(|number| format!("file{number}=narrow/db")).collect();
    let refused = asking(many.join(","))?;
    refused_on_the_node(&refused, "pod.annotation");
    assert_eq!(refused.code, REFUSED);
    Ok(())
}
