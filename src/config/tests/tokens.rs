//! Proof of possession and actors: what must hold between their keys.

use std::time::Duration;

use super::*;
use crate::route::Possession;
use crate::token::ActorRule;
use crate::token::AskedTokens;
use crate::token::KeySource;

/// The least document with something more for its issuer, and keys more.
fn with(issuer: &str, more: &str) -> String {
    format!("{}{more}", LEAST.replace("audiences: [orders-api]", &format!("audiences: [orders-api]{issuer}")))
}

const DPOP: &str = "dpop: {targets: ['https://orders.example']}\n";

#[test]
fn proof_of_possession_is_read_into_its_place() {
    let text = with(", proof_of_possession: dpop, actor: caller", DPOP);
    let settings = Folder::new().read(&text).unwrap().settings;
    let issuer = &settings.token.issuers[0];
    assert_eq!((issuer.proof_of_possession, issuer.actor), (Possession::Dpop, ActorRule::Caller));
    let dpop = settings.token.dpop.unwrap();
    assert_eq!((dpop.targets.as_slice(), dpop.nonce), (["https://orders.example".to_owned()].as_slice(), false));
    assert_eq!(dpop.max_age, Duration::from_mins(1));
    assert_eq!(Folder::new().read(LEAST).unwrap().settings.token.dpop, None);
}

#[test]
fn what_could_never_be_proven_is_an_error() {
    let nobody = "caller: {principal: false, certificate: false}\nroutes: {caller: optional}\n";
    for (issuer, more, problem) in [
        (", proof_of_possession: dpop", "", "issuers[0].proof_of_possession: is `dpop`, but no DPoP proof"),
        (
            ", proof_of_possession: certificate",
            "caller: {certificate: false}\n",
            "issuers[0].proof_of_possession: is `certificate`, but no certificate",
        ),
        (", actor: caller", nobody, "issuers[0].actor: is `caller`, but no evidence"),
        (", proof_of_possession: always", "", "issuers[0].proof_of_possession: `always` is none of"),
        (", actor: callers", "", "issuers[0].actor: `callers` is none of `any`, `caller` (did you mean `caller`?)"),
        ("", "dpop: {targets: [orders.example]}\n", "dpop.targets[0]: `orders.example` does not begin with"),
        ("", "dpop: {targets: ['https://a?b']}\n", "dpop.targets[0]: `https://a?b` has a query"),
        ("", "dpop: {targets: ['https://a'], max_age: 1500ms}\n", "dpop.max_age: is no whole number of seconds"),
        ("", "dpop: {targets: ['https://a'], max_age: 301s}\n", "dpop.max_age: `301s`"),
        ("", "dpop: {targets: ['https://a'], max_age: 0s}\n", "dpop.max_age: `0s`"),
        ("", "dpop: {targets: ['https://a'], nonce: maybe}\n", "dpop.nonce: `maybe` is no boolean"),
        ("", "dpop: {nonce: true}\n", "dpop.nonce: is only looked at with `targets`"),
        ("", "dpop: {max_age: 30s}\n", "dpop.max_age: is only looked at with `targets`"),
        ("", "dpop: {nonce_secret_file: nonce.secret}\n", "dpop.nonce_secret_file: is only looked at with `targets`"),
        (
            "",
            "dpop: {targets: ['https://a'], nonce_secret_file: nonce.secret}\n",
            "dpop.nonce_secret_file: is only looked at with `nonce: true` (set dpop.nonce: true, or remove it)",
        ),
    ] {
        let told = told(Folder::new().read(&with(issuer, more)));
        assert!(told.len() == 1 && told[0].contains(problem), "{issuer} {more}: {told:?}");
    }
    for (issuer, more) in [
        (", proof_of_possession: required", ""),
        (", proof_of_possession: certificate", ""),
        (", proof_of_possession: dpop, actor: caller", DPOP),
    ] {
        assert!(told(Folder::new().read(&with(issuer, more))).is_empty(), "{issuer} {more}");
    }
}

