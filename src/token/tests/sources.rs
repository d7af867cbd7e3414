//! I1, I2 and I4: every way in which keys fail to come.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;
use tokio::net::TcpListener;

use super::forge::ISSUER;
use super::forge::SigningKey;
use super::forge::issuer;
use super::forge::jwks;
use super::forge::now;
use crate::fetch::FetchLimits;
use crate::fetch::server::Reply;
use crate::fetch::server::Server;
use crate::token::IssuerConfig;
use crate::token::KeySource;
use crate::token::refresh::source_error;

const LIMITS: FetchLimits = FetchLimits { time: Duration::from_millis(800), bytes: 64 * 1024 };

fn good_jwks() -> Vec<u8> {
    jwks(&[&SigningKey::es256("k1").jwk])
}

fn at_url(url: String, ca_file: &Path) -> IssuerConfig {
    IssuerConfig { keys: KeySource::Url { url, ca_file: Some(ca_file.to_owned()) }, ..issuer(ISSUER) }
}

/// Why loading fails, as an operator is told.
async fn failure(issuer: &IssuerConfig) -> String {
    source_error(issuer, LIMITS).await.expect("no keys")
}

async fn failure_of(reply: Reply) -> String {
    let server = Server::start(move |_path| reply.clone()).await;
    failure(&at_url(format!("{}/jwks", server.url), server.ca_file())).await
}

#[tokio::test]
async fn keys_come_from_an_https_url() {
    let server = Server::start(|_path| Reply::json(good_jwks())).await;
    let issuer = at_url(format!("{}/jwks?tenant=1", server.url), server.ca_file());
    assert_eq!(source_error(&issuer, LIMITS).await, None);
    assert_eq!(server.paths(), ["/jwks?tenant=1"]);
}

#[tokio::test]
async fn i1_an_error_status_brings_no_keys() {
    for status in [500, 503, 404, 401, 204, 206, 304] {
        let told = failure_of(Reply::Answer(status, String::new(), good_jwks())).await;
        assert!(told.contains(&status.to_string()), "{told}");
    }
}

