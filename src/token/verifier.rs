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
use super::key_sets::KeySets;
use super::refused;
use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::facts::User;
use crate::jose;
use crate::jose::Compact;
use crate::jose::KeySet;
use crate::jose::NoKey;
use crate::jose::shown;

/// Verifies tokens for one worker, and remembers those it has verified.
#[derive(Debug)]
pub struct Verifier {
    config: Arc<Config>,
    revoked: Arc<Revoked>,
    cache: Cache,
}

impl Verifier {
    /// A verifier that has seen no token yet.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, revoked: Arc::default(), cache: Cache::new() }
    }

    /// The same verifier, to which all that `revoked` lists is revoked, and nothing else: from now on, whatever it has
    /// verified before.
    #[must_use]
    pub fn revoking(self, revoked: Arc<Revoked>) -> Self {
        Self { revoked, ..self }
    }

    /// The user that `token` is proven to speak for, at `now`, to a peer with this certificate (its SHA-256).
    ///
    /// A signature is verified once for each token and state of the keys; everything that depends on more than those two
    /// is checked at every call.
    ///
    /// # Errors
    /// [`Refusal::NeedsKeys`] where the keys are too old to know; [`Refusal::Denied`] else, which no refresh would change.
    pub fn verify(
        &mut self,
        token: &str,
        keys: &KeySets,
        peer_certificate: Option<&[u8; 32]>,
        now: UnixTime,
    ) -> Result<Arc<User>, Refusal> {
        jose::check_size(token).map_err(refused)?;
        let key = Key::new(token, keys.epoch());
        if let Some(entry) = self.cache.get(&key) {
            let rules = self.rules(entry.issuer)?;
            usable(keys, entry.issuer, rules, now)?;
            let admitted = entry.token.admit(rules, peer_certificate, now).and_then(|()| self.not_revoked(entry));
            let admitted = admitted.map(|()| Arc::clone(&entry.token.user));
            return admitted.map_err(|denial| self.forget_expired(&key, denial).into());
        }
        let entry = self.authenticate(token, keys, now)?;
        entry.token.admit(self.rules(entry.issuer)?, peer_certificate, now)?;
        self.not_revoked(&entry)?;
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

    fn not_revoked(&self, entry: &Entry) -> Result<(), Denial> {
        self.revoked.check(&entry.token.user)
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
