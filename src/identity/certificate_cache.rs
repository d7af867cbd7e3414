//! Leaf certificates read before, so that a peer's second request costs a lookup.

use std::fmt;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::clock::UnixTime;

use crate::trust::certificate::CertificateError;
use crate::trust::certificate::Leaf;

/// Bytes of certificate text and facts that one worker holds: some 1500 peers at 2.5 KiB each.
const CAPACITY_BYTES: u64 = 4 << 20;
/// How many entries the cache makes room for at once.
const EXPECTED_ENTRIES: usize = 1024;

/// Keyed by the forwarded text itself: comparing it is cheaper than a digest, and no collision can name another peer.
/// Only readings that succeeded are kept, and validity is no part of them: it is judged at every use.
pub(super) struct CertificateCache(Cache<Box<str>, Leaf, Bytes>);

impl CertificateCache {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(EXPECTED_ENTRIES, CAPACITY_BYTES, Bytes))
    }

    /// The certificate in `text`, valid at `now`.
    ///
    /// # Errors
    /// As [`Leaf::read`] and [`Leaf::check_validity`].
    pub(super) fn read(&mut self, text: &str, now: UnixTime) -> Result<Leaf, CertificateError> {
        if let Some(leaf) = self.0.get(text) {
            leaf.check_validity(now)?;
            return Ok(leaf.clone());
        }
        let leaf = Leaf::read(text)?;
        leaf.check_validity(now)?;
        self.0.insert(text.into(), leaf.clone());
        Ok(leaf)
    }
}

impl fmt::Debug for CertificateCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateCache").field("entries", &self.0.len()).field("bytes", &self.0.weight()).finish()
    }
}

/// Weighs an entry by its memory, roughly.
#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Box<str>, Leaf> for Bytes {
    fn weight(&self, text: &Box<str>, leaf: &Leaf) -> u64 {
        let bytes = [size_of::<Leaf>(), text.len(), leaf.spiffe_id.as_str().len(), leaf.facts.serial.len()];
        bytes.into_iter().filter_map(|bytes| u64::try_from(bytes).ok()).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use crate::trust::fixtures::HOUR;
    use crate::trust::fixtures::NOW;
    use crate::trust::fixtures::certificate;

    use super::*;

    #[test]
    fn only_certificates_that_were_valid_are_kept() {
        let text = certificate("spiffe://td/a", |_| {});
        let mut cache = CertificateCache::new();
        assert!(cache.read("rubbish", NOW).is_err());
        assert!(cache.read(&text, NOW.plus_seconds(HOUR + 1)).is_err());
        assert_eq!(cache.0.len(), 0);
        let first = cache.read(&text, NOW);
        assert_eq!(cache.0.len(), 1);
        assert_eq!(cache.read(&text, NOW), first);
        assert_eq!(cache.0.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let text = certificate("spiffe://td/a", |_| {});
        let mut cache = CertificateCache::new();
        // PEM may break its lines anywhere, so one certificate has as many texts as it has places.
        let (head, body) = text.split_at(text.find("MII").unwrap());
        let lines = usize::try_from(CAPACITY_BYTES).unwrap() / text.len();
        for place in 0..2 * lines {
            let (left, right) = body.split_at(3 + place % 60);
            // Not within an escape, which stands for one character.
            if left.as_bytes().iter().rev().take(2).any(|&byte| byte == b'%') {
                continue;
            }
            let breaks = "%0A".repeat(1 + place / 60);
            cache.read(&format!("{head}{left}{breaks}{right}"), NOW).unwrap();
        }
        assert!(cache.0.len() > lines / 4, "{cache:?}");
        assert!(cache.0.weight() <= CAPACITY_BYTES, "{cache:?}");
    }
}
