//! The built server from outside, without a proxy: its sockets, its answers to what is no request, reload, and the end.

#![cfg(test)]

#[path = "serve/client.rs"]
mod client;
#[path = "serve/server.rs"]
mod server;

use std::time::Duration;

use serde_json::json;

use client::Wire;
use server::Server;
use server::eventually;

const ALLOW_GET: &str = r#"package envoy.authz
default allow := false
allow if input.attributes.request.http.method == "GET"
"#;

const ALLOW_POST: &str = r#"package envoy.authz
default allow := false
allow if input.attributes.request.http.method == "POST"
"#;

/// Nobody is asked to prove anything: these tests are about the server.
const OPEN: &str = "routes: {caller: optional, token: off}\n";

fn request(method: &str) -> Vec<u8> {
    let request =
        json!({"attributes": {"request": {"http": {"method": method, "path": "/a", "host": "h", "scheme": "http"}}}});
    countersign::ext_authz::proto_json::check_request_to_wire(&request.to_string()).unwrap()
}

#[test]
fn checks_are_answered_on_tcp_and_on_a_unix_socket() {
    let server = Server::start(OPEN, ALLOW_GET);
    for address in [server.tcp(), server.unix()] {
        let client = Wire::connect(&address);
        assert_eq!(client.check(&request("GET")).allowed(), Some(true), "{address}");
        let denied = client.check(&request("PUT"));
        assert_eq!((denied.grpc_status.as_str(), denied.allowed()), ("0", Some(false)));
    }
}

