//! Every issuer's keys at one moment: immutable, shared by all workers, replaced whole.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Config;
use super::IssuerConfig;
use super::IssuerIndex;
use super::KeySource;
use crate::clock::UnixTime;
use crate::jose::KeySet;

/// The keys of every issuer of one configuration.
#[derive(Debug, Clone)]
pub struct KeySets {
    config: Arc<Config>,
    epoch: u64,
    loaded: Vec<Option<Loaded>>,
}

#[derive(Debug, Clone)]
struct Loaded {
    keys: Arc<KeySet>,
    at: UnixTime,
}

/// One issuer's keys, as readiness and metrics tell of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerKeys<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// Whether readiness does without them.
    pub optional: bool,
    /// How many keys verify tokens.
    pub keys: usize,
    /// How long ago they were fetched; `None`: never.
    pub age: Option<Duration>,
    /// Whether they may still be used.
    pub usable: bool,
}

impl IssuerKeys<'_> {
    /// Whether a token can be verified with them.
    pub const fn serve(&self) -> bool {
        self.usable && self.keys > 0
    }
}

impl KeySets {
    /// No keys at all, for the issuers of `config`.
    pub fn empty(config: Arc<Config>) -> Self {
        let loaded = config.issuers.iter().map(|_issuer| None).collect();
        Self { config, epoch: next_epoch(), loaded }
    }

    /// What `previous` holds for those issuers of `config` that still get their keys from the same place, so that a new
    /// configuration need not wait for what is known already.
    pub fn carried_over(config: Arc<Config>, previous: &Self) -> Self {
        let loaded = config.issuers.iter().map(|issuer| previous.same_source(issuer).cloned()).collect();
        Self { config, epoch: next_epoch(), loaded }
    }

    /// These keys with one issuer's replaced by what was fetched at `at`.
    #[must_use]
    pub fn with(&self, issuer: IssuerIndex, keys: KeySet, at: UnixTime) -> Self {
        let mut next = self.clone();
        let Some(place) = next.loaded.get_mut(issuer.0) else { return next };
        let unchanged = place.as_ref().filter(|loaded| *loaded.keys == keys).map(|loaded| Arc::clone(&loaded.keys));
        if unchanged.is_none() {
            next.epoch = next_epoch();
        }
        *place = Some(Loaded { keys: unchanged.unwrap_or_else(|| Arc::new(keys)), at });
        next
    }

    /// Differs between any two snapshots of which some issuer's keys differ, and only between those. Grows, and never
    /// repeats within a process, so that what was verified under it can be remembered under it.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The keys of each issuer that has some, in the order of the configuration.
    pub fn issuers(&self, now: UnixTime) -> impl Iterator<Item = IssuerKeys<'_>> {
        let all = self.config.issuers.iter().zip(&self.loaded);
        all.filter(|(issuer, _)| issuer.keys != KeySource::Nowhere).map(move |(issuer, loaded)| IssuerKeys {
            issuer: &issuer.issuer,
            optional: issuer.optional,
            keys: loaded.as_ref().map_or(0, |loaded| loaded.keys.usable()),
            age: loaded.as_ref().map(|loaded| now.since(loaded.at)),
            usable: loaded.as_ref().is_some_and(|loaded| loaded.usable(issuer, now)),
        })
    }

    /// Whether every issuer that readiness waits for has keys that may be used.
    pub fn ready(&self, now: UnixTime) -> bool {
        self.issuers(now).all(|issuer| issuer.optional || issuer.serve())
    }

    /// Whether these are the keys of the issuers of `config`, got from where it says.
    pub fn are_of(&self, config: &Config) -> bool {
        *self.config == *config
    }

    /// Whose keys these are.
    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The keys to verify with: those of `index`, if that is `issuer` here too, and they are not too old.
    pub(super) fn usable(&self, index: IssuerIndex, issuer: &str, now: UnixTime) -> Option<&KeySet> {
        let rules = self.config.issuer(index).filter(|rules| rules.issuer == issuer)?;
        let loaded = self.loaded.get(index.0)?.as_ref()?;
        loaded.usable(rules, now).then_some(&*loaded.keys)
    }

    fn same_source(&self, wanted: &IssuerConfig) -> Option<&Loaded> {
        let index = self.config.index_of(&wanted.issuer)?;
        let known = self.config.issuer(index)?;
        // The algorithms too: they decide what a key without `alg` is for.
        let same = known.keys == wanted.keys && known.algorithms == wanted.algorithms;
        self.loaded.get(index.0).filter(|_| same)?.as_ref()
    }
}

impl Loaded {
    fn usable(&self, rules: &IssuerConfig, now: UnixTime) -> bool {
        now.since(self.at) <= rules.max_stale
    }
}

/// One counter for the process, not for a snapshot's line of descent: a reload begins a new line.
fn next_epoch() -> u64 {
    static EPOCH: AtomicU64 = AtomicU64::new(1);
    EPOCH.fetch_add(1, Ordering::Relaxed)
}
