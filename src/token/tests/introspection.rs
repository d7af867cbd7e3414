//! What an issuer's word on a token is worth (RFC 7662), once it is there. How it is asked is in [`asking`].

mod asking;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;

use super::forge::AUDIENCE;
use super::forge::ISSUER;
use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::caller;
use super::forge::claims;
use super::forge::issuer;
use super::forge::key_set;
use super::forge::now;
use super::forge::reason;
use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::facts::Caller;
use crate::facts::Http;
use crate::facts::User;
use crate::jose::fixtures::changed;
use crate::route::Possession;
use crate::token::AskedTokens;
use crate::token::Credential;
use crate::token::Introspected;
use crate::token::IntrospectionConfig;
use crate::token::IssuerConfig;
use crate::token::KeySource;
use crate::token::Need;
use crate::token::Presented;
use crate::token::Refusal;
use crate::token::introspection::Answer;

const OPAQUE: &str = "ory_at_2YotnFZFEjr1zCsicMWpAA";
const OTHER: &str = "https://other.example";
const CACHE: i64 = 30;

fn asking(tokens: AskedTokens) -> IntrospectionConfig {
    IntrospectionConfig {
        url: "https://idp.example/introspect".to_owned(),
        client_id: "countersign".to_owned(),
        client_secret_file: PathBuf::from("secret"),
        ca_file: None,
        cache: Duration::from_secs(u64::try_from(CACHE).unwrap()),
        tokens,
    }
}

fn asked(name: &str, tokens: AskedTokens) -> IssuerConfig {
    IssuerConfig { introspection: Some(asking(tokens)), ..issuer(name) }
}

fn keyless(name: &str) -> IssuerConfig {
    IssuerConfig { keys: KeySource::Nowhere, ..asked(name, AskedTokens::Opaque) }
}

fn world(issuers: Vec<IssuerConfig>, key: &SigningKey) -> World {
    World::of(issuers.into_iter().map(|issuer| (issuer, key_set(&[&key.jwk]))).collect())
}

/// An issuer's word at that second.
fn answer(issuer: &str, claims: Option<Json>, at: i64) -> Arc<Answer> {
    let claims = claims.map(|claims| serde_json::from_value(claims).unwrap());
    Arc::new(Answer { issuer: issuer.to_owned(), at: UnixTime::from_seconds(at), claims })
}

/// What an issuer says of a good token, some of it changed; null removes.
#[expect(clippy::unnecessary_wraps, reason = "as it is presented")]
fn active(changes: Json) -> Introspected {
    let base = changed(claims(json!({})), json!({"active": true, "token_type": "Bearer", "client_id": "agent"}));
    Ok(answer(ISSUER, Some(changed(base, changes)), NOW))
}

/// One call.
#[derive(Clone, Copy, Default)]
struct Call<'a> {
    caller: Option<&'a Caller>,
    issuers: Option<&'a str>,
    answer: Option<&'a Introspected>,
    later: i64,
}

fn call(world: &mut World, token: &str, call: Call<'_>) -> Result<Arc<User>, Refusal> {
    let presented = Presented {
        credential: Credential { scheme: Scheme::Bearer, token },
        http: &Http::default(),
        caller: call.caller,
        proof: Possession::Optional,
        issuers: call.issuers,
        proofs: &world.proofs,
        answer: call.answer,
    };
    world.verifier.verify(&presented, &world.keys, now().plus_seconds(call.later))
}

/// Whom the verifier wants to be asked.
fn question(world: &mut World, token: &str, issuers: Option<&str>) -> Option<String> {
    match call(world, token, Call { issuers, ..Call::default() }) {
        Err(Refusal::Needs(Need::Answer(question))) => {
            assert_eq!(question.token.expose(), token);
            Some(world.config.issuer(question.issuer).unwrap().issuer.clone())
        }
        _ => None,
    }
}

fn after(world: &mut World, token: &str, answer: &Introspected) -> Result<Arc<User>, Refusal> {
    call(world, token, Call { answer: Some(answer), ..Call::default() })
}

#[test]
fn d26_an_active_token_gives_the_user_that_the_issuer_names() {
    let key = SigningKey::es256("k1");
    let mut world = world(vec![asked(ISSUER, AskedTokens::Opaque)], &key);
    assert_eq!(question(&mut world, OPAQUE, None).as_deref(), Some(ISSUER));
    let unnamed = active(json!({"iss": null, "scope": "orders:read orders:write", "username": "al"}));
    let user = after(&mut world, OPAQUE, &unnamed).unwrap();
    assert_eq!((&*user.issuer, &*user.subject, user.client_id.as_deref()), (ISSUER, "alice", Some("agent")));
    assert_eq!(user.scopes, ["orders:read", "orders:write"]);
    assert_eq!((user.token_type.as_deref(), &user.claims["username"]), (None, &json!("al")));
}

