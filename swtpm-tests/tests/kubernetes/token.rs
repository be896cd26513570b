//! The cluster's tokens are what Podseal identifies pods by.

use std::time::Duration;

use podseal_swtpm_tests::error::wait_for;
use podseal_swtpm_tests::kubernetes::token::verified_claims;
use podseal_swtpm_tests::kubernetes::{ISSUER, Kubernetes};
use serde_json::{Value, json};

use crate::fixtures::{Fixtures, pod, restricted};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[("projected_token_names_its_pod", projected_token_names_its_pod)];

const AUDIENCE: &str = "podseal.test/verifier";
const FOLDER: &str = "/var/run/secrets/podseal.test";

fn projected_token_names_its_pod(fixtures: &Fixtures) -> Outcome {
    let (cluster, node, image) = (fixtures.cluster()?, fixtures.node()?, fixtures.ledger()?);
    let (kubectl, namespace) = (cluster.kubectl(), "tokens");
    cluster.namespace(namespace, "restricted")?;
    kubectl.run(&["-n", namespace, "create", "serviceaccount", "payments"])?;
    let mut pod = pod(namespace, "ledger", &restricted(image, &["keep", "/data/entry", "here"]));
    let token = json!({ "serviceAccountToken": { "audience": AUDIENCE, "expirationSeconds": 600, "path": "token" } });
    let spec = &mut pod["spec"];
    spec["serviceAccountName"] = json!("payments");
    spec["automountServiceAccountToken"] = json!(false);
    spec["volumes"].as_array_mut().ok_or("volumes")?.push(json!({ "name": "token", "projected": { "sources": [token] } }));
    let mounts = spec["containers"][0]["volumeMounts"].as_array_mut().ok_or("mounts")?;
    mounts.push(json!({ "name": "token", "mountPath": FOLDER, "readOnly": true }));
    kubectl.apply(&pod)?;
    kubectl.wait(namespace, "pod/ledger", "condition=Ready", 120)?;
    let token = kubectl.run(&["-n", namespace, "exec", "ledger", "--", "/ledger", "show", &format!("{FOLDER}/token")])?;

    let discovery: Value = serde_json::from_str(&kubectl.run(&["get", "--raw", "/.well-known/openid-configuration"])?)?;
    assert_eq!(discovery["issuer"], ISSUER);
    let jwks = serde_json::from_str(&kubectl.run(&["get", "--raw", "/openid/v1/jwks"])?)?;
    let claims = verified_claims(&token, &jwks)?;
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!([AUDIENCE])));
    assert_eq!(claims["sub"], "system:serviceaccount:tokens:payments");
    let named = |object: &str| Ok::<_, Box<dyn std::error::Error>>(kubectl.json(&["-n", namespace, "get", object])?["metadata"].take());
    let reference = |object: &Value| json!({ "name": object["name"], "uid": object["uid"] });
    let expected = json!({
        "namespace": namespace,
        "pod": reference(&named("pod/ledger")?),
        "serviceaccount": reference(&named("serviceaccount/payments")?),
        "node": reference(&named(&format!("node/{}", node.name()))?),
    });
    assert_eq!(claims["kubernetes.io"], expected);
    let (issued, expires) = (claims["iat"].as_i64().ok_or("iat")?, claims["exp"].as_i64().ok_or("exp")?);
    assert!((1..=607).contains(&(expires - issued)), "{claims}");

    let mut forged = token.clone();
    forged.replace_range(token.len() - 8..token.len() - 4, if token[token.len() - 8..].starts_with("AAAA") { "BBBB" } else { "AAAA" });
    assert!(verified_claims(&forged, &jwks).is_err());
    assert_eq!(reviewed(cluster, &token)?["authenticated"], true);
    kubectl.run(&["-n", namespace, "delete", "pod/ledger", "--grace-period=1"])?;
    // The API server remembers for ten seconds that a token was good.
    Ok(wait_for("the token ends with its pod", Duration::from_secs(30), || match reviewed(cluster, &token) {
        Ok(status) if status["authenticated"].is_null() && status["error"].is_string() => Ok(()),
        other => Err(format!("{other:?}")),
    })?)
}

/// What the API server says of a token for the audience.
fn reviewed(cluster: &Kubernetes, token: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let review =
        json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": token, "audiences": [AUDIENCE] } });
    Ok(cluster.kubectl().create(&review)?["status"].take())
}
