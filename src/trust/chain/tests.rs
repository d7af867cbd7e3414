//! Which paths prove a leaf, and until when.

mod authorities;
mod cost;
mod laws;
mod signatures;

use std::slice;

use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;

use crate::spiffe_id::TrustDomain;
use crate::trust::certificate::CertificateError;
use crate::trust::certificate::forwarded;
use crate::trust::fixtures::HOUR;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::ca::Ca;
use crate::trust::fixtures::ca::bundle;
use crate::trust::fixtures::ca::in_an_hour;
use crate::trust::fixtures::ca::valid;
use crate::trust::fixtures::certificate;

use super::*;

const ID: &str = "spiffe://td/a";
const NO_ISSUER: ChainError = ChainError::NoPath("no authority that is valid now has its issuer's name");
const BAD_SIGNATURE: ChainError = ChainError::NoPath("a signature is not its issuer's");
const TOO_LONG: ChainError = ChainError::NoPath("the path is too long");

fn at(leaf: &[u8], intermediates: &[&Ca], bundle: &Bundle, side: Side, now: UnixTime) -> Result<UnixTime, ChainError> {
    let intermediates: Vec<Vec<u8>> = intermediates.iter().map(|one| one.der()).collect();
    verify(&Leaf::from_der(leaf).unwrap(), leaf, &intermediates, bundle, side, now)
}

fn check(leaf: &[u8], intermediates: &[&Ca], bundle: &Bundle) -> Result<UnixTime, ChainError> {
    at(leaf, intermediates, bundle, Side::Client, NOW)
}

/// A chain of so many intermediates below a root, the lowest last.
fn descent(root: &Ca, length: usize) -> Vec<Ca> {
    let mut chain: Vec<Ca> = Vec::new();
    for depth in 0..length {
        let next = chain.last().unwrap_or(root).below(&format!("intermediate {depth}"), |_| {});
        chain.push(next);
    }
    chain
}

#[test]
fn a16_what_an_authority_of_the_bundle_signed_is_proven_and_nothing_else() {
    let (root, other) = (Ca::root("td"), Ca::root("td"));
    let leaf = root.leaf(ID);
    for side in [Side::Client, Side::Server] {
        assert_eq!(at(&leaf, &[], &bundle("td", &[&root]), side, NOW), Ok(in_an_hour()));
        assert_eq!(at(&leaf, &[], &bundle("td", &[&other, &root]), side, NOW), Ok(in_an_hour()));
        // The same name, another key.
        assert_eq!(at(&leaf, &[], &bundle("td", &[&other]), side, NOW), Err(BAD_SIGNATURE));
        assert_eq!(at(&leaf, &[], &Bundle::empty(), side, NOW), Err(NO_ISSUER));
        // The signer presents itself, and is nobody.
        assert_eq!(at(&leaf, &[&root], &bundle("td", &[&other]), side, NOW), Err(BAD_SIGNATURE));
    }
}

#[test]
fn a16_a_self_signed_leaf_is_not_proven() {
    let root = Ca::root("td");
    let der = forwarded(&certificate(ID, |_| {})).unwrap();
    assert_eq!(check(&der, &[], &bundle("td", &[&root])), Err(NO_ISSUER));
    // It cannot be its own authority either, be it in the chain or in the bundle.
    let chain =
        verify(&Leaf::from_der(&der).unwrap(), &der, slice::from_ref(&der), &Bundle::empty(), Side::Client, NOW);
    assert_eq!(chain, Err(ChainError::Intermediate(AuthorityError::NotAuthority)));
    let domain = TrustDomain::parse("td").unwrap();
    let bundle = Bundle::from_workload_api(&domain, slice::from_ref(&der), &[]).unwrap();
    assert!(bundle.x509_authorities().is_empty());
    assert_eq!(check(&der, &[], &bundle), Err(NO_ISSUER));
}

#[test]
fn a17_trust_domains_share_nothing() {
    let (td, evil) = (Ca::root("td"), Ca::root("td.evil"));
    let forged = evil.leaf(ID);
    assert_eq!(check(&forged, &[], &bundle("td", &[&td])), Err(NO_ISSUER));
    // Its true signer behind it helps as little: it is another trust domain's.
    assert_eq!(
        check(&forged, &[&evil], &bundle("td", &[&td])),
        Err(ChainError::Intermediate(AuthorityError::OtherDomain))
    );
    let intermediate = evil.below("intermediate", |params| params.subject_alt_names.clear());
    let forged = intermediate.leaf(ID);
    assert_eq!(check(&forged, &[&intermediate], &bundle("td", &[&td])), Err(NO_ISSUER));
    // And `td`'s own authority proves nothing for `td.evil`, whose bundle it is not in.
    assert_eq!(check(&td.leaf("spiffe://td.evil/a"), &[], &bundle("td.evil", &[&evil])), Err(NO_ISSUER));
}

#[test]
fn a_path_may_have_intermediates_in_any_order_and_more_than_once() {
    let root = Ca::root("td");
    let chain = descent(&root, 3);
    let [upper, middle, lower] = chain.as_slice() else { panic!() };
    let leaf = lower.leaf(ID);
    let trust = bundle("td", &[&root]);
    for intermediates in [
        &[lower, middle, upper][..],
        &[upper, middle, lower],
        &[middle, upper, lower],
        &[lower, middle, upper, &root],
        &[&root, lower, middle, upper],
        &[lower, lower, middle, middle, upper, upper, upper],
    ] {
        assert_eq!(check(&leaf, intermediates, &trust), Ok(in_an_hour()));
    }
    for missing in [&[lower, middle][..], &[lower, upper], &[middle, upper], &[]] {
        assert_eq!(check(&leaf, missing, &trust), Err(NO_ISSUER));
    }
    // An intermediate may be the authority (SPIFFE Trust Domain and Bundle §3 asks for no root).
    assert_eq!(check(&leaf, &[lower], &bundle("td", &[middle])), Ok(in_an_hour()));
}

