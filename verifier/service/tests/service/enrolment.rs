//! How a node becomes ours, and everything that keeps another from it. Each refusal is named by the check that did it.

use std::fs;

use podseal_protocol::{
    Limits,
    join::{Activation, ActivationReply, Join, JoinReply},
};
use podseal_wire::{
    AuditId, ChallengeRequest, JoinTokenRequest, LogRange, Message, Name, admin_client::AdminClient, attestation_client::AttestationClient,
};
use tonic::{Code, Status, transport::Channel};

use crate::{
    administration::cluster,
    software_tpm::{Maker, SoftwareTpm},
    verifier::{Installation, Running, reason},
};

struct Scene {
    verifier: Running,
    admin: AdminClient<Channel>,
    node: AttestationClient<Channel>,
    maker: Maker,
}

impl Scene {
    async fn new() -> Self {
        let maker = Maker::new();
        let root = "[[ek_root]]\nname = \"maker\"\nfile = \"root.pem\"\nkind = \"test\"\n[limits]\npending_nodes = 2\n";
        let installation = Installation::new(root);
        fs::write(installation.path("root.pem"), maker.pem()).unwrap();
        let verifier = installation.start();
        let (mut admin, node) = (verifier.admin().await, verifier.node().await);
        admin.add_cluster(cluster("east")).await.unwrap();
        admin.add_cluster(cluster("west")).await.unwrap();
        Self { verifier, admin, node, maker }
    }

    async fn challenge(&mut self, node: &str, purpose: &str) -> Vec<u8> {
        let request = ChallengeRequest { node: node.to_owned(), purpose: purpose.to_owned() };
        self.node.get_challenge(request).await.unwrap().into_inner().body
    }

    async fn token(&mut self, cluster: &str, node: &str) -> String {
        let request = JoinTokenRequest { cluster: cluster.to_owned(), node: node.to_owned(), lifetime: 600 };
        self.admin.create_join_token(request).await.unwrap().into_inner().token
    }

    async fn request(&mut self, tpm: &SoftwareTpm, node: &str, token: &str) -> Join {
        let challenge = self.challenge(node, "join").await;
        tpm.join(node, challenge, token)
    }

    /// Both steps, as an honest TPM does them.
    async fn enrol(&mut self, tpm: &SoftwareTpm, request: &Join) -> Result<ActivationReply, Status> {
        let secret = self.credential(tpm, request).await?;
        self.activate(request, secret).await
    }

    async fn credential(&mut self, tpm: &SoftwareTpm, request: &Join) -> Result<[u8; 32], Status> {
        let reply = self.node.join(Message { body: request.encode() }).await?.into_inner().body;
        Ok(tpm.activate(&request.key, &JoinReply::decode(&reply, &Limits::DEFAULT).unwrap()))
    }

    async fn activate(&mut self, request: &Join, secret: [u8; 32]) -> Result<ActivationReply, Status> {
        let body = Activation { join: request.encode(), secret: Some(secret) }.encode();
        let reply = self.node.activate(Message { body }).await?.into_inner().body;
        Ok(ActivationReply::decode(&reply, &Limits::DEFAULT).unwrap())
    }

    /// What the operator hears of a refusal: its result and the checks that failed.
    async fn explained(&mut self, refused: &Status) -> (String, Vec<String>) {
        let audit_id = refused.metadata().get("podseal-audit-id").unwrap().to_str().unwrap().to_owned();
        let explained = self.admin.explain(AuditId { audit_id }).await.unwrap().into_inner();
        let failed = explained.checks.into_iter().filter(|check| check.verdict == "fail").map(|check| check.name);
        (explained.result, failed.collect())
    }

    async fn nodes(&mut self) -> Vec<(String, String)> {
        let nodes = self.admin.list_nodes(podseal_wire::Empty {}).await.unwrap().into_inner().nodes;
        nodes.into_iter().map(|node| (node.name, node.state)).collect()
    }
}

