//! A signed token's claims, read into what they mean (RFC 7519 §4, RFC 9068 §2, RFC 8693 §4.1, RFC 7800 §3).
//!
//! This half depends on the token alone, so its result may be kept; what depends on the time, the configuration or the
//! request is [`super::admission`]'s, and is asked again each time.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value as Json;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Actor;
use crate::facts::Delegation;
use crate::facts::Rendered;
use crate::facts::User;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const MAX_NUMERIC_DATE: u64 = 253_402_300_799;
/// Chains in use have two or three links; each link is another party that could have lied.
const MAX_ACTORS: usize = 8;

/// What an issuer has signed.
#[derive(Debug)]
pub(super) struct VerifiedToken {
    /// The user; shared, since every request with this token has the same one.
    pub(super) user: Arc<User>,
    /// `nbf`, whole seconds, rounded up.
    pub(super) not_before: Option<i64>,
    /// `cnf`.
    pub(super) confirmation: Confirmation,
}

/// The key that whoever presents the token must prove to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// None: a bearer token.
    None,
    /// The certificate with this SHA-256 (RFC 8705 §3.1).
    Certificate([u8; 32]),
    /// Anything else, which nobody can prove here.
    Unprovable,
}

/// `iss` before anything is proven: only good for choosing whose keys to try.
pub(super) fn issuer(claims: &Map<String, Json>) -> Result<&str, Denial> {
    string(claims, "iss")?.ok_or_else(|| missing("iss"))
}

/// Reads the claims of a token whose signature verifies.
pub(super) fn read(claims: Map<String, Json>, token_type: Option<String>) -> Result<VerifiedToken, Denial> {
    let confirmation = confirmation(&claims);
    let not_before = numeric_date(&claims, "nbf")?.map(|date| seconds(rounded_up(date)));
    let expires_at = numeric_date(&claims, "exp")?.ok_or_else(|| missing("exp"))?;
    let client_id = match string(&claims, "client_id")? {
        Some(id) => Some(id),
        None => string(&claims, "azp")?,
    };
    let user = User {
        issuer: issuer(&claims)?.to_owned(),
        subject: subject(&claims)?.to_owned(),
        audience: one_or_many(&claims, "aud")?,
        client_id: client_id.map(str::to_owned),
        scopes: scopes(&claims)?,
        token_type,
        issued_at: numeric_date(&claims, "iat")?.map(|date| seconds(date.as_secs())),
        expires_at: seconds(expires_at.as_secs()),
        delegation: delegation(&claims)?,
        rendered: Rendered::default(),
        claims,
    };
    Ok(VerifiedToken { user: Arc::new(user), not_before, confirmation })
}

fn subject(claims: &Map<String, Json>) -> Result<&str, Denial> {
    match string(claims, "sub")? {
        None => Err(missing("sub")),
        Some("") => Err(Denial::new(Reason::TokenClaimInvalid, "`sub` is empty")),
        Some(subject) => Ok(subject),
    }
}

/// A string of scopes separated by spaces (RFC 8693 §4.2), or a list of them, as some issuers write it.
fn scopes(claims: &Map<String, Json>) -> Result<Vec<String>, Denial> {
    match claims.get("scope") {
        Some(Json::String(scopes)) => {
            Ok(scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect())
        }
        _ => one_or_many(claims, "scope"),
    }
}

fn one_or_many(claims: &Map<String, Json>, name: &str) -> Result<Vec<String>, Denial> {
    match claims.get(name) {
        None => Ok(Vec::new()),
        Some(Json::String(one)) => Ok(vec![one.clone()]),
        Some(Json::Array(many)) => {
            let texts = many.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>();
            texts.ok_or_else(|| wrong_type(name))
        }
        Some(_) => Err(wrong_type(name)),
    }
}

fn string<'c>(claims: &'c Map<String, Json>, name: &str) -> Result<Option<&'c str>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::String(value)) => Ok(Some(value)),
        Some(_) => Err(wrong_type(name)),
    }
}

/// RFC 7519 §2's `NumericDate`, fractions allowed, as the time since 1970. Present with another type is never taken for
/// absent: that would turn an expiry off.
fn numeric_date(claims: &Map<String, Json>, name: &str) -> Result<Option<Duration>, Denial> {
    let Some(claim) = claims.get(name) else { return Ok(None) };
    let number = claim.as_f64().ok_or_else(|| wrong_type(name))?;
    let date = Duration::try_from_secs_f64(number).ok().filter(|date| date.as_secs() <= MAX_NUMERIC_DATE);
    date.map(Some)
        .ok_or_else(|| Denial::new(Reason::TokenClaimInvalid, format!("`{name}` is no time between 1970 and 9999")))
}

const fn rounded_up(date: Duration) -> u64 {
    if date.subsec_nanos() == 0 { date.as_secs() } else { date.as_secs().saturating_add(1) }
}

fn seconds(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The `act` chain, outermost first.
fn delegation(claims: &Map<String, Json>) -> Result<Option<Delegation>, Denial> {
    let mut actors = Vec::new();
    let mut next = claims.get("act");
    while let Some(act) = next {
        if actors.len() == MAX_ACTORS {
            return Err(Denial::new(Reason::TokenDelegation, format!("`act` is nested more than {MAX_ACTORS} deep")));
        }
        let members = act.as_object().ok_or_else(|| bad_actor("is no object"))?;
        actors.push(actor(members)?);
        next = members.get("act");
    }
    Ok((!actors.is_empty()).then_some(Delegation { actors }))
}

fn actor(members: &Map<String, Json>) -> Result<Actor, Denial> {
    let subject = members.get("sub").and_then(Json::as_str).filter(|subject| !subject.is_empty());
    let issuer = match members.get("iss") {
        None => None,
        Some(issuer) => Some(issuer.as_str().ok_or_else(|| bad_actor("has an `iss` that is no string"))?.to_owned()),
    };
    Ok(Actor { subject: subject.ok_or_else(|| bad_actor("has no `sub`"))?.to_owned(), issuer })
}

fn bad_actor(why: &str) -> Denial {
    Denial::new(Reason::TokenDelegation, format!("an `act` {why}"))
}

/// `cnf` with exactly one member that is understood; more would each have to be proven.
fn confirmation(claims: &Map<String, Json>) -> Confirmation {
    let Some(cnf) = claims.get("cnf") else { return Confirmation::None };
    let members = cnf.as_object().filter(|members| members.len() == 1);
    let thumbprint = members.and_then(|members| members.get("x5t#S256")).and_then(Json::as_str);
    let bytes = thumbprint.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        Some(sha256) => Confirmation::Certificate(sha256),
        None => Confirmation::Unprovable,
    }
}

fn missing(name: &str) -> Denial {
    Denial::new(Reason::TokenClaimMissing, format!("there is no `{name}`"))
}

fn wrong_type(name: &str) -> Denial {
    Denial::new(Reason::TokenClaimInvalid, format!("`{name}` has the wrong type"))
}
