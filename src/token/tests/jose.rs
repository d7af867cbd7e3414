//! D18, D19, D21 and D22: the shape of a token and of its signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::changed;
use super::forge::claims;
use super::forge::encode;
use crate::decision::Reason;
use crate::token::Refusal;

fn world_and_key() -> (World, SigningKey) {
    let key = SigningKey::es256("k1");
    (World::with_keys(&[&key.jwk]), key)
}

#[test]
fn d18_only_compact_jws_has_three_parts() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({}));
    let parts: Vec<_> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for other in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        header.to_owned(),
        format!("{header}.{payload}"),
        format!("{token}.{signature}"),
        format!("{header}.{payload}.{payload}.{payload}.{signature}"),
        format!(".{token}"),
        format!("{token}."),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        json!({"payload": payload, "protected": header, "signature": signature}).to_string(),
        json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]}).to_string(),
    ] {
        assert_eq!(world.denied(&other), Reason::TokenMalformed, "{other}");
    }
    for changes in [json!({"zip": "DEF"}), json!({"enc": "A256GCM"}), json!({"alg": "dir", "enc": "A256GCM"})] {
        let jwe = key.sign(&changed(key.header(), changes), &claims(json!({})));
        assert_eq!(world.denied(&jwe), Reason::TokenHeaderForbidden);
    }
}

#[test]
fn d19_only_canonical_base64url_is_read() {
    let (mut world, key) = world_and_key();
    let encoded_header = encode(key.header().to_string().as_bytes());
    let payload = encode(claims(json!({"x": "???>>>"})).to_string().as_bytes());
    let good = key.sign_parts(&encoded_header, &payload);
    assert!(world.verify(&good).is_ok());
    let broken = |part: &str| {
        [
            format!("{part}="),
            format!("{part}=="),
            format!("{part}+"),
            format!("{part}/"),
            format!(" {part}"),
            format!("{part} "),
            format!("{part}\n"),
            format!("{part}\r\n"),
            format!("{part}\t"),
            format!("{part}\0"),
            format!("{part}%3D"),
            format!("{part}é"),
        ]
    };
    for header in broken(&encoded_header) {
        assert_eq!(world.denied(&key.sign_parts(&header, &payload)), Reason::TokenMalformed, "{header:?}");
    }
    for payload in broken(&payload) {
        assert_eq!(world.denied(&key.sign_parts(&encoded_header, &payload)), Reason::TokenMalformed, "{payload:?}");
    }
    let (input, signature) = good.rsplit_once('.').unwrap();
    for signature in broken(signature) {
        assert_eq!(world.denied(&format!("{input}.{signature}")), Reason::TokenMalformed, "{signature:?}");
    }
}

#[test]
fn d19_trailing_bits_must_be_zero() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({}));
    // 64 bytes are 85 characters and one of which two bits count: the other fifteen spellings mean the same bytes.
    let (start, last) = token.split_at(token.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    assert_eq!(place % 16, 0);
    for other in alphabet.chars().skip(place + 1).take(15) {
        assert_eq!(world.denied(&format!("{start}{other}")), Reason::TokenMalformed, "{other}");
    }
}

/// Header and claims of a token that is truly signed: the other spellings mean the same bytes, and are another text.
#[test]
fn d19_trailing_bits_of_header_and_claims_must_be_zero() {
    let (mut world, key) = world_and_key();
    // Padded so that one byte is left over: its second character has four bits that count for nothing.
    let one_over = |object: serde_json::Value| {
        let texts = ["", "x", "xx"].map(|pad| changed(object.clone(), json!({"pad": pad})).to_string());
        encode(texts.iter().find(|text| text.len() % 3 == 1).unwrap().as_bytes())
    };
    let (header, payload) = (one_over(key.header()), one_over(claims(json!({}))));
    assert!(world.verify(&key.sign_parts(&header, &payload)).is_ok());
    let other = |part: &str| {
        let (start, last) = part.split_at(part.len() - 1);
        let next = char::from(last.as_bytes()[0] + 1);
        format!("{start}{next}")
    };
    assert_eq!(world.denied(&key.sign_parts(&other(&header), &payload)), Reason::TokenMalformed);
    assert_eq!(world.denied(&key.sign_parts(&header, &other(&payload))), Reason::TokenMalformed);
}

