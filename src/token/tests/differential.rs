//! The verifier against a second opinion: what the standards refuse, it never accepts, and where it is stricter, that is
//! on purpose.

mod second_opinion;
mod tokens;

use std::collections::BTreeSet;

use serde_json::Value as Json;
use serde_json::json;

use self::tokens::Choice;
use self::tokens::DAMAGES;
use self::tokens::PLAIN_KEYS;
use self::tokens::WRITINGS;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::changed;
use super::forge::claims;
use super::wycheproof::accepts;
use super::wycheproof::vectors;
use crate::decision::Reason;
use crate::token::Refusal;

/// Tokens with several changes at once, beside those with one.
const COMBINED: usize = 3000;

/// What is refused though the standards allow it: the reason, what its detail says, and why.
const STRICTER: &[(Reason, &str, &str)] = &[
    (Reason::TokenKeyUnknown, "stands in the set twice", "which of two keys with one `kid` is meant would be luck"),
    (Reason::TokenKeyUnknown, "not exactly one key fits", "without `kid` keys are not tried one after the other"),
    (Reason::TokenAlgorithm, "its key for RS256", "a key has one algorithm (RFC 8725 §3.1), and this is the issuer's"),
    (
        Reason::TokenHeaderForbidden,
        "`b64`",
        "RFC 7797: another signing input; without `crit` others take it as this one",
    ),
    (Reason::TokenHeaderForbidden, "`enc`", "of JWE, which has another form"),
    (Reason::TokenHeaderForbidden, "`zip`", "of JWE, and a bomb"),
    (Reason::TokenHeaderForbidden, "`jwk`", "brings its own key (RFC 8725 §3.10)"),
    (Reason::TokenHeaderForbidden, "`jku`", "points to its own keys"),
    (Reason::TokenHeaderForbidden, "`x5u`", "points to its own keys"),
    (Reason::TokenHeaderForbidden, "`x5c`", "brings its own key"),
    (Reason::TokenHeaderForbidden, "another token", "a nested token would have to be verified twice over"),
    (Reason::TokenMalformed, "the header names a member twice", "who reads the first of them would differ"),
    (Reason::TokenMalformed, "the payload names a member twice", "who reads the first of them would differ"),
    (Reason::TokenTooLarge, "the header is longer", "bounded work for what nobody has signed yet"),
    (Reason::TokenTooLarge, "the header is nested", "bounded work for what nobody has signed yet"),
    (Reason::TokenTooLarge, "the payload is nested", "bounded work for what nobody has signed yet"),
    (Reason::TokenTooLarge, "the token is longer", "bounded work for what nobody has signed yet"),
    (Reason::TokenType, "`typ` is not one", "a token with another purpose is no access token (RFC 8725 §3.11)"),
    (Reason::TokenConfirmation, "not supported", "whoever presents it must prove a key, and cannot (RFC 7800 §3.1)"),
    (Reason::TokenConfirmation, "the scheme is not DPoP", "whoever presents it must prove a key, and has not"),
    (Reason::TokenConfirmation, "the peer has none", "whoever presents it must prove a key, and has not"),
    (Reason::TokenDelegation, "is no object", "who acts for the user would be lost (RFC 8693 §4.1)"),
    (Reason::TokenDelegation, "has no `sub`", "who acts for the user would be nobody"),
    (Reason::TokenSubjectWorkload, "SPIFFE ID", "a workload is no user"),
    (Reason::TokenClaimMissing, "`sub`", "a user has a name (RFC 9068 §2.2)"),
    (Reason::TokenClaimInvalid, "`sub` is empty", "a user has a name"),
    (
        Reason::TokenClaimInvalid,
        "`aud` has the wrong type",
        "a list with something else than strings (RFC 7519 §4.1.3)",
    ),
    (Reason::TokenClaimInvalid, "`client_id` has the wrong type", "policies compare strings (RFC 8693 §4.3)"),
    (Reason::TokenClaimInvalid, "`scope` has the wrong type", "policies compare strings (RFC 8693 §4.2)"),
    (Reason::TokenClaimInvalid, "`exp` is no time", "RFC 3339 cannot write it, so logs could not"),
    (Reason::TokenClaimInvalid, "`nbf` is no time", "RFC 3339 cannot write it, so logs could not"),
    (Reason::TokenClaimInvalid, "`iat` is no time", "RFC 3339 cannot write it, so logs could not"),
    (Reason::TokenNotYetValid, "`iat`", "issued in the future: a clock is wrong, or a token is made up"),
    (Reason::TokenExpired, "`exp` is 1799999970", "fractions of a second round against the token"),
];

/// The vectors of Wycheproof that are refused, as it wants them to be, where signatures are all that is looked at.
const STRICTER_KEYS: [&str; 2] = [
    // Its primes can be found (CVE-2017-15361).
    "jws_rsa_roca_key: rejectsKeyWithRocaVulnerability",
    // NIST SP 800-131A.
    "keysize_too_small: rejects1024bitRsaKey",
];

/// An issuer's keys, and both who judge by them.
struct Judges {
    keys: Vec<SigningKey>,
    published: Vec<Json>,
    world: World,
    stricter: BTreeSet<usize>,
    accepted: usize,
    refused: usize,
}

