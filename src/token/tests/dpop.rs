//! L17 and the rest of D24 and E2: tokens that are bound to a key, and the proofs of it.

mod bindings;
mod laws;
mod nonces;

use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;

use super::forge::ISSUER;
use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::changed;
use super::forge::dpop;
use super::forge::encode;
use super::forge::issuer;
use super::forge::key_set;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::facts::Caller;
use crate::facts::Http;
use crate::facts::RawHeader;
use crate::facts::User;
use crate::jose;
use crate::jose::fixtures::SigningKey as Key;
use crate::route::Possession;
use crate::token::Config;
use crate::token::Credential;
use crate::token::DpopConfig;
use crate::token::PROOF_HEADER;
use crate::token::Refusal;
use crate::token::Verifier;

const TARGET: &str = "https://orders.example";
const PATH: &str = "/orders/42";

/// A client, its issuer, and who judges both.
struct Client {
    world: World,
    issuer: Key,
    key: Key,
}

impl Client {
    fn new() -> Self {
        Self::with_key(Key::es256("any"))
    }

    fn with_key(key: Key) -> Self {
        let issuer = SigningKey::es256("k1");
        Self { world: World::with_keys(&[&issuer.jwk]), issuer, key }
    }

    /// With an issuer that asks for something.
    fn asked(proof: Possession) -> Self {
        let key = SigningKey::es256("k1");
        let rules = crate::token::IssuerConfig { proof_of_possession: proof, ..issuer(ISSUER) };
        Self { world: World::of(vec![(rules, key_set(&[&key.jwk]))]), issuer: key, key: Key::es256("any") }
    }

    fn configured(&mut self, dpop: Option<DpopConfig>) {
        let config = Config { dpop, ..Config::clone(&self.world.config) };
        self.world.verifier = Verifier::new(Arc::new(config));
    }

    /// A token that is bound to this client's key.
    fn token(&self) -> String {
        self.issuer.token(json!({"cnf": {"jkt": jkt(&self.key)}}))
    }

    fn proof(&self, token: &str, changes: Json) -> String {
        self.key.sign(&proof_header(&self.key), &proof_claims(token, changes))
    }

    fn ask(&mut self, token: &str, proofs: &[&[u8]]) -> Result<Arc<User>, Denial> {
        self.ask_at(token, proofs, NOW)
    }

    fn ask_at(&mut self, token: &str, proofs: &[&[u8]], seconds: i64) -> Result<Arc<User>, Denial> {
        let credential = Credential { scheme: Scheme::Dpop, token };
        self.present(credential, &request(proofs), None, Possession::Optional, seconds)
    }

    fn present(
        &mut self,
        credential: Credential<'_>,
        http: &Http,
        caller: Option<&Caller>,
        proof: Possession,
        seconds: i64,
    ) -> Result<Arc<User>, Denial> {
        self.world.present(credential, http, caller, proof, seconds).map_err(|refusal| match refusal {
            Refusal::Denied(denial) => denial,
            Refusal::Needs(_) => panic!("the keys are there"),
        })
    }

    /// What becomes of a proof with these claims changed.
    fn claims(&mut self, changes: Json) -> Option<Reason> {
        let token = self.token();
        let proof = self.proof(&token, changes);
        reason(self.ask(&token, &[proof.as_bytes()]))
    }

    /// What becomes of a proof with this header changed.
    fn header(&mut self, changes: Json) -> Option<Reason> {
        let token = self.token();
        let header = changed(proof_header(&self.key), changes);
        let proof = self.key.sign(&header, &proof_claims(&token, json!({})));
        reason(self.ask(&token, &[proof.as_bytes()]))
    }
}

fn reason(result: Result<Arc<User>, Denial>) -> Option<Reason> {
    result.err().map(|denial| denial.reason)
}

fn jkt(key: &Key) -> String {
    encode(&jose::thumbprint(key.jwk.as_object().unwrap()).unwrap())
}

fn proof_header(key: &Key) -> Json {
    let jwk = changed(key.jwk.clone(), json!({"kid": null, "use": null, "alg": null}));
    changed(key.typed("dpop+jwt"), json!({"kid": null, "jwk": jwk}))
}

fn proof_claims(token: &str, changes: Json) -> Json {
    let (htu, ath) = (format!("{TARGET}{PATH}"), jose::token_hash(token.as_bytes()));
    changed(json!({"jti": "p1", "htm": "GET", "htu": htu, "iat": NOW, "ath": ath}), changes)
}

fn request(proofs: &[&[u8]]) -> Http {
    let header =
        |proof: &&[u8]| RawHeader { key: PROOF_HEADER.to_owned(), raw_value: proof.to_vec(), ..RawHeader::default() };
    let headers = proofs.iter().map(header).collect();
    let path = format!("{PATH}?page=2");
    Http {
        method: "GET".to_owned(),
        path,
        host: "evil.example".to_owned(),
        header_map: Some(headers),
        ..Http::default()
    }
}

