//! No proof but the signed one is accepted.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use super::Client;
use super::request;
use crate::clock::UnixTime;
use crate::decision::Scheme;
use crate::route::Possession;
use crate::token::Credential;
use crate::token::KeySets;
use crate::token::Presented;
use crate::token::Proofs;
use crate::token::Verifier;
use crate::token::tests::forge::NOW;

/// A token and its proof, which are accepted, and who accepts them.
struct Signed {
    config: std::sync::Arc<crate::token::Config>,
    keys: KeySets,
    token: String,
    proof: String,
}

static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let client = Client::new();
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    let signed = Signed { config: client.world.config, keys: client.world.keys, token, proof };
    assert!(signed.accepts(signed.proof.as_bytes()), "the proof itself");
    signed
});

impl Signed {
    /// Each time nothing was seen before, so that no refusal is for a replay.
    fn accepts(&self, proof: &[u8]) -> bool {
        let mut verifier = Verifier::new(std::sync::Arc::clone(&self.config));
        let credential = Credential { scheme: Scheme::Dpop, token: &self.token };
        let (http, proofs) = (request(&[proof]), Proofs::new());
        let presented = Presented {
            credential,
            http: &http,
            caller: None,
            proof: Possession::Optional,
            issuers: None,
            proofs: &proofs,
            answer: None,
        };
        verifier.verify(&presented, &self.keys, UnixTime::from_seconds(NOW)).is_ok()
    }
}

#[test]
fn l17_no_single_byte_of_a_proof_may_change() {
    let proof = SIGNED.proof.as_bytes();
    for position in 0..proof.len() {
        for replacement in [b'A', b'z', b'-', b'.', b'=', b',', b' ', b'\0', 0xff] {
            let mut bytes = proof.to_vec();
            bytes[position] = replacement;
            assert!(bytes == proof || !SIGNED.accepts(&bytes), "{replacement} at {position}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn l17_no_cut_insertion_or_exchange_is_accepted(
        at in any::<Index>(), to in any::<Index>(), kind in 0..4, byte in any::<u8>(),
    ) {
        let mut bytes = SIGNED.proof.as_bytes().to_vec();
        let [place, end] = [&at, &to].map(|at| at.index(bytes.len()));
        match kind {
            0 => drop(bytes.remove(place)),
            1 => bytes.insert(place, byte),
            2 => bytes.swap(place, end),
            _ => bytes[place] = byte,
        }
        prop_assert!(bytes == SIGNED.proof.as_bytes() || !SIGNED.accepts(&bytes));
    }

    #[test]
    fn l17_no_bytes_at_all_are_a_proof(bytes in any::<Vec<u8>>()) {
        prop_assert!(!SIGNED.accepts(&bytes));
    }
}
