//! One proof: whose key signed it, and that it is for this request, with this token, now (RFC 9449 §4.3).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::Map;
use serde_json::Value as Json;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::Http;
use crate::jose;
use crate::jose::Compact;
use crate::jose::EmbeddedKey;
use crate::jose::JoseError;
use crate::jose::KeyUse;
use crate::jose::VerificationKey;
use crate::jose::claims;
use crate::jose::claims::ClaimError;
use crate::jose::claims::Rounded;
use crate::target::Target;

/// How far, in seconds, a client's clock may be ahead: agents run NTP, and what is signed ahead of time is a store of
/// proofs for later.
pub(super) const FUTURE_SECONDS: i64 = 10;
/// The longest `jti`: those in use are UUIDs and 128 random bits.
const MAX_ID_BYTES: usize = 256;

/// What a proof must fit.
#[derive(Clone, Copy)]
pub(super) struct Expected<'r> {
    pub(super) http: &'r Http,
    /// The access token beside it, as sent.
    pub(super) token: &'r str,
    /// The thumbprint of the key that the token is bound to.
    pub(super) key: &'r [u8; 32],
    pub(super) targets: &'r [Target],
    /// Seconds for which a proof is good.
    pub(super) max_age: i64,
    pub(super) now: UnixTime,
}

/// What is to be asked of a proof that is good so far.
pub(super) struct Proven {
    /// `jti`.
    pub(super) id: String,
    /// `nonce`.
    pub(super) nonce: Option<String>,
    /// The last second at which it is good.
    pub(super) until: UnixTime,
}

pub(super) fn check(proof: &str, expected: &Expected<'_>) -> Result<Proven, Denial> {
    jose::check_size(proof).map_err(unreadable)?;
    let claims = signed_claims(&Compact::split(proof).map_err(unreadable)?, expected.key)?;
    check_request(&claims, expected)?;
    if text(&claims, "ath")? != jose::token_hash(expected.token.as_bytes()) {
        return Err(invalid("`ath` is not the access token's hash"));
    }
    let id = text(&claims, "jti")?;
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(invalid("`jti` is empty or long"));
    }
    let nonce = claims::string(&claims, "nonce").map_err(wrong_claim)?;
    Ok(Proven { id: id.to_owned(), nonce: nonce.map(str::to_owned), until: life(&claims, expected)? })
}

/// The claims, once the key that the token is bound to has signed them. The key is compared first: until it is the token's,
/// no work is done for it.
fn signed_claims(compact: &Compact<'_>, wanted: &[u8; 32]) -> Result<Map<String, Json>, Denial> {
    let EmbeddedKey { header, jwk } = compact.header_with_key().map_err(unreadable)?;
    if header.token_type.as_deref() != Some("dpop+jwt") {
        return Err(invalid("`typ` is another token's"));
    }
    let thumbprint = jose::thumbprint(&jwk).map_err(bad_key)?;
    verify_slices_are_equal(&thumbprint, wanted).map_err(|_differ| invalid("the token is bound to another key"))?;
    let rsa = Some(header.algorithm).filter(|algorithm| algorithm.is_rsa());
    let key = VerificationKey::from_jwk(&jwk, KeyUse::Signature, rsa).map_err(bad_key)?;
    if key.algorithm() != header.algorithm {
        return Err(invalid(format!("the proof is {}, its key for {}", header.algorithm, key.algorithm())));
    }
    let claims = compact.claims().map_err(unreadable)?;
    if key.verifies(compact.signing_input(), compact.signature().map_err(unreadable)?) {
        Ok(claims)
    } else {
        Err(invalid("the signature does not verify"))
    }
}

fn check_request(claims: &Map<String, Json>, expected: &Expected<'_>) -> Result<(), Denial> {
    let Expected { http, targets, .. } = *expected;
    if text(claims, "htm")? != http.method {
        return Err(invalid("`htm` is another method"));
    }
    let named = text(claims, "htu")?;
    if !targets.iter().any(|target| target.means(named, &http.path)) {
        return Err(invalid("`htu` is not the target of this request"));
    }
    Ok(())
}

/// When it ends. A proof's time is read to its disadvantage: the second it is of begins its age.
fn life(claims: &Map<String, Json>, expected: &Expected<'_>) -> Result<UnixTime, Denial> {
    let issued = claims::date(claims, "iat", Rounded::Down).map_err(wrong_claim)?.ok_or_else(|| missing("iat"))?;
    let issued_at = UnixTime::from_seconds(issued);
    let until = issued_at.plus_seconds(expected.max_age);
    if expected.now.plus_seconds(FUTURE_SECONDS) < issued_at {
        return Err(invalid(format!("`iat` is {issued}, which is to come")));
    }
    if expected.now > until {
        return Err(invalid(format!("`iat` is {issued}, which is too long ago")));
    }
    Ok(until)
}

fn text<'c>(claims: &'c Map<String, Json>, name: &'static str) -> Result<&'c str, Denial> {
    claims::string(claims, name).map_err(wrong_claim)?.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Denial {
    invalid(format!("there is no `{name}`"))
}

fn wrong_claim(error: ClaimError) -> Denial {
    invalid(error.to_string())
}

fn unreadable(error: JoseError) -> Denial {
    invalid(error.detail)
}

fn bad_key(error: jose::JwkError) -> Denial {
    invalid(format!("the `jwk` {error}"))
}

fn invalid(why: impl Into<String>) -> Denial {
    Denial::new(Reason::TokenDpopInvalid, why)
}