const INTROSPECTION: &str = "url: 'https://idp.example/introspect', client_id: countersign, client_secret_file: secret";

#[test]
fn introspection_is_read_into_its_place() {
    let text = with(&format!(", introspection: {{{INTROSPECTION}, cache: 5s, tokens: all}}"), "");
    let issuer = Folder::new().read(&text).unwrap().settings.token.issuers.remove(0);
    let introspection = issuer.introspection.unwrap();
    assert_eq!((introspection.tokens, introspection.cache), (AskedTokens::All, Duration::from_secs(5)));
    assert_ne!(issuer.keys, KeySource::Nowhere);
    let keyless = with(&format!(", introspection: {{{INTROSPECTION}}}"), "")
        .replace("keys: {file: jwks.json}, algorithms: [ES256], ", "");
    let issuer = Folder::new().read(&keyless).unwrap().settings.token.issuers.remove(0);
    assert_eq!((issuer.keys, issuer.algorithms), (KeySource::Nowhere, Vec::new()));
    assert_eq!(issuer.introspection.unwrap().tokens, AskedTokens::Opaque);
}

#[test]
fn two_issuers_of_opaque_tokens_are_a_warning() {
    let asked =
        |name: &str| format!("- {{issuer: 'https://{name}', audiences: [a], introspection: {{{INTROSPECTION}}}}}\n");
    let document = |issuers: &str| format!("issuers:\n{issuers}policy: {{paths: [policies]}}\n");
    assert!(told(Folder::new().read(&document(&asked("one")))).is_empty());
    let told = told(Folder::new().read(&document(&(asked("one") + &asked("two")))));
    let [warning] = &told[..] else { panic!("{told:?}") };
    assert!(
        warning.contains("warning: issuers[1].introspection: is asked about opaque tokens, as issuers[0] is"),
        "{told:?}"
    );
}

#[test]
fn an_issuer_that_could_not_be_asked_is_an_error() {
    let without = |part: &str| INTROSPECTION.replace(part, "").trim_start_matches(", ").to_owned();
    let id = without(", client_id: countersign");
    let secret = without(", client_secret_file: secret");
    let url = without("url: 'https://idp.example/introspect'");
    for (introspection, problems) in [
        (id, &["introspection.client_id: is missing"][..]),
        (secret, &["introspection.client_secret_file: is missing"]),
        (url, &["introspection.client_id: is of no use", "introspection.client_secret_file: is of no use"]),
        (
            "cache: 5s, tokens: all".to_owned(),
            &["introspection.cache: is of no use", "introspection.tokens: is of no use"],
        ),
    ] {
        let told = told(Folder::new().read(&with(&format!(", introspection: {{{introspection}}}"), "")));
        assert_eq!(told.len(), problems.len(), "{introspection}: {told:?}");
        for problem in problems {
            assert!(told.iter().any(|told| told.contains(problem)), "{introspection}: {told:?}");
        }
    }
    let asked = with(&format!(", introspection: {{{INTROSPECTION}}}"), "");
    for (from, to, problem) in [
        ("keys: {file: jwks.json}, ", "", "issuers[0].algorithms: is of no use without `keys`"),
        ("keys: {file: jwks.json}", "keys: {}", "issuers[0].keys: names no source of keys"),
        ("algorithms: [ES256], ", "", "issuers[0].algorithms: is missing"),
    ] {
        let told = told(Folder::new().read(&asked.replace(from, to)));
        assert!(told.len() == 1 && told[0].contains(problem), "{from}: {told:?}");
    }
}

#[test]
fn targets_are_bounded() {
    let targets = |count: usize| format!("dpop: {{targets: [{}]}}\n", vec!["'https://a'"; count].join(", "));
    assert!(told(Folder::new().read(&with("", &targets(64)))).is_empty());
    let told = told(Folder::new().read(&with("", &targets(65))));
    assert!(told.len() == 1 && told[0].contains("at most 64 are taken"), "{told:?}");
}
