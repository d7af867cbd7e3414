//! The built server from outside, without a proxy: its sockets, its answers to what is no request, reload, and the end.

#![cfg(test)]

#[path = "serve/asking.rs"]
mod asking;
#[path = "serve/client.rs"]
mod client;
#[path = "serve/dpop.rs"]
mod dpop;
#[path = "serve/faults.rs"]
mod faults;
#[path = "serve/frames.rs"]
mod frames;
#[path = "serve/introspection.rs"]
mod introspection;
#[path = "serve/issuer.rs"]
mod issuer;
#[path = "serve/key_server.rs"]
mod key_server;
#[path = "serve/nonces.rs"]
mod nonces;
#[path = "serve/reload.rs"]
mod reload;
#[path = "serve/secrets.rs"]
mod secrets;
#[path = "serve/server.rs"]
mod server;

use std::time::Duration;

use serde_json::json;

use client::Wire;
use frames::Frames;
use issuer::Issuer;
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
    client::request(&json!({"method": method}))
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
fn j4_headers_of_every_kind_are_no_reason_for_a_grpc_error() {
    let server = Server::start(OPEN, ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    // Envoy's tracers copy these from the client's request, which may have 60 KiB of headers.
    let long = "a".repeat(60 * 1024);
    let usual = ("content-type", "application/grpc");
    let cases: [&[(&str, &str)]; 7] = [
        &[usual, ("tracestate", &long)],
        &[],
        &[("content-type", "text/plain")],
        &[usual, ("grpc-encoding", "gzip")],
        &[usual, ("grpc-timeout", "never")],
        &[usual, ("grpc-timeout", "0n")],
        &[usual, ("traceparent", "00-rubbish")],
    ];
    for headers in cases {
        let answer = client.call_with(client::CHECK, headers, &client::frame(0, &request("PUT")));
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!((answer.grpc_status.as_str(), answer.allowed()), ("0", Some(false)), "{names:?}");
    }
}

#[test]
fn j1_resets_do_not_end_the_checks_beside_them() {
    let server = Server::start(OPEN, ALLOW_GET);
    let mut frames = Frames::connect(&server.tcp());
    let given_up =
        (0..200).map(|index| 3 + 2 * index).flat_map(|stream| [frames::check_headers(stream), frames::reset(stream)]);
    let burst: Vec<u8> = [frames::check_headers(1)].into_iter().chain(given_up).flatten().collect();
    frames.send(&burst).unwrap();
    frames.send(&frames::check_data(1, &client::frame(0, &request("GET")))).unwrap();
    let (answer, goaway) = frames.answer(1);
    assert_eq!(goaway, None);
    assert!(!answer.is_empty(), "the check is answered");
}

#[test]
fn j1_a_flood_of_resets_ends_its_own_connection_alone() {
    let server = Server::start(OPEN, ALLOW_GET);
    let other = Wire::connect(&server.tcp());
    let mut frames = Frames::connect(&server.tcp());
    let flood = |from: u32| -> Vec<u8> {
        let streams = (from..from + 5_000).map(|index| 1 + 2 * index);
        streams.flat_map(|stream| [frames::check_headers(stream), frames::reset(stream)].concat()).collect()
    };
    let _ended_midway = (0..20).try_for_each(|part| frames.send(&flood(part * 5_000)));
    assert_eq!(other.check(&request("GET")).allowed(), Some(true));
}

#[test]
fn j3_a_silent_connection_gives_up_its_place() {
    let mut server = Server::start(&format!("{OPEN}listeners: {{max_connections: 1, drain_delay: 0s}}\n"), ALLOW_GET);
    let silent = std::net::TcpStream::connect(server.tcp()).unwrap();
    assert_eq!(Wire::connect(&server.tcp()).check(&request("GET")).allowed(), Some(true));
    drop(silent);
    let _silent_again = std::net::TcpStream::connect(server.tcp()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    server.terminate();
    assert_eq!(server.wait(Duration::from_secs(5)), Some(0), "the end does not wait for it");
}

#[test]
fn j3_the_probes_take_no_more_descriptors_than_their_own() {
    let server = Server::start(OPEN, ALLOW_GET);
    let before = server.descriptors();
    let silent: Vec<_> = (0..200).map(|_| server.connect_to_probes()).collect();
    std::thread::sleep(Duration::from_millis(500));
    assert!(server.descriptors() < before + 100, "{} after {before}", server.descriptors());
    assert_eq!(Wire::connect(&server.tcp()).check(&request("GET")).allowed(), Some(true));
    drop(silent);
    eventually("the probes answer again", || server.probe("/livez").0 == 200);
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
fn a_key_file_is_read_anew_when_it_changes() {
    let issuers = "issuers:\n  - {issuer: \"https://idp.example\", keys: {file: policy.rego}, algorithms: [ES256], audiences: [a]}\n";
    let server = Server::start_unready(issuers, ALLOW_GET);
    server.write("jwks.json", r#"{"keys": []}"#);
    server.reconfigure("file: policy.rego", "file: jwks.json");
    eventually("an empty set is read", || server.private("/config").1.contains("jwks.json"));
    assert_eq!(server.probe("/readyz").0, 503, "a set without keys verifies no token");
    let key = r#"{"kty": "EC", "crv": "P-256", "use": "sig", "kid": "1",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;
    server.write("jwks.json", &format!(r#"{{"keys": [{key}]}}"#));
    eventually("the key is there long before the next refresh", || server.probe("/readyz").0 == 200);
}

#[test]
fn k2_a_token_met_before_is_refused_once_its_file_lists_it_and_stays_so() {
    let issuer = Issuer::new();
    let server = Server::start(&format!("{}routes: {{caller: optional}}\n", issuer.config()), ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    let asked =
        |jti: &str| client::request(&json!({"headers": {"authorization": format!("Bearer {}", issuer.token(jti))}}));
    let (stolen, other) = (asked("stolen"), asked("other"));
    let status = |request: &[u8]| client.check(request).http_status();
    assert_eq!(client.check(&stolen).allowed(), Some(true));
    assert_eq!(client.check(&stolen).allowed(), Some(true), "a hit");

    issuer.revoke(r#"{"issuer": "https://idp.example", "jti": ["stolen"]}"#);
    eventually("the token is refused without a signal", || status(&stolen) == Some(401));
    assert_eq!(client.check(&other).allowed(), Some(true));

    issuer.revoke("half a file");
    eventually("the broken file is noticed", || server.probe("/readyz").1.contains("revocations[0]"));
    assert_eq!(status(&stolen), Some(401), "the last good revocations stay");
    issuer.lose_revocations();
    eventually("so is a missing one", || server.probe("/readyz").1.contains("does not exist"));
    assert_eq!(status(&stolen), Some(401), "the last good revocations stay");
    assert_eq!(client.check(&other).allowed(), Some(true), "and a broken reload is no outage");

    issuer.revoke(r#"[{"issuer": "https://idp.example", "sub": ["alice"]}]"#);
    eventually("the repaired file counts", || status(&other) == Some(401));
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
fn k4_where_records_are_required_nothing_is_allowed_without_one() {
    let required = format!("{OPEN}decision_log: {{required: true}}\n");
    let full = Server::start_with_full_disk(&required, ALLOW_GET);
    let client = Wire::connect(&full.tcp());
    // The first write says that nothing is taken.
    eventually("checks are refused", || client.check(&request("GET")).allowed() == Some(false));
    for _time in 0..20 {
        let refused = client.check(&request("GET"));
        assert_eq!((refused.grpc_status.as_str(), refused.allowed()), ("0", Some(false)));
    }
    let metrics = full.probe("/metrics").1;
    let series = "countersign_checks_total{decision=\"deny\",reason=\"server_log_unavailable\"} ";
    let counted = metrics.lines().find_map(|line| line.strip_prefix(series)?.parse().ok());
    assert!(counted.is_some_and(|counted: u64| counted > 20), "{metrics}");

    let whole = Server::start(&required, ALLOW_GET);
    let client = Wire::connect(&whole.tcp());
    assert!((0..100).all(|_| client.check(&request("GET")).allowed() == Some(true)));
    eventually("all are written", || whole.records().len() == 100);
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