#[test]
fn d26_a_token_is_refused_for_what_its_issuer_says_or_does_not_say() {
    let key = SigningKey::es256("k1");
    let certificate = json!({"x5t#S256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"});
    for (changes, expected) in [
        (json!({"iss": OTHER}), Reason::TokenIssuerUnknown),
        (json!({"iss": [ISSUER]}), Reason::TokenIssuerUnknown),
        (json!({"aud": null}), Reason::TokenAudience),
        (json!({"aud": "orders"}), Reason::TokenAudience),
        (json!({"sub": null}), Reason::TokenClaimMissing),
        (json!({"exp": null}), Reason::TokenClaimMissing),
        (json!({"exp": NOW - 30}), Reason::TokenExpired),
        (json!({"nbf": NOW + 31}), Reason::TokenNotYetValid),
        (json!({"sub": "spiffe://prod.example/a"}), Reason::TokenSubjectWorkload),
        (json!({"cnf": {"jkt": "?"}}), Reason::TokenConfirmation),
        // It is bound to a key, and it is not said to which.
        (json!({"token_type": "DPoP"}), Reason::TokenConfirmation),
        (json!({"token_type": "dpop", "cnf": {}}), Reason::TokenConfirmation),
        (json!({"cnf": certificate}), Reason::TokenConfirmation),
        (json!({"act": "bob"}), Reason::TokenDelegation),
        // A refresh token is active, too.
        (json!({"token_type": null}), Reason::TokenType),
        (json!({"token_type": "Refresh"}), Reason::TokenType),
        (json!({"token_type": 1}), Reason::TokenType),
        (json!({"token_use": "refresh_token"}), Reason::TokenType),
        (json!({"token_use": "id"}), Reason::TokenType),
        (json!({"token_use": null, "token_type": "N_A"}), Reason::TokenType),
    ] {
        let mut world = world(vec![asked(ISSUER, AskedTokens::Opaque)], &key);
        let said = active(changes.clone());
        assert_eq!(reason(after(&mut world, OPAQUE, &said), &changes.to_string()), expected, "{changes}");
        assert_eq!(question(&mut world, OPAQUE, None).as_deref(), Some(ISSUER), "a refusal is not kept: {changes}");
    }
    for changes in [
        json!({"token_type": "bearer"}),
        json!({"token_use": "access_token"}),
        json!({"token_use": "access"}),
        json!({"aud": ["else", AUDIENCE]}),
    ] {
        let mut world = world(vec![asked(ISSUER, AskedTokens::Opaque)], &key);
        assert!(after(&mut world, OPAQUE, &active(changes.clone())).is_ok(), "{changes}");
    }
}

#[test]
fn d26_an_inactive_token_and_one_without_an_answer_are_refused() {
    let key = SigningKey::es256("k1");
    let mut world = world(vec![asked(ISSUER, AskedTokens::All)], &key);
    let jwt = key.token(json!({}));
    let elsewhere = answer(OTHER, Some(claims(json!({"active": true, "token_type": "Bearer"}))), NOW);
    for token in [OPAQUE, &jwt] {
        for (said, expected) in [
            (Ok(answer(ISSUER, None, NOW)), Reason::TokenInactive),
            (Err(Reason::TokenIntrospectionUnavailable), Reason::TokenIntrospectionUnavailable),
            (Err(Reason::ServerDeadline), Reason::ServerDeadline),
            (Ok(Arc::clone(&elsewhere)), Reason::TokenIntrospectionUnavailable),
        ] {
            assert_eq!(reason(after(&mut world, token, &said), token), expected);
        }
    }
    assert_eq!(Reason::TokenInactive.http_status(), 401);
    assert_eq!(Reason::TokenIntrospectionUnavailable.http_status(), 503);
}

