//! What every token that speaks for a workload is held to: the SVIDs that are JWTs (JWT-SVID §2 to §4, WIT-SVID §2 to §4).
//!
//! INVARIANT: the key is looked up in the bundle of the trust domain that `sub` names, among the keys for tokens of this
//! kind, and nowhere else.

use std::fmt;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use serde_json::Map;
use serde_json::Value as Json;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::HeaderProblem;
use crate::facts::Http;
use crate::jose;
use crate::jose::Algorithm;
use crate::jose::Compact;
use crate::jose::Fault;
use crate::jose::Header;
use crate::jose::JoseError;
use crate::jose::KeySet;
use crate::jose::NoKey;
use crate::jose::claims;
use crate::jose::claims::ClaimError;
use crate::jose::claims::Rounded;
use crate::jose::shown;
use crate::spiffe_id::SpiffeId;
use crate::trust::Bundle;
use crate::trust::Bundles;

use super::bundle_of;

/// How far, in seconds, the clock of who signed a token may be ahead. Trust domains run NTP; issuers of user tokens get as much by
/// default. An end is never stretched by it: an SVID is replaced long before.
const CLOCK_SKEW_SECONDS: i64 = 30;
/// Tokens that one worker holds: some two thousand.
const CAPACITY_BYTES: u64 = 4 << 20;
/// What an entry counts as beside its text, with the cache's own places for it; bounds the number of entries too.
const ENTRY_BYTES: u64 = 1024;
/// How many entries the cache makes room for at once.
const EXPECTED_ENTRIES: usize = 1024;

/// One kind of token: what sets it apart from the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind<T> {
    /// Whether the header's `typ`, in canonical form, is this kind's.
    pub(super) is_type: fn(Option<&str>) -> bool,
    /// The keys in a bundle that sign it.
    pub(super) authorities: fn(&Bundle) -> &KeySet,
    /// What a fault is called.
    pub(super) reason: fn(TokenFault) -> Reason,
    /// Reads what else its claims say.
    pub(super) content: fn(&Map<String, Json>) -> Result<T, Refused>,
}

/// What can be wrong with such a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenFault {
    /// It cannot be read, or its header says something dangerous.
    Malformed,
    /// It is of another type.
    Type,
    /// Its algorithm is not allowed, or not its key's.
    Algorithm,
    /// It names no key, or none of its trust domain's for its kind.
    Key,
    /// Its signature does not verify.
    Signature,
    /// A claim is missing or wrong.
    Claims,
    /// Its life has ended.
    Ended,
    /// Its life has not begun.
    NotBegun,
}

/// A fault, and its detail for the log.
pub(super) struct Refused(pub(super) TokenFault, pub(super) String);

/// A token whose signature is proven, and what it says of itself.
#[derive(Debug)]
pub(super) struct Verified<T> {
    /// `sub`.
    pub(super) subject: SpiffeId,
    life: Life,
    /// What else it says.
    pub(super) content: T,
    epoch: u64,
    length: usize,
}

/// `exp` and `nbf`, in seconds since 1970; always whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    expires_at: i64,
    not_before: Option<i64>,
}

/// Verifies tokens of one kind for one worker, and remembers those it has verified: by their SHA-256, and as long as the
/// bundle is the same.
pub(super) struct Verifier<T> {
    kind: Kind<T>,
    known: Cache<[u8; 32], Arc<Verified<T>>, Bytes>,
}

impl<T> Verifier<T> {
    pub(super) fn new(kind: Kind<T>) -> Self {
        Self { kind, known: Cache::with_weighter(EXPECTED_ENTRIES, CAPACITY_BYTES, Bytes) }
    }

    /// What is proven of `token`: that its trust domain has signed it, and that it is alive at `now`.
    pub(super) fn verify(&mut self, token: &str, bundles: &Bundles, now: UnixTime) -> Result<Arc<Verified<T>>, Denial> {
        jose::check_size(token).map_err(|error| self.denied(refused(error)))?;
        let key = jose::sha256(token.as_bytes());
        if let Some(known) = self.known.get(&key)
            && bundle_of(&known.subject, bundles)?.epoch() == known.epoch
            && known.life.check(now).is_ok()
        {
            return Ok(Arc::clone(known));
        }
        // Whatever was known is worth nothing now: another bundle, or an end.
        drop(self.known.remove(&key));
        let verified = Arc::new(self.authenticate(token, bundles)?);
        verified.life.check(now).map_err(|refused| self.denied(refused))?;
        self.known.insert(key, Arc::clone(&verified));
        Ok(verified)
    }

    /// The part whose result is kept.
    fn authenticate(&self, token: &str, bundles: &Bundles) -> Result<Verified<T>, Denial> {
        let denied = |refused| self.denied(refused);
        let compact = Compact::split(token).map_err(refused).map_err(denied)?;
        let header = self.header(&compact).map_err(denied)?;
        let claims = compact.claims().map_err(refused).map_err(denied)?;
        let subject = subject(&claims).map_err(denied)?;
        let held = bundle_of(&subject, bundles)?;
        let authorities = (self.kind.authorities)(&held.bundle);
        check_signature(&compact, &header, authorities, &subject).map_err(denied)?;
        let life = Life::read(&claims).map_err(denied)?;
        let content = (self.kind.content)(&claims).map_err(denied)?;
        Ok(Verified { subject, life, content, epoch: held.epoch(), length: token.len() })
    }