#[test]
fn a_token_with_its_proof_is_good_for_its_user() {
    for key in
        [Key::es256("any"), Key::es384("any"), Key::ed25519("any"), Key::rsa("any", jsonwebtoken::Algorithm::PS256)]
    {
        let mut client = Client::with_key(key);
        let token = client.token();
        let proof = client.proof(&token, json!({}));
        assert_eq!(client.ask(&token, &[proof.as_bytes()]).unwrap().subject, "alice", "{}", client.key.jwk);
    }
}

#[test]
fn e2_a_bound_token_is_for_dpop_and_an_unbound_one_for_bearer() {
    let mut client = Client::new();
    let (bound, unbound) = (client.token(), client.issuer.token(json!({})));
    let proof = client.proof(&bound, json!({}));
    let http = request(&[proof.as_bytes()]);
    let downgraded = Credential { scheme: Scheme::Bearer, token: &bound };
    let denial = client.present(downgraded, &http, None, Possession::Optional, NOW).unwrap_err();
    assert_eq!((denial.reason, denial.scheme, denial.http_status()), (Reason::TokenConfirmation, Scheme::Bearer, 401));
    let proof = client.proof(&unbound, json!({}));
    let denial = client.ask(&unbound, &[proof.as_bytes()]).unwrap_err();
    assert_eq!((denial.reason, denial.scheme), (Reason::TokenConfirmation, Scheme::Dpop));
    assert_eq!(denial.challenge().unwrap().error, Some("invalid_token"));
}

#[test]
fn e2_without_dpop_its_scheme_is_refused_by_name() {
    let mut client = Client::new();
    client.configured(None);
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    let denial = client.ask(&token, &[proof.as_bytes()]).unwrap_err();
    assert_eq!((denial.reason, denial.scheme), (Reason::TokenScheme, Scheme::Bearer));
}

#[test]
fn l17_there_is_exactly_one_proof() {
    let mut client = Client::new();
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    let (one, joined) = (proof.as_bytes(), format!("{proof}, {proof}"));
    let long = format!("{proof}{}", "A".repeat(16 * 1024));
    let denial = client.ask(&token, &[]).unwrap_err();
    assert_eq!((denial.reason, denial.http_status()), (Reason::TokenDpopMissing, 401));
    assert_eq!(denial.challenge().unwrap().error, Some("invalid_dpop_proof"));
    for proofs in [&[one, one][..], &[one, b""], &[joined.as_bytes()], &[b""], &[b"\xff"], &[long.as_bytes()]] {
        assert_eq!(reason(client.ask(&token, proofs)), Some(Reason::TokenDpopInvalid));
    }
    assert_eq!(reason(client.ask(&token, &[one])), None);
}

#[test]
fn l17_the_header_is_that_of_a_proof_with_a_public_key() {
    let mut client = Client::new();
    let jwk = proof_header(&client.key)["jwk"].clone();
    let with = |changes: Json| json!({"jwk": changed(jwk.clone(), changes)});
    for changes in [
        json!({"typ": null}),
        json!({"typ": "JWT"}),
        json!({"typ": "at+jwt"}),
        json!({"typ": "wpt+jwt"}),
        json!({"alg": null}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "ES384"}),
        json!({"alg": "RS256"}),
        json!({"jwk": null}),
        json!({"jwk": "x"}),
        json!({"jwk": {}}),
        json!({"jwk": {"kty": "oct", "k": "AAAA"}}),
        json!({"crit": ["exp"]}),
        json!({"x5c": []}),
        json!({"jku": "https://attacker.example"}),
        with(json!({"d": "AAAA"})),
        with(json!({"alg": "ES384"})),
        with(json!({"use": "enc"})),
        with(json!({"key_ops": ["sign"]})),
        with(json!({"kty": null})),
        with(json!({"x": "AAAA"})),
    ] {
        assert_eq!(client.header(changes.clone()), Some(Reason::TokenDpopInvalid), "{changes}");
    }
    assert_eq!(client.header(json!({"typ": "application/DPoP+jwt", "kid": "whatever"})), None);
}

