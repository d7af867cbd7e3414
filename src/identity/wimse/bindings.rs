//! The tokens beside a proof, and that it is bound to them: `ath` to an access token, `tth` to a transaction token, `oth`
//! to others (draft-ietf-wimse-wpt §2). Each is there exactly where its token is, so that nobody who caught a token can
//! put it beside a proof of their own.

use serde_json::Map;
use serde_json::Value as Json;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Http;
use crate::jose::token_hash as hash;

const AUTHORIZATION: &str = "authorization";
const TRANSACTION_TOKEN: &str = "txn-token";
/// Schemes that bring an access token (RFC 6750 §2.1, RFC 9449 §7.1).
const TOKEN_SCHEMES: [&str; 2] = ["bearer", "dpop"];
/// Other tokens that one proof names; requests have one or two.
const MAX_OTHERS: usize = 8;

/// Holds a proof's claims against the tokens in the request.
pub(super) fn check(claims: &Map<String, Json>, http: &Http) -> Result<(), Denial> {
    bound("ath", claims, access_token(http)?)?;
    bound("tth", claims, single(http, TRANSACTION_TOKEN)?)?;
    match claims.get("oth") {
        None => Ok(()),
        Some(Json::Object(others)) if others.len() <= MAX_OTHERS => {
            others.iter().try_for_each(|(name, hash)| other(name, hash, http))
        }
        Some(_) => Err(Denial::new(Reason::CallerWptMalformed, "`oth` is no object, or a large one")),
    }
}

fn bound(name: &'static str, claims: &Map<String, Json>, token: Option<&[u8]>) -> Result<(), Denial> {
    match (claims.get(name), token) {
        (None, None) => Ok(()),
        (Some(Json::String(named)), Some(token)) if *named == hash(token) => Ok(()),
        (Some(_), Some(_)) => Err(unbound(format!("`{name}` names another token"))),
        (Some(_), None) => Err(unbound(format!("`{name}` names a token that is not there"))),
        (None, Some(_)) => Err(unbound(format!("there is a token and no `{name}`"))),
    }
}

/// An entry of `oth` is understood where its name is a header's, in lower case, that is there once.
fn other(name: &str, hash_of_it: &Json, http: &Http) -> Result<(), Denial> {
    let not_understood = || unbound("`oth` has an entry that is not understood");
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(not_understood());
    }
    let value = single(http, name)?.ok_or_else(not_understood)?;
    if *hash_of_it == hash(value.trim_ascii()) { Ok(()) } else { Err(unbound("`oth` names another token")) }
}

fn single<'h>(http: &'h Http, name: &'h str) -> Result<Option<&'h [u8]>, Denial> {
    let mut values = http.header_values(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(unbound("a token's header is repeated")),
    }
}

/// The access token, where there is one. Which one is meant must be plain: a proof is bound to one.
fn access_token(http: &Http) -> Result<Option<&[u8]>, Denial> {
    let Some(value) = single(http, AUTHORIZATION)? else { return Ok(None) };
    // A proxy joins repeated headers with a comma.
    let brings_token = |part: &[u8]| after_scheme(part.trim_ascii_start()).is_some();
    match after_scheme(value) {
        Some(token) if !value.contains(&b',') => Ok(Some(token.trim_ascii_start())),
        None if !value.split(|byte| *byte == b',').any(brings_token) => Ok(None),
        _ => Err(unbound("there are several credentials")),
    }
}

/// What follows the scheme, where that brings an access token.
fn after_scheme(credential: &[u8]) -> Option<&[u8]> {
    let end = credential.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(credential.len());
    let (scheme, rest) = credential.split_at_checked(end)?;
    TOKEN_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes())).then_some(rest)
}

fn unbound(detail: impl Into<String>) -> Denial {
    Denial::new(Reason::CallerWptUnbound, detail)
}
