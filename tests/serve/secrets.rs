//! K5 and K10: what the running server says of secrets, to everybody who could listen, and to clients of their tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use serde_json::json;

use crate::client;
use crate::client::Wire;
use crate::dpop::Client;
use crate::issuer::Issuer;
use crate::server::Server;
use crate::server::eventually;

/// Stands for every secret of a client; nothing may hold it.
const CANARY: &str = "c4n4ry-5a1f9e";
/// Is no secret, and shows where there is something to search.
const VISIBLE: &str = "plain-5a1f9e";

const ALLOW_A: &str = r#"package envoy.authz
default allow := false
allow if input.attributes.request.http.headers["x-plain"]
"#;

/// Every place where a request's secrets are looked for.
const SOURCES: &str = "caller: {xfcc: sanitize_set, jwt_svid: {audiences: [a]}, wimse: {audiences: ['https://a']}}\n\
    dpop: {targets: ['https://orders.example']}\n\
    routes: {caller: optional, token: optional, reason_in_body: true}\n\
    decision_log: {include_input: true}\n\
    telemetry: {log_level: trace}\n";

/// A request with something that a client says, and what is no secret beside it.
fn request(changes: &Json) -> Vec<u8> {
    let mut changes = changes.clone();
    changes["headers"]["x-plain"] = json!(VISIBLE);
    client::request(&changes)
}

/// Requests with the canary where a secret can be.
fn secretive() -> Vec<Json> {
    let header = |name: &str, value: String| json!({"headers": {name: value}});
    let form = json!({"content-type": "application/x-www-form-urlencoded"});
    let json = json!({"content-type": "application/json"});
    let secrets = format!("subject_token={CANARY}&actor_token={CANARY}&client_assertion={CANARY}");
    let mut requests = vec![
        header("x-forwarded-client-cert", format!("URI=spiffe://td/a;Cert=\"{CANARY}\"")),
        header("x-forwarded-client-cert", format!("URI=spiffe://td/a;Subject=\"{CANARY}")),
        json!({"path": format!("/a?access_token={CANARY}")}),
        json!({"path": format!("/a?access_token={CANARY}&%zz")}),
        json!({"path": "/a", "query": format!("access_token={CANARY}")}),
        json!({"headers": {"referer": format!("https://h/?code={CANARY}")}}),
        json!({"method": "POST", "headers": form, "body": secrets}),
        json!({"method": "POST", "headers": json, "body": format!("{{\"password\": \"{CANARY}\"}}")}),
        json!({"method": "POST", "headers": json, "body": format!("{{\"password\": \"{CANARY}\"")}),
        json!({"method": "POST", "headers": json, "rawBody": STANDARD.encode(format!("{{\"pin\": \"{CANARY}\"}}"))}),
    ];
    let names = ["cookie", "dpop", "txn-token", "workload-identity-token", "workload-proof-token", "x-spiffe-jwt-svid"];
    for value in [CANARY.to_owned(), format!("session={CANARY}"), format!("{CANARY}.{CANARY}.{CANARY}")] {
        requests.extend(names.map(|name| header(name, value.clone())));
        requests.extend(
            ["Bearer", "DPoP", "Basic", CANARY].map(|scheme| header("authorization", format!("{scheme} {value}"))),
        );
    }
    requests
}

/// A text, and what it looks like in base64 wherever it stands.
fn forms(secret: &str) -> Vec<String> {
    // The first and the last group hold bits of what stands beside it.
    let shifted = ["", "x", "xx"].map(|before| {
        let text = STANDARD.encode(format!("{before}{secret}"));
        let inner = text.chars().skip(4).take(text.len().saturating_sub(8));
        inner.collect::<String>()
    });
    shifted.into_iter().chain([secret.to_owned()]).collect()
}

