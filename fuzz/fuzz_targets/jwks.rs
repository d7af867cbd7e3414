//! Key sets: read without panic, bounded, and the same whichever way they are read again.
#![no_main]

use countersign::jose::Algorithm;
use countersign::jose::KeySet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(set) = KeySet::parse(data, &[Algorithm::Rs256, Algorithm::Es256]) else { return };
    assert!(set.usable() <= 256);
    assert!(set.warnings().iter().all(|warning| warning.len() < 200 && !warning.chars().any(char::is_control)));
    let again = KeySet::parse(data, &[Algorithm::Rs256, Algorithm::Es256]).expect("read once already");
    assert_eq!(set, again);
});
