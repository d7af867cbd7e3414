//! A signed token's claims, read into what they mean (RFC 7519 §4, RFC 9068 §2).
//!
//! This half depends on the token, and on where its issuer has claims that no standard names; its result may be kept as
//! long as the issuers are the same. What else depends on the time, the configuration or the request is [`super::admission`]'s, and is asked again each time.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;

use super::ClaimPaths;
use super::delegation;
use super::mapped;
use super::possession::Confirmation;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Rendered;
use crate::facts::User;
use crate::jose::claims;
use crate::jose::claims::ClaimError;
use crate::jose::claims::Rounded;

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

/// `iss` before anything is proven: only good for choosing whose keys to try.
pub(super) fn issuer(claims: &Map<String, Json>) -> Result<&str, Denial> {
    string(claims, "iss")?.ok_or_else(|| missing("iss"))
}

/// Reads the claims of a token whose signature verifies.
pub(super) fn read(
    claims: Map<String, Json>,
    token_type: Option<String>,
    paths: &ClaimPaths,
) -> Result<VerifiedToken, Denial> {
    let confirmation = Confirmation::read(&claims);
    let (issuer, subject) = (issuer(&claims)?, subject(&claims)?);
    let not_before = date(&claims, "nbf", Rounded::Up)?;
    let expires_at = date(&claims, "exp", Rounded::Down)?.ok_or_else(|| missing("exp"))?;
    let client_id = match string(&claims, "client_id")? {
        Some(id) => Some(id),
        None => string(&claims, "azp")?,
    };
    let user = User {
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        audience: one_or_many(&claims, "aud")?,
        client_id: client_id.map(str::to_owned),
        scopes: scopes(&claims)?,
        roles: mapped::members(&claims, &paths.roles, "roles")?,
        groups: mapped::members(&claims, &paths.groups, "groups")?,
        tenant: mapped::tenant(&claims, &paths.tenant)?,
        token_type,
        issued_at: date(&claims, "iat", Rounded::Down)?,
        expires_at,
        delegation: delegation::read(&claims, subject, issuer)?,
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

fn one_or_many(claims: &Map<String, Json>, name: &'static str) -> Result<Vec<String>, Denial> {
    claims::one_or_many(claims, name).map_err(invalid)
}

fn string<'c>(claims: &'c Map<String, Json>, name: &'static str) -> Result<Option<&'c str>, Denial> {
    claims::string(claims, name).map_err(invalid)
}

fn date(claims: &Map<String, Json>, name: &'static str, rounded: Rounded) -> Result<Option<i64>, Denial> {
    claims::date(claims, name, rounded).map_err(invalid)
}

fn missing(name: &str) -> Denial {
    Denial::new(Reason::TokenClaimMissing, format!("there is no `{name}`"))
}

fn invalid(error: ClaimError) -> Denial {
    Denial::new(Reason::TokenClaimInvalid, error.to_string())
}
