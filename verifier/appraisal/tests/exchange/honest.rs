//! The honest exchange, and what exactly it establishes.

use podseal_appraisal::{
    check::{Verdict, worst},
    claims::{Agent, Boot, Claim, Memory, PodLog, RootKind},
    decision::Decision,
    policy::{Policy, PolicyLimits},
};
use podseal_protocol::Digest;

use super::{
    refused::released,
    world::{Signer, World},
};

#[test]
fn honest_exchange_is_released() {
    let world = World::honest();
    let run = world.run();
    let Decision::Release(grant) = &run.decisions[0] else { panic!("{:#?}", run.decisions[0]) };
    let leaf = &world.pods[0].leaf;
    assert_eq!(grant.key(), &leaf.workload_key);
    assert_eq!(grant.leaf(), Digest::of(&world.pods[0].bytes().leaf));
    assert_eq!(grant.binding(), run.appraisal.binding());
    assert_eq!(grant.sequence(), 1);
    let released: Vec<_> = grant.secrets().iter().map(|s| (s.request.file.as_str(), s.request.secret.as_str(), s.version)).collect();
    assert_eq!(released, [("db", "payments/db", 3), ("api-key", "payments/api-key", 3)]);
    assert_eq!(grant.policy_head(), Digest::of(world.policy.as_ref().unwrap().as_bytes()));
    let claims: Vec<_> = grant.claims().iter().map(|(name, word)| (name.as_str(), word.as_str())).collect();
    let wanted = [
        ("agent", "self-asserted"),
        ("agent_exceptions", "none"),
        ("boot", "kernel"),
        ("memory", "none"),
        ("pod_log", "observed"),
        ("root", "test"),
        ("secure_boot", "true"),
        ("token_names_node", "true"),
        ("tpm_in_tee", "false"),
    ];
    assert_eq!(claims, wanted);
    assert_eq!(worst(grant.checks()), Verdict::Pass);
    assert!(run.appraisal.attributable());
}

#[test]
fn honest_exchange_gives_the_nodes_claims() {
    let run = World::honest().run();
    let claims = run.appraisal.node_claims().unwrap();
    assert_eq!((claims.node.as_str(), claims.cluster.as_str(), claims.profile.as_str()), ("node-a", "prod-eu", "tpm"));
    assert_eq!(claims.memory, Claim::Appraised(Memory::None));
    assert_eq!(claims.boot, Claim::Appraised(Boot::Kernel));
    assert_eq!(claims.tpm_in_tee, Claim::Appraised(false));
    assert_eq!(claims.agent, Claim::Appraised(Agent::SelfAsserted));
    assert_eq!(claims.root, Claim::Appraised(RootKind::Test));
    assert_eq!(claims.secure_boot, Claim::Appraised(true));
    assert_eq!(claims.pod_log, Claim::Appraised(PodLog::Observed));
    assert_eq!((&claims.privileged_images, &claims.pod_log_gaps), (&Claim::Appraised(Vec::new()), &Claim::Appraised(0)));
    assert_eq!(claims.agent_exceptions, Claim::Appraised(Vec::new()));
    assert_eq!(run.appraisal.leaves()[0].workload().unwrap().pod_execs, Claim::Appraised(0));
}

/// Nothing of the schema is left to chance by the policy of these tests.
#[test]
fn policy_of_the_honest_exchange_reads_every_attribute() {
    let world = World::honest();
    let text = world.policy.unwrap();
    assert_eq!(Policy::parse(&text, &PolicyLimits::DEFAULT).unwrap().secrets(), ["payments/api-key", "payments/db"]);
    let (schema, _) = cedar_policy::SchemaFragment::from_cedarschema_str(podseal_appraisal::policy::SCHEMA).unwrap();
    let json = schema.to_json_value().unwrap();
    let types = &json[""]["entityTypes"];
    let context = &json[""]["actions"]["release"]["appliesTo"]["context"];
    for (variable, record) in [("principal", &types["Workload"]["shape"]), ("resource", &types["Secret"]["shape"]), ("context", context)] {
        for name in record["attributes"].as_object().unwrap().keys() {
            let read = format!("{variable}.{name}");
            let decided = [format!("{read} =="), format!("contains({read})"), format!("{read}.isEmpty()")];
            assert!(decided.iter().any(|condition| text.contains(condition)), "{read}");
        }
    }
}

#[test]
fn token_signed_by_es256_is_released() {
    let mut world = World::honest();
    world.pods[0].signer = Signer::Es256;
    released(&world.run());
}

#[test]
fn reviewed_policy_releases_every_replica_of_a_batch() {
    let run = World::of_replicas(5).run();
    assert_eq!(run.decisions.len(), 5);
    released(&run);
}

#[test]
fn explanation_of_a_release_has_every_step() {
    let run = World::honest().run();
    let explanation = run.explanation(0);
    assert_eq!((explanation.result.as_str(), explanation.reason.as_str(), explanation.node.as_str()), ("released", "", "node-a"));
    assert_eq!(explanation.workload, "payments/payment-api-0 container api, service account payment-api");
    assert_eq!(explanation.secrets, ["db=payments/db@3", "api-key=payments/api-key@3"]);
    assert_eq!(explanation.binding, run.appraisal.binding().to_string());
    assert!(explanation.checks.iter().all(|check| check.verdict == "pass"));
    let Decision::Release(grant) = &run.decisions[0] else { panic!() };
    assert_eq!(explanation.checks.len(), grant.checks().len());
}

/// A node's log is the same for a whole boot: the replay that one exchange made serves the next.
#[test]
fn kept_replay_gives_the_same_decision() {
    let world = World::honest();
    let prepared = world.prepared();
    let exchange = world.exchange();
    let mut first = prepared.run(&exchange, world.now, None);
    let replayed = first.appraisal.take_replayed().unwrap();
    let mut second = prepared.run(&exchange, world.now, Some(&replayed));
    assert_eq!(second.explanation(0), first.explanation(0));
    assert!(second.appraisal.take_replayed().is_none());
}
