//! A plain reading of RFC 7515, RFC 7517, RFC 7518 and RFC 7519, with `RustCrypto`'s arithmetic in place of aws-lc's.
//!
//! It refuses what the standards say must be refused and nothing more, and shares no code with what it judges but
//! `serde_json`. A JWT library would be further away still, but none will do: `jwt-compact` has no ES384 and needs
//! `chrono`; `jwt-simple` brings a hundred crates, and judges no JWS whose payload is not claims, as Wycheproof's are;
//! `josekit` is OpenSSL.

use base64ct::Base64UrlUnpadded;
use base64ct::Encoding as _;
use ed25519_dalek::Verifier as _;
use rsa::BoxedUint;
use rsa::PublicKey;
use rsa::pkcs1v15;
use rsa::pss;
use serde_json::Map;
use serde_json::Value as Json;
use sha2::Sha256;
use sha2::Sha384;
use sha2::Sha512;

use crate::token::tests::forge::AUDIENCE;
use crate::token::tests::forge::ISSUER;
use crate::token::tests::forge::LEEWAY;
use crate::token::tests::forge::NOW;

/// The claims of a token that is signed by one of `keys`, and good now.
pub(super) fn claims(token: &str, keys: &[Json]) -> Result<Map<String, Json>, &'static str> {
    let claims = object(&signed_payload(token, keys)?).ok_or("the payload is no object")?;
    if claims.get("iss").is_none_or(|iss| iss != ISSUER) {
        return Err("another issuer");
    }
    let ours =
        |aud: &Json| aud == AUDIENCE || aud.as_array().is_some_and(|list| list.iter().any(|one| one == AUDIENCE));
    if !claims.get("aud").is_some_and(ours) {
        return Err("another audience");
    }
    let [now, leeway] = [NOW, LEEWAY].map(|seconds| f64::from(i32::try_from(seconds).unwrap()));
    // RFC 9068 §2.2 has it required.
    if date(&claims, "exp")?.ok_or("no `exp`")? <= now - leeway {
        return Err("expired");
    }
    if date(&claims, "nbf")?.is_some_and(|begin| begin > now + leeway) {
        return Err("not yet valid");
    }
    date(&claims, "iat")?;
    if claims.get("sub").is_some_and(|sub| !sub.is_string()) {
        return Err("`sub` is no string");
    }
    Ok(claims)
}

/// What one of `keys` has signed. HMAC is left out: with it, whoever could read the keys could sign.
pub(super) fn signed_payload(token: &str, keys: &[Json]) -> Result<Vec<u8>, &'static str> {
    let parts: Vec<&str> = token.split('.').collect();
    let [first, second, third] = parts[..] else { return Err("not three parts") };
    let [header, payload, signature] = [first, second, third].map(Base64UrlUnpadded::decode_vec);
    let header = header.ok().and_then(|bytes| object(&bytes)).ok_or("the header is no object in base64url")?;
    let payload = payload.map_err(|_error| "the payload is no base64url")?;
    let signature = signature.map_err(|_error| "the signature is no base64url")?;
    let algorithm = header.get("alg").and_then(Json::as_str).ok_or("no `alg`")?;
    if header.contains_key("crit") {
        return Err("`crit` names what is not understood");
    }
    for name in ["kid", "typ", "cty"] {
        if header.get(name).is_some_and(|value| !value.is_string()) {
            return Err("a header parameter of the wrong type");
        }
    }
    let message = format!("{first}.{second}");
    let named = |key: &&Json| header.get("kid").is_none_or(|kid| *kid == key["kid"]);
    let verified = keys.iter().filter(named).filter(|key| is_for(key, algorithm)).any(|key| {
        let verified = verifies(key, algorithm, message.as_bytes(), &signature);
        verified.unwrap_or(false)
    });
    if verified { Ok(payload) } else { Err("no key verifies it") }
}

/// RFC 7517 §4.2–§4.4.
fn is_for(key: &Json, algorithm: &str) -> bool {
    let verify = |operations: &Json| operations.as_array().is_some_and(|list| list.iter().any(|one| one == "verify"));
    key.get("use").is_none_or(|stated| stated == "sig")
        && key.get("key_ops").is_none_or(verify)
        && key.get("alg").and_then(Json::as_str).is_none_or(|stated| one_name(stated) == one_name(algorithm))
}

/// RFC 9864 §2.2.
fn one_name(algorithm: &str) -> &str {
    if algorithm == "Ed25519" { "EdDSA" } else { algorithm }
}

fn verifies(key: &Json, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
    match (key["kty"].as_str()?, key["crv"].as_str(), algorithm) {
        ("EC", Some("P-256"), "ES256") => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point(key)?).ok()?;
            Some(key.verify(message, &p256::ecdsa::Signature::from_slice(signature).ok()?).is_ok())
        }
        ("EC", Some("P-384"), "ES384") => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point(key)?).ok()?;
            Some(key.verify(message, &p384::ecdsa::Signature::from_slice(signature).ok()?).is_ok())
        }
        ("OKP", Some("Ed25519"), "EdDSA" | "Ed25519") => {
            let key = ed25519_dalek::VerifyingKey::try_from(&bytes(key, "x")?[..]).ok()?;
            Some(key.verify(message, &ed25519_dalek::Signature::from_slice(signature).ok()?).is_ok())
        }
        ("RSA", _, _) => rsa_verifies(key, algorithm, message, signature),
        _ => None,
    }
}

fn rsa_verifies(key: &Json, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
    let (n, e) = (bytes(key, "n")?, bytes(key, "e")?);
    // RFC 8017 §8.1.2 and §8.2.2: the signature is as long as the modulus.
    if signature.len() != n.len() {
        return None;
    }
    let [n, e] = [n, e].map(|number| BoxedUint::from_be_slice_vartime(&number));
    let key = PublicKey::new(n, e).ok()?;
    let pkcs1 = pkcs1v15::Signature::try_from(signature).ok()?;
    let pss = pss::Signature::try_from(signature).ok()?;
    Some(match algorithm {
        "RS256" => pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(message, &pkcs1).is_ok(),
        "RS384" => pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(message, &pkcs1).is_ok(),
        "RS512" => pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(message, &pkcs1).is_ok(),
        "PS256" => pss::VerifyingKey::<Sha256>::new(key).verify(message, &pss).is_ok(),
        "PS384" => pss::VerifyingKey::<Sha384>::new(key).verify(message, &pss).is_ok(),
        "PS512" => pss::VerifyingKey::<Sha512>::new(key).verify(message, &pss).is_ok(),
        _ => return None,
    })
}

/// SEC 1 §2.3.3, uncompressed.
fn point(key: &Json) -> Option<Vec<u8>> {
    Some([&[4][..], &bytes(key, "x")?, &bytes(key, "y")?].concat())
}

fn bytes(key: &Json, name: &str) -> Option<Vec<u8>> {
    Base64UrlUnpadded::decode_vec(key[name].as_str()?).ok()
}

/// Of members with one name the last counts, as RFC 7515 §4 and RFC 7519 §4 allow.
fn object(text: &[u8]) -> Option<Map<String, Json>> {
    serde_json::from_slice(text).ok()
}

fn date(claims: &Map<String, Json>, name: &str) -> Result<Option<f64>, &'static str> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    value.as_f64().filter(|date| date.is_finite()).map(Some).ok_or("a date that is no number")
}