#[test]
fn d26_a_jwt_is_asked_about_where_that_is_configured_and_only_once_it_has_verified() {
    let (key, stranger) = (SigningKey::es256("k1"), SigningKey::es256("k1"));
    let mut opaque = world(vec![asked(ISSUER, AskedTokens::Opaque)], &key);
    assert!(opaque.verify(&key.token(json!({}))).is_ok());
    let mut all = world(vec![asked(ISSUER, AskedTokens::All)], &key);
    let jwt = key.token(json!({}));
    assert_eq!(question(&mut all, &jwt, None).as_deref(), Some(ISSUER));
    // Of the answer to a JWT only `active` counts: what it says is signed.
    let said = Ok(answer(ISSUER, Some(json!({"active": true, "sub": "mallory"})), NOW));
    assert_eq!(after(&mut all, &jwt, &said).unwrap().subject, "alice");
    for (token, expected) in [
        (stranger.token(json!({})), Reason::TokenSignatureInvalid),
        (key.token(json!({"exp": NOW - 30})), Reason::TokenExpired),
        (key.token(json!({"aud": "else"})), Reason::TokenAudience),
        (key.token(json!({"iss": OTHER})), Reason::TokenIssuerUnknown),
        ("a.b.c".to_owned(), Reason::TokenMalformed),
    ] {
        assert_eq!(reason(all.verify(&token), &token), expected, "and nobody is asked");
    }
}

#[test]
fn d26_an_issuer_without_keys_is_asked_about_all_that_names_it() {
    let key = SigningKey::es256("k1");
    let mut world = world(vec![keyless(ISSUER), issuer(OTHER)], &key);
    let (ours, others) = (key.token(json!({})), key.token(json!({"iss": OTHER})));
    assert_eq!(question(&mut world, &ours, None).as_deref(), Some(ISSUER));
    assert_eq!(question(&mut world, OPAQUE, None).as_deref(), Some(ISSUER));
    assert!(world.verify(&others).is_ok());
    let user = after(&mut world, &ours, &active(json!({"sub": "bob"}))).unwrap();
    assert_eq!(user.subject, "bob", "what the issuer says counts, not what an unverified token says");
    assert_eq!(world.keys.issuers(now()).map(|keys| keys.issuer.to_owned()).collect::<Vec<_>>(), [OTHER]);
}

#[test]
fn d16_a_jwt_of_an_issuer_without_keys_has_one_of_its_types_too() {
    let key = SigningKey::es256("k1");
    let typed = |typ| key.sign(&key.typed(typ), &claims(json!({})));
    for (types, good, bad) in [
        (&[][..], "at+jwt", &["logout+jwt", "dpop+jwt", "txntoken+jwt", "x"][..]),
        (&["at+jwt"], "application/at+jwt", &["JWT", "logout+jwt"]),
    ] {
        let token_types = types.iter().map(|typ: &&str| (*typ).to_owned()).collect();
        let mut world = world(vec![IssuerConfig { token_types, ..keyless(ISSUER) }], &key);
        assert!(after(&mut world, &typed(good), &active(json!({}))).is_ok(), "{types:?}");
        for typ in bad {
            assert_eq!(reason(world.verify(&typed(typ)), typ), Reason::TokenType, "and nobody is asked");
        }
    }
}

#[test]
fn d26_an_opaque_token_is_for_one_issuers_eyes() {
    let key = SigningKey::es256("k1");
    let both = || vec![asked(ISSUER, AskedTokens::Opaque), keyless(OTHER), issuer("https://signs.example")];
    let mut world = world(both(), &key);
    assert_eq!(reason(call(&mut world, OPAQUE, Call::default()), "two could be asked"), Reason::TokenIssuerUnknown);
    for (issuers, whom) in [
        (ISSUER, Some(ISSUER)),
        (OTHER, Some(OTHER)),
        ("https://signs.example https://other.example", Some(OTHER)),
        ("https://idp.example https://other.example", None),
        ("https://signs.example", None),
    ] {
        assert_eq!(question(&mut world, OPAQUE, Some(issuers)).as_deref(), whom, "{issuers}");
    }
    let signs = Call { issuers: Some("https://signs.example"), ..Call::default() };
    assert_eq!(reason(call(&mut world, OPAQUE, signs), "nobody can be asked"), Reason::TokenMalformed);
}

#[test]
fn k3_what_one_issuer_said_is_not_taken_for_another_on_another_route() {
    let key = SigningKey::es256("k1");
    let mut world = world(vec![asked(ISSUER, AskedTokens::Opaque), keyless(OTHER)], &key);
    let said = active(json!({}));
    let here = Call { issuers: Some(ISSUER), answer: Some(&said), ..Call::default() };
    assert_eq!(call(&mut world, OPAQUE, here).unwrap().issuer, ISSUER);
    assert_eq!(call(&mut world, OPAQUE, Call { answer: None, ..here }).unwrap().issuer, ISSUER, "it holds");
    assert_eq!(question(&mut world, OPAQUE, Some(OTHER)).as_deref(), Some(OTHER));
    let there = Call { issuers: Some(OTHER), ..here };
    let confused = reason(call(&mut world, OPAQUE, there), "the first issuer's answer");
    assert_eq!(confused, Reason::TokenIntrospectionUnavailable);
}

