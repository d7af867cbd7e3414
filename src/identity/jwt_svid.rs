//! A JWT-SVID in a header of its own: a bearer token by which a workload names itself (SPIFFE JWT-SVID).
//!
//! The same one twice is twice the same caller: workloads keep an SVID and send it with many requests, so there is no
//! replay to be found, and none is looked for. Whoever holds it is its workload until it ends.

use serde_json::Map;
use serde_json::Value as Json;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Http;
use crate::jose::claims;
use crate::jose::claims::Rounded;
use crate::spiffe_id::SpiffeId;
use crate::trust::Bundle;
use crate::trust::Bundles;

use super::JwtSvidConfig;
use super::workload_token::Kind;
use super::workload_token::Refused;
use super::workload_token::TokenFault;
use super::workload_token::Verifier;
use super::workload_token::check_begun;
use super::workload_token::header;
use super::workload_token::wrong_claim;

/// Finds the workload that a request's JWT-SVID names.
#[derive(Debug)]
pub(super) struct JwtSvids {
    config: JwtSvidConfig,
    verifier: Verifier<Content>,
}

/// What a JWT-SVID says beside its subject and its end.
#[derive(Debug)]
struct Content {
    audience: Vec<String>,
    issued_at: Option<i64>,
}

impl JwtSvids {
    pub(super) fn new(config: JwtSvidConfig) -> Self {
        let kind = Kind { is_type, authorities: Bundle::jwt_authorities, reason, content };
        Self { config, verifier: Verifier::new(kind) }
    }

    /// The workload, where there is a JWT-SVID.
    ///
    /// # Errors
    /// A denial where there is one that is not good for this audience, now.
    pub(super) fn resolve(
        &mut self,
        http: &Http,
        bundles: &Bundles,
        now: UnixTime,
    ) -> Result<Option<SpiffeId>, Denial> {
        let Some(token) = header(http, &self.config.header, Reason::CallerJwtSvidMalformed)? else { return Ok(None) };
        if token.contains(' ') {
            let detail = format!(
                "`{}` holds more than a token: nothing stands before it, not even `Bearer`",
                self.config.header
            );
            return Err(Denial::new(Reason::CallerJwtSvidMalformed, detail));
        }
        let svid = self.verifier.verify(token, bundles, now)?;
        if let Some(issued) = svid.content.issued_at {
            check_begun("iat", issued, now).map_err(|refused| self.verifier.denied(refused))?;
        }
        if !svid.content.audience.iter().any(|named| self.config.audiences.contains(named)) {
            let detail = "`aud` names none of the configured audiences";
            return Err(Denial::new(Reason::CallerJwtSvidAudience, detail));
        }
        Ok(Some(svid.subject.clone()))
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> (usize, u64) {
        self.verifier.known()
    }
}

/// JWT-SVID §2.3: absent, `JWT` or `JOSE`.
fn is_type(token_type: Option<&str>) -> bool {
    matches!(token_type, None | Some("jwt" | "jose"))
}

fn content(claims: &Map<String, Json>) -> Result<Content, Refused> {
    let audience = claims::one_or_many(claims, "aud").map_err(wrong_claim)?;
    let issued_at = claims::date(claims, "iat", Rounded::Down).map_err(wrong_claim)?;
    Ok(Content { audience, issued_at })
}

const fn reason(fault: TokenFault) -> Reason {
    match fault {
        TokenFault::Malformed => Reason::CallerJwtSvidMalformed,
        TokenFault::Type => Reason::CallerJwtSvidType,
        TokenFault::Algorithm => Reason::CallerJwtSvidAlgorithm,
        TokenFault::Key => Reason::CallerJwtSvidKeyUnknown,
        TokenFault::Signature => Reason::CallerJwtSvidSignature,
        TokenFault::Claims => Reason::CallerJwtSvidClaims,
        TokenFault::Ended => Reason::CallerJwtSvidExpired,
        TokenFault::NotBegun => Reason::CallerJwtSvidNotYetValid,
    }
}