#[test]
fn l17_a_proof_is_for_this_request_and_token_now() {
    let refused = Some(Reason::TokenDpopInvalid);
    for (changes, answer) in [
        (json!({"htm": "POST"}), refused),
        (json!({"htm": "get"}), refused),
        (json!({"htm": null}), refused),
        (json!({"htm": 1}), refused),
        (json!({"htu": format!("{TARGET}/orders/43")}), refused),
        (json!({"htu": format!("https://evil.example{PATH}")}), refused),
        (json!({"htu": format!("http://orders.example{PATH}")}), refused),
        (json!({"htu": format!("http://billing.example:8080{PATH}")}), refused),
        (json!({"htu": PATH}), refused),
        (json!({"htu": null}), refused),
        (json!({"htu": [format!("{TARGET}{PATH}")]}), refused),
        (json!({"htu": format!("HTTPS://Orders.example:443{PATH}?page=3#x")}), None),
        (json!({"ath": jose::token_hash(b"another")}), refused),
        (json!({"ath": ""}), refused),
        (json!({"ath": null}), refused),
        (json!({"iat": null}), refused),
        (json!({"iat": "now"}), refused),
        (json!({"iat": NOW - 61}), refused),
        (json!({"iat": NOW - 60}), None),
        (json!({"iat": NOW + 10}), None),
        (json!({"iat": NOW + 11}), refused),
        (json!({"jti": null}), refused),
        (json!({"jti": ""}), refused),
        (json!({"jti": 1}), refused),
        (json!({"jti": "j".repeat(256)}), None),
        (json!({"jti": "j".repeat(257)}), refused),
        (json!({"nonce": 1}), refused),
        (json!({"nonce": "not asked for"}), None),
    ] {
        assert_eq!(Client::new().claims(changes.clone()), answer, "{changes}");
    }
}

#[test]
fn l17_the_proof_is_by_the_key_that_the_token_is_bound_to() {
    let mut client = Client::new();
    let token = client.token();
    let thief = Key::es256("any");
    let own = thief.sign(&proof_header(&thief), &proof_claims(&token, json!({})));
    let borrowed = thief.sign(&proof_header(&client.key), &proof_claims(&token, json!({})));
    for proof in [own, borrowed] {
        assert_eq!(reason(client.ask(&token, &[proof.as_bytes()])), Some(Reason::TokenDpopInvalid));
    }
    let another = client.issuer.token(json!({"cnf": {"jkt": jkt(&thief)}}));
    let proof = client.proof(&another, json!({}));
    assert_eq!(reason(client.ask(&another, &[proof.as_bytes()])), Some(Reason::TokenDpopInvalid));
}

#[test]
fn l17_a_proof_is_good_once() {
    let mut client = Client::new();
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    assert_eq!(reason(client.ask(&token, &[proof.as_bytes()])), None);
    for second in [0, 60] {
        let denial = client.ask_at(&token, &[proof.as_bytes()], NOW + second).unwrap_err();
        assert_eq!((denial.reason, denial.http_status()), (Reason::TokenDpopReplayed, 401));
        assert_eq!(denial.challenge().unwrap().error, Some("invalid_dpop_proof"));
    }
    // Another worker has a verifier of its own, and the same memory.
    client.world.verifier = Verifier::new(Arc::clone(&client.world.config));
    assert_eq!(reason(client.ask(&token, &[proof.as_bytes()])), Some(Reason::TokenDpopReplayed));
    assert_eq!(reason(client.ask_at(&token, &[proof.as_bytes()], NOW + 61)), Some(Reason::TokenDpopInvalid));
    let next = client.proof(&token, json!({"jti": "p2"}));
    assert_eq!(reason(client.ask(&token, &[next.as_bytes()])), None);
}

#[test]
fn l17_what_is_refused_uses_nothing_up() {
    let mut client = Client::new();
    let token = client.token();
    let expired = client.issuer.token(json!({"cnf": {"jkt": jkt(&client.key)}, "exp": NOW - 60}));
    let proof = client.proof(&expired, json!({}));
    assert_eq!(reason(client.ask(&expired, &[proof.as_bytes()])), Some(Reason::TokenExpired));
    let wrong = client.proof(&token, json!({"htm": "PUT"}));
    assert_eq!(reason(client.ask(&token, &[wrong.as_bytes()])), Some(Reason::TokenDpopInvalid));
    let right = client.proof(&token, json!({}));
    assert_eq!(reason(client.ask(&token, &[right.as_bytes()])), None);
}

#[test]
fn l17_a_nonce_is_asked_for_and_taken() {
    let mut client = Client::new();
    client.configured(Some(DpopConfig { nonce: true, ..dpop() }));
    let token = client.token();
    let proof = client.proof(&token, json!({}));
    let denial = client.ask(&token, &[proof.as_bytes()]).unwrap_err();
    assert_eq!((denial.reason, denial.http_status()), (Reason::TokenDpopNonce, 401));
    assert_eq!(denial.challenge().unwrap().error, Some("use_dpop_nonce"));
    let headers = denial.response.unwrap().headers;
    let [nonce] = headers.as_slice() else { panic!("{headers:?}") };
    assert_eq!(nonce.name(), "dpop-nonce");
    for (value, answer) in [("invented", Some(Reason::TokenDpopNonce)), (nonce.value(), None)] {
        let proof = client.proof(&token, json!({"nonce": value}));
        assert_eq!(reason(client.ask(&token, &[proof.as_bytes()])), answer, "{value}");
    }
    let late = client.proof(&token, json!({"nonce": nonce.value(), "iat": NOW + 120, "jti": "p3"}));
    assert_eq!(reason(client.ask_at(&token, &[late.as_bytes()], NOW + 120)), Some(Reason::TokenDpopNonce));
}
