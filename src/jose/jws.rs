//! Compact JWS, strictly (RFC 7515 §7.1): three parts, canonical base64url, a header that says nothing dangerous.

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value as Json;

use super::algorithm::Algorithm;
use super::error::Fault;
use super::error::JoseError;
use super::json;
use super::json::JsonError;
use super::json::Limits;
use super::shown;

/// Twice what proxies commonly take as one header (8 KiB); longer tokens are looked at no further.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// A header holds an algorithm, a type, a key id and perhaps a thumbprint: some 200 bytes. Certificates are refused anyway.
const MAX_HEADER_BYTES: usize = 4 * 1024;
/// The limits of a `kid`: the longest in use are SHA-512 thumbprints and URLs.
pub(super) const MAX_KEY_ID_BYTES: usize = 256;
/// Headers are flat but for the refused `jwk`, and have some ten members.
const HEADER_LIMITS: Limits = Limits { depth: 4, values: 64 };
/// Claims nest a few levels (`realm_access.roles`, `authorization_details`), and list some hundred groups at most.
pub const CLAIM_LIMITS: Limits = Limits { depth: 32, values: 2048 };

/// Header members that bring a key, point to one, or change what the rest means (RFC 8725 §3.10; RFC 7515 §4.1.11;
/// RFC 7797 §3; RFC 7516 §4.1). None of them is ever followed; a proof's own `jwk` is taken out before.
const FORBIDDEN: &[&str] = &["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"];

/// A token's three parts, as sent.
#[derive(Debug, Clone, Copy)]
pub struct Compact<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    signing_input: &'t str,
}

/// What a header says that is of use.
#[derive(Debug)]
pub struct Header {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub key_id: Option<String>,
    /// `typ` in the form of [`canonical_type`].
    pub token_type: Option<String>,
}

/// A proof's header and the key in it.
#[derive(Debug)]
pub struct EmbeddedKey {
    /// The rest of the header.
    pub header: Header,
    /// `jwk`, as it stands there.
    pub jwk: Map<String, Json>,
}

impl<'t> Compact<'t> {
    /// Whether a text has the shape of one: three parts.
    pub fn is_like(token: &str) -> bool {
        token.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// Splits a token that [`check_size`] has let pass, looking at no more than its dots.
    ///
    /// # Errors
    /// Where it has not three parts, or a long first one.
    pub fn split(token: &'t str) -> Result<Self, JoseError> {
        let (signing_input, signature) = token.rsplit_once('.').ok_or_else(not_three_parts)?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(not_three_parts)?;
        if payload.contains('.') {
            return Err(not_three_parts());
        }
        if header.len() > MAX_HEADER_BYTES {
            return Err(JoseError::new(Fault::TooLarge, "the header is longer than is looked at"));
        }
        Ok(Self { header, payload, signature, signing_input })
    }

    /// Reads the header.
    ///
    /// # Errors
    /// Where it is malformed, says something dangerous, or names an algorithm that is not supported.
    pub fn header(&self) -> Result<Header, JoseError> {
        read_header(&object("the header", self.header, HEADER_LIMITS)?)
    }

    /// Reads the header of a proof, which brings its own key (`jwk`, RFC 7515 §4.1.3). Whose key that is must be known from
    /// elsewhere, or it proves nothing.
    ///
    /// # Errors
    /// As of [`Self::header`], and where there is no `jwk` that is an object.
    pub fn header_with_key(&self) -> Result<EmbeddedKey, JoseError> {
        let mut members = object("the header", self.header, HEADER_LIMITS)?;
        let Some(Json::Object(jwk)) = members.remove("jwk") else {
            return Err(malformed("the header has no `jwk` that is an object"));
        };
        Ok(EmbeddedKey { header: read_header(&members)?, jwk })
    }

    /// Reads the claims. They are not proven by being readable.
    ///
    /// # Errors
    /// Where they are no JSON object within bounds.
    pub fn claims(&self) -> Result<Map<String, Json>, JoseError> {
        object("the payload", self.payload, CLAIM_LIMITS)
    }

    /// The signature, once it is known to be canonical base64url.
    ///
    /// # Errors
    /// Where it is not.
    pub fn signature(&self) -> Result<&'t str, JoseError> {
        decode("the signature", self.signature)?;
        Ok(self.signature)
    }

