//! SPIFFE IDs: what is accepted keeps its text and divides into its parts.
#![no_main]

use countersign::spiffe_id::SpiffeId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(id) = SpiffeId::parse(text) else { return };
    assert_eq!(id.as_str(), text);
    assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
    assert!(text.len() <= 2048 && text.is_ascii());
    assert!(id.segments().all(|segment| !segment.is_empty() && segment != "." && segment != ".."));
});