#[tokio::test]
async fn i1_a_slow_server_is_left() {
    for reply in [Reply::Drip, Reply::Silence] {
        let began = Instant::now();
        assert_eq!(failure_of(reply).await, "the fetch took longer than 800 ms");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    // Not even TLS is answered.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/jwks", listener.local_addr().unwrap());
    let issuer = IssuerConfig { keys: KeySource::Url { url, ca_file: None }, ..issuer(ISSUER) };
    assert_eq!(failure(&issuer).await, "the fetch took longer than 800 ms");
}

#[tokio::test]
async fn i1_html_and_broken_json_bring_no_keys() {
    for body in ["<!DOCTYPE html><title>Sign in</title>", "", "{\"keys\":[", "{}", "[]", "\u{1f}\u{8b}\u{8}"] {
        let told = failure_of(Reply::json(body)).await;
        assert!(told.starts_with("the key set"), "{told}");
    }
    assert!(failure_of(Reply::Half).await.starts_with("the request failed"));
}

#[tokio::test]
async fn i1_a_large_answer_is_cut_off() {
    for length in ["Content-Length: 104857600\r\n", ""] {
        assert_eq!(failure_of(Reply::Flood(length)).await, "the document has more than 65536 bytes");
    }
    let exactly = |bytes: usize| {
        let mut body = good_jwks();
        body.resize(bytes, b' ');
        Reply::json(body)
    };
    assert_eq!(failure_of(exactly(64 * 1024 + 1)).await, "the document has more than 65536 bytes");
    let server = Server::start(move |_path| exactly(64 * 1024)).await;
    assert_eq!(source_error(&at_url(server.url.clone(), server.ca_file()), LIMITS).await, None);
}

#[tokio::test]
async fn i1_no_redirect_is_followed() {
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_url = format!("http://{}/jwks", plain.local_addr().unwrap());
    let elsewhere = Server::start(|_path| Reply::json(good_jwks())).await;
    for to in [
        plain_url.as_str(),
        elsewhere.url.as_str(),
        "http://169.254.169.254/latest/meta-data",
        "/other",
        "file:///etc/passwd",
    ] {
        assert_eq!(failure_of(Reply::redirect(to)).await, "the server answered 302 Found", "{to}");
    }
    assert!(elsewhere.paths().is_empty());
    assert!(tokio::time::timeout(Duration::from_millis(50), plain.accept()).await.is_err());
}

#[tokio::test]
async fn i1_a_certificate_from_elsewhere_is_refused() {
    let server = Server::start(|_path| Reply::json(good_jwks())).await;
    let other = Server::start(|_path| Reply::json(good_jwks())).await;
    let told = failure(&at_url(server.url.clone(), other.ca_file())).await;
    assert!(told.contains("certificate"), "{told}");
    let by_name = server.url.replace("127.0.0.1", "localhost");
    let told = failure(&at_url(by_name, server.ca_file())).await;
    assert!(told.contains("certificate"), "{told}");
    assert!(server.paths().is_empty());
}

#[tokio::test]
async fn i1_a_ca_file_must_hold_certificates() {
    let server = Server::start(|_path| Reply::json(good_jwks())).await;
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificates").unwrap();
    assert_eq!(failure(&at_url(server.url.clone(), &empty)).await, "the `ca_file` holds no PEM certificates");
    let missing = directory.path().join("missing.pem");
    assert!(failure(&at_url(server.url.clone(), &missing)).await.contains("missing.pem` cannot be read"));
}

#[tokio::test]
async fn i1_nothing_but_https_is_asked() {
    for url in
        ["http://127.0.0.1:1/jwks", "ftp://127.0.0.1/jwks", "file:///etc/passwd", "jwks.json", "", "https://", "//x"]
    {
        assert_eq!(failure(&at_url(url.to_owned(), Path::new("ca.pem"))).await, "`url` is no https URL", "{url}");
    }
}

#[tokio::test]
async fn i1_errors_do_not_tell_the_url() {
    let issuer = IssuerConfig {
        keys: KeySource::Url { url: "https://user:canary@127.0.0.1:1/?key=canary".to_owned(), ca_file: None },
        ..issuer(ISSUER)
    };
    let told = failure(&issuer).await;
    assert!(told.starts_with("the request failed") && !told.contains("canary") && told.len() < 300, "{told}");
}

/// An issuer that is the server itself, and what its discovery document says.
async fn discovered(document: impl Fn(&str) -> String + Send + Sync + 'static) -> (Server, IssuerConfig) {
    let own_url = Arc::new(std::sync::OnceLock::<String>::new());
    let known = Arc::clone(&own_url);
    let server = Server::start(move |path| match path {
        "/realm/.well-known/openid-configuration" => Reply::json(document(own_url.get().unwrap())),
        _ => Reply::json(good_jwks()),
    })
    .await;
    known.set(server.url.clone()).unwrap();
    let keys = KeySource::Discovery { ca_file: Some(server.ca_file().to_owned()) };
    let issuer = IssuerConfig { keys, ..issuer(&format!("{}/realm", server.url)) };
    (server, issuer)
}

#[tokio::test]
async fn keys_come_by_discovery() {
    let (server, mut issuer) =
        discovered(|url| json!({"issuer": format!("{url}/realm"), "jwks_uri": format!("{url}/keys")}).to_string())
            .await;
    assert_eq!(source_error(&issuer, LIMITS).await, None);
    assert_eq!(server.paths(), ["/realm/.well-known/openid-configuration", "/keys"]);
    // With a slash at its end the issuer is another one, at the same address.
    issuer.issuer.push('/');
    assert_eq!(failure(&issuer).await, "the discovery document is of another issuer");
    assert_eq!(server.paths().len(), 3);
}

/// The same by RFC 8414: an issuer with this path, whose document stands at the server's `place`.
async fn with_metadata(
    issuer_path: &str,
    place: &'static str,
    document: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (Server, IssuerConfig) {
    let own_url = Arc::new(std::sync::OnceLock::<String>::new());
    let known = Arc::clone(&own_url);
    let server = Server::start(move |path| match path {
        _ if path == place => Reply::json(document(own_url.get().unwrap())),
        "/keys" => Reply::json(good_jwks()),
        _ => Reply::Answer(404, String::new(), Vec::new()),
    })
    .await;
    known.set(server.url.clone()).unwrap();
    let keys = KeySource::OauthMetadata { ca_file: Some(server.ca_file().to_owned()) };
    let issuer = IssuerConfig { keys, ..issuer(&format!("{}{issuer_path}", server.url)) };
    (server, issuer)
}

#[tokio::test]
async fn keys_come_by_oauth_metadata_between_host_and_path() {
    const METADATA: &str = "/.well-known/oauth-authorization-server";
    for (path, place) in [
        ("", METADATA),
        ("/", METADATA),
        ("/realm", "/.well-known/oauth-authorization-server/realm"),
        ("/realm/", "/.well-known/oauth-authorization-server/realm"),
        ("/a/b%20c", "/.well-known/oauth-authorization-server/a/b%20c"),
    ] {
        let (server, issuer) = with_metadata(path, place, move |url| {
            json!({"issuer": format!("{url}{path}"), "jwks_uri": format!("{url}/keys")}).to_string()
        })
        .await;
        assert_eq!(source_error(&issuer, LIMITS).await, None, "{path}");
        assert_eq!(server.paths(), [place, "/keys"]);
    }
}

#[tokio::test]
async fn d13_i4_metadata_of_another_issuer_is_refused() {
    const PLACE: &str = "/.well-known/oauth-authorization-server/realm";
    for wrong in ["", "/", "/realm/", "/Realm", "/realm2", "/.well-known/oauth-authorization-server/realm"] {
        let (server, issuer) = with_metadata("/realm", PLACE, move |url| {
            json!({"issuer": format!("{url}{wrong}"), "jwks_uri": format!("{url}/keys")}).to_string()
        })
        .await;
        assert_eq!(failure(&issuer).await, "the discovery document is of another issuer", "{wrong}");
        assert_eq!(server.paths(), [PLACE], "no keys are asked for");
    }
    for (uri, told) in [
        (json!("http://127.0.0.1:1/keys"), "`jwks_uri` is no https URL"),
        (json!("/keys"), "`jwks_uri` is no https URL"),
        (json!(null), "the discovery document has no `jwks_uri`"),
    ] {
        let (server, issuer) = with_metadata("/realm", PLACE, move |url| {
            json!({"issuer": format!("{url}/realm"), "jwks_uri": uri}).to_string()
        })
        .await;
        assert_eq!(failure(&issuer).await, told);
        assert_eq!(server.paths(), [PLACE]);
    }
    // OIDC's place is not tried.
    let (server, issuer) =
        with_metadata("/realm", "/realm/.well-known/openid-configuration", |_url| String::new()).await;
    assert_eq!(failure(&issuer).await, "the server answered 404 Not Found");
    assert_eq!(server.paths(), [PLACE]);
    let keys = KeySource::OauthMetadata { ca_file: None };
    let plain = IssuerConfig { keys, ..super::forge::issuer("http://idp.example") };
    assert_eq!(failure(&plain).await, "the issuer is no https URL");
}

#[tokio::test]
async fn i4_a_discovery_document_of_another_issuer_is_refused() {
    for wrong in ["", "/", "/realm/", "/Realm", "/realm2"] {
        let (server, issuer) = discovered(move |url| {
            json!({"issuer": format!("{url}{wrong}"), "jwks_uri": format!("{url}/keys")}).to_string()
        })
        .await;
        assert_eq!(failure(&issuer).await, "the discovery document is of another issuer", "{wrong}");
        assert_eq!(server.paths().len(), 1, "no keys are asked for");
    }
    for (document, told) in [
        (r#"{"jwks_uri":"https://x.example"}"#, "the discovery document has no `issuer`"),
        (r#"{"issuer":["x"],"jwks_uri":"https://x.example"}"#, "the discovery document has no `issuer`"),
        (r#"{"issuer":"a","issuer":"b"}"#, "the discovery document names a member twice"),
        ("<html>", "the discovery document is no JSON object"),
    ] {
        let (_server, issuer) = discovered(move |_url| document.to_owned()).await;
        assert_eq!(failure(&issuer).await, told);
    }
}

#[tokio::test]
async fn i4_a_jwks_uri_must_be_https() {
    for uri in ["http://127.0.0.1:1/keys", "/keys", "file:///etc/passwd", "", "data:application/json,{\"keys\":[]}"] {
        let (server, issuer) =
            discovered(move |url| json!({"issuer": format!("{url}/realm"), "jwks_uri": uri}).to_string()).await;
        assert_eq!(failure(&issuer).await, "`jwks_uri` is no https URL", "{uri}");
        assert_eq!(server.paths().len(), 1);
    }
    let (_server, issuer) = discovered(|url| json!({"issuer": format!("{url}/realm")}).to_string()).await;
    assert_eq!(failure(&issuer).await, "the discovery document has no `jwks_uri`");
    let plain =
        IssuerConfig { keys: KeySource::Discovery { ca_file: None }, ..super::forge::issuer("http://idp.example") };
    assert_eq!(failure(&plain).await, "the issuer is no https URL");
}

#[tokio::test]
async fn a_file_is_read_with_the_same_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let at = |path: PathBuf| IssuerConfig { keys: KeySource::File(path), ..issuer(ISSUER) };
    assert!(failure(&at(path.clone())).await.contains("jwks.json` cannot be read: "));
    std::fs::write(&path, good_jwks()).unwrap();
    assert_eq!(source_error(&at(path.clone()), LIMITS).await, None);
    std::fs::write(&path, vec![b' '; 64 * 1024 + 1]).unwrap();
    assert_eq!(failure(&at(path)).await, "the document has more than 65536 bytes");
    assert!(failure(&at(directory.path().to_owned())).await.contains("no regular file"));
    assert!(failure(&at(PathBuf::from("/dev/zero"))).await.contains("no regular file"));
}

#[tokio::test]
async fn a_command_loads_once_and_is_told_every_problem() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let symmetric = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "s"});
    std::fs::write(&path, jwks(&[&SigningKey::es256("k1").jwk, &symmetric])).unwrap();
    let issuers = vec![
        IssuerConfig { keys: KeySource::File(path), ..issuer(ISSUER) },
        IssuerConfig { keys: KeySource::File(directory.path().join("missing")), ..issuer("https://other.example") },
    ];
    let config = Arc::new(crate::token::Config { issuers, ..crate::token::Config::default() });
    let (keys, problems) = crate::token::refresh::load_once(config, now()).await;
    let states: Vec<_> = keys.issuers(now()).map(|issuer| (issuer.keys, issuer.usable)).collect();
    assert_eq!(states, [(1, true), (0, false)]);
    assert!(!keys.ready(now()));
    let told: Vec<_> = problems.iter().map(|problem| (problem.path.as_str(), problem.is_error())).collect();
    assert_eq!(told, [("issuers[0].keys", false), ("issuers[1].keys", true)]);
    assert_eq!(problems[0].message, "key 1 is symmetric");
}
