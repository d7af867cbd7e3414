//! What a document brings, and what it leaves out.

mod forms;
mod laws;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::PublicKeyData as _;
use serde_json::Value as Json;
use serde_json::json;

use crate::trust::fixtures::ca::Ca;

use super::*;

fn domain() -> TrustDomain {
    TrustDomain::parse("td").unwrap()
}

fn parse(document: &str) -> Result<Bundle, BundleError> {
    Bundle::parse(document.as_bytes(), &domain())
}

/// A SPIFFE bundle of these keys, and its other members.
fn document(keys: &[Json], members: &Json) -> String {
    let mut document = members.clone();
    document["keys"] = keys.into();
    document.to_string()
}

fn of(keys: &[Json]) -> Bundle {
    parse(&document(keys, &json!({}))).unwrap()
}

/// An X.509 authority's JWK, as SPIRE writes it.
fn x509(authority: &Ca) -> Json {
    let mut jwk = point(&authority.key());
    jwk["use"] = "x509-svid".into();
    jwk["x5c"] = json!([STANDARD.encode(authority.der())]);
    jwk
}

/// A signing key's JWK.
fn signer(key_use: &str, id: &str) -> Json {
    let mut jwk = point(&KeyPair::generate().unwrap());
    jwk["use"] = key_use.into();
    jwk["kid"] = id.into();
    jwk
}

fn point(key: &KeyPair) -> Json {
    // SEC 1 §2.3.3: a byte that says so, and both coordinates.
    let (x, y) = key.der_bytes()[1..].split_at(32);
    json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
}

fn changed(mut jwk: Json, name: &str, value: Json) -> Json {
    jwk[name] = value;
    jwk
}

fn counts(bundle: &Bundle) -> (usize, usize, usize) {
    (bundle.x509_authorities().len(), bundle.jwt_authorities().usable(), bundle.wit_authorities().usable())
}

fn warnings(bundle: &Bundle) -> Vec<&str> {
    bundle.warnings().map(String::as_str).collect()
}

#[test]
fn keys_of_every_use_are_told_apart() {
    let bundle = of(&[
        x509(&Ca::root("td")),
        x509(&Ca::root("td")),
        signer("jwt-svid", "j1"),
        signer("jwt-svid", "j2"),
        signer("jwt-svid", "j3"),
        signer("wit-svid", "w1"),
    ]);
    assert_eq!(counts(&bundle), (2, 3, 1));
    assert_eq!(warnings(&bundle), [""; 0]);
    assert!(!bundle.is_empty());
    let wit = of(&[signer("wit-svid", "w1")]);
    assert!(!wit.is_empty());
}

#[test]
fn c5_a_key_without_use_or_for_another_one_is_not_used() {
    let root = x509(&Ca::root("td"));
    for key_use in
        [json!("sig"), json!("X509-SVID"), json!("jwt"), json!(""), json!(1), Json::Null, json!(["x509-svid"])]
    {
        for key in [&root, &signer("jwt-svid", "k")] {
            let bundle = of(&[changed(key.clone(), "use", key_use.clone())]);
            assert_eq!(counts(&bundle), (0, 0, 0), "{key_use}");
            assert!(bundle.is_empty());
            assert_eq!(warnings(&bundle), [""; 0], "unknown uses are ignored (§4.2.2)");
        }
    }
    let mut without = root;
    without.as_object_mut().unwrap().remove("use");
    let bundle = of(&[without]);
    assert_eq!(counts(&bundle), (0, 0, 0));
    assert_eq!(warnings(&bundle), ["key 0 has no `use`: it is not used"]);
    // A key that is good for one thing is not good for another.
    let key = signer("jwt-svid", "k");
    let as_authority = of(&[changed(key, "use", json!("x509-svid"))]);
    assert_eq!(warnings(&as_authority), ["X.509 authority 0 has no `x5c`: it is not used"]);
}

#[test]
fn the_first_certificate_of_x5c_is_the_authority() {
    let (root, other) = (Ca::root("td"), Ca::root("td"));
    let chain = |list: Json| of(&[changed(x509(&root), "x5c", list)]);
    let (first, second) = (STANDARD.encode(root.der()), STANDARD.encode(other.der()));
    // X509-SVID §6.2: all but the first are ignored.
    assert_eq!(chain(json!([first, second])), of(&[x509(&root)]));
    assert_eq!(chain(json!([first, "rubbish"])), of(&[x509(&root)]));
    for (list, why) in [
        (json!([]), "has no `x5c`"),
        (json!(first), "has no `x5c`"),
        (json!(null), "has no `x5c`"),
        (json!([1]), "has no `x5c`"),
        (json!([["a"]]), "has no `x5c`"),
        (json!(["*"]), "is no base64"),
        (json!([URL_SAFE_NO_PAD.encode(root.der())]), "is no base64"),
        (json!([format!("{first}\n")]), "is no base64"),
        (json!([STANDARD.encode("rubbish")]), "is no DER certificate"),
        (json!([STANDARD.encode([root.der(), vec![0]].concat())]), "is no DER certificate"),
        (json!([STANDARD.encode(root.pem())]), "is no DER certificate"),
    ] {
        let bundle = chain(list.clone());
        assert_eq!(counts(&bundle), (0, 0, 0), "{list}");
        assert!(matches!(warnings(&bundle).as_slice(), [one] if one.contains(why)), "{:?}", warnings(&bundle));
    }
}

