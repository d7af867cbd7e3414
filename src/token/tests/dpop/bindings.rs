//! D24: what a token is bound to is proven, all of it, and issuers and routes may ask that it is bound.

use serde_json::Value as Json;
use serde_json::json;

use super::Client;
use super::jkt;
use super::reason;
use super::request;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::jose;
use crate::route::Possession;
use crate::token::Credential;
use crate::token::tests::forge::NOW;
use crate::token::tests::forge::caller;
use crate::token::tests::forge::encode;

#[test]
fn d24_every_binding_is_proven() {
    let certificate = jose::sha256(b"certificate");
    let (own, other) = (caller("spiffe://td/a", Some(certificate)), caller("spiffe://td/a", Some([0; 32])));
    let mut client = Client::new();
    let (jkt, x5t) = (jkt(&client.key), encode(&certificate));
    let refused = Some(Reason::TokenConfirmation);
    for (number, (cnf, peer, answer)) in [
        (json!({"jkt": jkt, "x5t#S256": x5t}), Some(&own), None),
        (json!({"jkt": jkt, "x5t#S256": x5t}), Some(&other), refused),
        (json!({"jkt": jkt, "x5t#S256": x5t}), None, refused),
        (json!({"x5t#S256": x5t}), Some(&own), refused),
        (json!({"jkt": jkt, "kid": "k"}), None, refused),
        (json!({"jkt": jkt, "jwk": client.key.jwk}), None, refused),
        (json!({"jkt": format!("{jkt}=")}), None, refused),
        (json!({"jkt": 1}), None, refused),
        // Keycloak's hint, and what is not quite it.
        (json!({"jkt": jkt, "kc-jkt-type": "DPoP"}), None, None),
        (json!({"jkt": jkt, "kc-jkt-type": "dpop"}), None, refused),
        (json!({"jkt": jkt, "kc-jkt-type": "Other"}), None, refused),
        (json!({"jkt": jkt, "kc-jkt-type": null}), None, refused),
        (json!({"kc-jkt-type": "DPoP"}), None, refused),
        (json!({"x5t#S256": x5t, "kc-jkt-type": "DPoP"}), Some(&own), refused),
    ]
    .into_iter()
    .enumerate()
    {
        let token = client.issuer.token(json!({"cnf": cnf}));
        let proof = client.proof(&token, json!({"jti": number.to_string()}));
        let credential = Credential { scheme: Scheme::Dpop, token: &token };
        let result = client.present(credential, &request(&[proof.as_bytes()]), peer, Possession::Optional, NOW);
        assert_eq!(reason(result), answer, "{cnf}");
    }
}

#[test]
fn d24_issuer_and_route_each_ask_for_a_binding() {
    use Possession::Certificate;
    use Possession::Dpop;
    use Possession::Optional;
    use Possession::Required;
    let certificate = jose::sha256(b"certificate");
    let peer = caller("spiffe://td/a", Some(certificate));
    // For a token that is not bound, bound to a key, to a certificate, to both.
    for (issuer, route, [unbound, key, by_certificate, both]) in [
        (Optional, Optional, [true, true, true, true]),
        (Required, Optional, [false, true, true, true]),
        (Optional, Required, [false, true, true, true]),
        (Dpop, Optional, [false, true, false, true]),
        (Optional, Dpop, [false, true, false, true]),
        (Certificate, Required, [false, false, true, true]),
        (Required, Certificate, [false, false, true, true]),
        (Certificate, Dpop, [false, false, false, true]),
    ] {
        let mut client = Client::asked(issuer);
        let (jkt, x5t) = (jkt(&client.key), encode(&certificate));
        for (cnf, scheme, accepted) in [
            (Json::Null, Scheme::Bearer, unbound),
            (json!({"jkt": jkt}), Scheme::Dpop, key),
            (json!({"x5t#S256": x5t}), Scheme::Bearer, by_certificate),
            (json!({"jkt": jkt, "x5t#S256": x5t}), Scheme::Dpop, both),
        ] {
            let token = client.issuer.token(json!({"cnf": cnf}));
            let proof = client.proof(&token, json!({"jti": cnf.to_string()}));
            let credential = Credential { scheme, token: &token };
            let result = client.present(credential, &request(&[proof.as_bytes()]), Some(&peer), route, NOW);
            let answer = (!accepted).then_some(Reason::TokenConfirmation);
            assert_eq!(reason(result), answer, "{issuer:?} {route:?} {cnf}");
        }
    }
}

#[test]
fn d24_a_route_that_takes_dpop_alone_challenges_for_it() {
    let mut client = Client::new();
    for (proof, scheme) in [(Possession::Dpop, Scheme::Dpop), (Possession::Required, Scheme::Bearer)] {
        let token = client.issuer.token(json!({}));
        let credential = Credential { scheme: Scheme::Bearer, token: &token };
        let denial = client.present(credential, &request(&[]), None, proof, NOW).unwrap_err();
        assert_eq!((denial.reason, denial.scheme), (Reason::TokenConfirmation, scheme));
    }
}
