//! What holds for every chain.

use proptest::prelude::*;

use super::*;

/// Answers for a leaf's DER as for a stranger's: read, and proven.
fn proven(der: &[u8], bundle: &Bundle) -> bool {
    Leaf::from_der(der).is_ok_and(|leaf| verify(&leaf, der, &[], bundle, Side::Client, NOW).is_ok())
}

#[test]
fn a16_no_single_byte_of_a_leaf_may_change() {
    let root = Ca::root("td");
    let bundle = bundle("td", &[&root]);
    let leaf = root.leaf(ID);
    assert!(proven(&leaf, &bundle));
    for place in 0..leaf.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut spoilt = leaf.clone();
            spoilt[place] ^= change;
            assert!(!proven(&spoilt, &bundle), "byte {place} of {}", leaf.len());
        }
    }
    for length in 0..leaf.len() {
        assert!(!proven(&leaf[..length], &bundle), "{length}");
    }
}

#[test]
fn a16_no_single_byte_of_an_intermediate_may_change() {
    let root = Ca::root("td");
    let bundle = bundle("td", &[&root]);
    let intermediate = root.below("intermediate", |_| {});
    let leaf = intermediate.leaf(ID);
    let read = Leaf::from_der(&leaf).unwrap();
    let der = intermediate.der();
    for place in 0..der.len() {
        let mut spoilt = der.clone();
        spoilt[place] ^= 0x01;
        let answer = verify(&read, &leaf, &[spoilt], &bundle, Side::Client, NOW);
        assert!(answer.is_err(), "byte {place} of {}", der.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a16_a_leaf_is_proven_by_a_bundle_with_its_signer_and_by_no_other(
        held in prop::collection::vec(any::<bool>(), 6),
        signer in 0..6_usize,
    ) {
        // Three names, so that some authorities share theirs.
        let authorities: Vec<Ca> = (0..6).map(|place| named(&format!("authority {}", place % 3))).collect();
        let known: Vec<&Ca> = authorities.iter().zip(&held).filter_map(|(one, held)| held.then_some(one)).collect();
        let leaf = authorities[signer].leaf(ID);
        prop_assert_eq!(proven(&leaf, &bundle("td", &known)), held[signer]);
    }

    #[test]
    fn no_chain_panics(intermediates in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..10)) {
        let root = Ca::root("td");
        let leaf = root.leaf(ID);
        let read = Leaf::from_der(&leaf).unwrap();
        let answer = verify(&read, &leaf, &intermediates, &bundle("td", &[&root]), Side::Server, NOW);
        prop_assert_eq!(answer.is_ok(), intermediates.is_empty());
    }

    #[test]
    fn no_intermediate_panics(place: prop::sample::Index, byte: u8) {
        let root = Ca::root("td");
        let intermediate = root.below("intermediate", |_| {});
        let leaf = intermediate.leaf(ID);
        let mut der = intermediate.der();
        let place = place.index(der.len());
        let same = der[place] == byte;
        der[place] = byte;
        let answer = verify(&Leaf::from_der(&leaf).unwrap(), &leaf, &[der], &bundle("td", &[&root]), Side::Client, NOW);
        prop_assert_eq!(answer.is_ok(), same);
    }
}