#[test]
fn authorities_that_are_none_are_left_out_and_the_others_kept() {
    let good = Ca::root("td");
    let leaf = Ca::root_with("td", |params| params.is_ca = IsCa::NoCa);
    let foreign = Ca::root("other");
    for (bad, why) in [
        (x509(&leaf), "X.509 authority 1 lacks the CA flag or keyCertSign: it is not used"),
        (x509(&foreign), "X.509 authority 1 has a SPIFFE ID that is not its trust domain's: it is not used"),
        (changed(x509(&good), "kty", json!("AKP")), "X.509 authority 1 has an unknown `kty`: it is not used"),
        (changed(x509(&good), "d", json!("AA")), "X.509 authority 1 has its private part in it: it is not used"),
    ] {
        let bundle = of(&[x509(&good), bad]);
        assert_eq!(counts(&bundle), (1, 0, 0), "{why}");
        assert!(warnings(&bundle).contains(&why), "{:?}", warnings(&bundle));
    }
}

#[test]
fn an_authority_may_have_a_key_that_tokens_are_not_signed_with() {
    let root = Ca::root_of("td", &rcgen::PKCS_ECDSA_P521_SHA512, |_| {});
    let bundle = of(&[json!({"kty": "EC", "crv": "P-521", "use": "x509-svid", "x5c": [STANDARD.encode(root.der())]})]);
    assert_eq!((counts(&bundle), warnings(&bundle)), ((1, 0, 0), vec![]));
}

#[test]
fn the_number_of_authorities_is_bounded() {
    let root = x509(&Ca::root("td"));
    assert_eq!(counts(&of(&vec![root.clone(); 256])), (1, 0, 0), "the same one, again and again");
    let many = parse(&document(&vec![root; 257], &json!({})));
    assert_eq!(many, Err(BundleError::TooManyAuthorities));
    let keys: Vec<Json> = (0..257).map(|number| json!({"use": "jwt-svid", "kid": number.to_string()})).collect();
    assert_eq!(parse(&document(&keys, &json!({}))), Err(BundleError::Keys(KeySetError::TooManyKeys)));
    let pem = Ca::root("td").pem();
    assert!(parse(&pem.repeat(256)).is_ok());
    assert_eq!(parse(&pem.repeat(257)), Err(BundleError::TooManyAuthorities));
    let der = vec![Ca::root("td").der(); 257];
    assert_eq!(Bundle::from_workload_api(&domain(), &der, &[]), Err(BundleError::TooManyAuthorities));
}

#[test]
fn i6_an_empty_bundle_is_a_bundle_that_proves_nothing() {
    let empty = of(&[]);
    assert!(empty.is_empty());
    assert_eq!(empty, Bundle::empty());
    assert_eq!(counts(&empty), (0, 0, 0));
}

#[test]
fn i6_sequence_and_refresh_hint_are_whole_numbers_of_64_bits() {
    let with = |name: &str, text: &str| parse(&format!(r#"{{"keys":[],"{name}":{text}}}"#));
    for (text, number) in [("0", Some(0)), ("42", Some(42)), ("18446744073709551615", Some(u64::MAX))] {
        assert_eq!(with("spiffe_sequence", text).unwrap().sequence, number);
    }
    let (sequence, hint) = ("spiffe_sequence", "spiffe_refresh_hint");
    for text in ["-1", "1.5", "1.0", "1e3", "18446744073709551616", "\"1\"", "null", "[]", "true"] {
        assert_eq!(with(sequence, text), Err(BundleError::Member(sequence)), "{text}");
        assert_eq!(with(hint, text), Err(BundleError::Member(hint)), "{text}");
    }
    let bundle = of(&[]);
    assert_eq!((bundle.sequence, bundle.refresh_hint), (None, None));
    for (text, seconds) in
        [("300", Some(300)), ("1", Some(1)), ("0", Some(0)), ("18446744073709551615", Some(u64::MAX))]
    {
        assert_eq!(with(hint, text).unwrap().refresh_hint, seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn parts_of_one_bundle_join() {
    let (first, second) = (Ca::root("td"), Ca::root("td"));
    let authorities = parse(&(first.pem() + &second.pem())).unwrap();
    let tokens = of(&[signer("jwt-svid", "j"), signer("wit-svid", "w")]);
    for joined in [authorities.clone().joined(tokens.clone()), tokens.clone().joined(authorities.clone())] {
        assert_eq!(counts(&joined), (2, 1, 1));
        assert_eq!(joined.jwt_authorities(), tokens.jwt_authorities());
    }
    let halves = parse(&first.pem()).unwrap().joined(parse(&second.pem()).unwrap());
    assert_eq!(halves, authorities);
    assert_eq!(halves.clone().joined(halves.clone()), authorities, "what stands in both stands there once");
    let newer = parse(r#"{"keys":[],"spiffe_sequence":2,"spiffe_refresh_hint":60}"#).unwrap();
    for joined in [newer.clone().joined(Bundle::empty()), Bundle::empty().joined(newer)] {
        assert_eq!((joined.sequence, joined.refresh_hint), (Some(2), Some(Duration::from_mins(1))));
    }
    let warned = parse(&x509_less()).unwrap().joined(of(&[signer("jwt-svid", "j")]));
    assert_eq!(warned.warnings().count(), 1);
}

/// A bundle with an authority that is left out.
fn x509_less() -> String {
    document(&[json!({"kty": "EC", "use": "x509-svid"})], &json!({}))
}
