//! A login as a browser does it: Keycloak's page, its form, a code, and PKCE (RFC 7636).

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::super::harness::Setup;
use super::super::harness::client::Call;
use super::harness::encoded;
use super::harness::form;
use super::harness::keycloak::AGENT;
use super::harness::keycloak::PASSWORD;
use super::harness::keycloak::REDIRECT_URI;
use super::harness::keycloak::Realm;
use super::harness::outcome;
use super::harness::text;
use super::harness::tokens;
use super::harness::wanted;
use super::keycloak::PAYERS;

/// Of the least length that RFC 7636 §4.1 allows.
const VERIFIER: &str = "0123456789-0123456789_0123456789.0123456789";

/// Fills in the login page, and gives the code in the redirect that follows.
async fn code(realm: &Realm, user: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()));
    let query = encoded(&[
        ("response_type", "code"),
        ("client_id", AGENT),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let page = Call::get(&realm.path(&format!("/protocol/openid-connect/auth?{query}")));
    let page = realm.browser().send(&page).await;
    let set: Vec<_> = page.header("set-cookie").iter().filter_map(|cookie| cookie.split(';').next()).collect();
    let html = page.text();
    let mut attributes = html.split('"').skip_while(|attribute| !attribute.ends_with("action=")).skip(1);
    let action = attributes.next().unwrap_or_else(|| panic!("no form: {html}")).replace("&amp;", "&");
    let (_, target) = action.split_once("/realms/").unwrap();
    let login = form(&format!("/realms/{target}"), &[("username", user), ("password", PASSWORD)])
        .header("cookie", set.join("; "));
    let redirect = realm.browser().send(&login).await;
    let location = redirect.header("location").concat();
    let (_, answer) = location.split_once('?').unwrap_or_else(|| panic!("no code: {redirect:?}"));
    answer.split('&').find_map(|field| field.strip_prefix("code=")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_with_its_verifier_gives_a_token_that_is_accepted() {
    let realm = Realm::new("login").await;
    let issuer = realm.issuer(&json!({"claims": {"roles": ["/realm_access/roles"]}}));
    let stack = Setup { policy: PAYERS, issuer, ..Setup::default() }.start().await;
    for (user, expected) in [("alice", wanted(200, "policy_allowed")), ("bob", wanted(403, "policy_denied"))] {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", AGENT),
            ("redirect_uri", REDIRECT_URI),
            ("code", &code(&realm, user).await),
            ("code_verifier", VERIFIER),
        ];
        let answer = tokens(&realm.browser(), &realm.path("/protocol/openid-connect/token"), &fields).await;
        assert_eq!(outcome(&stack, &text(&answer, "access_token")).await, expected, "{user}");
    }
}
