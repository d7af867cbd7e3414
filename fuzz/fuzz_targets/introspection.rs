//! What an issuer answers about a token: nobody is let in who is not active, and nobody by another issuer's word, by a token
//! that is not for here, or by one that is bound. The answer is read a second time by another reader, which is the judge.
#![no_main]

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::decision::Scheme;
use countersign::facts::Http;
use countersign::facts::User;
use countersign::route::Possession;
use countersign::token::ActorRule;
use countersign::token::AskedTokens;
use countersign::token::ClaimPaths;
use countersign::token::Config;
use countersign::token::Credential;
use countersign::token::IntrospectionConfig;
use countersign::token::IssuerConfig;
use countersign::token::KeySets;
use countersign::token::KeySource;
use countersign::token::Presented;
use countersign::token::Proofs;
use countersign::token::Verifier;
use countersign::token::introspection::Answer;
use countersign::token::introspection::read_answer;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const ISSUER: &str = "https://idp.example";
const AUDIENCE: &str = "orders-api";
const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

thread_local! {
    static WORLD: RefCell<(Verifier, KeySets)> = RefCell::new(world());
}

fuzz_target!(|body: &[u8]| {
    let Ok(claims) = read_answer(body) else { return };
    let judge: Value = serde_json::from_slice(body).expect("whoever is stricter reads less");
    assert_eq!(claims.is_some(), judge["active"] == true);
    let answer = Answer { issuer: ISSUER.to_owned(), at: NOW, claims };
    WORLD.with_borrow_mut(|(verifier, keys)| {
        if let Some(user) = verify(verifier, keys, answer) {
            check(&user, &judge);
        }
    });
});

fn check(user: &User, judge: &Value) {
    assert_eq!(judge["active"], true);
    assert_eq!(user.issuer, ISSUER);
    assert!(judge["iss"].is_null() || judge["iss"] == ISSUER);
    assert_eq!(judge["sub"], user.subject);
    assert!(judge["aud"] == AUDIENCE || judge["aud"].as_array().is_some_and(|all| all.contains(&AUDIENCE.into())));
    assert!(judge["exp"].as_f64().is_some_and(|end| end > 1_799_999_000.0));
    assert!(judge["token_type"].as_str().is_some_and(|named| matches!(&*named.to_lowercase(), "bearer" | "dpop")));
    assert!(judge.get("cnf").is_none(), "nothing was proven");
}

fn verify(verifier: &mut Verifier, keys: &KeySets, answer: Answer) -> Option<Arc<User>> {
    let answer = Ok(Arc::new(answer));
    let presented = Presented {
        credential: Credential { scheme: Scheme::Bearer, token: "2YotnFZFEjr1zCsicMWpAA" },
        http: &Http::default(),
        caller: None,
        proof: Possession::Optional,
        issuers: None,
        proofs: &Proofs::new(),
        answer: Some(&answer),
    };
    verifier.verify(&presented, keys, NOW).ok()
}

fn world() -> (Verifier, KeySets) {
    let introspection = IntrospectionConfig {
        url: "https://idp.example/introspect".to_owned(),
        client_id: "countersign".to_owned(),
        client_secret_file: PathBuf::new(),
        ca_file: None,
        // Each answer counts for itself.
        cache: Duration::ZERO,
        tokens: AskedTokens::Opaque,
    };
    let issuer = IssuerConfig {
        issuer: ISSUER.to_owned(),
        keys: KeySource::Nowhere,
        introspection: Some(introspection),
        algorithms: Vec::new(),
        audiences: vec![AUDIENCE.to_owned()],
        required_claims: Vec::new(),
        claims: ClaimPaths::default(),
        token_types: Vec::new(),
        leeway: Duration::from_secs(30),
        refresh_interval: Duration::MAX,
        refresh_cooldown: Duration::MAX,
        max_stale: Duration::MAX,
        optional: false,
        workload_subjects: false,
        proof_of_possession: Possession::Optional,
        actor: ActorRule::Any,
    };
    let config = Arc::new(Config { issuers: vec![issuer], dpop: None });
    (Verifier::new(Arc::clone(&config)), KeySets::empty(config))
}