impl Judges {
    fn new() -> Self {
        let keys = tokens::keys();
        let published = tokens::published(&keys);
        let world = World::with_keys(&published.iter().collect::<Vec<_>>());
        Self { keys, published, world, stricter: BTreeSet::new(), accepted: 0, refused: 0 }
    }

    /// Fails where the token is accepted and should not be, or refused for no reason that is known.
    fn judge(&mut self, token: &str) {
        let second = second_opinion::claims(token, &self.published);
        let keys = || json!(self.published);
        match (self.world.verify(token), second) {
            (Ok(user), Ok(claims)) => {
                assert_eq!(user.claims, claims, "read differently: {token}\n{}", keys());
                self.accepted = self.accepted.saturating_add(1);
            }
            (Ok(_), Err(why)) => panic!("accepted, though {why}: {token}\n{}", keys()),
            (Err(refusal), Ok(_)) => {
                let (reason, detail) = told(refusal);
                let line = STRICTER.iter().position(|(known, says, _)| *known == reason && detail.contains(says));
                let unknown = || panic!("refused with {reason:?}, {detail}: {token}\n{}", keys());
                self.stricter.insert(line.unwrap_or_else(unknown));
            }
            (Err(_), Err(_)) => self.refused = self.refused.saturating_add(1),
        }
    }
}

fn told(refusal: Refusal) -> (Reason, String) {
    match refusal {
        Refusal::Denied(denial) => (denial.reason, denial.detail),
        Refusal::Needs(_) => (Reason::TokenKeyUnknown, "unknown".to_owned()),
    }
}

#[test]
fn d22_what_a_second_opinion_refuses_is_never_accepted() {
    let mut judges = Judges::new();
    let tokens = changed_once(&judges.keys).into_iter().chain(changed_often(&judges.keys)).collect::<Vec<_>>();
    for token in &tokens {
        judges.judge(token);
    }
    let unmet: Vec<_> =
        (0..STRICTER.len()).filter(|line| !judges.stricter.contains(line)).map(|line| STRICTER[line]).collect();
    assert!(unmet.is_empty(), "no longer stricter: {unmet:?}");
    let Judges { accepted, refused, .. } = judges;
    assert!(accepted > 500 && refused > 1500, "{accepted} accepted, {refused} refused: not much was compared");
}

/// Every change alone, the keys in turn; the first tokens are good ones.
fn changed_once(keys: &[SigningKey]) -> Vec<String> {
    let plain = |key: &SigningKey| key.sign(&header(key), &claims(json!({})));
    let mut turn = keys.iter().cycle();
    let mut key = move || turn.next().unwrap();
    let mut all: Vec<_> = keys.iter().map(plain).collect();
    for change in tokens::headers() {
        // One whose header is otherwise good, and the next, whatever it is.
        all.extend([&keys[0], key()].map(|key| key.sign(&changed(header(key), change.clone()), &claims(json!({})))));
    }
    for change in tokens::bodies() {
        all.extend([&keys[0], key()].map(|key| key.sign(&header(key), &claims(change.clone()))));
    }
    for write in WRITINGS {
        let (key, body) = (&keys[0], claims(json!({})));
        all.push(key.sign(&write(&header(key).to_string()), &body));
        all.push(key.sign(&header(key), &write(&body.to_string())));
    }
    for (seed, damage) in (0..).zip(DAMAGES) {
        all.extend(keys.iter().map(|key| damage(plain(key), &mut Choice(seed))));
    }
    all.push(keys[0].token(json!({"x": "x".repeat(20_000)})));
    all
}

/// Tokens with no, one or several changes, of which some lie in the writing and some after the signing.
fn changed_often(keys: &[SigningKey]) -> Vec<String> {
    let mut choice = Choice(22);
    let (headers, bodies) = (tokens::headers(), tokens::bodies());
    // Those whose tokens are accepted: the others' say little about what comes after the key.
    let plain = &keys[..PLAIN_KEYS];
    let one = |_number| {
        let key = if choice.below(4) == 0 { choice.of(keys) } else { choice.of(plain) };
        let (mut head, mut body) = (header(key), claims(json!({})));
        if choice.below(3) == 0 {
            head = changed(head, choice.of(&headers).clone());
        }
        for _ in 0..choice.below(3) {
            body = changed(body, choice.of(&bodies).clone());
        }
        let mut texts = [head.to_string(), body.to_string()];
        if choice.below(6) == 0 {
            let text = choice.below(2);
            texts[text] = choice.of(WRITINGS)(&texts[text]);
        }
        let token = key.sign(&texts[0], &texts[1]);
        if choice.below(3) == 0 { choice.of(DAMAGES)(token, &mut choice) } else { token }
    };
    (0..COMBINED).map(one).collect()
}

fn header(key: &SigningKey) -> Json {
    let header = key.header();
    if header["kid"].is_null() { changed(header, json!({"kid": null})) } else { header }
}

#[test]
fn d22_a_second_opinion_agrees_on_wycheproof() {
    let mut stricter = Vec::new();
    for vector in vectors() {
        let second = second_opinion::signed_payload(&vector.jws, &vector.keys);
        match (accepts(&vector), second) {
            (true, Err(why)) => panic!("{}: accepted, though {why}: {}", vector.id, vector.jws),
            (false, Ok(_)) => stricter.push(vector.note),
            _agreed => {}
        }
    }
    assert_eq!(stricter, STRICTER_KEYS);
}
