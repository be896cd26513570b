#![allow(clippy::unwrap_used)]
//! Each step by itself, honest and not. What a whole enrolment comes to is tested through the verifier.

use super::*;
use podseal_protocol::{Challenge, MacKey};

const ISSUED: u64 = 1_780_272_000;

fn verifier() -> Digest {
    Digest::of(b"verifier")
}

fn received(change: impl FnOnce(&mut Challenge)) -> ReceivedChallenge {
    let mut challenge = Challenge {
        verifier: verifier(),
        epoch: 1,
        purpose: Purpose::Join,
        node: "node-1".to_owned(),
        issued: ISSUED,
        expires: ISSUED + 60,
        random: [3; 32],
    };
    change(&mut challenge);
    let bytes = challenge.issue(&MacKey::new(zeroize::Zeroizing::new([1; 32])));
    ReceivedChallenge::parse(&bytes, &Limits::DEFAULT).unwrap()
}

fn join() -> Join {
    Join {
        challenge: Vec::new(),
        token: String::new(),
        node: "node-1".to_owned(),
        cluster: "east".to_owned(),
        node_uid: "uid".to_owned(),
        profile: Profile::Tpm.as_str().to_owned(),
        key: Vec::new(),
        proof: Proof::Ek { certificate: Vec::new(), intermediates: Vec::new(), public: Vec::new() },
    }
}

fn known() -> TokenFound {
    TokenFound::Known { cluster: "east".to_owned(), node: String::new(), expires: ISSUED + 10, consumed: false }
}

struct Case {
    join: Join,
    challenge: ReceivedChallenge,
    now: u64,
    challenge_issued: bool,
    cluster_known: bool,
    token: TokenFound,
    name_taken: bool,
    activated: Option<bool>,
}

fn honest() -> Case {
    Case {
        join: join(),
        challenge: received(|_| ()),
        now: ISSUED,
        challenge_issued: true,
        cluster_known: true,
        token: known(),
        name_taken: false,
        activated: Some(true),
    }
}

/// Verdict of one rule, which must be there exactly once.
fn verdict(change: impl FnOnce(&mut Case), rule: &'static Rule) -> Verdict {
    let mut case = honest();
    change(&mut case);
    let roots = EkRoots::default();
    let context = Context {
        verifier: verifier(),
        now: case.now,
        challenge_issued: case.challenge_issued,
        roots: &roots,
        hardware: &Hardware::none(),
        endorsements: &Gathered::default(),
        limits: Limits::DEFAULT,
        cluster_known: case.cluster_known,
        token: case.token,
        name_taken: case.name_taken,
        activated: case.activated,
    };
    let (checks, candidate) = appraise_join(&case.join, &case.challenge, &context);
    assert!(candidate.is_none(), "there is no TPM in this test");
    let found: Vec<Verdict> = checks.iter().filter(|c| std::ptr::eq(c.rule, rule)).map(|c| c.verdict).collect();
    assert_eq!(found.len(), 1, "{}", rule.name);
    found.first().copied().unwrap()
}

fn token(change: impl FnOnce(&mut String, &mut String, &mut u64, &mut bool)) -> impl FnOnce(&mut Case) {
    move |case| {
        if let TokenFound::Known { cluster, node, expires, consumed } = &mut case.token {
            change(cluster, node, expires, consumed);
        }
    }
}

type Deviation = Box<dyn FnOnce(&mut Case)>;

#[test]
fn each_step_of_a_join_holds_and_fails() {
    let cases: Vec<(&'static Rule, Deviation)> = vec![
        (&rules::CHALLENGE_ISSUED, Box::new(|c| c.challenge_issued = false)),
        (&rules::CHALLENGE_VERIFIER, Box::new(|c| c.challenge = received(|r| r.verifier = Digest::of(b"another")))),
        (&rules::CHALLENGE_PURPOSE, Box::new(|c| c.challenge = received(|r| r.purpose = Purpose::Release))),
        (&rules::CHALLENGE_EXPIRED, Box::new(|c| c.now = ISSUED + 60)),
        (&rules::CHALLENGE_EXPIRED, Box::new(|c| c.now = ISSUED - 1)),
        (&rules::CHALLENGE_NODE, Box::new(|c| c.join.node = "node-2".to_owned())),
        (&NODE_NAME, Box::new(|c| c.join.node = "Node_1".to_owned())),
        (&CLUSTER, Box::new(|c| c.cluster_known = false)),
        (&PROFILE, Box::new(|c| c.join.profile = "snp".to_owned())),
        (&NODE_NEW, Box::new(|c| c.name_taken = true)),
        (&TOKEN_KNOWN, Box::new(|c| c.token = TokenFound::Unknown)),
        (&TOKEN_UNSPENT, Box::new(token(|_, _, _, consumed| *consumed = true))),
        (&TOKEN_LIVES, Box::new(token(|_, _, expires, _| *expires = ISSUED))),
        (&TOKEN_CLUSTER, Box::new(token(|cluster, _, _, _| *cluster = "west".to_owned()))),
        (&TOKEN_NODE, Box::new(token(|_, node, _, _| *node = "node-2".to_owned()))),
        (&ACTIVATED, Box::new(|c| c.activated = Some(false))),
    ];
    for (rule, change) in cases {
        assert_eq!(verdict(|_| (), rule), Verdict::Pass, "{}", rule.name);
        assert_eq!(verdict(change, rule), Verdict::Fail, "{}", rule.name);
    }
}

#[test]
fn what_an_unknown_token_leaves_out_is_not_appraised() {
    for rule in [&TOKEN_UNSPENT, &TOKEN_LIVES, &TOKEN_CLUSTER, &TOKEN_NODE] {
        assert_eq!(verdict(|c| c.token = TokenFound::Unknown, rule), Verdict::NotAppraised, "{}", rule.name);
    }
}
