//! Project Wycheproof's vectors against reading a key set, finding the key, and verifying the signature.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::forge::jwks;
use crate::jose::Algorithm;
use crate::jose::Compact;
use crate::jose::KeySet;

#[derive(Deserialize)]
pub(super) struct Vector {
    pub(super) id: String,
    pub(super) keys: Vec<Json>,
    pub(super) jws: String,
    expect: String,
    pub(super) note: String,
}

pub(super) fn vectors() -> impl Iterator<Item = Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/wycheproof.jsonl");
    let lines = std::fs::read_to_string(path).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>().into_iter()
}

/// Whether the signature verifies; the payloads are no claims, so the rest of the check would refuse them all.
pub(super) fn accepts(vector: &Vector) -> bool {
    let document = jwks(&vector.keys.iter().collect::<Vec<_>>());
    let Ok(set) = KeySet::parse(&document, Algorithm::ALL) else { return false };
    let Ok(compact) = Compact::split(&vector.jws) else { return false };
    let (Ok(header), Ok(signature)) = (compact.header(), compact.signature()) else { return false };
    set.find(&header).is_ok_and(|key| key.verifies(compact.signing_input(), signature))
}

#[test]
fn d22_wycheproof_agrees() {
    let (mut accepted, mut refused) = (0, 0);
    for vector in vectors() {
        let symmetric = vector.keys.iter().any(|key| key["kty"] == "oct");
        let wanted = vector.expect == "valid" && !symmetric;
        assert_eq!(accepts(&vector), wanted, "{}: {}", vector.id, vector.note);
        if wanted { accepted += 1 } else { refused += 1 }
    }
    assert_eq!((accepted, refused), (33, 388));
}

#[test]
fn d2_symmetric_keys_are_never_used() {
    for vector in vectors() {
        let oct: Vec<_> = vector.keys.iter().filter(|key| key["kty"] == "oct").collect();
        assert_eq!(KeySet::parse(&jwks(&oct), Algorithm::ALL).map_or(0, |set| set.usable()), 0, "{}", vector.id);
    }
}