#[test]
fn a_path_goes_through_either_of_two_cross_signed_authorities() {
    let (old, new) = (named("old"), named("new"));
    let intermediate = old.below("intermediate", |_| {});
    let cross = new.below_with_key("intermediate", intermediate.key(), |_| {});
    let leaf = intermediate.leaf(ID);
    for (authority, through, proven) in [
        (&old, vec![&intermediate], true),
        (&new, vec![&intermediate], false),
        (&new, vec![&cross], true),
        (&new, vec![&intermediate, &cross], true),
        (&old, vec![&cross, &intermediate], true),
        (&old, vec![&cross], false),
    ] {
        assert_eq!(check(&leaf, &through, &bundle("td", &[authority])).is_ok(), proven);
    }
}

fn named(name: &str) -> Ca {
    Ca::root_with("td", |params| params.distinguished_name.push(DnType::CommonName, name))
}

#[test]
fn a_key_may_rotate_under_one_name() {
    let (old, new) = (Ca::root("td"), Ca::root("td"));
    let both = bundle("td", &[&old, &new]);
    for (signer, only) in [(&old, &new), (&new, &old)] {
        let leaf = signer.leaf(ID);
        assert_eq!(check(&leaf, &[], &both), Ok(in_an_hour()));
        assert_eq!(check(&leaf, &[], &bundle("td", &[only])), Err(BAD_SIGNATURE));
        // Without key identifiers each is tried.
        let plain = signer.sign(ID, |params| params.use_authority_key_identifier_extension = false);
        assert_eq!(check(&plain.der, &[], &both), Ok(in_an_hour()));
    }
}

#[test]
fn a13_every_certificate_on_the_path_is_valid_now() {
    let (expired, early) = (
        Err(ChainError::NoPath("a certificate has expired")),
        Err(ChainError::NoPath("a certificate is not valid yet")),
    );
    let root = Ca::root_with("td", |params| valid(params, -2 * HOUR, 2 * HOUR));
    let trust = bundle("td", &[&root]);
    for (from, to, answer) in [(-HOUR, -1, expired), (1, HOUR, early), (0, 0, Ok(NOW))] {
        let intermediate = root.below("intermediate", |params| valid(params, from, to));
        assert_eq!(check(&intermediate.leaf(ID), &[&intermediate], &trust), answer);
        // The leaf itself, which whoever forwards it has judged already.
        let leaf = root.sign(ID, |params| valid(params, from, to)).der;
        assert_eq!(check(&leaf, &[], &trust), answer);
    }
}

#[test]
fn a13_an_authority_signs_within_its_own_validity_alone() {
    for (from, to, good) in [(-HOUR, HOUR, true), (0, 0, true), (-HOUR, -1, false), (1, HOUR, false), (1, -1, false)] {
        let root = Ca::root_with("td", |params| valid(params, from, to));
        let answer = check(&root.leaf(ID), &[], &bundle("td", &[&root]));
        assert_eq!(answer, if good { Ok(NOW.plus_seconds(to)) } else { Err(NO_ISSUER) }, "{from} {to}");
    }
}

#[test]
fn what_is_proven_ends_with_the_first_certificate_on_the_path() {
    for (root_ends, intermediate_ends, leaf_ends) in [(30, 20, 10), (30, 10, 20), (10, 30, 20), (10, 10, 10)] {
        let root = Ca::root_with("td", |params| valid(params, -HOUR, root_ends));
        let intermediate = root.below("intermediate", |params| valid(params, -HOUR, intermediate_ends));
        let leaf = intermediate.sign(ID, |params| valid(params, -HOUR, leaf_ends)).der;
        let end = check(&leaf, &[&intermediate], &bundle("td", &[&root]));
        assert_eq!(end, Ok(NOW.plus_seconds(10)));
    }
}

#[test]
fn what_is_not_on_the_path_ends_nothing() {
    let (root, old) = (Ca::root("td"), named("old"));
    let intermediate = root.below("intermediate", |_| {});
    let stale = old.below_with_key("intermediate", intermediate.key(), |params| valid(params, -HOUR, -1));
    let leaf = intermediate.leaf(ID);
    let bundle = bundle("td", &[&root]);
    assert_eq!(check(&leaf, &[&stale, &intermediate], &bundle), Ok(in_an_hour()));
    assert_eq!(check(&leaf, &[&intermediate, &stale], &bundle), Ok(in_an_hour()));
    assert_eq!(check(&root.leaf(ID), &[&stale], &bundle), Ok(in_an_hour()));
}

#[test]
fn a_leaf_is_proven_for_the_side_that_it_is_for() {
    let root = Ca::root("td");
    let client = root.sign(ID, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]).der;
    let bundle = bundle("td", &[&root]);
    assert!(at(&client, &[], &bundle, Side::Client, NOW).is_ok());
    let server = at(&client, &[], &bundle, Side::Server, NOW);
    assert_eq!(server, Err(ChainError::NoPath("an extended key usage excludes it")));
    let any = root.sign(ID, |params| params.extended_key_usages.clear()).der;
    assert!(at(&any, &[], &bundle, Side::Server, NOW).is_ok());
}

#[test]
fn a_proof_is_for_the_bytes_that_were_read() {
    let root = Ca::root("td");
    let (admin, other) = (Leaf::from_der(&root.leaf("spiffe://td/admin")).unwrap(), root.leaf(ID));
    let answer = verify(&admin, &other, &[], &bundle("td", &[&root]), Side::Client, NOW);
    assert_eq!(answer, Err(ChainError::OtherLeaf));
}
