//! What a chain may cost.

use std::collections::BTreeSet;

use super::*;

#[test]
fn a16_a_chain_has_at_most_eight_certificates_and_six_intermediates_on_its_path() {
    let root = Ca::root("td");
    let chain = descent(&root, 8);
    let bundle = bundle("td", &[&root]);
    for (count, answer) in [(6, Ok(in_an_hour())), (7, Err(TOO_LONG)), (8, Err(ChainError::TooLong))] {
        let leaf = chain[count - 1].leaf(ID);
        assert_eq!(check(&leaf, &chain[..count].iter().collect::<Vec<_>>(), &bundle), answer, "{count}");
    }
    // Seven are looked at, whether the path needs them or not.
    let idle: Vec<&Ca> = vec![&chain[0]; 7];
    assert!(check(&root.leaf(ID), &idle, &bundle).is_ok());
    let idle: Vec<&Ca> = vec![&chain[0]; 8];
    assert_eq!(check(&root.leaf(ID), &idle, &bundle), Err(ChainError::TooLong));
}

#[test]
fn a16_intermediates_of_one_name_cannot_be_tried_in_every_order() {
    // Each names itself as its issuer, and so every other: seven have 8659 orders.
    let stranger = Ca::root("td");
    let tangle: Vec<Ca> = (0..7).map(|_| stranger.below("root", |_| {})).collect();
    let names: BTreeSet<Vec<u8>> = tangle.iter().map(|one| issuer_and_subject(&one.der())).collect();
    assert_eq!(names.len(), 1);
    let leaf = tangle[0].leaf(ID);
    let answer = check(&leaf, &tangle.iter().collect::<Vec<_>>(), &bundle("td", &[&named("root")]));
    assert_eq!(answer, Err(ChainError::NameShared));
}

fn issuer_and_subject(der: &[u8]) -> Vec<u8> {
    let (_, certificate) = X509Certificate::from_der(der).unwrap();
    [certificate.issuer().as_raw(), certificate.subject().as_raw()].concat()
}

#[test]
fn as_many_authorities_of_one_name_as_a_bundle_may_have_are_told_apart_by_their_keys() {
    let authorities: Vec<Ca> = (0..256).map(|_| Ca::root("td")).collect();
    let bundle = bundle("td", &authorities.iter().collect::<Vec<_>>());
    assert_eq!(bundle.x509_authorities().len(), 256);
    for authority in authorities.iter().step_by(25) {
        assert_eq!(check(&authority.leaf(ID), &[], &bundle), Ok(in_an_hour()));
        let intermediate = authority.below("intermediate", |_| {});
        assert_eq!(check(&intermediate.leaf(ID), &[&intermediate], &bundle), Ok(in_an_hour()));
    }
    // A stranger of the same name costs a hundred signatures and no more.
    let answer = check(&Ca::root("td").leaf(ID), &[], &bundle);
    assert_eq!(answer, Err(ChainError::NoPath("finding out would cost too much")));
}
