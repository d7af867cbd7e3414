//! Forwarded chains: nothing is proven by a fixed bundle but the one leaf that its authority has signed.
//!
//! The text is tried as it is, and the input also as what spoils a good chain: a byte of one of its certificates changed.
#![no_main]

use std::sync::LazyLock;

use countersign::clock::UnixTime;
use countersign::spiffe_id::TrustDomain;
use countersign::trust::Bundle;
use countersign::trust::certificate::Leaf;
use countersign::trust::certificate::forwarded_chain;
use countersign::trust::chain::Side;
use countersign::trust::chain::verify;
use libfuzzer_sys::fuzz_target;

/// A leaf for `spiffe://td/a` and its intermediate, as Envoy forwards them; `fuzz/seeds/README.md` says whence.
const GOOD: &str = include_str!("../seeds/certificate_chain/good");
/// Within their validity, which is a hundred years.
const NOW: UnixTime = UnixTime::from_seconds(2_000_000_000);

static CHAIN: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| forwarded_chain(GOOD).expect("a chain"));
static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
    let domain = TrustDomain::parse("td").expect("a trust domain");
    Bundle::parse(include_bytes!("../seeds/spiffe_bundle/authority.pem"), &domain).expect("a bundle")
});

fuzz_target!(init: assert!(proves(&CHAIN), "the good chain"), |data: &[u8]| {
    if let Some(chain) = std::str::from_utf8(data).ok().and_then(|text| forwarded_chain(text).ok()) {
        assert!(chain.len() <= 8);
        check(&chain);
    }
    if let [which, high, low, change, ..] = *data {
        let mut chain = CHAIN.clone();
        let certificates = chain.len();
        let der = &mut chain[usize::from(which) % certificates];
        let place = usize::from(u16::from_be_bytes([high, low])) % der.len();
        der[place] ^= change;
        check(&chain);
    }
    // DER of the fuzzer's own making, as the leaf and as its intermediate.
    check(&[data.to_vec()]);
    check(&[CHAIN[0].clone(), data.to_vec()]);
});

/// What is proven is the good leaf through the good intermediate, whatever else may stand behind it.
fn check(chain: &[Vec<u8>]) {
    if proves(chain) {
        assert_eq!(chain[0], CHAIN[0]);
        assert!(chain[1..].contains(&CHAIN[1]));
    }
}

fn proves(chain: &[Vec<u8>]) -> bool {
    let [der, intermediates @ ..] = chain else { return false };
    let Ok(leaf) = Leaf::from_der(der) else { return false };
    let proven = verify(&leaf, der, intermediates, &BUNDLE, Side::Client, NOW);
    let Ok(until) = proven else { return false };
    assert!(until >= NOW && until <= leaf.facts.not_after);
    true
}
