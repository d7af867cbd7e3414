//! Verifications kept by one worker, bounded in bytes and in number.

use std::sync::Arc;

use quick_cache::Weighter;
use serde_json::Map;
use serde_json::Value as Json;

use super::IssuerIndex;
use super::claims::VerifiedToken;
use crate::clock::UnixTime;
use crate::facts::User;
use crate::jose;

/// Some ten thousand usual tokens for each worker.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What the smallest entry counts as, with the cache's own places for it; bounds the number of entries too.
pub(super) const MIN_ENTRY_BYTES: u64 = 1024;
/// Allocator and tree overhead of one value beside its text.
const VALUE_BYTES: u64 = 96;

/// What a verification was of. Whose keys were tried is the token's own `iss`, and all else that decides is asked anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    token: [u8; 32],
    epoch: u64,
}

impl Key {
    pub(super) fn new(token: &str, epoch: u64) -> Self {
        Self { token: jose::sha256(token.as_bytes()), epoch }
    }
}

/// A verification, whose it is, and what it rests on.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) issuer: IssuerIndex,
    pub(super) token: VerifiedToken,
    /// When its issuer was asked about it, if it was.
    pub(super) asked_at: Option<UnixTime>,
    /// Whether it rests on the issuer's answer alone: an opaque token, or a JWT of an issuer without keys.
    pub(super) without_key: bool,
}

/// The cache itself. Which entry goes when it is full is `quick_cache`'s business; that one goes is all that counts here.
#[derive(Debug)]
pub(super) struct Cache(quick_cache::unsync::Cache<Key, Entry, Weight>);

impl Cache {
    pub(super) fn new() -> Self {
        let entries = MAX_BYTES.checked_div(MIN_ENTRY_BYTES).and_then(|entries| usize::try_from(entries).ok());
        Self(quick_cache::unsync::Cache::with_weighter(entries.unwrap_or_default(), MAX_BYTES, Weight))
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.0.get(key)
    }

    pub(super) fn insert(&mut self, key: Key, entry: Entry) -> Arc<User> {
        let user = Arc::clone(&entry.token.user);
        self.0.insert(key, entry);
        user
    }

    pub(super) fn remove(&mut self, key: &Key) {
        drop(self.0.remove(key));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, _key: &Key, entry: &Entry) -> u64 {
        // The user's own fields repeat claims, so the claims count twice; roles and groups may be large and the same.
        let user = &entry.token.user;
        let mapped = user
            .roles
            .iter()
            .chain(&user.groups)
            .fold(0, |sum: u64, member| sum.saturating_add(text_bytes(member)).saturating_add(VALUE_BYTES));
        object_bytes(&user.claims).saturating_mul(2).saturating_add(mapped).max(MIN_ENTRY_BYTES)
    }
}

/// What an object weighs in memory.
pub(super) fn object_bytes(object: &Map<String, Json>) -> u64 {
    object.iter().fold(0, |sum: u64, (name, value)| sum.saturating_add(text_bytes(name)).saturating_add(bytes(value)))
}

/// Recursion ends where reading the claims would have: their depth is bounded.
fn bytes(value: &Json) -> u64 {
    let content = match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        Json::String(text) => text_bytes(text),
        Json::Array(items) => items.iter().fold(0, |sum: u64, item| sum.saturating_add(bytes(item))),
        Json::Object(object) => object_bytes(object),
    };
    content.saturating_add(VALUE_BYTES)
}

fn text_bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}
