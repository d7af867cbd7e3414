//! Tokens by the million, each other than all before it, as requests on the wire.

use std::ops::Range;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_types::ext_authz::v3::pb::CheckRequest;
use prost::Message as _;
use serde_json::Value as Json;
use serde_json::json;

/// As long as the invented ones.
const KEY_ID: &str = "f000000";

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Valid,
    /// It names a key that the issuer never had; another with each token.
    UnknownKey,
    /// The signature is another token's.
    BadSignature,
}

/// Makes them: a key, and a request into which tokens are written, all of them of one length.
pub(crate) struct Forge {
    key: EcdsaKeyPair,
    random: SystemRandom,
    claims: String,
    /// A good signature, of another token.
    stray: String,
    wire: Vec<u8>,
    place: Range<usize>,
}

impl Forge {
    /// For requests like this one, with a new key.
    pub(crate) fn new(request: &[u8]) -> Self {
        let claims = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/fixture/claims.json"));
        let mut forge = Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            random: SystemRandom::new(),
            claims: serde_json::from_str::<Json>(&claims.unwrap()).unwrap().to_string(),
            stray: String::new(),
            wire: Vec::new(),
            place: 0..0,
        };
        forge.stray = forge.sign("another");
        let token = forge.token(Kind::Valid, 0);
        let mut request = CheckRequest::decode(request).unwrap();
        let http = request.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
        http.headers.insert("authorization".to_owned(), format!("Bearer {token}"));
        forge.wire = request.encode_to_vec();
        let start = forge.wire.windows(token.len()).position(|window| window == token.as_bytes()).unwrap();
        forge.place = start..start + token.len();
        forge
    }

    /// The issuer's keys with this one among them.
    pub(crate) fn published_in(&self, key_set: &str) -> Json {
        let mut key_set: Json = serde_json::from_str(key_set).unwrap();
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        key_set["keys"].as_array_mut().unwrap().push(json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
            "kid": KEY_ID, "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)}));
        key_set
    }

    /// The request with the token of this number.
    pub(crate) fn request(&self, kind: Kind, number: usize) -> Vec<u8> {
        let token = self.token(kind, number);
        let mut wire = self.wire.clone();
        wire[self.place.clone()].copy_from_slice(token.as_bytes());
        wire
    }

    fn token(&self, kind: Kind, number: usize) -> String {
        let invented = format!("g{:06}", number % 1_000_000);
        let key_id = if kind == Kind::UnknownKey { &invented } else { KEY_ID };
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{key_id}"}}"#));
        let claims = URL_SAFE_NO_PAD.encode(self.claims.replace("${N}", &format!("{number:012}")));
        let signed = format!("{header}.{claims}");
        let signature = if kind == Kind::Valid { &self.sign(&signed) } else { &self.stray };
        format!("{signed}.{signature}")
    }

    fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(&self.random, text.as_bytes()).unwrap())
    }
}
