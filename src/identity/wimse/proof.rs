//! The Workload-Proof-Token: that the workload's key is there, for this request (draft-ietf-wimse-wpt §2).

use serde_json::Map;
use serde_json::Value as Json;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Http;
use crate::identity::workload_token::Life;
use crate::identity::workload_token::Refused;
use crate::identity::workload_token::TokenFault;
use crate::identity::workload_token::check_begun;
use crate::identity::workload_token::missing;
use crate::identity::workload_token::refused;
use crate::identity::workload_token::wrong_claim;
use crate::jose;
use crate::jose::Compact;
use crate::jose::VerificationKey;
use crate::jose::claims;
use crate::jose::claims::Rounded;
use crate::target::Target;

use super::bindings;

/// The longest that a proof may live from now, in seconds. The draft says minutes or seconds; what is good for longer is
/// a bearer token by another name.
const MAX_LIFE_SECONDS: i64 = 300;
/// The longest `jti`: those in use are UUIDs and 128 random bits.
const MAX_ID_BYTES: usize = 256;

/// What a proof must fit.
#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) http: &'r Http,
    /// The Workload-Identity-Token beside it, as sent.
    pub(super) identity: &'r str,
    pub(super) audiences: &'r [Target],
    pub(super) now: UnixTime,
}

/// Checks that `proof` is signed with `key`, and that it is for this request, now.
pub(super) fn check(proof: &str, key: &VerificationKey, request: &Request<'_>) -> Result<(), Denial> {
    let claims = signed_claims(proof, key).map_err(denied)?;
    check_life(&claims, request.now).map_err(denied)?;
    check_id(&claims).map_err(denied)?;
    check_audience(&claims, request)?;
    match claims::string(&claims, "wth").map_err(wrong_claim).map_err(denied)? {
        Some(named) if named == jose::token_hash(request.identity.as_bytes()) => {}
        _ => return Err(Denial::new(Reason::CallerWptUnbound, "`wth` is not the identity token's hash")),
    }
    bindings::check(&claims, request.http)
}

fn signed_claims(proof: &str, key: &VerificationKey) -> Result<Map<String, Json>, Refused> {
    jose::check_size(proof).map_err(refused)?;
    let compact = Compact::split(proof).map_err(refused)?;
    let header = compact.header().map_err(refused)?;
    if header.token_type.as_deref() != Some("wpt+jwt") {
        return Err(Refused(TokenFault::Type, "`typ` is another token's".to_owned()));
    }
    if header.algorithm != key.algorithm() {
        let detail = format!("the proof is {}, its key for {}", header.algorithm, key.algorithm());
        return Err(Refused(TokenFault::Algorithm, detail));
    }
    let claims = compact.claims().map_err(refused)?;
    if key.verifies(compact.signing_input(), compact.signature().map_err(refused)?) {
        Ok(claims)
    } else {
        Err(Refused(TokenFault::Signature, "the signature does not verify".to_owned()))
    }
}

fn check_life(claims: &Map<String, Json>, now: UnixTime) -> Result<(), Refused> {
    let life = Life::read(claims)?;
    life.check(now)?;
    if !life.ends_within(MAX_LIFE_SECONDS, now) {
        return Err(Refused(TokenFault::Ended, format!("`exp` is more than {MAX_LIFE_SECONDS} seconds ahead")));
    }
    match claims::date(claims, "iat", Rounded::Down).map_err(wrong_claim)? {
        Some(issued) => check_begun("iat", issued, now),
        None => Ok(()),
    }
}

/// `jti` must be there, though which ones were seen is not remembered: others behind this may remember.
fn check_id(claims: &Map<String, Json>) -> Result<(), Refused> {
    let id = claims::string(claims, "jti").map_err(wrong_claim)?.ok_or_else(|| missing("jti"))?;
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(Refused(TokenFault::Claims, "`jti` is empty or long".to_owned()));
    }
    Ok(())
}

fn check_audience(claims: &Map<String, Json>, request: &Request<'_>) -> Result<(), Denial> {
    let named = claims::one_or_many(claims, "aud").map_err(wrong_claim).map_err(denied)?;
    let path = request.http.path.split_once('?').map_or(request.http.path.as_str(), |(path, _query)| path);
    match named.as_slice() {
        [target] if request.audiences.iter().any(|audience| audience.is_target(target, path)) => Ok(()),
        [_] => Err(Denial::new(Reason::CallerWptAudience, "`aud` is not the target of this request")),
        _ => Err(Denial::new(Reason::CallerWptAudience, "`aud` does not name exactly one target")),
    }
}

fn denied(Refused(fault, detail): Refused) -> Denial {
    let reason = match fault {
        TokenFault::Malformed | TokenFault::Type | TokenFault::Claims => Reason::CallerWptMalformed,
        TokenFault::Algorithm | TokenFault::Key | TokenFault::Signature => Reason::CallerWptSignature,
        TokenFault::Ended | TokenFault::NotBegun => Reason::CallerWptExpired,
    };
    Denial::new(reason, detail)
}
