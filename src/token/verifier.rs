//! From a token to a user.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;

use super::AskedTokens;
use super::Config;
use super::Introspected;
use super::IntrospectionConfig;
use super::IssuerConfig;
use super::IssuerIndex;
use super::KeySource;
use super::Need;
use super::Question;
use super::Refusal;
use super::Revoked;
use super::admission;
use super::cache::Cache;
use super::cache::Entry;
use super::cache::Key;
use super::claims;
use super::credential::Credential;
use super::dpop::Dpop;
use super::dpop::Proofs;
use super::introspection;
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
use crate::secret::Secret;

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
    /// The issuers that the route takes tokens of, separated by spaces; `None`: all.
    pub issuers: Option<&'a str>,
    /// The proofs that this process has seen.
    pub proofs: &'a Proofs,
    /// The issuer's answer about the token, once it was asked.
    pub answer: Option<&'a Introspected>,
}

impl Presented<'_> {
    fn takes(&self, issuer: &str) -> bool {
        self.issuers.is_none_or(|names| names.split(' ').any(|name| name == issuer))
    }
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
    /// A signature is verified once for each token and state of the keys, an issuer's answer holds as long as is
    /// configured; everything that depends on more than those is checked at every call. A proof of possession is used up
    /// by a call that succeeds.
    ///
    /// # Errors
    /// [`Refusal::Needs`] where the token's key is not among `keys`, or where its issuer must be asked and `presented` brings
    /// no answer; [`Refusal::Denied`] else, which no waiting would change.
    pub fn verify(&mut self, presented: &Presented<'_>, keys: &KeySets, now: UnixTime) -> Result<Arc<User>, Refusal> {
        let scheme = presented.credential.scheme;
        if scheme == Scheme::Dpop && self.dpop.is_none() {
            return Err(Denial::new(Reason::TokenScheme, "the scheme is DPoP, and `dpop` is not configured").into());
        }
        self.admitted(presented, keys, now).map_err(|refusal| match refusal {
            // A route that takes bound tokens alone says so to whoever comes with another.
            Refusal::Denied(denial) if scheme == Scheme::Bearer => {
                Refusal::Denied(Denial { scheme: presented.proof.scheme(), ..denial })
            }
            Refusal::Denied(denial) => Refusal::Denied(Denial { scheme, ..denial }),
            needs @ Refusal::Needs(_) => needs,
        })
    }

    fn admitted(&mut self, presented: &Presented<'_>, keys: &KeySets, now: UnixTime) -> Result<Arc<User>, Refusal> {
        let token = presented.credential.token;
        jose::check_size(token).map_err(refused)?;
        let key = Key::new(token, keys.epoch());
        if let Some(entry) = self.cache.get(&key)
            && self.holds(entry, presented, now)
        {
            if !entry.without_key {
                usable(keys, entry.issuer, self.rules(entry.issuer)?, now)?;
            }
            let admitted = self.admit(entry, presented, now).and_then(|()| self.confirm(entry, presented, now));
            let admitted = admitted.map(|()| Arc::clone(&entry.token.user));
            return admitted.map_err(|denial| self.forget_expired(&key, denial).into());
        }
        let found = match self.asked_about(presented)? {
            Some(issuer) => self.introspect(issuer, presented, now),
            None => self.authenticate(presented, keys, now),
        };
        let entry = found.inspect_err(|refusal| self.forget_withdrawn(&key, refusal))?;
        self.confirm(&entry, presented, now)?;
        Ok(self.cache.insert(key, entry))
    }

    /// Whether an entry of the cache may still be used, on this route.
    fn holds(&self, entry: &Entry, presented: &Presented<'_>, now: UnixTime) -> bool {
        let Some(rules) = self.config.issuer(entry.issuer) else { return false };
        let is_asked_for = |config: &&IntrospectionConfig| entry.without_key || config.tokens == AskedTokens::All;
        let is_fresh = rules.introspection.as_ref().filter(is_asked_for).is_none_or(|config| {
            // Where the clock went back nobody knows how old an answer is.
            entry.asked_at.is_some_and(|at| at <= now && now.since(at) < config.cache)
        });
        // An opaque token names no issuer: the route must say whose it is, whatever is known of it from another route.
        let is_named = self.asked_about(presented).is_ok_and(|asked| asked.is_none_or(|issuer| issuer == entry.issuer));
        is_fresh && is_named && presented.takes(&rules.issuer)
    }

    /// Whom to ask about a token that is no JWT; `None` for a JWT, and where nobody can be asked.
    fn asked_about(&self, presented: &Presented<'_>) -> Result<Option<IssuerIndex>, Denial> {
        if Compact::is_like(presented.credential.token) {
            return Ok(None);
        }
        let issuers = self.config.issuers.iter().enumerate();
        let mut known = issuers.filter(|(_, rules)| rules.introspection.is_some() && presented.takes(&rules.issuer));
        match (known.next(), known.next()) {
            (Some((position, _)), None) => Ok(Some(IssuerIndex(position))),
            (None, _) => Ok(None),
            // Not asked one after the other: a token is for its own issuer's eyes.
            (Some(_), Some(_)) => {
                let detail = "an opaque token names no issuer, and several could be asked: the route must name one";
                Err(Denial::new(Reason::TokenIssuerUnknown, detail))
            }
        }
    }

    /// A token that its issuer answers for.
    fn introspect(&self, issuer: IssuerIndex, presented: &Presented<'_>, now: UnixTime) -> Result<Entry, Refusal> {
        let rules = self.rules(issuer)?;
        let (claims, at) = active_answer(issuer, rules, presented, false)?;
        let claims = introspection::access_token(claims.clone(), &rules.issuer)?;
        let token = claims::read(claims, None, &rules.claims)?;
        let entry = Entry { issuer, token, asked_at: Some(at), without_key: true };
        self.admit(&entry, presented, now)?;
        Ok(entry)
    }

    /// A token that its issuer has signed.
    fn authenticate(&self, presented: &Presented<'_>, keys: &KeySets, now: UnixTime) -> Result<Entry, Refusal> {
        let compact = Compact::split(presented.credential.token).map_err(refused)?;
        let header = compact.header().map_err(refused)?;
        let claims = compact.claims().map_err(refused)?;
        let named = claims::issuer(&claims)?;
        let issuer = self.config.index_of(named).filter(|_| presented.takes(named));
        let issuer = issuer.ok_or_else(|| unknown_issuer(named))?;
        let rules = self.rules(issuer)?;
        if rules.keys == KeySource::Nowhere {
            // What it is for stands in its header alone: the answer calls a logout token Bearer as well as any.
            admission::check_type(header.token_type.as_deref(), &rules.token_types)?;
            return self.introspect(issuer, presented, now);
        }
        if !rules.algorithms.contains(&header.algorithm) {
            let detail = format!("{} is not allowed for this issuer", header.algorithm);
            return Err(Denial::new(Reason::TokenAlgorithm, detail).into());
        }
        let key = usable(keys, issuer, rules, now)?.find(&header).map_err(|no_key| match no_key {
            NoKey::Unknown => Refusal::Needs(Need::Keys(issuer)),
            NoKey::Refused(error) => Refusal::Denied(refused(error)),
        })?;
        if !key.verifies(compact.signing_input(), compact.signature().map_err(refused)?) {
            return Err(Denial::new(Reason::TokenSignatureInvalid, "the signature does not verify").into());
        }
        let token = claims::read(claims, header.token_type, &rules.claims)?;
        token.check_type(rules)?;
        let mut entry = Entry { issuer, token, asked_at: None, without_key: false };
        self.admit(&entry, presented, now)?;
        // The last, so that nobody makes us ask by a token that is good for nothing anyway.
        if rules.introspection.as_ref().is_some_and(|config| config.tokens == AskedTokens::All) {
            entry.asked_at = Some(active_answer(issuer, rules, presented, true)?.1);
        }
        Ok(entry)
    }

    fn rules(&self, issuer: IssuerIndex) -> Result<&IssuerConfig, Denial> {
        self.config.issuer(issuer).ok_or_else(|| Denial::new(Reason::TokenIssuerUnknown, "no such issuer"))
    }

    fn admit(&self, entry: &Entry, presented: &Presented<'_>, now: UnixTime) -> Result<(), Denial> {
        let rules = self.rules(entry.issuer)?;
        entry.token.admit(rules, presented.caller, now)?;
        self.revoked.check(&entry.token.user)
    }

    /// The last of all, since a proof can be used once.
    fn confirm(&self, entry: &Entry, presented: &Presented<'_>, now: UnixTime) -> Result<(), Denial> {
        entry.token.confirm(self.rules(entry.issuer)?, presented, self.dpop.as_ref(), now)
    }

    fn forget_expired(&mut self, key: &Key, denial: Denial) -> Denial {
        if denial.reason == Reason::TokenExpired {
            self.cache.remove(key);
        }
        denial
    }

    /// What was kept before is not taken again, even by a clock that goes back.
    fn forget_withdrawn(&mut self, key: &Key, refusal: &Refusal) {
        if let Refusal::Denied(Denial { reason: Reason::TokenInactive, .. }) = refusal {
            self.cache.remove(key);
        }
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

/// The issuer's answer that the token is active: its claims, and when it was asked.
fn active_answer<'a>(
    issuer: IssuerIndex,
    rules: &IssuerConfig,
    presented: &Presented<'a>,
    is_verified: bool,
) -> Result<(&'a Map<String, Json>, UnixTime), Refusal> {
    let Some(answer) = presented.answer else {
        let token = Secret::new(presented.credential.token.to_owned());
        return Err(Refusal::Needs(Need::Answer(Question { issuer, token, is_verified })));
    };
    let answer =
        answer.as_deref().map_err(|reason| Denial::new(*reason, "the issuer gave no answer about the token"))?;
    // Another configuration may be in force than when it was asked.
    if answer.issuer != rules.issuer {
        return Err(Denial::new(Reason::TokenIntrospectionUnavailable, "another issuer was asked").into());
    }
    let claims = answer.claims.as_ref();
    let claims = claims.ok_or_else(|| Denial::new(Reason::TokenInactive, "the issuer says that it is not active"))?;
    Ok((claims, answer.at))
}

fn unknown_issuer(named: &str) -> Denial {
    Denial::new(Reason::TokenIssuerUnknown, format!("`{}` is not taken here", shown(named)))
}
