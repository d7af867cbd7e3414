//! A key's name that follows from the key (RFC 7638).

use serde_json::Map;
use serde_json::Value as Json;

use super::jwk::JwkError;
use super::sha256;

/// SHA-256 of the members that make the key, in the one spelling that is hashed (RFC 7638 §3, RFC 8037 §2).
///
/// # Errors
/// [`JwkError`] where the key is of another type, or such a member is missing or holds what would be written in several ways.
pub fn thumbprint(jwk: &Map<String, Json>) -> Result<[u8; 32], JwkError> {
    let names: &[&str] = match jwk.get("kty").and_then(Json::as_str) {
        // In the order of their code points, as they are hashed.
        Some("EC") => &["crv", "kty", "x", "y"],
        Some("OKP") => &["crv", "kty", "x"],
        Some("RSA") => &["e", "kty", "n"],
        _ => return Err(JwkError::KeyType),
    };
    let members: Option<Vec<String>> = names.iter().map(|name| member(jwk, name)).collect();
    let canonical = format!("{{{}}}", members.ok_or(JwkError::Malformed)?.join(","));
    Ok(sha256(canonical.as_bytes()))
}

/// Names of curves and base64url need no escapes, so what has others is no such member.
fn member(jwk: &Map<String, Json>, name: &str) -> Option<String> {
    let value = jwk.get(name)?.as_str()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    value.bytes().all(is_plain).then(|| format!(r#""{name}":"{value}""#))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    use super::*;

    fn of(jwk: &Json) -> Result<String, JwkError> {
        thumbprint(jwk.as_object().unwrap()).map(|sum| URL_SAFE_NO_PAD.encode(sum))
    }

    #[test]
    fn thumbprints_are_those_of_the_standards() {
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn\
                 jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM\
                 QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz\
                 KnqDKgw";
        let rsa = json!({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        assert_eq!(of(&rsa).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 §A.3.
        let okp = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        assert_eq!(of(&okp).unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // RFC 9449 §4.1 and §6.1.
        let ec = json!({"kty": "EC", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA", "crv": "P-256"});
        assert_eq!(of(&ec).unwrap(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn what_is_no_key_has_no_thumbprint() {
        for jwk in [
            json!({}),
            json!({"kty": "oct", "k": "AAAA"}),
            json!({"kty": "EC", "crv": "P-256", "x": "AAAA"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": 1}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "a\"b"}),
        ] {
            assert!(of(&jwk).is_err(), "{jwk}");
        }
    }
}
