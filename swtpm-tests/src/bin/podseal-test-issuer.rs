//! Issues service-account tokens as a Kubernetes API server would: fresh keys per run, which never leave this process.
//!
//! `podseal-test-issuer SOCKET JWKS ISSUER` writes its public keys to the file JWKS and prints that path when it is ready. Then each connection to the Unix socket
//! SOCKET sends one JSON line (`podseal_swtpm_tests::issuer::TokenRequest`) and gets one line: the token, or `error: ` and why.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use podseal_swtpm_tests::issuer::{Alg, TokenRequest};
use serde_json::{Value, json};

const LONGEST_REQUEST: u64 = 64 * 1024;
const CLIENT_PATIENCE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, jwks, issuer] = arguments.as_slice() else {
        return Err("usage: podseal-test-issuer SOCKET JWKS ISSUER".into());
    };
    let keys = Keys::generate()?;
    std::fs::write(jwks, serde_json::to_vec_pretty(&keys.public())?)?;
    let listener = UnixListener::bind(socket)?;
    println!("{jwks}");
    for client in listener.incoming() {
        if let Err(error) = client.map_err(Into::into).and_then(|client| serve(client, &keys, issuer)) {
            eprintln!("podseal-test-issuer: {error}");
        }
    }
    Ok(())
}

fn serve(mut client: UnixStream, keys: &Keys, issuer: &str) -> Result<(), Box<dyn Error>> {
    client.set_read_timeout(Some(CLIENT_PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&client).take(LONGEST_REQUEST)).read_line(&mut line)?;
    match serde_json::from_str::<TokenRequest>(&line).map_err(Into::into).and_then(|request| keys.token(&request, issuer)) {
        Ok(token) => writeln!(client, "{token}")?,
        Err(error) => writeln!(client, "error: {error}")?,
    }
    Ok(())
}

struct Keys {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    rng: SystemRandom,
}

impl Keys {
    fn generate() -> Result<Self, Box<dyn Error>> {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| "no RSA key")?;
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| "no P-256 key")?;
        Ok(Self { rsa, ec, rng: SystemRandom::new() })
    }

    /// The JWK set: RFC 7517, with RFC 7518 sections 6.2 and 6.3.
    fn public(&self) -> Value {
        let rsa = self.rsa.public_key();
        let point = self.ec.public_key().as_ref();
        let (x, y) = point.split_at_checked(33).unwrap_or_default();
        json!({ "keys": [
            { "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid(Alg::RS256),
              "n": base64(rsa.modulus().big_endian_without_leading_zero()), "e": base64(rsa.exponent().big_endian_without_leading_zero()) },
            { "kty": "EC", "use": "sig", "alg": "ES256", "kid": kid(Alg::ES256), "crv": "P-256",
              "x": base64(x.get(1..).unwrap_or_default()), "y": base64(y) },
        ] })
    }

    fn token(&self, request: &TokenRequest, issuer: &str) -> Result<String, Box<dyn Error>> {
        let kid = request.kid.clone().unwrap_or_else(|| kid(request.alg).into());
        let header = json!({ "alg": request.alg, "kid": kid });
        let claims = claims(request, issuer)?;
        let signed = format!("{}.{}", base64(&serde_json::to_vec(&header)?), base64(&serde_json::to_vec(&claims)?));
        let signature = self.sign(request.alg, signed.as_bytes())?;
        Ok(format!("{signed}.{}", base64(&signature)))
    }

    fn sign(&self, alg: Alg, message: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        match alg {
            Alg::RS256 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &self.rng, message, &mut signature).map_err(|_| "RSA refused to sign")?;
                Ok(signature)
            }
            Alg::ES256 => Ok(self.ec.sign(&self.rng, message).map_err(|_| "ECDSA refused to sign")?.as_ref().to_vec()),
        }
    }
}

fn kid(alg: Alg) -> &'static str {
    match alg {
        Alg::RS256 => "bench-rsa",
        Alg::ES256 => "bench-ec",
    }
}

/// The claims of a projected service-account token, less those to be left out.
fn claims(request: &TokenRequest, issuer: &str) -> Result<Value, Box<dyn Error>> {
    let now = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs())?;
    let issued = now - request.age;
    let mut jti = [0; 16];
    aws_lc_rs::rand::fill(&mut jti).map_err(|_| "no random bytes")?;
    let mut claims = json!({
        "aud": request.audience,
        "exp": issued + request.lifetime,
        "iat": issued,
        "iss": issuer,
        "jti": base64(&jti),
        "kubernetes.io": {
            "namespace": request.namespace,
            "node": request.node,
            "pod": request.pod,
            "serviceaccount": request.service_account,
        },
        "nbf": issued,
        "sub": format!("system:serviceaccount:{}:{}", request.namespace, request.service_account.name),
    });
    for omitted in &request.omit {
        let (parent, name) = omitted.split_once('/').map_or((None, omitted.as_str()), |(parent, name)| (Some(parent), name));
        let object = match parent {
            Some(parent) => claims.get_mut(parent),
            None => Some(&mut claims),
        };
        let removed = object.and_then(Value::as_object_mut).and_then(|object| object.remove(name));
        removed.ok_or_else(|| format!("no claim {omitted} to leave out"))?;
    }
    Ok(claims)
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
