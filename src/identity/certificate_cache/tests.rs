use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::identity::fixtures::bundles;
use crate::identity::fixtures::forwarded;
use crate::trust::Bundles;
use crate::trust::fixtures::HOUR;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::ca::Ca;
use crate::trust::fixtures::ca::bundle;
use crate::trust::fixtures::ca::valid;
use crate::trust::fixtures::certificate;

use super::*;

const ALICE: &str = "spiffe://td/alice";

fn leaf(text: &str) -> Presented<'_> {
    Presented { leaf: Some(text), chain: None }
}

/// A cache, asked as a worker asks it.
struct Asked {
    cache: CertificateCache,
}

impl Asked {
    fn new() -> Self {
        Self { cache: CertificateCache::new() }
    }

    /// The answer, and how many paths were looked for to get it.
    fn prove(&mut self, presented: Presented<'_>, bundles: &Bundles, now: UnixTime) -> (Result<(), Reason>, usize) {
        let before = self.cache.paths;
        let answer = self.cache.prove(presented, bundles, now).map(drop).map_err(|denial| denial.reason);
        (answer, self.cache.paths.saturating_sub(before))
    }
}

#[test]
fn only_certificates_that_were_valid_are_kept() {
    let text = certificate(ALICE, |_| {});
    let mut cache = CertificateCache::new();
    assert!(cache.read("rubbish", NOW).is_err());
    assert!(cache.read(&text, NOW.plus_seconds(HOUR + 1)).is_err());
    assert_eq!(cache.entries.len(), 0);
    let first = cache.read(&text, NOW).unwrap();
    assert_eq!(cache.entries.len(), 1);
    assert!(Arc::ptr_eq(&first, &cache.read(&text, NOW).unwrap()));
    assert_eq!(cache.entries.len(), 1);
}

#[test]
fn a16_a_reading_is_no_proof() {
    let text = certificate(ALICE, |_| {});
    let trusted = bundles([("td", bundle("td", &[&Ca::root("td")]))]);
    let mut asked = Asked::new();
    asked.cache.read(&text, NOW).unwrap();
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Err(Reason::CallerCertificateUntrusted), 1));
}

#[test]
fn a_second_proof_costs_no_path() {
    let root = Ca::root("td");
    let trusted = bundles([("td", bundle("td", &[&root]))]);
    let text = forwarded(&[&root.sign(ALICE, |_| {}).der]);
    let mut asked = Asked::new();
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 1));
    for seconds in [0, 1, HOUR] {
        assert_eq!(asked.prove(leaf(&text), &trusted, NOW.plus_seconds(seconds)), (Ok(()), 0));
    }
    // A clock that goes back is asked anew, and what was then found holds from there.
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW.plus_seconds(-1)), (Ok(()), 1));
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 0));
}

#[test]
fn a13_a_proof_never_outlives_its_path() {
    let root = Ca::root("td");
    let trusted = bundles([("td", bundle("td", &[&root]))]);
    let below = root.below("issuing", |params| valid(params, -HOUR, 60));
    let der = below.sign(ALICE, |_| {}).der;
    let (text, chain) = (forwarded(&[&der]), forwarded(&[&der, &below.der()]));
    let presented = Presented { leaf: Some(&text), chain: Some(&chain) };
    let mut asked = Asked::new();
    assert_eq!(asked.prove(presented, &trusted, NOW), (Ok(()), 1));
    assert_eq!(asked.prove(presented, &trusted, NOW.plus_seconds(60)), (Ok(()), 0));
    let later = NOW.plus_seconds(61);
    assert_eq!(asked.prove(presented, &trusted, later), (Err(Reason::CallerCertificateUntrusted), 1));
    assert_eq!(asked.cache.entries.len(), 0);

    // The leaf's own end has its own reason, kept or not.
    let short = forwarded(&[&root.sign(ALICE, |params| valid(params, -10, 10)).der]);
    assert_eq!(asked.prove(leaf(&short), &trusted, NOW), (Ok(()), 1));
    let ended = NOW.plus_seconds(11);
    assert_eq!(asked.prove(leaf(&short), &trusted, ended), (Err(Reason::CallerCertificateExpired), 0));

    // And so has an authority's.
    let brief = Ca::root_with("td", |params| valid(params, -HOUR, 60));
    let trusted = bundles([("td", bundle("td", &[&brief]))]);
    let text = forwarded(&[&brief.sign(ALICE, |_| {}).der]);
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 1));
    assert_eq!(asked.prove(leaf(&text), &trusted, later), (Err(Reason::CallerCertificateUntrusted), 1));
}

