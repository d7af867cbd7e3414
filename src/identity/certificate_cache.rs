//! Certificates read and proven before, so that a peer's second request costs a lookup.

use std::fmt;
use std::sync::Arc;

use quick_cache::Equivalent;
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::trust::Bundles;
use crate::trust::certificate;
use crate::trust::certificate::CertificateError;
use crate::trust::certificate::Leaf;
use crate::trust::chain;
use crate::trust::chain::Side;

use super::bundle_of;

#[cfg(test)]
mod tests;

/// Bytes of certificate text and facts that one worker holds: some 1500 peers at 2.5 KiB each, or 500 with chains.
const CAPACITY_BYTES: u64 = 4 << 20;
/// How many entries the cache makes room for at once.
const EXPECTED_ENTRIES: usize = 1024;

/// Keyed by the forwarded text itself: comparing it is cheaper than a digest, and no collision can name another peer.
/// The chain is part of it, so that an answer does not depend on what was asked before. Only readings and proofs that
/// succeeded are kept, and validity is no part of them: it is judged at every use.
pub(super) struct CertificateCache {
    entries: Cache<Key, Entry, Bytes>,
    /// How often a path was looked for.
    #[cfg(test)]
    paths: usize,
}

/// A certificate as it was forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Presented<'a> {
    /// The leaf, URL-encoded PEM; `None`: the first of `chain`.
    pub(super) leaf: Option<&'a str>,
    /// What the peer showed, the leaf included, URL-encoded PEM.
    pub(super) chain: Option<&'a str>,
}

/// As [`Presented`], owned: the same hash, since a box hashes as what is in it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    leaf: Option<Box<str>>,
    chain: Option<Box<str>>,
}

#[derive(Debug, Clone)]
struct Entry {
    leaf: Arc<Leaf>,
    proven: Option<Proven>,
}

/// What a proof of the leaf holds for.
#[derive(Debug, Clone, Copy)]
struct Proven {
    /// The bundle that it was proven with.
    epoch: u64,
    /// When it was proven: clocks go back, and an authority's life may just have begun.
    from: UnixTime,
    /// The first end of validity on the path.
    until: UnixTime,
}

impl CertificateCache {
    pub(super) fn new() -> Self {
        Self {
            entries: Cache::with_weighter(EXPECTED_ENTRIES, CAPACITY_BYTES, Bytes),
            #[cfg(test)]
            paths: 0,
        }
    }

    /// The certificate in `text`, valid at `now`. That an authority has signed it is not proven.
    ///
    /// # Errors
    /// A denial as of [`Leaf::read`] and [`Leaf::check_validity`].
    pub(super) fn read(&mut self, text: &str, now: UnixTime) -> Result<Arc<Leaf>, Denial> {
        let presented = Presented { leaf: Some(text), chain: None };
        if let Some(entry) = self.entries.get(&presented) {
            entry.leaf.check_validity(now).map_err(unfit)?;
            return Ok(Arc::clone(&entry.leaf));
        }
        let leaf = Leaf::read(text).map_err(unfit)?;
        leaf.check_validity(now).map_err(unfit)?;
        Ok(self.keep(presented, Entry { leaf: Arc::new(leaf), proven: None }))
    }

    /// The certificate that is presented, valid at `now`, and proven to chain to the bundle of its own trust domain.
    ///
    /// # Errors
    /// A denial where it cannot be read, is no leaf of an X509-SVID, is not valid, or does not chain to the bundle, or
    /// where there is no bundle.
    pub(super) fn prove(
        &mut self,
        presented: Presented<'_>,
        bundles: &Bundles,
        now: UnixTime,
    ) -> Result<Arc<Leaf>, Denial> {
        if let Some(Entry { leaf, proven: Some(proven) }) = self.entries.get(&presented) {
            leaf.check_validity(now).map_err(unfit)?;
            let epoch = bundle_of(&leaf.spiffe_id, bundles)?.epoch();
            if proven.epoch == epoch && (proven.from..=proven.until).contains(&now) {
                return Ok(Arc::clone(leaf));
            }
        }
        #[cfg(test)]
        {
            self.paths = self.paths.saturating_add(1);
        }
        match establish(presented, bundles, now) {
            Ok(entry) => Ok(self.keep(presented, entry)),
            Err(denial) => {
                drop(self.entries.remove(&presented));
                Err(denial)
            }
        }
    }

    fn keep(&mut self, presented: Presented<'_>, entry: Entry) -> Arc<Leaf> {
        let leaf = Arc::clone(&entry.leaf);
        let Presented { leaf: text, chain } = presented;
        self.entries.insert(Key { leaf: text.map(Box::from), chain: chain.map(Box::from) }, entry);
        leaf
    }
}

/// Reads the leaf and proves it.
fn establish(presented: Presented<'_>, bundles: &Bundles, now: UnixTime) -> Result<Entry, Denial> {
    let (der, intermediates) = certificates(presented).map_err(unfit)?;
    let leaf = Leaf::from_der(&der).map_err(unfit)?;
    leaf.check_validity(now).map_err(unfit)?;
    let held = bundle_of(&leaf.spiffe_id, bundles)?;
    let until = chain::verify(&leaf, &der, &intermediates, &held.bundle, Side::Client, now)
        .map_err(|error| Denial::new(Reason::CallerCertificateUntrusted, error.to_string()))?;
    Ok(Entry { leaf: Arc::new(leaf), proven: Some(Proven { epoch: held.epoch(), from: now, until }) })
}

/// The leaf and what stands beside it in the chain, in DER.
fn certificates(presented: Presented<'_>) -> Result<(Vec<u8>, Vec<Vec<u8>>), CertificateError> {
    let mut chain = presented.chain.map(certificate::forwarded_chain).transpose()?.unwrap_or_default();
    let leaf = match (presented.leaf, chain.first()) {
        (Some(text), _) => certificate::forwarded(text)?,
        (None, Some(first)) => first.clone(),
        (None, None) => return Err(CertificateError::Pem),
    };
    // Envoy writes the leaf into `Chain` too.
    chain.retain(|der| *der != leaf);
    Ok((leaf, chain))
}

fn unfit(error: CertificateError) -> Denial {
    Denial::new(error.reason(), error.to_string())
}

impl Equivalent<Key> for Presented<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.leaf == key.leaf.as_deref() && self.chain == key.chain.as_deref()
    }
}

impl fmt::Debug for CertificateCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateCache")
            .field("entries", &self.entries.len())
            .field("bytes", &self.entries.weight())
            .finish_non_exhaustive()
    }
}

/// Weighs an entry by its memory, roughly.
#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Key, Entry> for Bytes {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let Leaf { spiffe_id, facts, not_before: _ } = &*entry.leaf;
        let sizes = [
            size_of::<Leaf>(),
            size_of::<Entry>(),
            length(&key.leaf),
            length(&key.chain),
            spiffe_id.as_str().len(),
            facts.serial.len(),
        ];
        sizes.into_iter().filter_map(|bytes| u64::try_from(bytes).ok()).fold(0, u64::saturating_add)
    }
}