#[track_caller]
fn refused(result: Result<ActivationReply, Status>, check: &str) -> Status {
    let status = result.expect_err(check);
    assert_eq!((status.code(), reason(&status)), (Code::PermissionDenied, check));
    assert_eq!(status.message(), check, "the outside hears the reason and nothing else");
    status
}

#[tokio::test]
async fn a_node_enrols_by_token_or_by_approval() {
    let mut scene = Scene::new().await;
    let (one, two) = (SoftwareTpm::made_by(&scene.maker), SoftwareTpm::made_by(&scene.maker));
    let token = scene.token("east", "").await;
    let request = scene.request(&one, "node-1", &token).await;
    assert!(scene.enrol(&one, &request).await.unwrap().approved);
    let request = scene.request(&two, "node-2", "").await;
    let pending = scene.enrol(&two, &request).await.unwrap();
    assert!(!pending.approved);
    let state = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(scene.nodes().await, [state("node-1", "approved"), state("node-2", "pending")]);

    let node = scene.admin.get_node(Name { name: "node-2".to_owned() }).await.unwrap().into_inner();
    assert_eq!((node.root.as_str(), node.root_kind.as_str(), node.cluster.as_str()), ("maker", "test", "east"));
    let explained = scene.admin.explain(AuditId { audit_id: pending.audit_id }).await.unwrap().into_inner();
    assert_eq!((explained.result.as_str(), explained.node.as_str()), ("changed", "node-2"));
    assert!(explained.checks.iter().any(|c| c.name == "ek.chain") && explained.checks.iter().all(|c| c.verdict == "pass"));
    scene.admin.approve_node(Name { name: "node-2".to_owned() }).await.unwrap();
    let again = scene.admin.approve_node(Name { name: "node-2".to_owned() }).await.unwrap_err();
    assert_eq!(reason(&again), "node.approved_already");
    assert_eq!(scene.nodes().await[1], state("node-2", "approved"));
}

#[tokio::test]
async fn ak_of_other_ek() {
    let mut scene = Scene::new().await;
    let (genuine, other) = (SoftwareTpm::made_by(&scene.maker), SoftwareTpm::made_by(&scene.maker));
    let request = scene.request(&genuine, "node-1", "").await;
    // The other TPM holds that AK: the credential is for the EK that was sent, so only a guess is left.
    let wrong = refused(scene.activate(&request, [7; 32]).await, "join.activated");
    let audit_id = wrong.metadata().get("podseal-audit-id").unwrap().to_str().unwrap().to_owned();
    let explained = scene.admin.explain(AuditId { audit_id }).await.unwrap().into_inner();
    assert_eq!((explained.result.as_str(), explained.reason.as_str()), ("rejected", "join.activated"));
    // The secret of another request does not serve either.
    let elsewhere = scene.request(&other, "node-2", "").await;
    let secret = scene.credential(&other, &elsewhere).await.unwrap();
    refused(scene.activate(&request, secret).await, "join.activated");
    assert!(scene.nodes().await.is_empty());
    scene.enrol(&genuine, &request).await.unwrap();
}

#[tokio::test]
async fn ek_root_unknown_and_ak_not_restricted() {
    let mut scene = Scene::new().await;
    let stranger = SoftwareTpm::made_by(&Maker::new());
    let request = scene.request(&stranger, "node-1", "").await;
    refused(scene.enrol(&stranger, &request).await, "ek.chain");
    let tpm = SoftwareTpm::made_by(&scene.maker);
    let mut request = scene.request(&tpm, "node-1", "").await;
    request.key = SoftwareTpm::new_ak(0x0004_0072);
    refused(scene.enrol(&tpm, &request).await, "ak.restricted");
    request.key = tpm.join("", Vec::new(), "").key;
    request.proof = tpm.proof(stranger.ek_public());
    refused(scene.enrol(&tpm, &request).await, "ek.key_matches_certificate");
    assert_eq!(scene.nodes().await, []);
    let page = scene.admin.list_log(LogRange { from: 0, count: 0 }).await.unwrap().into_inner();
    assert_eq!(page.size, 2, "no stranger writes into the log: it has the two clusters");
}

