//! No token but the signed one names anybody.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use crate::facts::Attributes;
use crate::identity::Resolver;
use crate::identity::fixtures::Domain;
use crate::identity::fixtures::JWT_SVID;
use crate::identity::fixtures::bundles;
use crate::identity::fixtures::tokens;
use crate::identity::fixtures::with_proof;
use crate::identity::fixtures::with_raw_headers;
use crate::identity::fixtures::wpt;
use crate::identity::wimse::IDENTITY_TOKEN;
use crate::identity::wimse::PROOF_TOKEN;
use crate::jose::fixtures::SigningKey;
use crate::trust::Bundles;
use crate::trust::fixtures::NOW;

/// Tokens that are accepted as they are, and who believes them.
struct Signed {
    bundles: Bundles,
    svid: String,
    wit: String,
    wpt: String,
}

static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let td = Domain::new("td");
    let key = SigningKey::es256("any");
    let wit = td.wit(&key, json!({"nbf": 1}));
    let signed = Signed {
        bundles: bundles([("td", td.bundle())]),
        svid: td.jwt_svid(json!({"nbf": 1})),
        wpt: wpt(&key, &wit, json!({})),
        wit,
    };
    assert!(names_somebody(&with_raw_headers(&[(JWT_SVID, signed.svid.as_bytes())]), &signed.bundles));
    assert!(names_somebody(&with_proof(&signed.wit, &signed.wpt), &signed.bundles));
    signed
});

fn names_somebody(attributes: &Attributes, bundles: &Bundles) -> bool {
    Resolver::new(tokens()).resolve(attributes, bundles, NOW).is_ok_and(|caller| caller.is_some())
}

/// The requests in which one of the tokens has been replaced.
fn requests(signed: &Signed, change: impl Fn(&str) -> Vec<u8>) -> [(&'static str, bool, Attributes); 3] {
    let [svid, wit, wpt] = [&signed.svid, &signed.wit, &signed.wpt].map(|token| (token, change(token)));
    let request = |wit: &[u8], wpt: &[u8]| with_raw_headers(&[(IDENTITY_TOKEN, wit), (PROOF_TOKEN, wpt)]);
    [
        ("JWT-SVID", svid.1 != svid.0.as_bytes(), with_raw_headers(&[(JWT_SVID, &svid.1)])),
        ("WIT", wit.1 != wit.0.as_bytes(), request(&wit.1, signed.wpt.as_bytes())),
        ("WPT", wpt.1 != wpt.0.as_bytes(), request(signed.wit.as_bytes(), &wpt.1)),
    ]
}

#[test]
fn no_single_byte_may_change() {
    let longest = SIGNED.wit.len().max(SIGNED.wpt.len()).max(SIGNED.svid.len());
    for position in 0..longest {
        for replacement in [b'A', b'z', b'-', b'.', b'=', b',', b' ', b'\0', 0xff] {
            let change = |token: &str| {
                let mut bytes = token.as_bytes().to_vec();
                if let Some(byte) = bytes.get_mut(position) {
                    *byte = replacement;
                }
                bytes
            };
            for (token, is_changed, attributes) in requests(&SIGNED, change) {
                assert!(!is_changed || !names_somebody(&attributes, &SIGNED.bundles), "{token} at {position}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_cut_insertion_or_exchange_is_accepted(
        at in any::<Index>(), to in any::<Index>(), kind in 0..4, byte in any::<u8>(),
    ) {
        let change = |token: &str| {
            let mut bytes = token.as_bytes().to_vec();
            let [place, end] = [&at, &to].map(|at| at.index(bytes.len()));
            match kind {
                0 => drop(bytes.remove(place)),
                1 => bytes.insert(place, byte),
                2 => bytes.swap(place, end),
                _ => bytes[place] = byte,
            }
            bytes
        };
        for (token, is_changed, attributes) in requests(&SIGNED, change) {
            prop_assert!(!is_changed || !names_somebody(&attributes, &SIGNED.bundles), "{token}");
        }
    }

    #[test]
    fn no_bytes_at_all_name_anybody(first in any::<Vec<u8>>(), second in any::<Vec<u8>>()) {
        let attributes = with_raw_headers(&[(JWT_SVID, &first)]);
        prop_assert!(!names_somebody(&attributes, &SIGNED.bundles));
        let attributes = with_raw_headers(&[(IDENTITY_TOKEN, &first), (PROOF_TOKEN, &second)]);
        prop_assert!(!names_somebody(&attributes, &SIGNED.bundles));
    }
}