    /// What the signature is over.
    pub const fn signing_input(&self) -> &'t [u8] {
        self.signing_input.as_bytes()
    }
}

fn read_header(members: &Map<String, Json>) -> Result<Header, JoseError> {
    if let Some(name) = FORBIDDEN.iter().find(|name| members.contains_key(**name)) {
        return Err(JoseError::new(Fault::Forbidden, format!("the header has `{name}`")));
    }
    let token_type = text(members, "typ")?.map(canonical_type);
    // A JWT inside a JWT (RFC 7519 §5.2) would have to be verified twice over.
    if text(members, "cty")?.is_some_and(|content| canonical_type(content) == "jwt") {
        return Err(JoseError::new(Fault::Forbidden, "the token holds another token"));
    }
    Ok(Header { algorithm: algorithm(members)?, key_id: key_id(members)?, token_type })
}

/// Refuses a token for its length alone.
///
/// # Errors
/// Where it is longer than [`MAX_TOKEN_BYTES`].
pub fn check_size(token: &str) -> Result<(), JoseError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(JoseError::new(Fault::TooLarge, "the token is longer than is looked at"));
    }
    Ok(())
}

/// A media type as `typ` and `cty` write it, in one spelling: lower case, and without the `application/` that is implied
/// where there is no other slash (RFC 7515 §4.1.9).
pub fn canonical_type(media_type: &str) -> String {
    let lower = media_type.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(rest) if !rest.contains('/') => rest.to_owned(),
        _ => lower,
    }
}

fn not_three_parts() -> JoseError {
    malformed("the token has not three parts")
}

fn malformed(detail: impl Into<String>) -> JoseError {
    JoseError::new(Fault::Malformed, detail)
}

fn decode(part: &str, text: &str) -> Result<Vec<u8>, JoseError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_which_byte| malformed(format!("{part} is no canonical base64url")))
}

fn object(part: &str, text: &str, limits: Limits) -> Result<Map<String, Json>, JoseError> {
    json::read_object(&decode(part, text)?, limits).map_err(|error| {
        let fault = match error {
            JsonError::TooLarge => Fault::TooLarge,
            JsonError::Malformed | JsonError::Repeated => Fault::Malformed,
        };
        JoseError::new(fault, format!("{part} {error}"))
    })
}

fn text<'m>(members: &'m Map<String, Json>, name: &str) -> Result<Option<&'m str>, JoseError> {
    match members.get(name) {
        None => Ok(None),
        Some(Json::String(value)) => Ok(Some(value)),
        Some(_) => Err(malformed(format!("the header's `{name}` is no string"))),
    }
}

fn algorithm(members: &Map<String, Json>) -> Result<Algorithm, JoseError> {
    let name = text(members, "alg")?.ok_or_else(|| malformed("the header has no `alg`"))?;
    Algorithm::from_str(name)
        .map_err(|_unknown| JoseError::new(Fault::Algorithm, format!("`{}` is not supported", shown(name))))
}

fn key_id(members: &Map<String, Json>) -> Result<Option<String>, JoseError> {
    let Some(id) = text(members, "kid")? else { return Ok(None) };
    if !is_key_id(id) {
        return Err(malformed("the header's `kid` is longer than is looked at, or holds control characters"));
    }
    Ok(Some(id.to_owned()))
}

/// Whether a `kid` may be looked up and logged: short, and without control characters.
pub(super) fn is_key_id(id: &str) -> bool {
    id.len() <= MAX_KEY_ID_BYTES && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d16_a_media_type_has_one_spelling() {
        for (written, canonical) in [
            ("at+jwt", "at+jwt"),
            ("AT+JWT", "at+jwt"),
            ("application/at+jwt", "at+jwt"),
            ("APPLICATION/AT+JWT", "at+jwt"),
            ("application/at+jwt/x", "application/at+jwt/x"),
            ("text/at+jwt", "text/at+jwt"),
            ("application/", ""),
        ] {
            assert_eq!(canonical_type(written), canonical, "{written}");
        }
    }
}