/// What is too much costs no signature: with a bad one the answer is the same.
#[test]
fn d21_what_is_too_much_is_refused_before_the_signature_is_looked_at() {
    let (mut world, key) = world_and_key();
    let nested = format!(r#"{{"a":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let audience = json!({"aud": vec![""; 2100]});
    let header = changed(key.header(), json!({"pad": "x".repeat(6 * 1024)}));
    let good = claims(json!({}));
    for (token, wanted) in [
        (key.token(json!({"pad": "x".repeat(16 * 1024)})), Reason::TokenTooLarge),
        (key.sign(&header, &good), Reason::TokenTooLarge),
        (key.sign(&key.header(), &nested), Reason::TokenTooLarge),
        (key.token(audience), Reason::TokenTooLarge),
        (key.sign_bytes(key.header().to_string().as_bytes(), b"{\"sub\":\"\xff\"}"), Reason::TokenMalformed),
        (key.sign(&key.header(), &json!([good.to_string()])), Reason::TokenMalformed),
        (key.sign(&key.header(), &good), Reason::TokenSignatureInvalid),
    ] {
        let start = token.get(..80).unwrap();
        assert_eq!(world.denied(&resigned(&token, &[1; 64])), wanted, "{start}");
    }
}

#[test]
fn d21_sizes_are_bounded_before_anything_is_verified() {
    let (mut world, key) = world_and_key();
    let padded = |bytes: usize| {
        let short = key.token(json!({"pad": ""}));
        let missing = (bytes - short.len()) * 3 / 4;
        let token = key.token(json!({"pad": "x".repeat(missing)}));
        assert!(token.len().abs_diff(bytes) < 4, "{}", token.len());
        token
    };
    assert!(world.verify(&padded(16 * 1024 - 4)).is_ok());
    assert_eq!(world.denied(&padded(16 * 1024 + 8)), Reason::TokenTooLarge);
    assert_eq!(world.denied(&"A".repeat(16 * 1024 + 1)), Reason::TokenTooLarge);
    assert_eq!(world.denied(&"A".repeat(16 * 1024)), Reason::TokenMalformed);
    let header = changed(key.header(), json!({"pad": "x".repeat(6 * 1024)}));
    assert_eq!(encode(header.to_string().as_bytes()).len() / 1024, 8);
    assert_eq!(world.denied(&key.sign(&header, &claims(json!({})))), Reason::TokenTooLarge);
}

#[test]
fn d21_depth_and_width_are_bounded() {
    let (mut world, key) = world_and_key();
    let nested = |depth: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(world.denied(&key.sign(&key.header(), &nested(200))), Reason::TokenTooLarge);
    assert_eq!(world.denied(&key.sign(&key.header(), &nested(32))), Reason::TokenTooLarge);
    assert_eq!(world.denied(&key.sign(&key.header(), &nested(31))), Reason::TokenClaimMissing);
    let audience: Vec<_> = (0..100_000).map(|n| n.to_string()).collect();
    assert_eq!(world.denied(&key.token(json!({"aud": audience}))), Reason::TokenTooLarge);
    assert_eq!(world.denied(&key.token(json!({"aud": vec![""; 2100]}))), Reason::TokenTooLarge);
    assert!(world.verify(&key.token(json!({"groups": vec!["staff"; 1000]}))).is_ok());
    let many: serde_json::Map<_, _> = (0..100_000).map(|n| (n.to_string(), json!(n))).collect();
    assert_eq!(world.denied(&key.token(json!({"many": many}))), Reason::TokenTooLarge);
}

#[test]
fn d21_claims_are_an_object_in_utf8() {
    let (mut world, key) = world_and_key();
    let header = key.header().to_string();
    for payload in [
        b"".as_slice(),
        b"null",
        b"[]",
        b"\"alice\"",
        b"1",
        b"{",
        b"{}{}",
        b"{\"sub\":\"\xff\"}",
        b"{\"sub\":\"\xc0\xaf\"}",
        b"\xef\xbb\xbf{}",
        b"\xfe\xff\x00{\x00}",
        b"{\"sub\":\"\\ud800\"}",
    ] {
        assert_eq!(world.denied(&key.sign_bytes(header.as_bytes(), payload)), Reason::TokenMalformed, "{payload:?}");
    }
    for header in [b"".as_slice(), b"[]", b"{\"alg\":\"ES256\xff\"}", b"null"] {
        assert_eq!(world.denied(&key.sign_bytes(header, b"{}")), Reason::TokenMalformed, "{header:?}");
    }
}

/// A token with another signature.
fn resigned(token: &str, signature: &[u8]) -> String {
    format!("{}.{}", token.rsplit_once('.').unwrap().0, encode(signature))
}

fn signature_of(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.rsplit_once('.').unwrap().1).unwrap()
}