#[tokio::test]
async fn challenges_of_a_join() {
    let mut scene = Scene::new().await;
    let tpm = SoftwareTpm::made_by(&scene.maker);
    let other = Scene::new().await.challenge("node-1", "join").await;
    let of_other_node = scene.challenge("node-2", "join").await;
    let for_release = scene.challenge("node-1", "release").await;
    let mut altered = scene.challenge("node-1", "join").await;
    *altered.last_mut().unwrap() ^= 1;
    for (challenge, check) in
        [(other, "challenge.issued"), (altered, "challenge.issued"), (of_other_node, "challenge.node"), (for_release, "challenge.purpose")]
    {
        refused(scene.enrol(&tpm, &tpm.join("node-1", challenge, "")).await, check);
    }
    // The honest twin, and then its challenge a second time, for another machine.
    let request = scene.request(&tpm, "node-1", "").await;
    scene.enrol(&tpm, &request).await.unwrap();
    let second = SoftwareTpm::made_by(&scene.maker);
    let mut replay = second.join("node-1", request.challenge.clone(), "");
    refused(scene.enrol(&second, &replay).await, "join.node_new");
    replay.node = "node-2".to_owned();
    refused(scene.enrol(&second, &replay).await, "challenge.node");
}

#[tokio::test]
async fn names_cluster_and_profile_of_a_join() {
    let mut scene = Scene::new().await;
    let tpm = SoftwareTpm::made_by(&scene.maker);
    let honest = scene.request(&tpm, "node-1", "").await;
    let with = |change: fn(&mut Join)| {
        let mut request = honest.clone();
        change(&mut request);
        request
    };
    refused(scene.enrol(&tpm, &with(|r| r.cluster = "south".to_owned())).await, "join.cluster");
    refused(scene.enrol(&tpm, &with(|r| r.profile = "snp".to_owned())).await, "join.profile");
    for node in ["", "Node", "a b", "-a", "a..b"] {
        let request = ChallengeRequest { node: node.to_owned(), purpose: "join".to_owned() };
        assert_eq!(reason(&scene.node.get_challenge(request).await.unwrap_err()), "challenge.node", "{node:?}");
    }
    let status = scene.node.join(Message { body: honest.encode()[1..].to_vec() }).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, "malformed"));
    scene.enrol(&tpm, &honest).await.unwrap();
}

#[tokio::test]
async fn join_token_twice() {
    let mut scene = Scene::new().await;
    let (one, two) = (SoftwareTpm::made_by(&scene.maker), SoftwareTpm::made_by(&scene.maker));
    let token = scene.token("east", "").await;
    let request = scene.request(&one, "node-1", &token).await;
    scene.enrol(&one, &request).await.unwrap();
    let request = scene.request(&two, "node-2", &token).await;
    refused(scene.enrol(&two, &request).await, "join.token_unspent");

    let elsewhere = scene.token("west", "").await;
    let another = scene.token("east", "node-3").await;
    for (token, check) in [("guess", "join.token_known"), (elsewhere.as_str(), "join.token_cluster"), (another.as_str(), "join.token_node")]
    {
        let request = scene.request(&two, "node-2", token).await;
        refused(scene.enrol(&two, &request).await, check);
    }
    assert_eq!(scene.nodes().await.len(), 1);
    let request = scene.request(&two, "node-3", &another).await;
    assert!(scene.enrol(&two, &request).await.unwrap().approved);
}

