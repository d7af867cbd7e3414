//! For whom: tokens missing, bad, forged, bound; and the issuer's keys as they rotate and fail.

use serde_json::json;
use tokio::task::JoinSet;

use super::harness::Setup;
use super::harness::Stack;
use super::harness::client::Call;
use super::harness::client::Reply;
use super::harness::client::thumbprint;
use super::harness::envoy::EnvoySetup;
use super::harness::eventually;
use super::harness::token_of;
use super::load::Load;
use super::load::Probe;
use super::peers::certs::Leaf;
use super::peers::certs::agent_id;
use super::peers::issuer::Answer;
use super::peers::issuer::OldKeys;
use super::peers::token::Forgery;
use super::peers::token::TokenRequest;

async fn ask(stack: &Stack, call: Call) -> (Reply, String) {
    let reply = stack.agent("planner").send(&call).await;
    let reason = stack.decision().await.reason().to_owned();
    (reply, reason)
}

async fn ask_with(stack: &Stack, token: &TokenRequest) -> (u16, String) {
    let (reply, reason) = ask(stack, Call::get("/").bearer(&stack.token_as(token))).await;
    (reply.status, reason)
}

fn challenge(reply: &Reply) -> String {
    reply.header("www-authenticate").join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_token_is_challenged() {
    let stack = Setup::default().start().await;
    let (reply, reason) = ask(&stack, Call::get("/")).await;
    assert_eq!((reply.status, reason.as_str()), (401, "token_missing"));
    // RFC 6750 §3.1: no error code where there was no credential.
    assert!(challenge(&reply).starts_with("Bearer") && !challenge(&reply).contains("error="), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_are_refused_and_the_client_is_not_told_why() {
    let stack = Setup::default().start().await;
    let forged = |forgery| TokenRequest { forgery, ..token_of("alice") };
    for (token, reason) in [
        (TokenRequest { expires_in: -60, ..token_of("alice") }, "token_expired"),
        (TokenRequest { audience: "others".to_owned(), ..token_of("alice") }, "token_audience"),
        (
            TokenRequest { claims: vec![("iss".to_owned(), json!("https://elsewhere"))], ..token_of("alice") },
            "token_issuer_unknown",
        ),
        (forged(Forgery::ForeignKey), "token_signature_invalid"),
        (forged(Forgery::UnknownKey), "token_key_unknown"),
        (forged(Forgery::AlgNone), "token_algorithm"),
        (forged(Forgery::PublicKeyAsSecret), "token_algorithm"),
    ] {
        let (reply, found) = ask(&stack, Call::get("/").bearer(&stack.token_as(&token))).await;
        assert_eq!((reply.status, found.as_str()), (401, reason), "{token:?}");
        assert!(challenge(&reply).contains(r#"error="invalid_token""#), "{reply:?}");
        assert!(!reply.text().contains(reason), "{reply:?}");
    }
    assert_eq!(ask_with(&stack, &token_of("alice")).await, (200, "policy_allowed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn e1_e2_one_credential_in_one_form() {
    let stack = Setup::default().start().await;
    let token = stack.token("alice");
    let good = format!("bEaReR  {token}");
    let (reply, reason) = ask(&stack, Call::get("/").header("authorization", &good)).await;
    assert_eq!((reply.status, reason.as_str()), (200, "policy_allowed"));

    let twice = Call::get("/").bearer(&token).bearer(&token);
    let (reply, reason) = ask(&stack, twice).await;
    assert_eq!((reply.status, reason.as_str()), (400, "token_repeated"));

    for bad in [&format!("Bearer {token},"), "Bearer", "Basic YTpi", &format!("Bearer\t{token}"), &token] {
        let (reply, reason) = ask(&stack, Call::get("/").header("authorization", bad)).await;
        assert!(matches!(reply.status, 400 | 401) && reason.starts_with("token_"), "{bad:?}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e1_two_credentials_that_the_proxy_merged_are_two() {
    let envoy = EnvoySetup { filter: json!({"encode_raw_headers": false}), ..EnvoySetup::default() };
    let stack = Setup { envoy, ..Setup::default() }.start().await;
    let token = stack.token("alice");
    let (reply, reason) = ask(&stack, Call::get("/").bearer(&token).bearer(&token)).await;
    assert_eq!((reply.status, reason.as_str()), (400, "token_repeated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn e3_a_token_elsewhere_is_no_token() {
    let stack = Setup::default().start().await;
    let token = stack.token("alice");
    let (reply, reason) = ask(&stack, Call::get(&format!("/?access_token={token}"))).await;
    assert_eq!((reply.status, reason.as_str()), (401, "token_missing"));
    let form = Call::new("POST", "/").body("application/x-www-form-urlencoded", format!("access_token={token}"));
    let (reply, reason) = ask(&stack, form).await;
    assert_eq!((reply.status, reason.as_str()), (401, "token_missing"));
    assert!(!stack.server().output().contains(&token), "a secret in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_say_whether_a_token_is_required() {
    let envoy = EnvoySetup {
        routes: vec![
            ("/optional", json!({"countersign.token": "optional"})),
            ("/off", json!({"countersign.token": "off"})),
            ("/typo", json!({"countersign.token": "of"})),
        ],
        ..EnvoySetup::default()
    };
    let stack = Setup { envoy, ..Setup::default() }.start().await;
    let expired = stack.token_as(&TokenRequest { expires_in: -60, ..token_of("alice") });
    let good = stack.token("alice");
    for (target, token, status, reason) in [
        ("/optional", None, 200, "policy_allowed"),
        ("/optional", Some(&good), 200, "policy_allowed"),
        ("/optional", Some(&expired), 401, "token_expired"),
        ("/off", None, 200, "policy_allowed"),
        ("/off", Some(&expired), 200, "policy_allowed"),
        ("/typo", Some(&good), 503, "server_route_invalid"),
    ] {
        let call = token.map_or_else(|| Call::get(target), |token| Call::get(target).bearer(token));
        let (reply, found) = ask(&stack, call).await;
        assert_eq!((reply.status, found.as_str()), (status, reason), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d24_a_bound_token_is_good_for_its_certificate_alone() {
    let stack = Setup::default().start().await;
    let [own, other] = [(), ()].map(|()| stack.mesh.issue(&Leaf::svid(&agent_id("planner"))).unwrap());
    let bound_to = |confirmation| TokenRequest { claims: vec![("cnf".to_owned(), confirmation)], ..token_of("alice") };
    for (identity, confirmation, status) in [
        (&own, json!({"x5t#S256": thumbprint(&own)}), 200),
        (&other, json!({"x5t#S256": thumbprint(&own)}), 401),
        (&own, json!({"jkt": "0"}), 401),
        (&own, json!({}), 401),
    ] {
        let call = Call::get("/").bearer(&stack.token_as(&bound_to(confirmation.clone())));
        let reply = stack.client(identity).send(&call).await;
        let reason = stack.decision().await.reason().to_owned();
        assert_eq!(reply.status, status, "{confirmation}: {reason}");
        assert!(status == 200 || reason == "token_confirmation", "{confirmation}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_rotated_key_is_learned_from_the_first_token() {
    let stack = Setup::default().start().await;
    let before = stack.token("alice");
    stack.issuer.rotate(OldKeys::Keep).unwrap();
    let after = stack.token("alice");
    eventually("the new key", async || {
        let (reply, reason) = ask(&stack, Call::get("/").bearer(&after)).await;
        assert!(matches!(reply.status, 200 | 401 | 503), "{reason}");
        (reply.status == 200).then_some(())
    })
    .await;
    assert_eq!(ask(&stack, Call::get("/").bearer(&before)).await.0.status, 200, "the old key is still published");
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_withdrawn_key_stops_with_the_next_refresh() {
    let stack = Setup::default().start().await;
    let before = stack.token("alice");
    assert_eq!(ask(&stack, Call::get("/").bearer(&before)).await.0.status, 200);
    stack.issuer.rotate(OldKeys::Drop).unwrap();
    let after = stack.token("alice");
    eventually("the new key", async || {
        let (reply, _) = ask(&stack, Call::get("/").bearer(&after)).await;
        (reply.status == 200).then_some(())
    })
    .await;
    let (reply, reason) = ask(&stack, Call::get("/").bearer(&before)).await;
    assert_ne!(reply.status, 200, "K2: a cached token outlived its key: {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_a_flood_of_unknown_keys_asks_the_issuer_once_a_cooldown() {
    let stack = Setup { issuer: json!({"refresh_cooldown": "30s"}), ..Setup::default() }.start().await;
    let before = stack.issuer.fetches();
    let unknown = TokenRequest { forgery: Forgery::UnknownKey, ..token_of("alice") };
    for _ in 0..50 {
        let (status, reason) = ask_with(&stack, &unknown).await;
        assert!(matches!((status, reason.as_str()), (401, "token_key_unknown") | (503, "token_keys_unavailable")));
    }
    let fetches = stack.issuer.fetches() - before;
    assert!(fetches <= 1, "{fetches} fetches for one cooldown");
    assert_eq!(ask_with(&stack, &token_of("alice")).await.0, 200, "others are not affected");
}

/// The fetch that all of them wait for hangs, and the proxy asks for others meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn d8_hundreds_of_unknown_keys_at_once_do_not_touch_the_traffic_beside_them() {
    let stack = Setup { issuer: json!({"refresh_cooldown": "2s"}), ..Setup::default() }.start().await;
    let (client, before) = (stack.agent("planner"), stack.issuer.fetches());
    let unknown = || stack.token_as(&TokenRequest { forgery: Forgery::UnknownKey, ..token_of("mallory") });
    stack.issuer.set_answer(Answer::Silence);
    eventually("a fetch is on its way", async || {
        assert!(matches!(client.send(&Call::get("/").bearer(&unknown())).await.status, 401 | 503));
        (stack.issuer.fetches() > before).then_some(())
    })
    .await;
    let check = |reply: &Reply| if reply.status == 200 { Ok(()) } else { Err("a good token is refused".to_owned()) };
    let beside = Load::start(&client, vec![Probe { call: Call::get("/").bearer(&stack.token("alice")), check }]);
    let mut flood = JoinSet::new();
    for _ in 0..200 {
        let (client, call) = (client.clone(), Call::get("/").bearer(&unknown()));
        flood.spawn(async move { client.send(&call).await.status });
    }
    let statuses = flood.join_all().await;
    assert!(statuses.iter().all(|status| matches!(status, 401 | 503)), "{statuses:?}");
    beside.answers(50).await;
    assert!(beside.stop().await.len() >= 50);
    assert!(stack.issuer.fetches() <= before + 2, "{} fetches", stack.issuer.fetches() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_failing_issuer_does_not_take_the_keys_away() {
    let stack = Setup::default().start().await;
    let good = stack.token("alice");
    let unknown = TokenRequest { forgery: Forgery::UnknownKey, ..token_of("alice") };
    for answer in [Answer::Error, Answer::Html, Answer::Silence] {
        stack.issuer.set_answer(answer);
        let (status, reason) = ask_with(&stack, &unknown).await;
        assert!(matches!(status, 401 | 503), "{answer:?}: {reason}");
        assert_eq!(ask(&stack, Call::get("/").bearer(&good)).await.0.status, 200, "{answer:?}");
    }
}