#[test]
fn d22_signatures_of_the_wrong_shape_are_refused() {
    let keys = [
        SigningKey::es256("k1"),
        SigningKey::es384("k1"),
        SigningKey::ed25519("k1"),
        SigningKey::rsa("k1", jsonwebtoken::Algorithm::RS256),
        SigningKey::rsa("k1", jsonwebtoken::Algorithm::PS256),
    ];
    for key in &keys {
        let mut world = World::with_keys(&[&key.jwk]);
        let token = key.token(json!({}));
        let signature = signature_of(&token);
        assert_eq!(world.verify(&resigned(&token, &signature)).unwrap().subject, "alice");
        let size = signature.len();
        for wrong in [
            vec![0; size],
            vec![0xff; size],
            vec![0; 1],
            signature[1..].to_vec(),
            signature[..size - 1].to_vec(),
            [&signature[..], &[0]].concat(),
            [&[0], &signature[..]].concat(),
            [&signature[..], &signature[..]].concat(),
            [&signature[size / 2..], &signature[..size / 2]].concat(),
        ] {
            assert_eq!(world.denied(&resigned(&token, &wrong)), Reason::TokenSignatureInvalid, "{:?}", key.jwk["alg"]);
        }
    }
}

#[test]
fn d22_a_der_signature_is_refused() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({}));
    let signature = signature_of(&token);
    let integer = |bytes: &[u8]| {
        let sign = if bytes[0] > 0x7f { vec![0] } else { vec![] };
        [&[2, u8::try_from(sign.len() + bytes.len()).unwrap()][..], &sign, bytes].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat();
    assert_eq!(world.denied(&resigned(&token, &der)), Reason::TokenSignatureInvalid);
}

/// The order of P-256's group (SEC 2 §2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn d22_the_other_s_may_pass_and_means_the_same_user() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({}));
    let mut signature = signature_of(&token);
    let mut borrow = 0;
    for (byte, order) in signature[32..].iter_mut().zip(P256_ORDER).rev() {
        let difference = i32::from(order) - i32::from(*byte) - borrow;
        borrow = i32::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let other = resigned(&token, &signature);
    assert_ne!(other, token);
    assert_eq!(world.verify(&other).unwrap(), world.verify(&token).unwrap());
    assert_eq!(world.verifier.cache().len(), 2);
}

#[test]
fn nothing_of_a_refused_token_is_told_but_short_escaped_names() {
    let (mut world, key) = world_and_key();
    let issuer = format!("https://canary.example/\n\u{1b}[31m{}", "x".repeat(1000));
    for (header, body) in [
        (json!({}), json!({"iss": issuer})),
        (json!({"kid": "canary-kid"}), json!({"sub": ["canary"]})),
        (json!({"alg": "canary".repeat(100)}), json!({})),
        (json!({}), json!({"exp": NOW - 100, "secret": "canary"})),
        (json!({}), json!({"aud": "canary"})),
        (json!({}), json!({"cnf": {"canary": 1}})),
    ] {
        let token = key.sign(&changed(key.header(), header), &claims(body));
        let Err(refusal) = world.verify(&token) else { panic!("{token}") };
        let Refusal::Denied(denial) = refusal else { continue };
        assert!(denial.detail.len() <= 160 && !denial.detail.chars().any(char::is_control), "{}", denial.detail);
        assert!(!denial.detail.contains("secret") && !denial.detail.contains(token.split('.').nth(2).unwrap()));
    }
}
