//! The forms that a bundle comes in.

use std::slice;

use crate::jose::KeyUse;
use crate::trust::fixtures::ca::bundle;

use super::*;

#[test]
fn pem_may_have_text_around_it_and_either_line_end() {
    let (first, second) = (Ca::root("td"), Ca::root("td"));
    let both = bundle("td", &[&first, &second]);
    let pem = format!("{}{}", first.pem(), second.pem());
    for text in [
        pem.clone(),
        format!("\u{feff}\n# The authorities of td\nissuer: CN=a\n\n{pem}\nthe end\n"),
        pem.replace('\n', "\r\n"),
        format!("{}{}", second.pem(), first.pem()),
        pem.trim_end().to_owned(),
        format!("{pem}{pem}"),
    ] {
        let read = parse(&text).unwrap();
        assert_eq!(read, both, "{text}");
        assert_eq!(warnings(&read), [""; 0]);
    }
}

#[test]
fn other_pem_is_no_authority_and_a_private_key_is_pointed_out() {
    let root = Ca::root("td");
    let key = root.key().serialize_pem();
    let read = parse(&format!("{key}{}", root.pem())).unwrap();
    assert_eq!(counts(&read), (1, 0, 0));
    assert_eq!(warnings(&read), ["there is a private key in the bundle's file, where nobody needs one"]);
    assert!(!warnings(&read)[0].contains("MI"));
    for text in
        [key, root.pem().replace("CERTIFICATE", "TRUSTED CERTIFICATE"), root.pem().replace("CERTIFICATE", "CRL")]
    {
        assert_eq!(parse(&text), Err(BundleError::Pem));
    }
    let indented = format!("{}  {}", root.pem(), root.pem());
    assert_eq!(warnings(&parse(&indented).unwrap()), ["PEM that does not begin a line is not read"]);
}

