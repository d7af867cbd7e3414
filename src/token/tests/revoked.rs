//! What is revoked is refused, also where the verification is kept, and nothing else is.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;

use super::forge::ISSUER;
use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::issuer;
use super::forge::key_set;
use crate::decision::Reason;
use crate::problem::Problem;
use crate::token::Config;
use crate::token::Revoked;
use crate::token::revoked;

const OTHER: &str = "https://other.example";

fn config() -> Config {
    Config { issuers: vec![issuer(ISSUER), issuer(OTHER)], ..Config::default() }
}

/// What comes of files with these texts.
fn read(texts: &[&str]) -> Result<(Revoked, Vec<Problem>), Vec<Problem>> {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..texts.len()).map(|number| folder.path().join(format!("{number}.json"))).collect();
    for (path, text) in paths.iter().zip(texts) {
        fs::write(path, text).unwrap();
    }
    revoked::read(&paths, &config())
}

fn revoking(document: &Json) -> Arc<Revoked> {
    Arc::new(read(&[&document.to_string()]).unwrap().0)
}

fn error(text: &str) -> String {
    let problems = read(&[text]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!((problems[0].path.as_str(), problems[0].is_error()), ("revocations[0]", true));
    problems[0].message.split_once("`: ").unwrap().1.to_owned()
}

#[test]
fn k2_a_token_that_is_kept_is_refused_once_it_is_revoked() {
    let key = SigningKey::es256("k1");
    for (listed, claims) in [
        (json!({"jti": ["t1"]}), json!({"jti": "t1"})),
        (json!({"sub": ["alice"]}), json!({})),
        (json!({"client_id": ["agent"]}), json!({"client_id": "agent"})),
        (json!({"client_id": ["agent"]}), json!({"azp": "agent"})),
        (json!({"client_id": ["agent"]}), json!({"client_id": "another", "azp": "agent"})),
    ] {
        let mut world = World::with_keys(&[&key.jwk]);
        let token = key.token(claims);
        assert!(world.verify(&token).is_ok());
        assert_eq!(world.verifier.cache().len(), 1);
        let mut document = listed.clone();
        document["issuer"] = json!(ISSUER);
        let World { config, keys, verifier, proofs } = world;
        let mut world = World { config, keys, proofs, verifier: verifier.revoking(revoking(&document)) };
        assert_eq!(world.verifier.cache().len(), 1, "{listed}: a hit is what is asked");
        assert_eq!(world.denied(&token), Reason::TokenRevoked, "{listed}");
        let fresh = key.token(json!({"jti": "t1", "client_id": "agent", "iat": NOW - 11}));
        assert_eq!(world.denied(&fresh), Reason::TokenRevoked, "{listed}");
        let World { config, keys, verifier, proofs } = world;
        let mut world = World { config, keys, proofs, verifier: verifier.revoking(Arc::default()) };
        assert!(world.verify(&token).is_ok(), "{listed}: no longer listed");
    }
    assert_eq!(Reason::TokenRevoked.http_status(), 401);
}

#[test]
fn d14_what_one_issuer_revokes_is_not_revoked_at_another() {
    let keys = [SigningKey::es256("k1"), SigningKey::es256("k2")];
    let mut world =
        World::of(vec![(issuer(ISSUER), key_set(&[&keys[0].jwk])), (issuer(OTHER), key_set(&[&keys[1].jwk]))]);
    let document = json!([{"issuer": OTHER, "jti": ["t1"], "sub": ["alice"], "client_id": ["agent"]}]);
    world.verifier = crate::token::Verifier::new(Arc::clone(&world.config)).revoking(revoking(&document));
    let claims = json!({"jti": "t1", "client_id": "agent"});
    assert!(world.verify(&keys[0].token(claims)).is_ok());
    let claims = json!({"iss": OTHER, "jti": "t1", "client_id": "agent"});
    assert_eq!(world.denied(&keys[1].token(claims)), Reason::TokenRevoked);
}

#[test]
fn d10_a_claim_that_no_list_could_name_is_refused_where_there_is_one() {
    let key = SigningKey::es256("k1");
    let mut world = World::with_keys(&[&key.jwk]);
    let numbered = key.token(json!({"jti": 7}));
    assert!(world.verify(&numbered).is_ok());
    for (document, wanted) in [
        (json!({"issuer": ISSUER, "jti": ["7"]}), Some(Reason::TokenClaimInvalid)),
        (json!({"issuer": ISSUER, "sub": ["bob"]}), None),
        (json!({"issuer": OTHER, "jti": ["7"]}), None),
    ] {
        let verifier = crate::token::Verifier::new(Arc::clone(&world.config)).revoking(revoking(&document));
        world.verifier = verifier;
        let found = world.verify(&numbered).err().map(|_refused| world.denied(&numbered));
        assert_eq!(found, wanted, "{document}");
        assert!(world.verify(&key.token(json!({}))).is_ok(), "a token without `jti`");
    }
    let document = json!({"issuer": ISSUER, "client_id": ["agent"]});
    world.verifier = crate::token::Verifier::new(Arc::clone(&world.config)).revoking(revoking(&document));
    let listed = key.token(json!({"client_id": "another", "azp": ["agent"]}));
    assert_eq!(world.denied(&listed), Reason::TokenClaimInvalid);
}

#[test]
fn several_files_and_entries_add_up() {
    let texts = [
        json!({"issuer": ISSUER, "jti": ["t1"], "sub": [], "client_id": []}).to_string(),
        json!([{"issuer": ISSUER, "jti": ["t2"]}, {"issuer": ISSUER, "sub": ["bob"]}]).to_string(),
        "[]".to_owned(),
    ];
    let (revoked, problems) = read(&[&texts[0], &texts[1], &texts[2]]).unwrap();
    assert_eq!(problems, []);
    let key = SigningKey::es256("k1");
    let World { config, keys, verifier, proofs } = World::with_keys(&[&key.jwk]);
    let mut world = World { config, keys, proofs, verifier: verifier.revoking(Arc::new(revoked)) };
    for (claims, is_revoked) in [
        (json!({"jti": "t1"}), true),
        (json!({"jti": "t2"}), true),
        (json!({"jti": "t3"}), false),
        (json!({"jti": "T1"}), false),
        (json!({"sub": "bob"}), true),
    ] {
        let found = world.verify(&key.token(claims.clone())).is_err();
        assert_eq!(found, is_revoked, "{claims}");
    }
}

#[test]
fn a_file_that_is_not_understood_whole_is_not_taken_at_all() {
    const LISTS: &str = "is no list of strings that are not empty";
    for (text, told) in [
        ("", "the file is no JSON object or list of objects"),
        ("t1\nt2\n", "the file is no JSON object or list of objects"),
        ("7", "the file is no JSON object or list of objects"),
        ("[\"t1\"]", "the file is no JSON object or list of objects"),
        ("{} {}", "the file is no JSON object or list of objects"),
        ("{}", "entry 0 has no `issuer`"),
        (r#"{"issuer": 7}"#, "entry 0 has no `issuer`"),
        (r#"[{"issuer": "a"}, {"jti": ["t1"]}]"#, "entry 1 has no `issuer`"),
        (r#"{"issuer": "a", "issuer": "b"}"#, "the file names a member twice"),
        (r#"{"issuer": "a", "jti": [["t1"]]}"#, &format!("`jti` of entry 0 {LISTS}")),
        (r#"{"issuer": "a", "jti": "t1"}"#, &format!("`jti` of entry 0 {LISTS}")),
        (r#"{"issuer": "a", "jti": null}"#, &format!("`jti` of entry 0 {LISTS}")),
        (r#"{"issuer": "a", "sub": [7]}"#, &format!("`sub` of entry 0 {LISTS}")),
        (r#"{"issuer": "a", "client_id": [""]}"#, &format!("`client_id` of entry 0 {LISTS}")),
        (
            r#"{"issuer": "a", "jtis": ["t1"]}"#,
            "entry 0 has a member other than `issuer`, `jti`, `sub` and `client_id`",
        ),
        ("[[[[]]]]", "the file is nested too deep or has too many values"),
    ] {
        assert_eq!(error(text), told, "{text}");
    }
    assert!(revoked::read(&[PathBuf::from("/missing/revoked.json")], &config()).is_err());
    assert!(revoked::read(&[PathBuf::from("/dev/zero")], &config()).is_err());
}

#[test]
fn every_bad_file_is_told_and_a_strange_issuer_is_a_warning() {
    let problems = read(&["{}", r#"{"issuer": "a"}"#, "nope"]).unwrap_err();
    let told: Vec<_> = problems.iter().map(|problem| (problem.path.as_str(), problem.is_error())).collect();
    assert_eq!(told, [("revocations[0]", true), ("revocations[1]", false), ("revocations[2]", true)]);
    let (_revoked, warnings) = read(&[&json!({"issuer": format!("{ISSUER}/"), "jti": ["t1"]}).to_string()]).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].message.ends_with("the issuer `https://idp.example/` is not configured"), "{warnings:?}");
}

#[test]
fn k1_entries_and_bytes_are_bounded_over_all_files() {
    let list = |count: usize| {
        let ids: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        json!({"issuer": ISSUER, "jti": ids}).to_string()
    };
    let most = 256 * 1024;
    assert!(read(&[&list(most)]).is_ok());
    assert_eq!(error(&list(most + 1)), "more than 262144 tokens, subjects and clients are revoked");
    assert!(read(&[&list(most), &list(1)]).is_err());
    assert_eq!(error(&" ".repeat(16 * 1024 * 1024 + 1)), "the document has more than 16777216 bytes");
    let long = |bytes: usize| json!({"issuer": ISSUER, "sub": ["a".repeat(bytes)]}).to_string();
    assert!(read(&[&long(16 * 1024)]).is_ok());
    assert!(read(&[&long(16 * 1024 + 1)]).is_err());
}
