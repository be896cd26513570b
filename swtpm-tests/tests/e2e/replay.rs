//! What is sent twice, what is left out, and what the outside hears of a refusal.

use std::collections::BTreeSet;

use podseal_protocol::evidence::{Evidence, Part};
use podseal_protocol::exchange::{Exchange, ExchangeReply, Outcome as LeafOutcome};
use podseal_protocol::{Digest, Limits, SecretRequest};
use podseal_swtpm_tests::site::counterfeit::Plan;
use podseal_swtpm_tests::site::{Claim, Counterfeit, Explained, Site, Workload};
use podseal_wire::Message;

use crate::fixtures::Fixtures;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    ("challenge_replayed", challenge_replayed),
    ("what_finds_no_room_in_the_reply_spares_the_others", what_finds_no_room_in_the_reply_spares_the_others),
    ("errors_carry_no_expected_values", errors_carry_no_expected_values),
    ("missing_part_never_raises_status", missing_part_never_raises_status),
];

type Failure = Box<dyn std::error::Error>;

/// Sends bytes as an exchange: the reply's own bytes.
fn wire(site: &Site, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    Ok(site.admin().call_attestation(|mut client| async move { client.exchange(Message { body }).await })?.body)
}

/// Entries that commit to these bytes as their exchange, whoever else writes into the log meanwhile.
pub(crate) fn entries_of(site: &Site, exchange: &[u8]) -> Result<usize, Failure> {
    let digest = Digest::of(exchange).to_string();
    let list = site.admin().podseal(&["log", "list", "--from", "0", "--count", "100000"])?;
    let entries = list["entries"].as_array().ok_or("no entries")?;
    Ok(entries.iter().filter(|entry| entry["objects"]["exchange"] == digest.as_str()).count())
}

fn challenge_replayed(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "replay-1", "replay")?;
    let claim = fake.claim()?;
    let recorded = fake.collect(fake.plan(&[&claim])?)?.encode();
    let first = fake.send_bytes(recorded.clone())?;
    assert!(matches!(first.outcomes[0].1, LeafOutcome::Delivered(_)), "{first:?}");
    assert_eq!(entries_of(site, &recorded)?, 1);

    for _ in 0..2 {
        let again = fake.send_bytes(recorded.clone())?;
        let [(_, LeafOutcome::Refused { reason, audit_id })] = again.outcomes.as_slice() else { panic!("{again:?}") };
        assert_eq!(reason, "challenge.replayed");
        let explained = site.explain(audit_id)?;
        assert_eq!((explained.result(), explained.obstacles()), ("rejected", vec!["challenge.replayed"]), "{}", explained.told());
        assert_eq!(explained.0.entry_index, None);
    }
    assert_eq!(entries_of(site, &recorded)?, 1, "a replay is in the log");

    // The spent challenge under other evidence: fresh leaves, signed anew.
    let spent = Exchange::decode(&recorded, &Limits::DEFAULT)?.challenge;
    let other = fake.claim()?;
    let mut plan = fake.plan(&[&other])?;
    (plan.signed.challenge, plan.challenge) = (Digest::of(&spent), spent);
    assert_eq!(fake.send(&fake.collect(plan)?)?[0].reason(), "challenge.replayed");
    fake.ask_one(&other)?.delivered(site)?;
    at_once(site, &fake)
}

/// Sent many times at once, before the first answer has spent its challenge: one is answered.
fn at_once(site: &Site, fake: &Counterfeit) -> Outcome {
    let exchange = fake.collect(fake.plan(&[&fake.claim()?])?)?.encode();
    let answers: Vec<Result<_, String>> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(|| fake.send_bytes(exchange.clone()).map_err(|e| e.to_string()))).collect();
        senders.into_iter().map(|sender| sender.join().expect("it ends")).collect()
    });
    let mut delivered = 0;
    for answer in answers {
        match &answer?.outcomes[0].1 {
            LeafOutcome::Delivered(_) => delivered += 1,
            LeafOutcome::Refused { reason, .. } => assert_eq!(reason, "challenge.replayed"),
        }
    }
    assert_eq!((delivered, entries_of(site, &exchange)?), (1, 1));
    Ok(())
}