#[test]
fn a_broken_document_is_refused_whole() {
    let pem = Ca::root("td").pem();
    let (most, _) = pem.split_at(pem.len() - 30);
    for text in
        [format!("{pem}{most}"), pem.replace("-----END CERTIFICATE", "-----END OTHER"), pem.replacen("MII", "M*I", 1)]
    {
        assert_eq!(parse(&text), Err(BundleError::Pem), "{text}");
    }
    for text in ["", "rubbish", "[]", "null", "\u{feff}{\"keys\":[]}", "----BEGIN CERTIFICATE-----"] {
        assert_eq!(parse(text), Err(BundleError::Form), "{text}");
    }
    let keys = Err(BundleError::Member("keys"));
    for (text, answer) in [
        ("{", Err(BundleError::Json(JsonError::Malformed))),
        ("{\"keys\":[]} x", Err(BundleError::Json(JsonError::Malformed))),
        ("{\"keys\":[],\"keys\":[]}", Err(BundleError::Json(JsonError::Repeated))),
        ("{\"keys\":[{\"use\":\"x509-svid\",\"use\":\"jwt-svid\"}]}", Err(BundleError::Json(JsonError::Repeated))),
        ("{\"keys\":{}}", keys.clone()),
        ("{\"keys\":null}", keys.clone()),
        ("{\"keys\":1}", keys),
        ("{\"keys\":[1]}", Err(BundleError::Keys(KeySetError::NoKeys))),
        ("{\"keys\":[[]]}", Err(BundleError::Keys(KeySetError::NoKeys))),
        ("{}", Err(BundleError::OtherDomain)),
        ("{\"Keys\":[]}", Err(BundleError::OtherDomain)),
    ] {
        assert_eq!(parse(text), answer, "{text}");
    }
    let deep = format!("{{\"keys\":[],\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(parse(&deep), Err(BundleError::Json(JsonError::TooLarge)));
    let wide = format!("{{\"keys\":[],\"a\":[{}1]}}", "1,".repeat(20_000));
    assert_eq!(parse(&wide), Err(BundleError::Json(JsonError::TooLarge)));
    assert_eq!(Bundle::parse(b"{\"keys\":[\"\xff\"]}", &domain()), Err(BundleError::Json(JsonError::Malformed)));
}

#[test]
fn unknown_members_are_no_matter() {
    let root = Ca::root("td");
    let key = changed(changed(x509(&root), "kid", json!("x")), "x5t", json!("y"));
    let read = parse(&document(&[key], &json!({"spiffe_sequence": 3, "trust_domain": "other", "td": "x"}))).unwrap();
    assert_eq!(counts(&read), (1, 0, 0));
}

#[test]
fn an_endpoint_serves_the_bundle_format_alone() {
    let root = Ca::root("td");
    let read = |text: &str| Bundle::parse_document(text.as_bytes(), &domain());
    assert_eq!(read(&document(&[x509(&root)], &json!({}))).unwrap(), bundle("td", &[&root]));
    assert_eq!(read(&root.pem()), Err(BundleError::Json(JsonError::Malformed)));
    assert_eq!(read(r#"{"td":"e30="}"#), Err(BundleError::Member("keys")));
}

/// A JWT bundle as spiffe-helper writes it: of each trust domain its JWKS in base 64. The keys have no `use`.
fn helpers(domains: &[(&str, &[Json])]) -> String {
    let map = domains.iter().map(|(domain, keys)| {
        let inner = json!({"keys": keys}).to_string();
        ((*domain).to_owned(), Json::from(STANDARD.encode(inner)))
    });
    Json::Object(map.collect()).to_string()
}

#[test]
fn spiffe_helpers_jwt_bundle_is_read_for_its_own_trust_domain() {
    let mut key = signer("jwt-svid", "own");
    let own = KeySet::from_keys(slice::from_ref(&key), KeyUse::Svid(JWT_SVID), RSA).unwrap();
    key.as_object_mut().unwrap().remove("use");
    let (key, other) = ([key], [signer("jwt-svid", "other")]);
    for name in ["td", "spiffe://td"] {
        let read = parse(&helpers(&[("other", &other), (name, &key)])).unwrap();
        assert_eq!(*read.jwt_authorities(), own, "{name}");
        assert_eq!(counts(&read), (0, 1, 0));
    }
    for absent in ["td.evil", "t", "TD", "spiffe://td/", ""] {
        assert_eq!(parse(&helpers(&[(absent, &key)])), Err(BundleError::OtherDomain), "{absent}");
    }
    for (text, answer) in [
        (r#"{"td":1}"#, BundleError::OtherDomain),
        (r#"{"td":"*"}"#, BundleError::Member("JWT bundle")),
        (r#"{"td":"e30="}"#, BundleError::Member("keys")),
        (r#"{"td":"e30"}"#, BundleError::Member("JWT bundle")),
        (r#"{"td":"eA=="}"#, BundleError::Json(JsonError::Malformed)),
    ] {
        assert_eq!(parse(text), Err(answer), "{text}");
    }
    // A JWT bundle brings no other authorities, whatever stands in it.
    let smuggled = parse(&helpers(&[("td", &[x509(&Ca::root("td")), signer("wit-svid", "w")])])).unwrap();
    assert_eq!(counts(&smuggled), (0, 0, 0));
}

#[test]
fn a_trust_domain_may_be_called_keys() {
    let text = helpers(&[("keys", &[signer("jwt-svid", "own")])]);
    let read = Bundle::parse(text.as_bytes(), &TrustDomain::parse("keys").unwrap()).unwrap();
    assert_eq!(counts(&read), (0, 1, 0));
    assert_eq!(parse(&text), Err(BundleError::OtherDomain));
}

#[test]
fn the_workload_apis_parts_are_read() {
    let root = Ca::root("td");
    let mut key = signer("jwt-svid", "j");
    key.as_object_mut().unwrap().remove("use");
    let read = Bundle::from_workload_api(&domain(), &[root.der()], &[key, signer("x509-svid", "x")]).unwrap();
    assert_eq!(counts(&read), (1, 1, 0));
    let bad = Bundle::from_workload_api(&domain(), &[b"rubbish".to_vec(), root.der()], &[]).unwrap();
    assert_eq!(counts(&bad), (1, 0, 0));
    assert_eq!(warnings(&bad), ["X.509 authority 0 is no DER certificate: it is not used"]);
}
