//! What holds for every bundle.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// Made once: keys take time.
static KEYS: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let authorities = (0..4).map(|_| x509(&Ca::root("td")));
    let tokens = (0..3).map(|number| signer("jwt-svid", &format!("j{number}")));
    let unnamed = (0..2).map(|_| changed(signer("jwt-svid", ""), "kid", Json::Null));
    let unnamed = unnamed.map(|mut key| {
        key.as_object_mut().unwrap().remove("kid");
        key
    });
    authorities.chain(tokens).chain([signer("wit-svid", "w")]).chain(unnamed).collect()
});

proptest! {
    #[test]
    fn the_order_of_keys_means_nothing(keys in Just(KEYS.clone()).prop_shuffle()) {
        prop_assert_eq!(of(&keys), of(&KEYS));
    }

    #[test]
    fn bundles_with_other_keys_differ(kept in prop::sample::subsequence(KEYS.clone(), 0..=10)) {
        prop_assert_eq!(of(&kept) == of(&KEYS), kept.len() == KEYS.len());
    }

    #[test]
    fn an_authority_that_stands_twice_stands_once(place in 0..4_usize) {
        let twice: Vec<Json> = KEYS.iter().chain([&KEYS[place]]).cloned().collect();
        prop_assert_eq!(of(&twice), of(&KEYS));
    }

    #[test]
    fn no_document_panics(document in prop::collection::vec(any::<u8>(), 0..200), json: bool) {
        let document = if json { [b"{".as_slice(), &document].concat() } else { document };
        let _answer = Bundle::parse(&document, &domain());
        let _answer = Bundle::parse_document(&document, &domain());
    }

    #[test]
    fn no_member_of_a_key_panics(place in 0..10_usize, name in "use|kty|crv|x|y|x5c|kid|d|alg|key_ops", value in "[a-zA-Z0-9=+/_ -]{0,40}", list: bool) {
        let value = if list { json!([value]) } else { json!(value) };
        let read = of(&[changed(KEYS[place].clone(), &name, value)]);
        let (x509, jwt, wit) = counts(&read);
        prop_assert!([x509, jwt, wit].iter().sum::<usize>() <= 1);
        prop_assert!(read.warnings().count() <= 2);
    }

    #[test]
    fn a_document_cut_off_is_refused(at in prop::sample::Index::arbitrary()) {
        let text = document(&KEYS, &json!({"spiffe_sequence": 1}));
        let (beginning, _) = text.split_at(at.index(text.len()));
        prop_assert!(parse(beginning).is_err());
    }
}
