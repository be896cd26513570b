//! What the promises' tests lean on: an attester that lies is believed while it tells the truth, and a site of one's own survives what is done to it.

use podseal_protocol::Digest;
use podseal_swtpm_tests::raw_tpm::{CC_ACTIVATE_CREDENTIAL, CC_QUOTE};
use podseal_swtpm_tests::site::{Counterfeit, Joining, NodeOptions, Site, Workload};
use rustix::process::Signal;

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("parts::counterfeit_is_believed_when_it_tells_the_truth", counterfeit_is_believed_when_it_tells_the_truth),
    ("parts::counterfeit_is_refused_when_one_thing_differs", counterfeit_is_refused_when_one_thing_differs),
    ("parts::machine_joins_by_hand", machine_joins_by_hand),
    ("parts::verifier_and_attester_come_back", verifier_and_attester_come_back),
    ("parts::verifier_runs_under_strace", verifier_runs_under_strace),
];

fn counterfeit_is_believed_when_it_tells_the_truth(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "fake-truth", "fake-truth")?;
    site.put_secret("fake-truth/db", b"correct horse")?;
    let (one, other) = (fake.claim()?, fake.claim()?);
    let answers = fake.ask(&[&one, &other])?;
    for (claim, answer) in [&one, &other].into_iter().zip(&answers) {
        assert_eq!(answer.leaf, claim.digest());
        let taken = claim.open(site.verifier().digest(), answer.delivered(site)?)?;
        assert_eq!(
            (taken.files.len(), taken.files[0].file.as_str(), taken.files[0].value.as_slice()),
            (1, "db", b"correct horse".as_slice())
        );
    }
    assert!(one.open(site.verifier().digest(), answers[1].delivered(site)?).is_err(), "the neighbour's delivery");
    Ok(())
}

fn counterfeit_is_refused_when_one_thing_differs(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "fake-lie", "fake-lie")?;
    fake.ask_one(&fake.claim()?)?.delivered(site)?;

    let lie = fake.claim()?.with_leaf(|leaf| leaf.namespace = "other".into());
    assert_eq!(fake.ask_one(&lie)?.refused(site)?.result(), "refused");

    let claim = fake.claim()?;
    let mut plan = fake.plan(&[&claim])?;
    plan.signed.leaves = vec![Digest::of(b"another leaf")];
    let answer = &fake.send(&fake.collect(plan)?)?[0];
    let explained = answer.refused(site)?;
    assert_eq!((explained.result(), answer.reason()), ("rejected", "quote.qualifying_data"), "{}", explained.told());

    let mut plan = fake.plan(&[&claim])?;
    plan.pcrs = vec![0, 7, 12];
    let explained = fake.send(&fake.collect(plan)?)?[0].refused(site)?;
    assert_ne!(explained.result(), "released");
    fake.ask_one(&claim)?.delivered(site)?;
    Ok(())
}

fn machine_joins_by_hand(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let joining = Joining::new(site, site.boot_machine("by-hand", site.boot())?)?;
    let request = joining.request(&site.join_token("by-hand")?)?;
    let secret = joining.open(joining.join(&request)?)?;
    assert!(joining.activate(&request, secret)?.approved);
    assert!(joining.activate(&request, secret).is_err(), "a second time");
    assert_eq!(site.admin().podseal(&["node", "show", "by-hand"])?["state"], "approved");
    Ok(())
}

fn verifier_and_attester_come_back(fixtures: &Fixtures) -> Outcome {
    let mut site = fixtures.own_site("back")?;
    let mut node = site.start_node(NodeOptions { proxied: true, ..NodeOptions::new(&site, "node-back") })?;
    let workload = Workload::new(&site, "back");
    let value = site.entitle(&workload, &node)?;
    workload.run(&site, &node)?.started()?;
    let seen = node.machine().proxy().expect("it has one").seen();
    assert!(seen.contains(&CC_ACTIVATE_CREDENTIAL) && seen.contains(&CC_QUOTE), "{seen:x?}");

    site.verifier_mut().kill();
    let pod = workload.run(&site, &node)?;
    site.verifier_mut().restart()?;
    let portrait = pod.started()?;
    assert_eq!(podseal_swtpm_tests::site::workload::file_digest(&portrait, "/podseal/secrets/db"), Some(value), "{portrait}");
    drop(pod);

    node.attester().signal(Signal::KILL)?;
    node.restart_attester(&[])?;
    workload.run(&site, &node)?.started()?;
    assert!(site.verifier_mut().stop()?.success());
    Ok(())
}

fn verifier_runs_under_strace(fixtures: &Fixtures) -> Outcome {
    let log = fixtures.folder("strace.log");
    let words = ["-f", "-e", "trace=fsync,fdatasync", "-o", &log.display().to_string()];
    let site = Site::start_with(&fixtures.folder("strace"), "", &words)?;
    site.put_secret("strace/db", b"a value")?;
    let before = site.verifier().daemon().pid();
    drop(site);
    assert!(std::fs::read_to_string(&log)?.contains("sync("), "no sync was seen");
    assert!(!std::path::Path::new(&format!("/proc/{before}")).exists(), "the verifier outlived strace");
    Ok(())
}
