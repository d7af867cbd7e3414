//! A login as a browser does it, at whatever addresses it is given: Keycloak's page, its form, a code, and PKCE (RFC 7636).

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::super::harness::client::Call;
use super::super::super::harness::client::Client;
use super::encoded;
use super::form;
use super::granted;
use super::keycloak::PASSWORD;
use super::realm::AGENT;
use super::realm::REDIRECT_URI;
use super::text;

/// Of the least length that RFC 7636 §4.1 allows.
const VERIFIER: &str = "0123456789-0123456789_0123456789.0123456789";

/// An `https` address as host and target.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("https://").unwrap_or_else(|| panic!("not https: {url}"));
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

/// A GET of such an address.
pub(crate) fn get(url: &str) -> Call {
    let (host, target) = split(url);
    Call::to(host, "GET", target)
}

/// Has the user log in, and gives the access token that the code is worth.
pub(crate) async fn access_token(browser: &Client, authorization: &str, token: &str, user: &str) -> String {
    let code = code(browser, authorization, user).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", AGENT),
        ("redirect_uri", REDIRECT_URI),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let (host, target) = split(token);
    text(&granted(browser, &form(host, target, &fields)).await, "access_token")
}

/// Fills in the login page, and gives the code in the redirect that follows.
async fn code(browser: &Client, authorization: &str, user: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, VERIFIER.as_bytes()));
    let query = encoded(&[
        ("response_type", "code"),
        ("client_id", AGENT),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let page = browser.send(&get(&format!("{authorization}?{query}"))).await;
    let set: Vec<_> = page.header("set-cookie").iter().filter_map(|cookie| cookie.split(';').next()).collect();
    let html = page.text();
    let mut attributes = html.split('"').skip_while(|attribute| !attribute.ends_with("action=")).skip(1);
    let action = attributes.next().unwrap_or_else(|| panic!("no form: {html}")).replace("&amp;", "&");
    let (host, target) = split(&action);
    let login = form(host, target, &[("username", user), ("password", PASSWORD)]).header("cookie", set.join("; "));
    let redirect = browser.send(&login).await;
    let location = redirect.header("location").concat();
    let (_, answer) = location.split_once('?').unwrap_or_else(|| panic!("no code: {redirect:?}"));
    answer.split('&').find_map(|field| field.strip_prefix("code=")).unwrap().to_owned()
}