#[test]
fn a17_a_proof_ends_with_its_bundle() {
    let [old, new] = [Ca::root("td"), Ca::root("td")];
    let of = |authorities: &[&Ca]| bundle("td", authorities);
    let text = forwarded(&[&old.sign(ALICE, |_| {}).der]);
    let mut trusted = bundles([("td", of(&[&old]))]);
    let domain = || crate::spiffe_id::TrustDomain::parse("td").unwrap();
    let replace = |trusted: &mut Bundles, authorities: &[&Ca]| {
        trusted.insert(domain(), of(authorities), crate::trust::Origin::Files, NOW);
    };
    let mut asked = Asked::new();
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 1));
    // Seen again, and the same.
    replace(&mut trusted, &[&old]);
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 0));
    replace(&mut trusted, &[&old, &new]);
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 1));
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 0));
    replace(&mut trusted, &[&new]);
    for _ in 0..2 {
        assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Err(Reason::CallerCertificateUntrusted), 1));
    }
    assert_eq!(asked.cache.entries.len(), 0);
    replace(&mut trusted, &[&old]);
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 1));
    assert_eq!(asked.prove(leaf(&text), &Bundles::default(), NOW), (Err(Reason::CallerTrustDomainUnknown), 0));
    // Another domain's new bundle changes nothing.
    let other = crate::spiffe_id::TrustDomain::parse("other").unwrap();
    trusted.insert(other, bundle("other", &[&Ca::root("other")]), crate::trust::Origin::Files, NOW);
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (Ok(()), 0));
}

#[test]
fn an_answer_does_not_depend_on_what_was_asked_before() {
    let root = Ca::root("td");
    let below = root.below("issuing", |_| {});
    let trusted = bundles([("td", bundle("td", &[&root]))]);
    let der = below.sign(ALICE, |_| {}).der;
    let (text, chain) = (forwarded(&[&der]), forwarded(&[&der, &below.der()]));
    let mut asked = Asked::new();
    let whole = Presented { leaf: Some(&text), chain: Some(&chain) };
    assert_eq!(asked.prove(whole, &trusted, NOW), (Ok(()), 1));
    let untrusted = Err(Reason::CallerCertificateUntrusted);
    assert_eq!(asked.prove(leaf(&text), &trusted, NOW), (untrusted, 1));
    assert_eq!(asked.prove(Presented { leaf: Some(&text), chain: Some(&text) }, &trusted, NOW), (untrusted, 1));
    let broken = Presented { leaf: Some(&text), chain: Some("rubbish") };
    assert_eq!(asked.prove(broken, &trusted, NOW), (Err(Reason::CallerCertificateMalformed), 1));
    let first_of_chain = Presented { leaf: None, chain: Some(&chain) };
    assert_eq!(asked.prove(first_of_chain, &trusted, NOW), (Ok(()), 1));
    assert_eq!(asked.prove(first_of_chain, &trusted, NOW), (Ok(()), 0));
    assert_eq!(asked.prove(whole, &trusted, NOW), (Ok(()), 0));
    let nothing = Presented { leaf: None, chain: None };
    assert_eq!(asked.prove(nothing, &trusted, NOW), (Err(Reason::CallerCertificateMalformed), 1));
    let empty = Presented { leaf: None, chain: Some("") };
    assert_eq!(asked.prove(empty, &trusted, NOW), (Err(Reason::CallerCertificateMalformed), 1));
}

#[test]
fn memory_is_bounded() {
    let text = certificate(ALICE, |_| {});
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
    assert!(cache.entries.len() > lines / 4, "{cache:?}");
    assert!(cache.entries.weight() <= CAPACITY_BYTES, "{cache:?}");
}

#[test]
fn a_chain_weighs_too() {
    let root = Ca::root("td");
    let trusted = bundles([("td", bundle("td", &[&root]))]);
    let der = root.sign(ALICE, |_| {}).der;
    let chain = forwarded(&[&der, &root.der()]);
    let mut asked = Asked::new();
    assert_eq!(asked.prove(Presented { leaf: None, chain: Some(&chain) }, &trusted, NOW), (Ok(()), 1));
    assert!(asked.cache.entries.weight() > u64::try_from(chain.len()).unwrap());
}
