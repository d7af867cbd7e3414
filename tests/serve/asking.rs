//! Checks that wait for an issuer's word on a token.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::ext_authz::proto_json::check_request_to_wire;
use serde_json::json;

use super::ALLOW_GET;
use super::client::CHECK;
use super::client::Wire;
use super::client::frame;
use super::issuer::Issuer;
use super::key_server::Fault;
use super::key_server::KeyServers;
use super::request;
use super::server::Server;
use super::server::eventually;

/// Routes where a token may be missing, and an issuer that is asked about tokens and never answers.
fn silent_issuer(issuer: &Issuer, silent: &TcpListener) -> String {
    format!(
        "routes: {{caller: optional, token: optional, reason_in_body: true}}\n\
         issuers:\n- {{issuer: https://idp.example, audiences: [a], introspection: \
         {{url: 'https://{}/', client_id: c, client_secret_file: '{}'}}}}\n",
        silent.local_addr().unwrap(),
        issuer.file("secret", "secret"),
    )
}

/// With a token that its issuer must be asked about.
fn opaque(number: usize) -> Vec<u8> {
    let http = json!({"method": "GET", "path": "/a", "host": "h", "scheme": "http",
        "headers": {"authorization": format!("Bearer opaque{number}")}});
    let request = json!({"attributes": {"request": {"http": http}}});
    check_request_to_wire(&request.to_string()).unwrap()
}

#[test]
fn k4_j6_checks_that_wait_for_an_issuer_take_no_room_of_the_records_of_others() {
    let issuer = Issuer::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!("{}decision_log: {{required: true, queue: 4}}\n", silent_issuer(&issuer, &silent));
    let server = Server::start(&config, ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    let checks: Vec<_> = (0..12).map(opaque).chain([request("GET")]).collect();
    let answers = client.check_all(&checks);
    let last = answers.last().unwrap();
    assert_eq!(last.allowed(), Some(true), "{:?}", last.reason());
}

#[test]
fn d26_a_reload_breaks_off_no_question_to_an_issuer() {
    let issuer = Issuer::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start(&silent_issuer(&issuer, &silent), ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "3S")];
    let waiting = thread::spawn(move || client.call_with(CHECK, &headers, &frame(0, &opaque(1))).reason());
    let _asked = silent.accept().unwrap();
    thread::sleep(Duration::from_millis(100));
    server.reconfigure("audiences: [a]", "audiences: [b]");
    server.hang_up();
    eventually("it is reloaded", || server.log().contains("\"reloaded\""));
    assert_eq!(waiting.join().unwrap().as_deref(), Some("server_deadline"));
}

#[test]
fn d26_what_is_said_to_an_older_configuration_lets_nobody_in() {
    let (servers, files) = (KeyServers::new(), Issuer::new());
    let exp = UnixTime::now().plus_seconds(3600).seconds();
    let said = json!({"active": true, "sub": "alice", "aud": "a", "exp": exp, "token_type": "Bearer"});
    let left = servers.start(said, Fault::Late);
    let introspection = json!({"url": format!("{}/introspect", left.url), "client_id": "countersign",
        "client_secret_file": files.file("secret", "secret"), "ca_file": servers.ca_file()});
    let issuers = json!([{"issuer": "https://idp.example", "introspection": introspection, "audiences": ["a"]}]);
    let config = format!("routes: {{caller: optional, reason_in_body: true}}\nissuers: {issuers}\n");
    let server = Server::start(&config, ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "3S")];
    let call = move || client.call_with(CHECK, &headers, &frame(0, &opaque(1)));
    let waiting = thread::spawn(move || (call().allowed(), call().allowed()));
    eventually("the old endpoint is asked", || left.fetches() > 0);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    server.reconfigure(&left.url, &format!("https://{}", silent.local_addr().unwrap()));
    server.hang_up();
    let answers = waiting.join().unwrap();
    assert_eq!(answers, (Some(false), Some(false)));
}