    fn header(&self, compact: &Compact<'_>) -> Result<Header, Refused> {
        let header = compact.header().map_err(refused)?;
        if !(self.kind.is_type)(header.token_type.as_deref()) {
            return Err(Refused(TokenFault::Type, "`typ` is another token's".to_owned()));
        }
        if !is_svid_algorithm(header.algorithm) {
            return Err(Refused(TokenFault::Algorithm, format!("{} is not for SVIDs", header.algorithm)));
        }
        if header.key_id.is_none() {
            return Err(Refused(TokenFault::Key, "there is no `kid`".to_owned()));
        }
        Ok(header)
    }

    /// A refusal as this kind of token calls it.
    pub(super) fn denied(&self, Refused(fault, detail): Refused) -> Denial {
        Denial::new((self.kind.reason)(fault), detail)
    }

    #[cfg(test)]
    pub(super) fn known(&self) -> (usize, u64) {
        (self.known.len(), self.known.weight())
    }
}

/// JWT-SVID §2.1, WIT-SVID §2.3: RSA and ECDSA. ES512 is among them there and not among what is verified here.
pub(super) const fn is_svid_algorithm(algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::Es256
        | Algorithm::Es384 => true,
        Algorithm::EdDsa => false,
    }
}

/// The value of a header that holds a token and nothing else; `None` where there is no such header. One that is there and
/// empty is a token that cannot be read.
pub(super) fn header<'h>(http: &'h Http, name: &'h str, malformed: Reason) -> Result<Option<&'h str>, Denial> {
    http.single_header(name).map_err(|problem| {
        let detail = match problem {
            HeaderProblem::Repeated => format!("several `{name}` headers"),
            HeaderProblem::NotText => format!("the `{name}` header is no text"),
        };
        Denial::new(malformed, detail)
    })
}

fn subject(claims: &Map<String, Json>) -> Result<SpiffeId, Refused> {
    let text = claims::string(claims, "sub").map_err(wrong_claim)?.ok_or_else(|| missing("sub"))?;
    let invalid = |error| Refused(TokenFault::Claims, format!("`sub` `{}` {error}", shown(text)));
    SpiffeId::parse(text).map_err(invalid)
}

fn check_signature(
    compact: &Compact<'_>,
    header: &Header,
    authorities: &KeySet,
    subject: &SpiffeId,
) -> Result<(), Refused> {
    let key = authorities.find(header).map_err(|no_key| match no_key {
        NoKey::Unknown => {
            let id = header.key_id.as_deref().map(shown).unwrap_or_default();
            let domain = shown(subject.trust_domain());
            Refused(TokenFault::Key, format!("`{domain}` has no key `{id}` for it"))
        }
        NoKey::Refused(error) => refused(error),
    })?;
    if key.verifies(compact.signing_input(), compact.signature().map_err(refused)?) {
        Ok(())
    } else {
        Err(Refused(TokenFault::Signature, "the signature does not verify".to_owned()))
    }
}

impl Life {
    pub(super) fn read(claims: &Map<String, Json>) -> Result<Self, Refused> {
        let expires_at = claims::date(claims, "exp", Rounded::Down).map_err(wrong_claim)?;
        let not_before = claims::date(claims, "nbf", Rounded::Up).map_err(wrong_claim)?;
        Ok(Self { expires_at: expires_at.ok_or_else(|| missing("exp"))?, not_before })
    }

    /// Good from `nbf - CLOCK_SKEW_SECONDS`, inclusive, to `exp`, exclusive.
    pub(super) fn check(self, now: UnixTime) -> Result<(), Refused> {
        if now >= UnixTime::from_seconds(self.expires_at) {
            return Err(Refused(TokenFault::Ended, format!("`exp` is {}", self.expires_at)));
        }
        match self.not_before {
            Some(begin) => check_begun("nbf", begin, now),
            None => Ok(()),
        }
    }

    /// Whether it ends within `seconds` from now, the signer's clock being ahead allowed for.
    pub(super) fn ends_within(self, seconds: i64, now: UnixTime) -> bool {
        let latest = now.plus_seconds(seconds).plus_seconds(CLOCK_SKEW_SECONDS);
        UnixTime::from_seconds(self.expires_at) <= latest
    }
}

/// Whether the time that the claim `name` gives has come, the signer's clock being ahead allowed for.
pub(super) fn check_begun(name: &str, seconds: i64, now: UnixTime) -> Result<(), Refused> {
    if now.plus_seconds(CLOCK_SKEW_SECONDS) < UnixTime::from_seconds(seconds) {
        return Err(Refused(TokenFault::NotBegun, format!("`{name}` is {seconds}")));
    }
    Ok(())
}

pub(super) fn refused(error: JoseError) -> Refused {
    let fault = match error.fault {
        Fault::TooLarge | Fault::Malformed | Fault::Forbidden => TokenFault::Malformed,
        Fault::Algorithm => TokenFault::Algorithm,
        Fault::KeyUnknown => TokenFault::Key,
    };
    Refused(fault, error.detail)
}

pub(super) fn wrong_claim(error: ClaimError) -> Refused {
    Refused(TokenFault::Claims, error.to_string())
}

pub(super) fn missing(name: &str) -> Refused {
    Refused(TokenFault::Claims, format!("there is no `{name}`"))
}

impl<T> fmt::Debug for Verifier<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

/// Weighs an entry by the token's text, twice: all that is read from it is part of it.
#[derive(Debug, Clone, Copy)]
struct Bytes;

impl<T> Weighter<[u8; 32], Arc<Verified<T>>> for Bytes {
    fn weight(&self, _key: &[u8; 32], verified: &Arc<Verified<T>>) -> u64 {
        u64::try_from(verified.length).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(ENTRY_BYTES)
    }
}
