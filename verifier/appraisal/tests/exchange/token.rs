//! Tokens of other pods, other clusters and other algorithms, as a whole exchange meets them.

use super::{
    refused::{By, refused},
    world::{Pod, Signer, World, other_cluster},
};

fn pod(world: &mut World) -> &mut Pod {
    &mut world.pods[0]
}

fn kubernetes(world: &mut World) -> &mut serde_json::Value {
    &mut pod(world).claims["kubernetes.io"]
}

#[test]
fn token_of_other_pod() {
    refused(
        &["token.pod"],
        By::RegisteredNode,
        &[
            ("another replica's uid", |w| kubernetes(w)["pod"]["uid"] = "8a61e0c4-pod-1".into()),
            ("another name", |w| kubernetes(w)["pod"]["name"] = "payment-api-1".into()),
        ],
    );
}

#[test]
fn token_of_other_node() {
    refused(&["token.node"], By::RegisteredNode, &[("its uid", |w| kubernetes(w)["node"]["uid"] = "node-b".into())]);
}

#[test]
fn token_without_pod() {
    refused(
        &["token.bound_to_pod", "token.pod"],
        By::RegisteredNode,
        &[
            ("no pod", |w| drop(kubernetes(w).as_object_mut().unwrap().remove("pod"))),
            ("no uid", |w| drop(kubernetes(w)["pod"].as_object_mut().unwrap().remove("uid"))),
        ],
    );
}

#[test]
fn token_long_lived() {
    refused(&["token.lifetime"], By::RegisteredNode, &[("an hour", |w| pod(w).claims["exp"] = (w.now + 3540).into())]);
}

#[test]
fn token_outside_its_time() {
    refused(
        &["token.expired"],
        By::RegisteredNode,
        &[("used after its end", |w| {
            let now = w.now;
            pod(w).claims["iat"] = (now - 630).into();
            pod(w).claims["exp"] = (now - 30).into();
        })],
    );
    refused(&["token.not_before"], By::RegisteredNode, &[("not begun", |w| pod(w).claims["nbf"] = (w.now + 31).into())]);
    refused(&["token.issued"], By::RegisteredNode, &[("issued in the future", |w| pod(w).claims["iat"] = (w.now + 31).into())]);
}

#[test]
fn token_alg_none() {
    refused(&["token.algorithm"], By::RegisteredNode, &[("no signature at all", |w| pod(w).signer = Signer::Nobody)]);
}

#[test]
fn token_hmac_with_public_key() {
    refused(&["token.algorithm"], By::RegisteredNode, &[("HS256 keyed with the RSA key", |w| pod(w).signer = Signer::Hmac)]);
}

#[test]
fn same_issuer_other_cluster() {
    let mut theirs = World::honest();
    theirs.pods[0].signer = Signer::OtherCluster;
    theirs.cluster = Some(podseal_appraisal::records::ClusterRecord { id: "prod-eu".to_owned(), ..other_cluster() });
    super::refused::released(&theirs.run());
    refused(
        &["token.signature"],
        By::RegisteredNode,
        &[("the same issuer and kid, another key", |w| pod(w).signer = Signer::OtherCluster)],
    );
    refused(
        &["token.key_known"],
        By::RegisteredNode,
        &[("a kid of the other cluster only", |w| {
            pod(w).signer = Signer::OtherCluster;
            pod(w).header = Some(r#"{"alg":"RS256","kid":"rsa-9"}"#.to_owned());
        })],
    );
}

#[test]
fn token_of_other_identity() {
    refused(&["token.issuer"], By::RegisteredNode, &[("another issuer", |w| pod(w).claims["iss"] = "https://elsewhere".into())]);
    refused(
        &["token.audience"],
        By::RegisteredNode,
        &[
            ("for the API server", |w| pod(w).claims["aud"] = "https://kubernetes.default.svc".into()),
            ("for us and another", |w| {
                let both = [w.verifier.to_string(), "another".to_owned()];
                pod(w).claims["aud"] = both.as_slice().into();
            }),
        ],
    );
    refused(
        &["token.namespace"],
        By::RegisteredNode,
        &[("another namespace", |w| {
            kubernetes(w)["namespace"] = "other".into();
            pod(w).claims["sub"] = "system:serviceaccount:other:payment-api".into();
        })],
    );
    refused(
        &["token.service_account"],
        By::RegisteredNode,
        &[("another service account", |w| {
            kubernetes(w)["serviceaccount"]["name"] = "other".into();
            pod(w).claims["sub"] = "system:serviceaccount:payments:other".into();
        })],
    );
    refused(
        &["token.subject"],
        By::RegisteredNode,
        &[("a subject of another", |w| pod(w).claims["sub"] = "system:serviceaccount:payments:other".into())],
    );
}

#[test]
fn token_that_readers_disagree_about() {
    refused(
        &["token.parses"],
        By::RegisteredNode,
        &[
            ("no JWS", |w| pod(w).token_bytes = Some(b"token".to_vec())),
            ("a header with a key twice", |w| pod(w).header = Some(r#"{"alg":"none","alg":"RS256","kid":"rsa-1"}"#.to_owned())),
        ],
    );
    refused(
        &["token.critical"],
        By::RegisteredNode,
        &[("a critical extension", |w| pod(w).header = Some(r#"{"alg":"RS256","kid":"rsa-1","crit":["b64"],"b64":false}"#.to_owned()))],
    );
    refused(&["token.claims"], By::RegisteredNode, &[("a look-alike key", |w| pod(w).claims["ISS"] = "https://elsewhere".into())]);
}
