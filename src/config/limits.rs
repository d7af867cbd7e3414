//! The bounds of the configuration's values, and why they stand where they do.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Threads that answer checks: one for each core is best, and each keeps its own copy of the policy's data.
pub(crate) const WORKERS: RangeInclusive<NonZeroUsize> = NonZeroUsize::MIN..=NonZeroUsize::MIN.saturating_add(1023);

/// Bytes of a message: room for the headers that Envoy takes by default (60 KiB), and no more than a worker can hold.
pub(crate) const MESSAGE_BYTES: RangeInclusive<u32> = 64 << 10..=1 << 30;

/// Connections open at once: Envoy opens one from each of its own threads, and each costs a file descriptor.
pub(crate) const CONNECTIONS: RangeInclusive<usize> = 1..=1 << 16;

/// Streams open at once in a connection: the most that HTTP/2 has numbers for (RFC 9113 §5.1.1).
pub(crate) const STREAMS: RangeInclusive<u32> = 1..=(1 << 31) - 1;

/// A connection's age: shorter would spend more on connecting than on checking; longer never spreads load again.
pub(crate) const CONNECTION_AGE: RangeInclusive<Duration> = seconds(10)..=hours(24);

/// How long not-serving is shown: none for a lone instance, and never longer than a pod is given to end.
pub(crate) const DRAIN_DELAY: RangeInclusive<Duration> = Duration::ZERO..=minutes(10);

/// How far clocks may differ: RFC 7519 §4.1.4 speaks of "no more than a few minutes".
pub(crate) const LEEWAY: RangeInclusive<Duration> = Duration::ZERO..=minutes(5);

/// How long a proof of possession is good: every one is remembered as long, and what is good for longer is a bearer token by
/// another name.
pub(crate) const PROOF_AGE: RangeInclusive<Duration> = seconds(1)..=minutes(5);

/// How often keys are fetched: not so often as to burden the issuer, often enough to learn of a withdrawn key.
pub(crate) const REFRESH_INTERVAL: RangeInclusive<Duration> = seconds(10)..=hours(24);

/// How soon keys may be fetched again: at least a second, or invented key ids would turn into a flood on the issuer.
pub(crate) const REFRESH_COOLDOWN: RangeInclusive<Duration> = seconds(1)..=hours(1);

/// How old keys may become while they cannot be fetched: a long weekend, and some.
pub(crate) const MAX_STALE: RangeInclusive<Duration> = minutes(1)..=hours(24 * 7);

/// One evaluation: Envoy's own deadline is 200 ms by default, and a worker does nothing else meanwhile.
pub(crate) const TIME_LIMIT: RangeInclusive<Duration> = Duration::from_millis(1)..=seconds(10);

/// Records that wait for the writer: a kilobyte each, so at most a gigabyte.
pub(crate) const LOG_QUEUE: RangeInclusive<NonZeroUsize> =
    NonZeroUsize::MIN..=NonZeroUsize::MIN.saturating_add((1 << 20) - 1);

/// Places where roles, groups or the tenant may stand: an issuer's tokens have one shape, or two while it changes.
pub(crate) const CLAIM_POINTERS: usize = 8;

/// Revocation files: one for each issuer is usual, and each is looked at once a second.
pub(crate) const REVOCATION_FILES: usize = 64;

/// Workloads, or whole trust domains, that one port lets in: every handshake looks through them, and who has more to let in
/// names their trust domain.
pub(crate) const PEERS: usize = 256;

/// Trust domains with a bundle of their own: each is polled by itself and may hold half a megabyte.
pub(crate) const BUNDLES: usize = 128;

/// Files that one bundle is put together from: X.509 and JWT authorities are two, and both may have successors.
pub(crate) const BUNDLE_FILES: usize = 8;

/// Audiences of workloads' tokens: each token is compared with all of them.
pub(crate) const AUDIENCES: usize = 64;

/// How long an issuer's word on a token may hold: a token that was withdrawn is taken for as long.
pub(crate) const INTROSPECTION_CACHE: RangeInclusive<Duration> = Duration::ZERO..=minutes(15);

/// Protected resources: each check looks through them, and a listener serves one or a few.
pub(crate) const RESOURCES: usize = 64;

/// Items of one list in a protected resource's metadata: the document as a whole is bounded, too.
pub(crate) const RESOURCE_ITEMS: usize = 128;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}

const fn hours(count: u64) -> Duration {
    Duration::from_hours(count)
}