/// Something that is wrong with a request.
type Lie = (&'static str, fn(&mut Plan));

const LIES: &[Lie] = &[
    ("quote.qualifying_data", |plan| plan.signed.leaves = vec![Digest::of(b"another leaf")]),
    ("quote.selection", |plan| plan.pcrs = vec![0, 7]),
    ("node.enrolled", |plan| plan.evidence.node = "somebody-else".into()),
    ("leaf.spec_attached", |plan| plan.attachments.clear()),
];

fn errors_carry_no_expected_values(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let mut boot = site.boot().clone();
    boot.command_line.push_str(" debug");
    let stranger = Counterfeit::enrol_booted(site, "errors-1", "errors", &boot)?;
    let honest = Counterfeit::enrol(site, "errors-2", "errors-honest")?;
    honest.ask_one(&honest.claim()?)?.delivered(site)?;

    let sent = stranger.collect(stranger.plan(&[&stranger.claim()?])?)?;
    let mut reasons = vec![says_nothing(site, &sent)?];
    for (reason, lie) in LIES {
        let claim = honest.claim()?;
        let mut plan = honest.plan(&[&claim])?;
        lie(&mut plan);
        let heard = says_nothing(site, &honest.collect(plan)?)?;
        assert!(heard.obstacles().contains(reason), "{reason}: {}", heard.told());
        reasons.push(heard);
    }
    let claims: [fn(Claim) -> Claim; 3] = [
        |claim| claim.with_leaf(|leaf| leaf.service_account = "default".into()),
        |claim| claim.with_leaf(|leaf| leaf.launcher = Digest::of(b"another launcher")),
        |claim| claim.with_spec(|spec| spec["process"]["args"] = serde_json::json!(["/bin/sh"])),
    ];
    for change in claims {
        let claim = change(honest.claim()?);
        reasons.push(says_nothing(site, &honest.collect(honest.plan(&[&claim])?)?)?);
    }
    let expected: usize = reasons.iter().map(|explained| expected(explained).len()).sum();
    assert!(expected > reasons.len(), "explanations without expected values prove nothing");
    launcher_says_nothing(site, fixtures)
}

/// Sends an exchange that is refused; what was expected of it is in the explanation, and nowhere in the reply.
/// Five containers, each with more than three MiB to get: the reply takes the first three, and nothing is recorded of the others.
fn what_finds_no_room_in_the_reply_spares_the_others(fixtures: &Fixtures) -> Outcome {
    const LONGEST: usize = 64 << 10;
    let (site, _) = fixtures.honest()?;
    let fake = Counterfeit::enrol(site, "roomy", "roomy")?;
    site.put_secret("roomy/db", &[7; LONGEST])?;
    let files = || (0..64).map(|number| SecretRequest { file: format!("f{number}"), secret: "roomy/db".into() }).collect();
    let claims = (0..5).map(|_| Ok(fake.claim()?.with_leaf(|leaf| leaf.secrets = files()))).collect::<Result<Vec<Claim>, Failure>>()?;
    let answers = fake.ask(&claims.iter().collect::<Vec<_>>())?;

    let taken = answers.iter().zip(&claims).filter(|(answer, _)| answer.reason().is_empty());
    let opened = taken.map(|(answer, claim)| Ok(claim.open(site.verifier().digest(), answer.delivered(site)?)?));
    assert_eq!(opened.collect::<Result<Vec<_>, Failure>>()?.len(), 3);
    for left_out in &answers[3..] {
        assert_eq!(left_out.reason(), "exchange.too_large");
        let explained = left_out.refused(site)?;
        assert_eq!((explained.result(), explained.reason()), ("rejected", "exchange.too_large"), "{}", explained.told());
    }
    fake.ask(&[&claims[4]])?.first().expect("an answer").delivered(site)?;
    Ok(())
}

fn says_nothing(site: &Site, exchange: &Exchange) -> Result<Explained, Failure> {
    let sent = exchange.encode();
    let reply = wire(site, sent.clone())?;
    let decoded = ExchangeReply::decode(&reply, &Limits::DEFAULT)?;
    let [(_, LeafOutcome::Refused { audit_id, .. })] = decoded.outcomes.as_slice() else { panic!("{decoded:?}") };
    let explained = site.explain(audit_id)?;
    assert_ne!(explained.result(), "released");
    // The next challenge is random, and its MAC.
    let outcomes = ExchangeReply { next_challenge: Vec::new(), ..decoded }.encode();
    for value in expected(&explained) {
        assert!(!contains(&outcomes, value.as_bytes()), "the reply carries {value:?}");
        if let Some(digest) = Digest::from_hex(&value) {
            assert!(!contains(&outcomes, digest.as_ref()), "the reply carries {value} in binary");
        }
    }
    Ok(explained)
}

fn launcher_says_nothing(site: &Site, fixtures: &Fixtures) -> Outcome {
    let (_, node) = fixtures.honest()?;
    let workload = Workload::new(site, "errors-pod");
    site.entitle(&workload, node)?;
    workload.run(site, node)?.started()?;
    let refused = workload.account("default").run(site, node)?.refused()?;
    let expected = expected(&site.explain(&refused.audit_id)?);
    assert!(expected.iter().any(|value| value.contains("payment-api")), "{expected:?}");
    for value in expected {
        assert!(!refused.stderr.contains(&value), "the launcher says {value:?}: {}", refused.stderr);
    }
    Ok(())
}

/// What would have passed: the expectations of the checks that did not, whole, and each digest in them. Words as short as `it` say nothing.
fn expected(explained: &Explained) -> BTreeSet<String> {
    let failed = explained.0.checks.iter().filter(|check| check.verdict != "pass");
    let texts: Vec<&str> = failed.map(|check| check.expected.as_str()).collect();
    let words = texts.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_hexdigit())).filter(|word| word.len() >= 40);
    words.chain(texts.iter().copied().filter(|text| text.len() > 6)).map(str::to_owned).collect()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn missing_part_never_raises_status(fixtures: &Fixtures) -> Outcome {
    let site = fixtures.site()?;
    let fake = Counterfeit::enrol(site, "missing-1", "missing")?;
    let claim = fake.claim()?;
    let whole = fake.collect(fake.plan(&[&claim])?)?;
    let audit_id = {
        let answer = fake.send(&whole)?.remove(0);
        claim.open(site.verifier().digest(), answer.delivered(site)?)?.receipt.context.audit_id
    };
    let honest = site.explain(&audit_id)?;

    type Keep = fn(&Part) -> bool;
    let quote: Keep = |part| matches!(part, Part::TpmQuote { .. });
    let log: Keep = |part| matches!(part, Part::BootLog(_));
    for (left_out, keep) in [("boot log", quote), ("quote", log), ("all parts", |_: &Part| false)] {
        let mut exchange = fake.collect(fake.plan(&[&fake.claim()?])?)?;
        let mut evidence = Evidence::decode(&exchange.evidence, &Limits::DEFAULT)?;
        evidence.parts.retain(keep);
        exchange.evidence = evidence.encode();
        is_no_better(site, &fake, &exchange, &honest, left_out)?;
    }
    for place in 0..whole.attachments.len() {
        let mut exchange = fake.collect(fake.plan(&[&fake.claim()?])?)?;
        exchange.attachments.remove(place);
        is_no_better(site, &fake, &exchange, &honest, &format!("attachment {place}"))?;
    }
    Ok(())
}

/// Refused, by a check that was not appraised or failed, and no claim is another than the honest one or missing.
fn is_no_better(site: &Site, fake: &Counterfeit, exchange: &Exchange, honest: &Explained, left_out: &str) -> Result<(), Failure> {
    let explained = fake.send(exchange)?.remove(0).refused(site)?;
    assert!(!explained.obstacles().is_empty(), "without {left_out}: {explained:?}");
    for (name, word) in &explained.0.claims {
        let least = matches!(word.as_str(), "not-appraised" | "none" | "false");
        assert!(least || honest.0.claims.get(name) == Some(word), "without {left_out}, {name} is {word}: honest {:?}", honest.0.claims);
    }
    Ok(())
}
