//! Enrolment on the running verifier: who cannot become a node, and what a node with a test root never is.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use podseal_protocol::join::Join;
use podseal_swtpm_tests::error::BenchError;
use podseal_swtpm_tests::site::{Counterfeit, Joining, Site, Workload};
use podseal_wire::Name;

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("ak_self_made", ak_self_made),
    ("ak_of_other_ek", ak_of_other_ek),
    ("ek_root_unknown", ek_root_unknown),
    ("test_root_is_never_production", test_root_is_never_production),
];

type Failure = Box<dyn std::error::Error>;

fn joining(site: &Site, name: &str) -> Result<(Joining, Join), Failure> {
    let joining = Joining::new(site, site.boot_machine(name, site.boot())?)?;
    let request = joining.request(&site.join_token(name)?)?;
    Ok((joining, request))
}

/// Both steps, honestly.
fn joins(joining: &Joining, request: &Join) -> Outcome {
    let secret = joining.open(joining.join(request)?)?;
    assert!(joining.activate(request, secret)?.approved);
    Ok(())
}

/// The reason of a refusal, and the checks under its audit id that did not pass.
fn reason<T>(site: &Site, answer: Result<T, BenchError>) -> Result<(String, Vec<String>), Failure> {
    let Err(BenchError::Runtime { status, .. }) = answer else { return Err("not refused by the verifier".into()) };
    let header = |name: &str| status.metadata().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let explained = site.explain(&header("podseal-audit-id"))?;
    assert_eq!((explained.result(), explained.0.entry_index), ("rejected", None), "a stranger wrote into the log");
    Ok((header("podseal-reason"), explained.obstacles().into_iter().map(str::to_owned).collect()))
}

fn only(name: &str) -> (String, Vec<String>) {
    (name.into(), vec![name.into()])
}

fn ak_self_made(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let (machine, request) = joining(site, "made-up")?;
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    // TPMT_PUBLIC of an ECC key ends with its point, each coordinate behind its length: everything else stays as a TPM says it.
    let point = [&[0, 32], x, &[0, 32], y].concat();
    let mut self_made = request.clone();
    let at = self_made.key.len() - point.len();
    assert_eq!(self_made.key[at..at + 2], [0, 32]);
    self_made.key.splice(at.., point);

    let credential = machine.join(&self_made)?;
    assert!(machine.open(credential).is_err(), "the TPM activated a key that it does not have");
    assert_eq!(reason(site, machine.activate(&self_made, [7; 32]))?, only("join.activated"));
    joins(&machine, &request)
}

fn ak_of_other_ek(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let (one, request) = joining(site, "two-tpms-1")?;
    let (other, _) = joining(site, "two-tpms-2")?;
    let mixed = Join { key: other.identity().ak_public.clone(), ..request.clone() };
    // The credential is for the one's EK and the other's AK: neither TPM has both.
    assert!(one.open(one.join(&mixed)?).is_err(), "the EK's TPM activated for an AK that it does not have");
    assert!(other.open(other.join(&mixed)?).is_err(), "the AK's TPM opened what was encrypted to another EK");
    let honest = one.open(one.join(&request)?)?;
    assert_eq!(reason(site, one.activate(&mixed, honest))?, only("join.activated"));
    assert!(one.activate(&request, honest)?.approved);
    Ok(())
}

fn ek_root_unknown(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let elsewhere = fixtures.own_site("elsewhere")?;
    let (foreign, at_home) = joining(&elsewhere, "foreign")?;
    let (machine, request) = joining(site, "foreign")?;
    let Join { key, proof, .. } = at_home.clone();
    let shown = Join { key, proof, ..request.clone() };
    let (name, obstacles) = reason(site, machine.join(&shown))?;
    assert_eq!((name.as_str(), obstacles.contains(&"ek.chain".to_owned())), ("ek.chain", true), "{obstacles:?}");
    // Each is at home where its maker is known.
    joins(&foreign, &at_home)?;
    joins(&machine, &request)
}

fn test_root_is_never_production(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "test-root", "test-root")?;
    let claim = fake.claim()?;
    let taken = claim.open(site.verifier().digest(), fake.ask_one(&claim)?.delivered(site)?)?;
    assert!(taken.receipt.claims.contains(&("root".into(), "test".into())), "{:?}", taken.receipt.claims);
    let name = Name { name: "test-root".into() };
    let node = site.admin().call(|mut client| async move { client.get_node(name).await })?;
    assert_eq!((node.root.as_str(), node.root_kind.as_str()), ("bench", "test"));

    // A policy that wants a production root.
    let permit = Workload::new(site, "test-root").permit(site, site.node()?)?.is("context.node", "test-root");
    site.allow(&permit.clone().is("context.root", "production"))?;
    let explained = fake.ask_one(&fake.claim()?)?.refused(site)?;
    let found = explained.check("policy.permit").map(|check| check.found.as_str());
    assert_eq!((explained.result(), found), ("refused", Some("@test-root-db fails in context.root")), "{}", explained.told());

    // An owner who does not accept test roots: a permit that is content with one makes no difference.
    site.allow(&permit.clone().without("resource.accepts"))?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;
    site.admin().run(&["secret", "put", "test-root/db", "--accept", "host-trusted"], b"a value")?.json()?;
    let explained = fake.ask_one(&fake.claim()?)?.refused(site)?;
    assert_eq!((explained.result(), explained.obstacles()), ("refused", vec!["policy.forbid"]), "{}", explained.told());
    assert!(explained.told().contains("test-root"), "{}", explained.told());
    Ok(())
}