#[test]
fn j4_what_is_no_request_is_denied_and_never_a_grpc_error() {
    let server = Server::start(&format!("{OPEN}listeners: {{max_message_bytes: 65536}}\n"), ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    let long = vec![0_u8; 65_537];
    let hostile: [(&str, u8, &[u8]); 6] = [
        ("no protobuf", 0, b"\xff\xff\xff\xff\xff"),
        ("text that is no UTF-8", 0, b"\x0a\x06\x0a\x04\x12\x02\xff\xfe"),
        ("nothing", 0, b""),
        ("longer than allowed", 0, &long),
        ("flagged as compressed", 1, b"\x1f\x8b\x08\x00"),
        ("an unknown flag", 7, b"x"),
    ];
    for (what, flag, message) in hostile {
        let answer = client.call(client::CHECK, &client::frame(flag, message));
        assert_eq!(answer.grpc_status, "0", "{what}");
        assert_eq!(answer.allowed(), Some(false), "{what}");
        assert_eq!(answer.http_status(), Some(400), "{what}");
    }
    for (what, body) in
        [("no frame", Vec::new()), ("half a frame", vec![0, 0]), ("a frame cut short", vec![0, 0, 0, 0, 9, 1])]
    {
        let answer = client.call(client::CHECK, &body);
        assert_eq!((answer.grpc_status.as_str(), answer.allowed()), ("0", Some(false)), "{what}");
    }
    assert_eq!(client.check(&request("GET")).allowed(), Some(true), "and the connection still serves");
}

#[test]
fn j9_other_services_are_there_only_where_asked_for() {
    let health = "/grpc.health.v1.Health/Check";
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let quiet = Server::start(OPEN, ALLOW_GET);
    let client = Wire::connect(&quiet.tcp());
    assert_eq!(client.call(health, &client::frame(0, b"")).message, [8, 1], "SERVING");
    assert_eq!(client.call(reflection, &client::frame(0, b"\x3a\x01*")).grpc_status, "12");
    assert_eq!(client.call("/some.Other/Method", &client::frame(0, b"")).grpc_status, "12");
    let open = Server::start(&format!("{OPEN}listeners: {{reflection: true}}\n"), ALLOW_GET);
    let listed = Wire::connect(&open.tcp()).call(reflection, &client::frame(0, b"\x3a\x01*"));
    let listed = String::from_utf8_lossy(&listed.message).into_owned();
    assert!(listed.contains("envoy.service.auth.v3.Authorization"), "{listed}");
}

#[test]
fn a_reload_takes_effect_and_a_broken_one_does_not() {
    let server = Server::start(OPEN, ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    assert_eq!(client.check(&request("POST")).allowed(), Some(false));

    server.write("policy.rego", ALLOW_POST);
    server.hang_up();
    eventually("the new policy decides", || client.check(&request("POST")).allowed() == Some(true));
    assert_eq!(client.check(&request("GET")).allowed(), Some(false));

    server.write("policy.rego", "package envoy.authz\nallow if {");
    eventually("the broken policy is noticed without a signal", || server.probe("/readyz").1.contains("policy.rego"));
    assert_eq!(client.check(&request("POST")).allowed(), Some(true), "the last good one stays");
    assert_eq!(server.probe("/readyz").0, 200, "a broken reload is no outage");
    let metrics = server.probe("/metrics").1;
    assert!(metrics.contains("countersign_reloads_total{outcome=\"failed\"}"), "{metrics}");

    server.write("policy.rego", ALLOW_GET);
    eventually("the repaired policy decides", || client.check(&request("GET")).allowed() == Some(true));
    eventually("the failure is forgotten", || server.probe("/readyz").1.contains("\"reload_failed\":null"));
}

#[test]
fn j7_the_end_is_announced_drained_and_clean() {
    let mut server = Server::start(&format!("{OPEN}listeners: {{drain_delay: 1s}}\n"), ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    assert_eq!(client.check(&request("GET")).allowed(), Some(true));
    server.terminate();
    eventually("readiness ends first", || server.probe("/readyz").0 == 503);
    assert_eq!(client.check(&request("GET")).allowed(), Some(true), "checks go on while the proxy notices");
    assert_eq!(server.wait(Duration::from_secs(10)), Some(0));
}

#[test]
fn readiness_waits_for_keys_and_says_so() {
    let issuers = "issuers:\n  - {issuer: \"https://idp.example\", keys: {url: \"https://127.0.0.1:1/jwks\"}, algorithms: [ES256], audiences: [a]}\n";
    let server = Server::start_unready(issuers, ALLOW_GET);
    eventually("the policy is loaded", || !server.probe("/readyz").1.contains("\"policy\""));
    let (status, body) = server.probe("/readyz");
    assert_eq!(status, 503);
    assert!(body.contains("keys of https://idp.example"), "{body}");
    assert_eq!(server.probe("/livez").0, 200);
    let health = Wire::connect(&server.tcp()).call("/grpc.health.v1.Health/Check", &client::frame(0, b""));
    assert_eq!(health.message, [8, 2], "NOT_SERVING");
}

#[test]
fn every_check_has_one_record_and_one_count() {
    let mut server = Server::start(OPEN, ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    client.check(&request("GET"));
    client.check(&request("PUT"));
    client.call(client::CHECK, &client::frame(0, b"\xff"));
    let metrics = server.probe("/metrics").1;
    for (decision, reason) in [("allow", "policy_allowed"), ("deny", "policy_denied"), ("deny", "request_undecodable")]
    {
        let line = format!("countersign_checks_total{{decision=\"{decision}\",reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(15)), Some(0));
    let records = server.records();
    let reasons: Vec<_> = records.iter().map(|record| record["countersign"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["policy_allowed", "policy_denied", "request_undecodable"]);
}

#[test]
fn the_configuration_is_shown_on_the_private_side_alone() {
    let server = Server::start(OPEN, ALLOW_GET);
    assert_eq!(server.probe("/config").0, 404);
    let (status, body) = server.private("/config");
    assert_eq!(status, 200);
    assert!(body.contains("\"compatibility\":\"strict\""), "{body}");
}

#[test]
fn a_start_that_cannot_work_says_everything_and_exits_2() {
    let (code, output) =
        Server::fail("rotues: {}\nlisteners: {workers: 0}\n", "package envoy.authz\nallow := nosuch(1)\n");
    assert_eq!(code, Some(2));
    for part in ["rotues", "routes", "listeners.workers"] {
        assert!(output.contains(part), "{part} in {output}");
    }
}
