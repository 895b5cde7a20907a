//! An issuer of tokens: two ES256 keys, as an issuer has while it changes them, and its
//! JWKS. Written with ring, so that a test can also sign what no library would.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::anyhow;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

/// The keys' ids.
pub(super) const KEYS: [&str; 2] = ["old", "new"];

/// Signs tokens.
pub(super) struct TokenIssuer {
    random: SystemRandom,
    keys: [EcdsaKeyPair; 2],
}

impl TokenIssuer {
    pub(super) fn new() -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let keys = [key(&random)?, key(&random)?];
        Ok(Self { random, keys })
    }

    /// The public keys, RFC 7517.
    pub(super) fn jwks(&self) -> Value {
        let keys = KEYS.iter().zip(&self.keys).map(|(kid, key)| {
            // 0x04, then both coordinates, 32 bytes each.
            let point = key.public_key().as_ref();
            let coordinate = |range: std::ops::Range<usize>| {
                point.get(range).map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
            };
            json!({
                "kid": kid, "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
                "x": coordinate(1..33), "y": coordinate(33..65),
            })
        });
        json!({"keys": keys.collect::<Vec<_>>()})
    }

    /// A token with these claims, signed with the key of this index.
    pub(super) fn sign(&self, key: usize, claims: &Value) -> anyhow::Result<String> {
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "ES256", "typ": "JWT", "kid": KEYS.get(key)})),
            part(claims)
        );
        let key = self.keys.get(key).ok_or_else(|| anyhow!("no such key"))?;
        let signature = key.sign(&self.random, signed.as_bytes());
        let signature = signature.map_err(|_| anyhow!("ring does not sign"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A token that claims to need no signature.
pub(super) fn unsigned(claims: &Value) -> String {
    let header = json!({"alg": "none", "typ": "JWT", "kid": KEYS[0]});
    format!("{}.{}.", part(&header), part(claims))
}

/// Claims that open every door of `jwt.yaml`, with these put over them; null takes one
/// away.
pub(super) fn claims(over: Value) -> Value {
    let mut claims = json!({
        "iss": "https://issuer.signalbox.test",
        "aud": "signalbox",
        "sub": "ada",
        "exp": now() + 600,
        "roles": ["reader", "guardrails.checker"],
    });
    if let (Value::Object(claims), Value::Object(over)) = (&mut claims, over) {
        claims.extend(over);
        claims.retain(|_, claim| !claim.is_null());
    }
    claims
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn key(random: &SystemRandom) -> anyhow::Result<EcdsaKeyPair> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, random)
        .map_err(|_| anyhow!("ring makes no key"))?;
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), random)
        .map_err(|error| anyhow!("ring does not take its own key: {error}"))
}