#[test]
fn k5_no_secret_of_a_request_is_in_anything_that_the_server_says() {
    let issuer = Issuer::new();
    let bundle = issuer.file("bundle.json", "{\"keys\": []}");
    let spiffe = format!("spiffe: {{bundles: [{{trust_domain: td, files: ['{bundle}']}}]}}\n");
    let server = Server::start(&format!("{}{spiffe}{SOURCES}", issuer.config()), ALLOW_A);
    let client = Wire::connect(&server.tcp());
    let mut holder = Client::new(&issuer);
    let (bearer, proof) = (issuer.token(CANARY), holder.proof(None));
    let good = [
        json!({"headers": {"authorization": format!("Bearer {bearer}")}}),
        json!({"headers": {"authorization": format!("DPoP {}", holder.token), "dpop": proof}}),
        // The same proof again, and the token without its proof.
        json!({"headers": {"authorization": format!("DPoP {}", holder.token), "dpop": proof}}),
        json!({"headers": {"authorization": format!("Bearer {}", holder.token)}}),
    ];
    let requests: Vec<_> = good.iter().cloned().chain(secretive()).collect();
    let answers: Vec<_> = requests.iter().map(|http| client.check(&request(http))).collect();
    let allowed: Vec<_> = answers[..4].iter().map(|answer| answer.allowed().unwrap()).collect();
    assert_eq!(allowed, [true, true, false, false], "{}", server.outputs());
    assert!(answers.iter().any(|answer| answer.allowed() == Some(false)));
    eventually("every record is written", || server.records().len() == requests.len());

    let said = answers.iter().map(|answer| String::from_utf8_lossy(&answer.message).into_owned());
    let shown = ["/config", "/identity"].map(|path| server.private(path).1);
    let probes = ["/metrics", "/readyz"].map(|path| server.probe(path).1);
    let outputs: Vec<_> = said.chain(shown).chain(probes).chain([server.outputs()]).collect();
    let searched = |record: &Json| record["input"].to_string().contains(VISIBLE);
    assert!(server.records().iter().all(searched), "the control: what is no secret shows in every record");
    let signature = |token: &str| token.rsplit_once('.').unwrap().1.to_owned();
    let secrets = [signature(&bearer), signature(&holder.token), signature(&proof), bearer, holder.token, proof];
    for output in &outputs {
        // The `jti` of the one good token is a claim, and shows as such.
        let output = output.replace(&format!("\"jti\":\"{CANARY}\""), "");
        for secret in secrets.iter().cloned().chain(forms(CANARY)) {
            let before = output.split_once(&secret).map(|(before, _)| before.chars().rev().take(400));
            let before = before.map(|letters| letters.collect::<Vec<_>>().into_iter().rev().collect::<String>());
            assert_eq!(before, None, "{secret} stands behind this");
        }
    }
}

#[test]
fn k10_an_unknown_key_and_a_bad_signature_get_the_same_answer_to_the_byte() {
    let issuer = Issuer::new();
    let routes = "routes: {caller: optional, problem_details: true}\n";
    let server = Server::start(&format!("{}{routes}", issuer.config()), ALLOW_A);
    let client = Wire::connect(&server.tcp());
    let asked = |token: &str| {
        let http = json!({"headers": {"authorization": format!("Bearer {token}")}});
        without_id(&client.check(&request(&http)).message)
    };
    let (signed, other) = (issuer.token("signed"), issuer.token("other"));
    let signature = other.rsplit_once('.').unwrap().1;
    let forged = format!("{}.{signature}", signed.rsplit_once('.').unwrap().0);
    assert!(asked(&issuer.token("good")).len() > 10);
    let (forged, unknown) = (asked(&forged), asked(&issuer.token_named("nobodys")));
    assert_eq!(forged, unknown);
    let reasons = || -> Vec<String> {
        let reason = |record: &Json| record["countersign"]["reason"].as_str().unwrap().to_owned();
        server.records().iter().map(reason).collect()
    };
    eventually("the records are written", || reasons().len() == 3);
    assert_eq!(reasons(), ["policy_allowed", "token_signature_invalid", "token_key_unknown"]);
}

/// An answer without its decision's id, the one thing that differs.
fn without_id(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let is_id = |part: &&str| part.len() == 36 && part.bytes().filter(|&byte| byte == b'-').count() == 4;
    let id = text.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '-').find(is_id);
    text.replace(id.unwrap_or_else(|| panic!("{text:?}")), "")
}
