//! Tokens that are good, nearly good, and bad; which ones is decided by a number, the same in every run.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use serde_json::json;

use crate::token::tests::forge::AUDIENCE;
use crate::token::tests::forge::ISSUER;
use crate::token::tests::forge::LEEWAY;
use crate::token::tests::forge::NOW;
use crate::token::tests::forge::SigningKey;
use crate::token::tests::forge::changed;
use crate::token::tests::forge::claims;
use crate::token::tests::forge::encode;

/// `SplitMix64`: enough to choose by, and nothing else draws from it.
pub(super) struct Choice(pub(super) u64);

impl Choice {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (mixed >> 31);
        usize::try_from(mixed >> 33).unwrap().checked_rem(end).unwrap()
    }

    pub(super) fn of<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }
}

/// How many of [`keys`] come first that are named, once, and have an algorithm.
pub(super) const PLAIN_KEYS: usize = 5;

/// Keys of one issuer: of every kind, two with one `kid`, one without, and one RSA key without `alg`.
pub(super) fn keys() -> Vec<SigningKey> {
    let mut unnamed = SigningKey::ed25519("k8");
    unnamed.jwk["kid"].take();
    let mut unstated = SigningKey::rsa("k6", jsonwebtoken::Algorithm::PS256);
    unstated.jwk = changed(unstated.jwk, json!({"alg": null}));
    vec![
        SigningKey::es256("k1"),
        SigningKey::es384("k2"),
        SigningKey::ed25519("k3"),
        SigningKey::rsa("k4", jsonwebtoken::Algorithm::RS256),
        SigningKey::rsa("k5", jsonwebtoken::Algorithm::PS384),
        unstated,
        SigningKey::rsa("k7", jsonwebtoken::Algorithm::PS512),
        SigningKey::rsa("k7", jsonwebtoken::Algorithm::PS512),
        unnamed,
    ]
}

/// The public halves, as the issuer publishes them.
pub(super) fn published(keys: &[SigningKey]) -> Vec<Json> {
    keys.iter().map(|key| without_null(key.jwk.clone())).collect()
}

fn without_null(mut object: Json) -> Json {
    object.as_object_mut().unwrap().retain(|_name, value| !value.is_null());
    object
}

/// What may become of a header before it is signed; null removes.
pub(super) fn headers() -> Vec<Json> {
    let mut all: Vec<_> =
        ["none", "NONE", "HS256", "ES256", "es256", "ES384", "ES256K", "RS256", "PS256", "EdDSA", "Ed25519", ""]
            .map(|alg| json!({"alg": alg}))
            .to_vec();
    all.extend(["k1", "k2", "k4", "k7", "unknown", "", "k1\n"].map(|kid| json!({"kid": kid})));
    all.extend(
        ["JWT", "at+jwt", "application/AT+JWT", "dpop+jwt", "logout+jwt", "x", ""].map(|typ| json!({"typ": typ})),
    );
    for name in ["alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "x5t"] {
        all.push(json!({name: [name]}));
    }
    all.extend([
        json!({"kid": null}),
        json!({"typ": null}),
        json!({"alg": null}),
        json!({"typ": 1}),
        json!({"kid": 1}),
    ]);
    all.extend([json!({"cty": "JWT"}), json!({"cty": "text"}), json!({"b64": false}), json!({"crit": []})]);
    all.extend([
        json!({"kid": "k".repeat(300)}),
        json!({"x": "x".repeat(5000)}),
        json!({"jku": "https://evil.example"}),
    ]);
    all
}

/// What may become of the claims before they are signed; null removes.
pub(super) fn bodies() -> Vec<Json> {
    let values = json!(["", "a", 0, -1, 1.5, true, [], ["a"], [1], {}, {"sub": "b"}]);
    let names = ["iss", "sub", "aud", "exp", "nbf", "iat", "scope", "act", "cnf", "client_id", "jti", "roles"];
    let one = |name: &'static str| values.as_array().unwrap().iter().map(move |value| json!({name: value}));
    let mut all: Vec<_> = names.into_iter().flat_map(one).collect();
    all.extend(names.map(|name| json!({name: null})));
    for name in ["exp", "nbf", "iat"] {
        let near =
            [NOW + LEEWAY, NOW - LEEWAY].map(|edge| [edge.saturating_sub(1), edge, edge.saturating_add(1)]).concat();
        all.extend(near.into_iter().map(|date| json!({name: date})));
        all.extend([-0.5, 0.5].map(|off| json!({name: 1_799_999_970.0 + off})));
        all.extend([0.5, 1e12, 1e300, 9e15].map(|date| json!({name: date})));
        all.push(json!({name: NOW.to_string()}));
    }
    for aud in
        [json!([AUDIENCE]), json!([AUDIENCE, "b"]), json!([AUDIENCE, 1]), json!([[AUDIENCE]]), json!({AUDIENCE: 1})]
    {
        all.push(json!({"aud": aud}));
    }
    all.extend([format!("{ISSUER}/"), ISSUER.to_uppercase(), format!("{ISSUER}\0")].map(|iss| json!({"iss": iss})));
    all.extend([json!({"sub": "spiffe://td.example/a"}), json!({"sub": "SPIFFE://x"}), json!({"act": {"iss": "a"}})]);
    all.extend([
        json!({"cnf": {"x5t#S256": "A".repeat(43)}}),
        json!({"cnf": {"jkt": "A".repeat(43)}}),
        json!({"x": "\u{0}\u{10ffff}"}),
    ]);
    all
}

