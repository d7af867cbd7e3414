//! Tokens of oidc-provider: a resource's own (RFC 8707), and keys that are gone at once. Names are those of docs/threats.md.

use serde_json::json;

use super::super::harness::Setup;
use super::harness::accepted_at_last;
use super::harness::light::ACCOUNTS;
use super::harness::light::OTHERS;
use super::harness::light::Provider;
use super::harness::outcome;
use super::harness::parts;
use super::harness::wanted;

#[tokio::test(flavor = "multi_thread")]
async fn d15_a_token_is_good_for_the_resource_it_was_asked_for() {
    let provider = Provider::start().await;
    let issuer = provider.issuer(&json!({"token_types": ["at+jwt"]}));
    let stack = Setup { issuer, ..Setup::default() }.start().await;
    for (resource, expected) in [(ACCOUNTS, wanted(200, "policy_allowed")), (OTHERS, wanted(401, "token_audience"))] {
        let token = provider.access_token(resource).await;
        let [header, claims] = parts(&token);
        assert_eq!(header["typ"], "at+jwt");
        assert_eq!(outcome(&stack, &token).await, expected, "{claims}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_key_that_the_issuer_replaced_is_good_no_longer() {
    let provider = Provider::start().await;
    let stack = Setup { issuer: provider.issuer(&json!(null)), ..Setup::default() }.start().await;
    let before = provider.access_token(ACCOUNTS).await;
    assert_eq!(outcome(&stack, &before).await, wanted(200, "policy_allowed"));
    let provider = provider.restart().await;
    let after = provider.access_token(ACCOUNTS).await;
    accepted_at_last(&stack, &after).await;
    let (status, reason) = outcome(&stack, &before).await;
    assert!(matches!(reason.as_str(), "token_key_unknown" | "token_keys_unavailable"), "{status} {reason}");
}