#[tokio::test]
async fn a_join_token_expires() {
    let mut scene = Scene::new().await;
    let tpm = SoftwareTpm::made_by(&scene.maker);
    let request = JoinTokenRequest { cluster: "east".to_owned(), node: String::new(), lifetime: 1 };
    let token = scene.admin.create_join_token(request).await.unwrap().into_inner();
    while podseal_verifier::clock::now() < token.expires {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let request = scene.request(&tpm, "node-1", &token.token).await;
    refused(scene.enrol(&tpm, &request).await, "join.token_expired");
}

#[tokio::test]
async fn two_enrolments_race() {
    let mut scene = Scene::new().await;
    let tpm = SoftwareTpm::made_by(&scene.maker);
    for round in 0..5 {
        let tpm = if round == 0 { &tpm } else { &SoftwareTpm::made_by(&scene.maker) };
        let mut ready = Vec::new();
        for twin in ["a", "b", "c", "d"] {
            let token = scene.token("east", "").await;
            let mut request = scene.request(tpm, &format!("node-{round}-{twin}"), &token).await;
            request.key = SoftwareTpm::new_ak(0x0005_0072);
            let secret = scene.credential(tpm, &request).await.unwrap();
            ready.push(Activation { join: request.encode(), secret: Some(secret) }.encode());
        }
        let racing: Vec<_> = ready
            .into_iter()
            .map(|body| {
                let mut node = scene.node.clone();
                tokio::spawn(async move { node.activate(Message { body }).await })
            })
            .collect();
        let mut won = 0;
        for racer in racing {
            match racer.await.unwrap() {
                Ok(_) => won += 1,
                Err(status) => assert_eq!(reason(&status), "join.node_new"),
            }
        }
        assert_eq!((won, scene.nodes().await.len()), (1, round + 1));
    }
    let _ = &scene.verifier;
}

#[tokio::test]
async fn one_request_activated_twice_at_once_wins_once() {
    let mut scene = Scene::new().await;
    let tpm = SoftwareTpm::made_by(&scene.maker);
    let token = scene.token("east", "").await;
    let request = scene.request(&tpm, "node-1", &token).await;
    let secret = scene.credential(&tpm, &request).await.unwrap();
    let body = Activation { join: request.encode(), secret: Some(secret) }.encode();
    let (mut one, mut two) = (scene.node.clone(), scene.node.clone());
    let (one, two) = tokio::join!(one.activate(Message { body: body.clone() }), two.activate(Message { body }));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
}

#[tokio::test]
async fn one_request_is_activated_once() {
    let mut scene = Scene::new().await;
    let tpm = SoftwareTpm::made_by(&scene.maker);
    let request = scene.request(&tpm, "node-1", "").await;
    let secret = scene.credential(&tpm, &request).await.unwrap();
    assert!(!scene.activate(&request, secret).await.unwrap().approved);
    // The machine comes with a token instead, under another name: the first one is free again.
    let token = scene.token("east", "").await;
    let other = scene.request(&tpm, "node-2", &token).await;
    assert!(scene.enrol(&tpm, &other).await.unwrap().approved);
    assert_eq!(scene.nodes().await, [("node-2".to_owned(), "approved".to_owned())]);
    let refused = refused(scene.activate(&request, secret).await, "challenge.replayed");
    assert_eq!(scene.explained(&refused).await, ("rejected".to_owned(), vec!["challenge.replayed".to_owned()]));
}

#[tokio::test]
async fn strangers_fill_no_registry() {
    let mut scene = Scene::new().await;
    for (number, check) in [(1, None), (2, None), (3, Some("join.pending"))] {
        let tpm = SoftwareTpm::made_by(&scene.maker);
        let request = scene.request(&tpm, &format!("node-{number}"), "").await;
        match check {
            None => assert!(!scene.enrol(&tpm, &request).await.unwrap().approved),
            Some(check) => {
                let refused = refused(scene.enrol(&tpm, &request).await, check);
                assert_eq!(scene.explained(&refused).await, ("rejected".to_owned(), vec![check.to_owned()]));
            }
        }
    }
}
