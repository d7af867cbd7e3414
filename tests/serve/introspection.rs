//! Whom the whole program lets in by an issuer's word, and that nobody comes in without one.

use std::process::Command;
use std::time::Instant;

use countersign::clock::UnixTime;
use serde_json::Value as Json;
use serde_json::json;

use super::ALLOW_GET;
use super::client;
use super::client::Wire;
use super::issuer::Issuer;
use super::key_server::Fault;
use super::key_server::KeyServer;
use super::key_server::KeyServers;
use super::server::Server;
use super::server::eventually;

const SECRET: &str = "c4n4ry-of-the-client";

/// An issuer without keys, which must be asked at every check.
fn config(servers: &KeyServers, server: &KeyServer, files: &Issuer) -> String {
    let introspection = json!({"url": format!("{}/introspect", server.url), "client_id": "countersign", "cache": "0s",
        "client_secret_file": files.file("client.secret", SECRET), "ca_file": servers.ca_file()});
    let issuers = json!([{"issuer": server.url, "introspection": introspection, "audiences": ["a"]}]);
    format!("routes: {{caller: optional, reason_in_body: true}}\nissuers: {issuers}\n")
}

/// A request with an opaque token.
fn request() -> Vec<u8> {
    client::request(&json!({"headers": {"authorization": "Bearer 2YotnFZFEjr1zCsicMWpAA"}}))
}

fn active() -> Json {
    let exp = UnixTime::now().plus_seconds(3600).seconds();
    json!({"active": true, "sub": "alice", "aud": "a", "exp": exp, "token_type": "Bearer"})
}

/// Status and reason; nothing of an allowed one.
fn refused(client: &Wire) -> Option<(i32, String)> {
    let answer = client.check(&request());
    assert_eq!(answer.grpc_status, "0");
    let denied = answer.http_status().zip(answer.reason());
    assert_eq!(denied.is_none(), answer.allowed() == Some(true));
    denied
}

#[test]
fn d26_nobody_comes_in_without_the_issuers_word() {
    let (servers, files) = (KeyServers::new(), Issuer::new());
    let issuer = servers.start(active(), Fault::None);
    let server = Server::start(&config(&servers, &issuer, &files), ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    eventually("alice is let in", || refused(&client).is_none());
    let unavailable = Some((503, "token_introspection_unavailable".to_owned()));
    for fault in [
        Fault::Status(500),
        Fault::Status(401),
        Fault::Html,
        Fault::HalfJson,
        Fault::Truncated,
        Fault::Large,
        Fault::Endless,
        Fault::Hangup,
        Fault::Redirect("http"),
        Fault::Redirect("https"),
        Fault::NoKeys,
    ] {
        issuer.set(fault);
        // What is slow to fail in a debug build may be late for the proxy.
        let late = Some((503, "server_deadline".to_owned()));
        let found = refused(&client);
        assert!(found == unavailable || found == late, "{fault:?}: {found:?}");
        issuer.set(Fault::None);
        eventually("alice is let in again", || refused(&client).is_none());
    }
    issuer.publish(json!({"active": false}));
    assert_eq!(refused(&client), Some((401, "token_inactive".to_owned())));
    assert_eq!(servers.trapped(), 0);
    for said in
        [server.log(), server.private("/config").1, server.probe("/metrics").1, json!(server.records()).to_string()]
    {
        assert!(!said.contains(SECRET) && !said.contains("2YotnFZFEjr1zCsicMWpAA"), "{said}");
    }
}

#[test]
fn d26_an_issuer_that_says_nothing_is_waited_for_no_longer_than_the_proxy_waits() {
    let (servers, files) = (KeyServers::new(), Issuer::new());
    let issuer = servers.start(active(), Fault::None);
    let server = Server::start(&config(&servers, &issuer, &files), ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    eventually("alice is let in", || refused(&client).is_none());
    for fault in [Fault::Silent, Fault::Drip, Fault::NoHandshake] {
        issuer.set(fault);
        let began = Instant::now();
        assert_eq!(refused(&client), Some((503, "server_deadline".to_owned())), "{fault:?}");
        assert!(began.elapsed().as_secs() < 5, "{fault:?}: {:?}", began.elapsed());
        issuer.set(Fault::None);
        eventually("alice is let in again", || refused(&client).is_none());
    }
}

#[test]
fn eval_says_why_an_issuer_gave_no_answer() {
    let (servers, files) = (KeyServers::new(), Issuer::new());
    let issuer = servers.start(active(), Fault::Status(401));
    let policy = files.file("policy.rego", ALLOW_GET);
    let config = format!("{}policy: {{paths: ['{policy}']}}\n", config(&servers, &issuer, &files));
    let config = files.file("config.yaml", &config);
    let http = json!({"method": "GET", "path": "/a", "host": "h", "scheme": "http",
        "headers": {"authorization": "Bearer 2YotnFZFEjr1zCsicMWpAA"}});
    let request = files.file("request.json", &json!({"attributes": {"request": {"http": http}}}).to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.args(["eval", "-c", &config, "--check-request", &request]).output().unwrap();
    let [said, why] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(said.contains("token_introspection_unavailable"), "{said}");
    assert!(why.contains("the server answered 401"), "{why}");
    assert!(!why.contains(SECRET) && !why.contains("2YotnFZFEjr1zCsicMWpAA"), "{why}");
}
