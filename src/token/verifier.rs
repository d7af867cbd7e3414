//! From a token to a user.

use std::sync::Arc;

use super::Config;
use super::IssuerConfig;
use super::IssuerIndex;
use super::Refusal;
use super::Revoked;
use super::cache::Cache;
use super::cache::Entry;
use super::cache::Key;
use super::claims;
use super::credential::Credential;
use super::dpop::Dpop;
use super::dpop::Proofs;
use super::key_sets::KeySets;
use super::refused;
use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::facts::Caller;
use crate::facts::Http;
use crate::facts::User;
use crate::jose;
use crate::jose::Compact;
use crate::jose::KeySet;
use crate::jose::NoKey;
use crate::jose::shown;
use crate::route::Possession;

/// Verifies tokens for one worker, and remembers those it has verified.
#[derive(Debug)]
pub struct Verifier {
    config: Arc<Config>,
    dpop: Option<Dpop>,
    revoked: Arc<Revoked>,
    cache: Cache,
}

/// A token, and what it is presented with.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// The token, and the scheme it came by.
    pub credential: Credential<'a>,
    /// The request.
    pub http: &'a Http,
    /// The proven workload that sent it, if one is.
    pub caller: Option<&'a Caller>,
    /// Whether the route asks for a bound token.
    pub proof: Possession,
    /// The proofs that this process has seen.
    pub proofs: &'a Proofs,
}

impl Verifier {
    /// A verifier that has seen no token yet.
    pub fn new(config: Arc<Config>) -> Self {
        Self { dpop: config.dpop.as_ref().map(Dpop::new), config, revoked: Arc::default(), cache: Cache::new() }
    }

    /// The same verifier, to which all that `revoked` lists is revoked, and nothing else: from now on, whatever it has
    /// verified before.
    #[must_use]
    pub fn revoking(self, revoked: Arc<Revoked>) -> Self {
        Self { revoked, ..self }
    }

    /// The user that the token is proven to speak for, at `now`, as it is presented.
    ///
    /// A signature is verified once for each token and state of the keys; everything that depends on more than those two
    /// is checked at every call. A proof of possession is used up by a call that succeeds.
    ///
    /// # Errors
    /// [`Refusal::NeedsKeys`] where the keys are too old to know; [`Refusal::Denied`] else, which no refresh would change.
    pub fn verify(&mut self, presented: &Presented<'_>, keys: &KeySets, now: UnixTime) -> Result<Arc<User>, Refusal> {
        let scheme = presented.credential.scheme;
        if scheme == Scheme::Dpop && self.dpop.is_none() {
            return Err(Denial::new(Reason::TokenScheme, "the scheme is DPoP, and `dpop` is not configured").into());
        }
        self.admitted(presented, keys, now).map_err(|refusal| match refusal {
            Refusal::Denied(denial) => Refusal::Denied(Denial { scheme, ..denial }),
            needs_keys @ Refusal::NeedsKeys(_) => needs_keys,
        })
    }

    fn admitted(&mut self, presented: &Presented<'_>, keys: &KeySets, now: UnixTime) -> Result<Arc<User>, Refusal> {
        let token = presented.credential.token;
        jose::check_size(token).map_err(refused)?;
        let key = Key::new(token, keys.epoch());
        if let Some(entry) = self.cache.get(&key) {
            let rules = self.rules(entry.issuer)?;
            usable(keys, entry.issuer, rules, now)?;
            let admitted = self.admit(entry, presented, now).map(|()| Arc::clone(&entry.token.user));
            return admitted.map_err(|denial| self.forget_expired(&key, denial).into());
        }
        let entry = self.authenticate(token, keys, now)?;
        self.admit(&entry, presented, now)?;
        Ok(self.cache.insert(key, entry))
    }

    /// The part whose result is kept: the issuer has signed this.
    fn authenticate(&self, token: &str, keys: &KeySets, now: UnixTime) -> Result<Entry, Refusal> {
        let compact = Compact::split(token).map_err(refused)?;
        let header = compact.header().map_err(refused)?;
        let claims = compact.claims().map_err(refused)?;
        let named = claims::issuer(&claims)?;
        let issuer = self.config.index_of(named).ok_or_else(|| unknown_issuer(named))?;
        let rules = self.rules(issuer)?;
        if !rules.algorithms.contains(&header.algorithm) {
            let detail = format!("{} is not allowed for this issuer", header.algorithm);
            return Err(Denial::new(Reason::TokenAlgorithm, detail).into());
        }
        let key = usable(keys, issuer, rules, now)?.find(&header).map_err(|no_key| match no_key {
            NoKey::Unknown => Refusal::NeedsKeys(issuer),
            NoKey::Refused(error) => Refusal::Denied(refused(error)),
        })?;
        if !key.verifies(compact.signing_input(), compact.signature().map_err(refused)?) {
            return Err(Denial::new(Reason::TokenSignatureInvalid, "the signature does not verify").into());
        }
        Ok(Entry { issuer, token: claims::read(claims, header.token_type, &rules.claims)? })
    }

    fn rules(&self, issuer: IssuerIndex) -> Result<&IssuerConfig, Denial> {
        self.config.issuer(issuer).ok_or_else(|| Denial::new(Reason::TokenIssuerUnknown, "no such issuer"))
    }

    fn admit(&self, entry: &Entry, presented: &Presented<'_>, now: UnixTime) -> Result<(), Denial> {
        let rules = self.rules(entry.issuer)?;
        entry.token.admit(rules, presented.caller, now)?;
        self.revoked.check(&entry.token.user)?;
        // The last, since a proof can be used once.
        entry.token.confirm(rules, presented, self.dpop.as_ref(), now)
    }

    fn forget_expired(&mut self, key: &Key, denial: Denial) -> Denial {
        if denial.reason == Reason::TokenExpired {
            self.cache.remove(key);
        }
        denial
    }

    #[cfg(test)]
    pub(super) const fn cache(&self) -> &Cache {
        &self.cache
    }
}

fn usable<'k>(
    keys: &'k KeySets,
    index: IssuerIndex,
    rules: &IssuerConfig,
    now: UnixTime,
) -> Result<&'k KeySet, Denial> {
    keys.usable(index, &rules.issuer, now)
        .ok_or_else(|| Denial::new(Reason::TokenKeysUnavailable, "the issuer's keys are missing or too old"))
}

fn unknown_issuer(named: &str) -> Denial {
    Denial::new(Reason::TokenIssuerUnknown, format!("`{}` is not configured", shown(named)))
}
