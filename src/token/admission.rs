//! Whether a verified token is good for this request, now: asked of every request, also where the verification is kept.

use serde_json::Map;
use serde_json::Value as Json;

use super::IssuerConfig;
use super::Presented;
use super::claims::VerifiedToken;
use super::delegation;
use super::dpop::Dpop;
use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Caller;
use crate::jose::canonical_type;

/// Types with a purpose of their own: whatever is configured, none of them is a user's bearer token (RFC 8725 §3.11).
const OTHER_PURPOSES: &[&str] = &[
    "client-authentication+jwt",
    "dpop+jwt",
    "kb+jwt",
    "logout+jwt",
    "oauth-authz-req+jwt",
    "oauth-id-jag+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "txntoken+jwt",
    "wit+jwt",
    "wpt+jwt",
];

const SPIFFE_SCHEME: &str = "spiffe://";

impl VerifiedToken {
    /// Checks life, subject, audience, required claims, and actor against the issuer's rules.
    pub(super) fn admit(&self, rules: &IssuerConfig, caller: Option<&Caller>, now: UnixTime) -> Result<(), Denial> {
        self.check_life(rules, now)?;
        check_subject(&self.user.subject, rules)?;
        check_audience(&self.user.audience, &rules.audiences)?;
        check_required(&self.user.claims, &rules.required_claims)?;
        delegation::check(&self.user, rules.actor, caller)
    }

    /// Checks the type in a signed token's header.
    pub(super) fn check_type(&self, rules: &IssuerConfig) -> Result<(), Denial> {
        check_type(self.user.token_type.as_deref(), &rules.token_types)
    }

    /// Checks proof of possession, which uses a proof up.
    pub(super) fn confirm(
        &self,
        rules: &IssuerConfig,
        presented: &Presented<'_>,
        dpop: Option<&Dpop>,
        now: UnixTime,
    ) -> Result<(), Denial> {
        self.confirmation.check(presented, [rules.proof_of_possession, presented.proof], dpop, now)
    }

    /// Alive from `nbf - leeway`, inclusive, to `exp + leeway`, exclusive; not issued after `now + leeway`.
    fn check_life(&self, rules: &IssuerConfig, now: UnixTime) -> Result<(), Denial> {
        let leeway = i64::try_from(rules.leeway.as_secs()).unwrap_or(i64::MAX);
        if now >= UnixTime::from_seconds(self.user.expires_at).plus_seconds(leeway) {
            return Err(Denial::new(Reason::TokenExpired, format!("`exp` is {}", self.user.expires_at)));
        }
        for (name, begin) in [("nbf", self.not_before), ("iat", self.user.issued_at)] {
            let Some(begin) = begin else { continue };
            if now.plus_seconds(leeway) < UnixTime::from_seconds(begin) {
                return Err(Denial::new(Reason::TokenNotYetValid, format!("`{name}` is {begin}")));
            }
        }
        Ok(())
    }
}

/// Checks the type in a token's header.
pub(super) fn check_type(token_type: Option<&str>, allowed: &[String]) -> Result<(), Denial> {
    let fits = match token_type {
        Some(named) if OTHER_PURPOSES.contains(&named) => false,
        None | Some("jwt" | "at+jwt") if allowed.is_empty() => true,
        None => false,
        Some(named) => allowed.iter().any(|allowed| canonical_type(allowed) == named),
    };
    if fits { Ok(()) } else { Err(Denial::new(Reason::TokenType, "`typ` is not one of the allowed")) }
}

/// A workload is no user. Its JWT-SVID is a bearer token like a user's, and a trust domain's keys may be an issuer's too
/// (SPIRE's OIDC discovery), so only the subject tells them apart (RFC 8725 §3.11). Schemes have no case.
fn check_subject(subject: &str, rules: &IssuerConfig) -> Result<(), Denial> {
    let scheme = subject.get(..SPIFFE_SCHEME.len()).unwrap_or_default();
    if scheme.eq_ignore_ascii_case(SPIFFE_SCHEME) && !rules.workload_subjects {
        return Err(Denial::new(Reason::TokenSubjectWorkload, "`sub` is a SPIFFE ID"));
    }
    Ok(())
}

fn check_audience(audience: &[String], ours: &[String]) -> Result<(), Denial> {
    if audience.iter().any(|named| ours.contains(named)) {
        return Ok(());
    }
    Err(Denial::new(Reason::TokenAudience, "`aud` names none of the configured audiences"))
}

fn check_required(claims: &Map<String, Json>, required: &[(String, Option<Json>)]) -> Result<(), Denial> {
    for (name, wanted) in required {
        let found = claims.get(name);
        let satisfied = match wanted {
            Some(value) => found == Some(value),
            None => found.is_some_and(|claim| !claim.is_null()),
        };
        if !satisfied {
            return Err(Denial::new(Reason::TokenClaimMissing, format!("`{name}` is not as required")));
        }
    }
    Ok(())
}
