//! The token issuer's tokens, verified as a relying party would.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use podseal_swtpm_tests::issuer::{Alg, Issuer, Object, TokenRequest};
use serde_json::Value;

use crate::Outcome;
use crate::fixtures::Fixtures;

const ISSUER: &str = "https://issuer.bench.test";

fn request(alg: Alg) -> TokenRequest {
    TokenRequest {
        alg,
        kid: None,
        audience: vec!["verifier".into()],
        age: 0,
        lifetime: 600,
        namespace: "payments".into(),
        service_account: Object::new("payment-api", "uid-of-account"),
        pod: Object::new("payment-api-0", "uid-of-pod"),
        node: Object::new("node-a", "uid-of-node"),
        omit: Vec::new(),
    }
}

/// Verifies a token under the key of its `kid` and gives its claims; `None` when the signature does not hold.
fn verified(token: &str, jwks: &Value) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    let key = jwks["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"] && key["alg"] == header["alg"])?;
    let field = |name: &str| decode(key[name].as_str()?);
    let (message, signature) = (signed.as_bytes(), decode(signature)?);
    match header["alg"].as_str()? {
        "RS256" => {
            let components = RsaPublicKeyComponents { n: field("n")?, e: field("e")? };
            components.verify(&RSA_PKCS1_2048_8192_SHA256, message, &signature).ok()?;
        }
        "ES256" => {
            let point = [vec![4], field("x")?, field("y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &signature).ok()?;
        }
        other => panic!("alg {other}"),
    }
    serde_json::from_slice(&decode(claims)?).ok()
}

pub(crate) fn tokens_verify_under_the_issuers_keys(fixtures: &Fixtures) -> Outcome {
    let issuer = Issuer::start(&fixtures.folder("issuer"), ISSUER)?;
    let stranger = Issuer::start(&fixtures.folder("issuer-stranger"), ISSUER)?;
    let jwks: Value = serde_json::from_slice(&std::fs::read(issuer.jwks())?)?;
    for alg in [Alg::RS256, Alg::ES256] {
        let claims = verified(&issuer.token(&request(alg))?, &jwks).expect("signed by the issuer's key");
        assert_eq!((&claims["iss"], &claims["aud"]), (&ISSUER.into(), &serde_json::json!(["verifier"])));
        assert_eq!(claims["kubernetes.io"]["pod"]["uid"], "uid-of-pod");
        assert_eq!(claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(exp, iat)| exp - iat), Some(600));
        assert!(verified(&stranger.token(&request(alg))?, &jwks).is_none(), "another issuer of the same name has other keys");
    }
    Ok(())
}

pub(crate) fn tokens_lack_what_was_left_out(fixtures: &Fixtures) -> Outcome {
    let issuer = Issuer::start(&fixtures.folder("issuer-omit"), ISSUER)?;
    let jwks: Value = serde_json::from_slice(&std::fs::read(issuer.jwks())?)?;
    let mut lacking = request(Alg::ES256);
    lacking.omit = vec!["exp".into(), "kubernetes.io/node".into()];
    let claims = verified(&issuer.token(&lacking)?, &jwks).expect("signed by the issuer's key");
    assert!(claims.get("exp").is_none() && claims["kubernetes.io"].get("node").is_none(), "{claims}");
    assert!(claims.get("iat").is_some() && claims["kubernetes.io"].get("pod").is_some(), "{claims}");

    lacking.omit = vec!["no-such-claim".into()];
    assert!(issuer.token(&lacking).is_err());
    Ok(())
}