#[test]
fn d27_a_route_takes_the_tokens_of_its_issuers_alone_kept_or_not() {
    let key = SigningKey::es256("k1");
    let mut world = world(vec![issuer(ISSUER), issuer(OTHER)], &key);
    let token = key.token(json!({}));
    let route = |issuers| Call { issuers, ..Call::default() };
    for _time in 0..2 {
        assert!(call(&mut world, &token, route(None)).is_ok());
        assert!(call(&mut world, &token, route(Some("https://other.example https://idp.example"))).is_ok());
        for issuers in [OTHER, "https://idp.example/", "https://idp.exampl", ""] {
            let refused = reason(call(&mut world, &token, route(Some(issuers))), issuers);
            assert_eq!(refused, Reason::TokenIssuerUnknown, "{issuers}");
        }
    }
}

#[test]
fn k2_an_answer_holds_as_long_as_is_configured_and_no_longer_than_the_token() {
    let key = SigningKey::es256("k1");
    let jwt = key.token(json!({}));
    let said = active(json!({"exp": NOW + 20}));
    for (token, tokens) in [(OPAQUE, AskedTokens::Opaque), (&*jwt, AskedTokens::All)] {
        for (later, holds) in [(0, true), (29, true), (30, false), (31, false), (-1, false)] {
            let mut world = world(vec![asked(ISSUER, tokens)], &key);
            after(&mut world, token, &said).unwrap();
            let again = call(&mut world, token, Call { later, ..Call::default() });
            assert_eq!(again.is_ok(), holds, "{later}");
            assert_eq!(matches!(again, Err(Refusal::Needs(Need::Answer(_)))), !holds, "{later}");
        }
    }
    let never = IntrospectionConfig { cache: Duration::ZERO, ..asking(AskedTokens::Opaque) };
    let mut world = world(vec![IssuerConfig { introspection: Some(never), ..issuer(ISSUER) }], &key);
    after(&mut world, OPAQUE, &said).unwrap();
    assert_eq!(question(&mut world, OPAQUE, None).as_deref(), Some(ISSUER));
    let long = IntrospectionConfig { cache: Duration::from_mins(15), ..asking(AskedTokens::Opaque) };
    let mut world = self::world(vec![IssuerConfig { introspection: Some(long), ..issuer(ISSUER) }], &key);
    after(&mut world, OPAQUE, &said).unwrap();
    let ended = call(&mut world, OPAQUE, Call { later: 50, ..Call::default() });
    assert_eq!(reason(ended, "the token ends before the answer does"), Reason::TokenExpired);
}

#[test]
fn k2_what_is_known_to_be_withdrawn_is_not_good_again_by_a_clock_that_goes_back() {
    let key = SigningKey::es256("k1");
    let jwt = key.token(json!({"exp": NOW + 600}));
    for (token, tokens) in [(OPAQUE, AskedTokens::Opaque), (&*jwt, AskedTokens::All)] {
        let mut world = world(vec![asked(ISSUER, tokens)], &key);
        after(&mut world, token, &active(json!({"exp": NOW + 600}))).unwrap();
        let withdrawn = Ok(answer(ISSUER, None, NOW + 31));
        let told = call(&mut world, token, Call { answer: Some(&withdrawn), later: 31, ..Call::default() });
        assert_eq!(reason(told, "withdrawn"), Reason::TokenInactive);
        let back = call(&mut world, token, Call { later: 29, ..Call::default() });
        assert!(matches!(back, Err(Refusal::Needs(Need::Answer(_)))), "{back:?}");
    }
}

#[test]
fn d24_an_opaque_token_is_bound_as_its_issuer_says() {
    let key = SigningKey::es256("k1");
    let bound = active(json!({"cnf": {"x5t#S256": "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"}}));
    let (own, other) = (caller("spiffe://td/a", Some([5; 32])), caller("spiffe://td/a", Some([6; 32])));
    let mut world = world(vec![asked(ISSUER, AskedTokens::Opaque)], &key);
    for _time in 0..2 {
        let by = |caller| Call { caller, answer: Some(&bound), ..Call::default() };
        assert!(call(&mut world, OPAQUE, by(Some(&own))).is_ok());
        for caller in [Some(&other), None] {
            assert_eq!(reason(call(&mut world, OPAQUE, by(caller)), "another"), Reason::TokenConfirmation);
        }
    }
}