/// How header and claims may be written, each with the other left as it is.
pub(super) const WRITINGS: &[fn(&str) -> String] = &[
    |text| format!(" {text}\r\n\t"),
    |text| format!("\u{feff}{text}"),
    |text| format!("{text}x"),
    |text| format!("{text}{text}"),
    |text| format!("[{text}]"),
    |text| text.replacen('{', r#"{"alg":"none","#, 1),
    |text| text.replacen('{', r#"{"exp":1,"sub":"mallory","#, 1),
    |text| text.replacen('{', r#"{"x":{"a":1,"\u0061":2},"#, 1),
    |text| text.replacen('{', r#"{"x":"\ud800","#, 1),
    |text| text.replacen('{', r#"{"x":1e400,"#, 1),
    |text| text.replacen('{', r#"{"x":NaN,"#, 1),
    |text| text.replacen('{', &format!("{{\"x\":{}1{},", "[".repeat(50), "]".repeat(50)), 1),
    |text| text.replacen('{', &format!("{{\"x\":[1{}],", ",1".repeat(3000)), 1),
    |text| text.replacen("\"a", "\"\\u0061", 9),
    |text| text.replacen(':', ": ", 99),
    |text| text.replacen('}', ",}", 1),
    |text| text.replacen('"', "'", 99),
    |_| String::new(),
    |_| "null".to_owned(),
];

/// What may become of a token after it is signed.
pub(super) const DAMAGES: &[fn(String, &mut Choice) -> String] = &[
    |token, choice| {
        let mut bytes = token.into_bytes();
        let place = choice.below(bytes.len());
        bytes[place] = *choice.of(b"AZaz09-_+/=.~ \n\0");
        String::from_utf8(bytes).unwrap()
    },
    |mut token, choice| {
        token.remove(choice.below(token.len()));
        token
    },
    |mut token, choice| {
        let place = choice.below(token.len());
        token.insert(place, *choice.of(&['A', '.', '=', '\n', ' ', 'ä']));
        token
    },
    |mut token, choice| {
        token.truncate(choice.below(token.len()));
        token
    },
    |token, choice| format!("{token}{}", choice.of(&["=", "==", ".", ".e30", "A", "AA", "AAAA", " ", "\n"])),
    |token, _| token.replace('-', "+").replace('_', "/"),
    |token, _| token.replacen('.', "=.", 1),
    |token, choice| format!("{}{token}", choice.of(&[" ", ".", "Bearer ", "\u{feff}"])),
    // Another last letter: perhaps the same bytes, written otherwise.
    |mut token, choice| {
        token.pop();
        format!("{token}{}", choice.of(&["A", "B", "Q", "g", "w", "x", "_"]))
    },
    |token, choice| resigned(&token, |signature| vec![*choice.of(&[0, 1, 0xff]); signature.len()]),
    |token, choice| {
        resigned(&token, |mut signature| {
            let place = choice.below(signature.len());
            signature[place] ^= 1 << choice.below(8);
            signature
        })
    },
    |token, _| resigned(&token, |signature| [&[0], &signature[..]].concat()),
    |token, _| resigned(&token, |signature| signature[1..].to_vec()),
    |token, _| {
        resigned(&token, |signature| [&signature[signature.len() / 2..], &signature[..signature.len() / 2]].concat())
    },
    |token, _| resigned(&token, |signature| [&signature[..], &signature[..]].concat()),
    |token, _| resigned(&token, |_| Vec::new()),
    |token, _| {
        let parts: Vec<_> = token.split('.').collect();
        format!("{}.{}.{}", parts[0], encode(claims(json!({"sub": "mallory"})).to_string().as_bytes()), parts[2])
    },
    |token, _| {
        let parts: Vec<_> = token.split('.').collect();
        json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string()
    },
];

fn resigned(token: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    format!("{input}.{}", encode(&change(signature)))
}
