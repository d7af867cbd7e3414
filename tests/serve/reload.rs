//! What a reload changes, and what it does not.

use super::ALLOW_GET;
use super::ALLOW_POST;
use super::OPEN;
use super::client::Wire;
use super::request;
use super::server::Server;
use super::server::eventually;

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
fn files_that_a_reload_names_are_watched_from_then_on() {
    let server = Server::start(OPEN, ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    server.write("other.rego", ALLOW_GET);
    server.reconfigure("paths: [policy.rego]", "paths: [other.rego]");
    eventually("the configuration is read", || server.private("/config").1.contains("other.rego"));
    server.write("other.rego", ALLOW_POST);
    eventually("the new file is watched", || client.check(&request("POST")).allowed() == Some(true));

    server.write("third.rego", "package envoy.authz\nallow if {");
    server.reconfigure("paths: [other.rego]", "paths: [third.rego]");
    eventually("what it names is broken", || server.probe("/readyz").1.contains("third.rego"));
    server.write("third.rego", ALLOW_GET);
    eventually("and watched all the same", || client.check(&request("GET")).allowed() == Some(true));
}

#[test]
fn a_reload_says_what_waits_for_the_next_start() {
    let server = Server::start(&format!("{OPEN}decision_log: {{mask: []}}\n"), ALLOW_GET);
    server.reconfigure("mask: []", "mask: [/input/attributes/request/http/headers/x-secret]");
    eventually("it is said", || server.log().contains("at the next start"));
    assert!(server.log().contains("decision_log"), "{}", server.log());
    assert!(!server.private("/config").1.contains("x-secret"), "what is shown is what is in force");
}

#[test]
fn a19_a_reload_cannot_take_away_what_tls_rests_on() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (file("svid.pem", certificate.pem()), file("key.pem", key.serialize_pem()));
    let bundle = file("bundle.json", "{\"keys\": []}".to_owned());
    let own = format!("svid: {{certificate: '{certificate}', key: '{key}'}}");
    let bundles = format!("bundles: [{{trust_domain: prod.example, files: ['{bundle}']}}]");
    let tls = "tls: {enabled: true, allowed_proxies: ['spiffe://prod.example/envoy']}";
    let with_tls = format!("{OPEN}spiffe: {{{own}, {bundles}}}\nlisteners: {{workers: 1, {tls}}}\n");
    let server = Server::start(&with_tls, ALLOW_GET);
    // Both go, and the listener stays as it is until the next start.
    let without = [(format!("spiffe: {{{own}, {bundles}}}"), "spiffe: {}"), (format!(", {tls}"), "")];
    for (from, to) in without {
        server.reconfigure(&from, to);
    }
    server.hang_up();
    eventually("it is refused", || server.probe("/readyz").1.contains("TLS stays as it is until the next start"));
    assert!(server.private("/identity").1.contains("\"serial\""), "{}", server.private("/identity").1);
}

#[test]
fn a_storm_of_hangups_ends_nothing() {
    let server = Server::start(OPEN, ALLOW_GET);
    let client = Wire::connect(&server.tcp());
    for _ in 0..50 {
        server.hang_up();
        assert_eq!(client.check(&request("GET")).allowed(), Some(true));
    }
    server.write("policy.rego", ALLOW_POST);
    server.hang_up();
    eventually("the last one counts", || client.check(&request("POST")).allowed() == Some(true));
}
