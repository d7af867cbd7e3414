//! A Workload-Identity-Token (WIT) with the Workload-Proof-Token (WPT) that its key has signed for this request
//! (draft-ietf-wimse-workload-creds, draft-ietf-wimse-wpt, SPIFFE WIT-SVID).
//!
//! A WIT is no bearer token: it says which key is the workload's, and the WPT proves that the key is there. Each stands in
//! its header exactly once, or the request is refused. A proof is good for its target until it ends, some minutes at
//! most, and within that time it can be sent again: which ones were seen is not remembered, since no worker and no
//! replica sees all of them.

mod bindings;
mod proof;

use std::fmt;

use serde_json::Map;
use serde_json::Value as Json;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Http;
use crate::jose::KeyUse;
use crate::jose::VerificationKey;
use crate::spiffe_id::SpiffeId;
use crate::target::Target;
use crate::trust::Bundle;
use crate::trust::Bundles;

use super::WimseConfig;
use super::workload_token::Kind;
use super::workload_token::Refused;
use super::workload_token::TokenFault;
use super::workload_token::Verifier;
use super::workload_token::header;
use super::workload_token::is_svid_algorithm;
use super::workload_token::missing;

/// Where a WIT stands.
pub const IDENTITY_TOKEN: &str = "workload-identity-token";
/// Where a WPT stands.
pub const PROOF_TOKEN: &str = "workload-proof-token";

/// Finds the workload that proves itself by a WIT and a WPT.
#[derive(Debug)]
pub(super) struct WorkloadTokens {
    audiences: Vec<Target>,
    verifier: Verifier<VerificationKey>,
}

impl WorkloadTokens {
    /// An audience that cannot be read is none that a proof could name; the configuration refuses it before.
    pub(super) fn new(config: &WimseConfig) -> Self {
        let audiences = config.audiences.iter().filter_map(|text| Target::parse(text).ok()).collect();
        let kind = Kind { is_type, authorities: Bundle::wit_authorities, reason, content: confirmed_key };
        Self { audiences, verifier: Verifier::new(kind) }
    }

    /// The workload, where there are a WIT and a WPT.
    ///
    /// # Errors
    /// A denial where there is one without the other, or where they prove nothing about this request, now.
    pub(super) fn resolve(
        &mut self,
        http: &Http,
        bundles: &Bundles,
        now: UnixTime,
    ) -> Result<Option<SpiffeId>, Denial> {
        let identity = header(http, IDENTITY_TOKEN, Reason::CallerWitMalformed)?;
        let proof = header(http, PROOF_TOKEN, Reason::CallerWptMalformed)?;
        let (identity, proof) = match (identity, proof) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(Denial::new(Reason::CallerWitMalformed, "a proof without its token")),
            (Some(_), None) => return Err(Denial::new(Reason::CallerWptMissing, "a token without its proof")),
            (Some(identity), Some(proof)) => (identity, proof),
        };
        // The token first: until it is proven, there is no key to prove anything with.
        let verified = self.verifier.verify(identity, bundles, now)?;
        let request = proof::Request { http, identity, audiences: &self.audiences, now };
        proof::check(proof, &verified.content, &request)?;
        Ok(Some(verified.subject.clone()))
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> (usize, u64) {
        self.verifier.known()
    }
}

fn is_type(token_type: Option<&str>) -> bool {
    token_type == Some("wit+jwt")
}

/// The key that the token confirms (RFC 7800 §3.2), and that it is a token for a proof: one with `aud` might be taken for
/// a bearer token elsewhere.
fn confirmed_key(claims: &Map<String, Json>) -> Result<VerificationKey, Refused> {
    if claims.contains_key("aud") {
        return Err(Refused(TokenFault::Claims, "there is an `aud`".to_owned()));
    }
    let confirmation = claims.get("cnf").ok_or_else(|| missing("cnf"))?;
    // Another member would be another thing to prove.
    let members = confirmation.as_object().filter(|members| members.len() == 1);
    let jwk = members.and_then(|members| members.get("jwk")).and_then(Json::as_object);
    let jwk = jwk.ok_or_else(|| Refused(TokenFault::Claims, "`cnf` is not one `jwk`".to_owned()))?;
    if !jwk.contains_key("alg") {
        return Err(unusable("has no `alg`"));
    }
    let key = VerificationKey::from_jwk(jwk, KeyUse::Signature, None).map_err(unusable)?;
    if is_svid_algorithm(key.algorithm()) { Ok(key) } else { Err(unusable("has an algorithm that is not for SVIDs")) }
}

fn unusable(why: impl fmt::Display) -> Refused {
    Refused(TokenFault::Claims, format!("the key in `cnf` {why}"))
}

const fn reason(fault: TokenFault) -> Reason {
    match fault {
        TokenFault::Malformed | TokenFault::Type | TokenFault::Claims => Reason::CallerWitMalformed,
        TokenFault::Algorithm | TokenFault::Key | TokenFault::Signature => Reason::CallerWitUntrusted,
        TokenFault::Ended | TokenFault::NotBegun => Reason::CallerWitExpired,
    }
}
