//! Bundles in every form: read without panic, bounded, the same when read again, and joined with themselves unchanged.
#![no_main]

use countersign::spiffe_id::TrustDomain;
use countersign::trust::Bundle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let domain = TrustDomain::parse("td").expect("a trust domain");
    let Ok(bundle) = Bundle::parse(data, &domain) else {
        assert!(Bundle::parse_document(data, &domain).is_err(), "a form that is told by its first byte alone");
        return;
    };
    let (jwt, wit) = (bundle.jwt_authorities().usable(), bundle.wit_authorities().usable());
    assert!(bundle.x509_authorities().len() <= 256 && jwt <= 256 && wit <= 256);
    assert_eq!(bundle.is_empty(), bundle.x509_authorities().len() + jwt + wit == 0);
    assert!(bundle.warnings().all(|warning| warning.len() < 200 && !warning.chars().any(char::is_control)));
    assert_eq!(Bundle::parse(data, &domain), Ok(bundle.clone()));
    assert_eq!(bundle.clone().joined(bundle.clone()), bundle);
});
