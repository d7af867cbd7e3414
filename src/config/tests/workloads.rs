//! What must hold between the keys of workload identity, and what is warned about.

use std::sync::Arc;

use super::*;
use crate::config::limits;
use crate::listener::Tls;
use crate::spiffe_id::Peers;
use crate::trust::BundleConfig;
use crate::trust::Endpoint;
use crate::trust::Profile;

/// Own identity and trust as SPIRE's agent gives them.
const AGENT: &str = "spiffe: {workload_api: 'unix:///run/spire/agent.sock'}\n";
/// The same from files, for one trust domain.
const FILES: &str = "\
spiffe: {svid: {certificate: svid.pem, key: svid_key.pem}, bundles: [{trust_domain: prod.example, files: [ca.pem]}]}
";
/// Listens where other machines can reach it.
const OPEN: &str = "checks: ['0.0.0.0:9191']";
const PROXY: &str = "enabled: true, allowed_proxies: ['spiffe://prod.example/envoy']";
const CLIENT: &str = "enabled: true, allowed_clients: ['spiffe://prod.example/console']";

/// What is told of the least document with some keys more.
fn told_of(more: &str) -> Vec<String> {
    told(Folder::new().read(&format!("{LEAST}{more}")))
}

/// Holds that exactly one thing is told, with this beginning behind its line, and a hint with these words.
#[track_caller]
fn assert_told(more: &str, problem: &str, hint: &str) {
    let told = told_of(more);
    assert_eq!(told.len(), 1, "{more}: {told:?}");
    let (_, behind_line) = told[0].split_once(": ").unwrap();
    assert!(behind_line.starts_with(problem), "{more}: {told:?}");
    let (_, given) = told[0].rsplit_once(" (").unwrap();
    assert!(given.contains(hint), "{more}: {told:?}");
}

#[track_caller]
fn assert_taken(more: &str) {
    assert_eq!(told_of(more), [""; 0], "{more}");
}

fn settings(more: &str) -> Settings {
    Folder::new().read(&format!("{LEAST}{more}")).unwrap().settings
}

#[test]
fn everything_of_workloads_is_read_into_its_place() {
    let folder = Folder::new();
    let settings = folder.read(&folder.everything()).unwrap().settings;
    let peers = |texts: &[&str]| texts.iter().map(|text| Peers::parse(text).unwrap()).collect();
    let proxies = peers(&["spiffe://prod.example/ns/mesh/sa/envoy", "spiffe://partner.example"]);
    assert_eq!(settings.listeners.tls, Some(Tls { allowed: proxies }));
    assert_eq!(settings.admin.tls, Some(Tls { allowed: peers(&["spiffe://prod.example/ns/ops/sa/console"]) }));
    assert_eq!(settings.spiffe.svid_id.unwrap().as_str(), "spiffe://prod.example/countersign");
    assert!(settings.caller.verify_peer_certificate);
    let [spiffe, web] = settings.spiffe.bundles.try_into().unwrap();
    let BundleConfig { trust_domain, files, endpoint, optional } = spiffe;
    assert_eq!((trust_domain.as_str(), files.len(), optional), ("partner.example", 2, true));
    let Endpoint { url, profile, refuse_rollback } = endpoint.unwrap();
    assert_eq!((url.as_str(), refuse_rollback), ("https://spire.partner.example/bundle", true));
    assert!(matches!(profile, Profile::HttpsSpiffe { id } if id.as_str() == "spiffe://partner.example/spire/server"));
    assert!(
        matches!(web.endpoint.unwrap().profile, Profile::HttpsWeb { ca_file: Some(path) } if path.ends_with("ca.pem"))
    );
}

#[test]
fn without_a_word_of_workloads_all_is_as_before() {
    let settings = settings("");
    assert!(settings.spiffe.is_empty());
    assert_eq!((settings.listeners.tls, settings.admin.tls), (None, None));
    assert_eq!(settings.caller, identity::Config::default());
    assert!(!settings.token.issuers[0].workload_subjects);
}

#[test]
fn a_workload_api_may_come_from_the_environment_and_only_where_it_is_named() {
    let named = settings("spiffe: {workload_api: '${SPIFFE_ENDPOINT_SOCKET}'}\n");
    assert_eq!(named.spiffe.workload_api.as_deref(), Some("unix:///spiffe-workload-api/spire-agent.sock"));
    assert_eq!(settings("spiffe: {}\n").spiffe.workload_api, None);
}

#[test]
fn a_trust_domain_may_be_written_as_its_spiffe_id() {
    let settings = settings("spiffe: {bundles: [{trust_domain: 'spiffe://prod.example', files: [ca.pem]}]}\n");
    assert_eq!(settings.spiffe.bundles[0].trust_domain.as_str(), "prod.example");
}

#[test]
fn an_own_certificate_is_whole_and_chosen_where_there_is_a_choice() {
    assert_told("spiffe: {svid: {certificate: svid.pem}}\n", "error: spiffe.svid.key: is missing", "certificate's key");
    assert_told("spiffe: {svid: {key: svid_key.pem}}\n", "error: spiffe.svid.certificate: is missing", "key's cert");
    let id = "svid_id: spiffe://prod.example/a";
    let message = "error: spiffe.svid_id: is only looked at with `workload_api`";
    assert_told(&format!("spiffe: {{{id}}}\n"), message, "add workload_api");
    let files = "svid: {certificate: svid.pem, key: svid_key.pem}";
    assert_told(&format!("spiffe: {{{id}, {files}}}\n"), message, "add workload_api");
    let agent = "workload_api: 'unix:///run/a.sock'";
    let message = "warning: spiffe.svid_id: is of no use: the own certificate comes from the files of `svid`";
    assert_told(&format!("spiffe: {{{agent}, {id}, {files}}}\n"), message, "remove one");
    assert_taken(&format!("spiffe: {{{agent}, {id}}}\n"));
    assert_taken(&format!("spiffe: {{{agent}, {files}}}\n"));
    assert_taken("spiffe: {svid: }\n");
}

#[test]
fn a_bundle_comes_from_somewhere_and_its_endpoint_keeps_to_its_profile() {
    let url = "endpoint: 'https://partner.example/bundle'";
    let id = "endpoint_id: spiffe://partner.example/spire/server";
    let bundle = |keys: &str| format!("spiffe: {{bundles: [{{trust_domain: partner.example, {keys}}}]}}\n");
    for (keys, problem, hint) in [
        ("optional: true", "bundles[0]: has neither `files` nor `endpoint`", "`files: [PATH]` or `endpoint"),
        ("files: []", "bundles[0]: has neither `files` nor `endpoint`", "`files: [PATH]` or `endpoint"),
        ("files: [ca.pem], profile: https_web", "bundles[0].profile: is only looked at with `endpoint`", "add the"),
        (&format!("files: [ca.pem], {id}"), "bundles[0].endpoint_id: is only looked at with `endpoint`", "add the"),
        ("files: [ca.pem], ca_file: ca.pem", "bundles[0].ca_file: is only looked at with `endpoint`", "add the"),
        (
            "files: [ca.pem], refuse_rollback: true",
            "bundles[0].refuse_rollback: is only looked at with `endpoint`",
            "add the endpoint, or remove it",
        ),
        (
            &format!("{url}, {id}"),
            "bundles[0].endpoint_id: is only looked at with `profile: https_spiffe`",
            "change `profile`",
        ),
        (
            &format!("files: [ca.pem], {url}, {id}, profile: https_spiffe, ca_file: ca.pem"),
            "bundles[0].ca_file: is only looked at with `profile: https_web`",
            "change `profile`",
        ),
        (
            &format!("files: [ca.pem], {url}, profile: https_spiffe"),
            "bundles[0].endpoint_id: is missing: `https_spiffe` believes a server by its SPIFFE ID",
            "`spiffe://partner.example/spire/server`",
        ),
        (
            &format!("{url}, {id}, profile: https_spiffe"),
            "bundles[0].endpoint_id: could never be proven: there is no bundle of the trust domain `partner.example`",
            "name it below `files`",
        ),
    ] {
        assert_told(&bundle(keys), &format!("error: spiffe.{problem}"), hint);
    }
    for keys in [
        "files: [ca.pem, partner.json]",
        url,
        &format!("{url}, ca_file: ca.pem, refuse_rollback: true"),
        &format!("files: [partner.json], {url}, {id}, profile: https_spiffe"),
    ] {
        assert_taken(&bundle(keys));
    }
}

#[test]
fn a_server_is_proven_by_a_bundle_that_comes_from_somewhere_else() {
    let entry = |domain: &str, server: &str, more: &str| {
        format!(
            "{{trust_domain: {domain}, endpoint: 'https://{domain}/', profile: https_spiffe, \
             endpoint_id: 'spiffe://{server}/server'{more}}}"
        )
    };
    let spiffe = |bundles: &[String]| format!("spiffe: {{bundles: [{}]}}\n", bundles.join(", "));
    let never = "could never be proven: there is no bundle of the trust domain";
    let hint = "add an entry for the server's trust domain";

    let begins = "{trust_domain: c.example, endpoint: 'https://c.example/'}".to_owned();
    assert_taken(&spiffe(&[entry("a.example", "b.example", ""), entry("b.example", "c.example", ""), begins]));
    assert_taken(&spiffe(&[entry("a.example", "b.example", ""), entry("b.example", "b.example", ", files: [ca.pem]")]));
    let agent = AGENT.trim_end().strip_suffix('}').unwrap();
    assert_taken(&format!("{agent}, bundles: [{}]}}\n", entry("a.example", "prod.example", "")));
    assert_told(
        &format!("{agent}, bundles: [{}]}}\n", entry("a.example", "a.example", "")),
        &format!("error: spiffe.bundles[0].endpoint_id: {never} `a.example`"),
        "name it below `files`",
    );

    // Its own files do not say how another trust domain's server is proven.
    let alone = entry("a.example", "b.example", ", files: [ca.pem]");
    assert_told(&spiffe(&[alone]), &format!("error: spiffe.bundles[0].endpoint_id: {never} `b.example`"), hint);
    let circle = told_of(&spiffe(&[entry("a.example", "b.example", ""), entry("b.example", "a.example", "")]));
    assert_eq!(circle.len(), 2, "{circle:?}");
    assert!(circle.iter().all(|problem| problem.contains(never)), "{circle:?}");
}

#[test]
fn a_trust_domain_stands_there_once_and_their_number_is_bounded() {
    let bundle = |domain: &str| format!("{{trust_domain: '{domain}', files: [ca.pem]}}");
    let twice = [bundle("a.example"), bundle("b.example"), bundle("spiffe://a.example")].join(", ");
    let message = "error: spiffe.bundles[2].trust_domain: is also the trust domain of spiffe.bundles[0]";
    assert_told(&format!("spiffe: {{bundles: [{twice}]}}\n"), message, "make one entry of the two");

    let many =
        |count: usize| (0..count).map(|index| bundle(&format!("d{index}.example"))).collect::<Vec<_>>().join(", ");
    assert_taken(&format!("spiffe: {{bundles: [{}]}}\n", many(limits::BUNDLES)));
    let message = "error: spiffe.bundles: has 129 items";
    assert_told(&format!("spiffe: {{bundles: [{}]}}\n", many(limits::BUNDLES + 1)), message, "at most 128 are taken");
}

#[test]
fn lists_are_bounded() {
    let list = |count: usize, item: &str| format!("[{}]", vec![item; count].join(", "));
    let peers = |count| list(count, "'spiffe://prod.example/a'");
    for (more, problem, most) in [
        (format!("{AGENT}listeners: {{tls: {{enabled: true, allowed_proxies: {}}}}}\n", peers(257)), "has 257", 256),
        (format!("{AGENT}admin: {{tls: {{enabled: true, allowed_clients: {}}}}}\n", peers(257)), "has 257", 256),
        (format!("{AGENT}caller: {{jwt_svid: {{audiences: {}}}}}\n", list(65, "a")), "has 65 items", 64),
        (format!("{FILES}caller: {{wimse: {{audiences: {}}}}}\n", list(65, "'https://a'")), "has 65 items", 64),
        (format!("spiffe: {{bundles: [{{trust_domain: a, files: {}}}]}}\n", list(9, "ca.pem")), "has 9 items", 8),
    ] {
        let told = told_of(&more);
        assert!(told.len() == 1 && told[0].contains(problem), "{told:?}");
        assert!(told[0].contains(&format!("at most {most} are taken")), "{told:?}");
    }
    assert_taken(&format!("{AGENT}listeners: {{tls: {{enabled: true, allowed_proxies: {}}}}}\n", peers(256)));
}

#[test]
fn a19_mutual_tls_has_a_certificate_and_somebody_to_let_in() {
    let tls = |keys: &str| format!("listeners: {{tls: {{{keys}}}}}\n");
    for spiffe in [AGENT, FILES] {
        assert_taken(&format!("{spiffe}{}", tls(PROXY)));
        let empty = "error: listeners.tls.allowed_proxies: is empty: no proxy could connect";
        assert_told(&format!("{spiffe}{}", tls("enabled: true")), empty, "`spiffe://TRUST_DOMAIN`");
        assert_taken(&format!("{spiffe}admin: {{tls: {{{CLIENT}}}}}\n"));
    }
    let trust = "spiffe: {bundles: [{trust_domain: prod.example, files: [ca.pem]}]}\n";
    let message = "error: listeners.tls.enabled: needs a certificate of its own, and none is configured";
    assert_told(&format!("{trust}{}", tls(PROXY)), message, "spiffe.workload_api, or spiffe.svid");
    let message = "error: admin.tls.enabled: needs a certificate of its own, and none is configured";
    assert_told(&format!("{trust}admin: {{tls: {{{CLIENT}}}}}\n"), message, "spiffe.workload_api, or spiffe.svid");
    assert_told(
        &format!("{AGENT}{}", tls("allowed_proxies: ['spiffe://prod.example']")),
        "warning: listeners.tls.allowed_proxies: is only looked at with `enabled: true`",
        "turn TLS on",
    );
    assert_told(
        &format!("{AGENT}admin: {{tls: {{allowed_clients: ['spiffe://prod.example']}}}}\n"),
        "warning: admin.tls.allowed_clients: is only looked at with `enabled: true`",
        "turn TLS on",
    );
}

#[test]
fn who_may_connect_can_be_proven() {
    let listeners =
        "listeners: {tls: {enabled: true, allowed_proxies: ['spiffe://prod.example', 'spiffe://b.example/a']}}\n";
    let message = "could never be proven: there is no bundle of the trust domain `b.example`";
    let path = "listeners.tls.allowed_proxies[1]";
    assert_told(&format!("{FILES}{listeners}"), &format!("error: {path}: {message}"), "add it below spiffe.bundles");
    // Which trust domains the agent federates with, it says itself.
    assert_taken(&format!("{AGENT}{listeners}"));
    let admin = "admin: {tls: {enabled: true, allowed_clients: ['spiffe://b.example']}}\n";
    let path = "admin.tls.allowed_clients[0]";
    assert_told(&format!("{FILES}{admin}"), &format!("error: {path}: {message}"), "add it below spiffe.bundles");
}

#[test]
fn with_tls_checks_may_come_from_other_machines() {
    assert_taken(&format!("{AGENT}listeners: {{{OPEN}, tls: {{{PROXY}}}}}\n"));
    let accepted = "insecure_plaintext_beyond_loopback: true";
    assert_told(
        &format!("{AGENT}listeners: {{{OPEN}, {accepted}, tls: {{{PROXY}}}}}\n"),
        "warning: listeners.insecure_plaintext_beyond_loopback: is of no use: with `tls.enabled` no other machine",
        "remove it",
    );
    assert_told(
        &format!("{AGENT}listeners: {{{OPEN}}}\n"),
        "error: listeners.checks: `0.0.0.0:9191` can be reached from other machines, in plaintext",
        "or turn `tls` on",
    );
    let beside = "checks: ['unix:///run/checks.sock', '127.0.0.1:9191']";
    assert_taken(&format!("{AGENT}listeners: {{{beside}, tls: {{{PROXY}}}}}\n"));
    assert_told(
        &format!("{AGENT}listeners: {{checks: ['unix:///run/checks.sock'], tls: {{{PROXY}}}}}\n"),
        "warning: listeners.tls.enabled: is of no use: `checks` has Unix sockets alone",
        "listen on an IP address",
    );
}

#[test]
fn the_private_port_is_on_loopback_or_for_those_who_prove_themselves() {
    let key = "admin.insecure_plaintext_beyond_loopback";
    let accepted = "insecure_plaintext_beyond_loopback: true";
    for open in ["0.0.0.0:1", "[::]:1", "10.1.2.3:1"] {
        let admin = |more: &str| format!("{AGENT}admin: {{private: '{open}'{more}}}\n");
        let reached = format!("`{open}` can be reached from other machines, in plaintext");
        assert_told(&admin(""), &format!("error: admin.private: {reached}"), "allowed_clients; or set insecure_plain");
        assert_told(&admin(&format!(", {accepted}")), &format!("warning: {key}: {reached}"), "nobody else reaches it");
        let nobody = format!("error: admin.tls.allowed_clients: is empty: nobody could use `private`, `{open}`");
        assert_told(&admin(", tls: {enabled: true}"), &nobody, "`spiffe://TRUST_DOMAIN`");
        assert_taken(&admin(&format!(", tls: {{{CLIENT}}}")));
        let of_no_use = format!("warning: {key}: is of no use: with `tls.enabled` nothing is answered in plaintext");
        assert_told(&admin(&format!(", {accepted}, tls: {{{CLIENT}}}")), &of_no_use, "remove it");
    }
    assert_taken("admin: {probes: '0.0.0.0:1', private: '[::1]:2'}\n");
    let nobody = "warning: admin.tls.allowed_clients: is empty: nobody could use `private`, `127.0.0.1:8283`";
    assert_told(&format!("{AGENT}admin: {{tls: {{enabled: true}}}}\n"), nobody, "name the SPIFFE IDs of who may");
}

#[test]
fn what_is_to_be_proven_can_be() {
    let never = "could never be proven: no trust domain's bundle is configured";
    for (keys, path) in [
        ("verify_peer_certificate: true", "verify_peer_certificate"),
        ("jwt_svid: {audiences: [orders]}", "jwt_svid.audiences"),
        ("wimse: {audiences: ['https://orders.example']}", "wimse.audiences"),
    ] {
        let caller = format!("caller: {{{keys}}}\n");
        for nothing in ["", "spiffe: {svid: {certificate: svid.pem, key: svid_key.pem}}\n"] {
            let told = format!("error: caller.{path}: {never}");
            assert_told(&format!("{nothing}{caller}"), &told, "spiffe.workload_api, or name the trust domains");
        }
        assert_taken(&format!("{FILES}{caller}"));
        if path == "wimse.audiences" {
            let message = format!("error: caller.{path}: can never be proven: the Workload API gives no keys");
            assert_told(&format!("{AGENT}{caller}"), &message, "below spiffe.bundles, with `files` or `endpoint`");
        } else {
            assert_taken(&format!("{AGENT}{caller}"));
        }
    }
}

#[test]
fn a16_a_chain_is_verified_only_where_certificates_arrive() {
    let caller = |keys: &str| format!("{AGENT}caller: {{verify_peer_certificate: true, {keys}}}\n");
    let message = "error: caller.verify_peer_certificate: has no certificate to verify: `certificate` is off";
    for keys in ["certificate: false", "certificate: false, xfcc: sanitize_set"] {
        assert_told(&caller(keys), message, "include_peer_certificate");
    }
    assert_taken(&caller("certificate: true"));
    assert_taken(&caller("principal: false, certificate: true, xfcc: sanitize_set"));
}

#[test]
fn a_header_is_read_for_somebody_and_is_not_countersigns_own() {
    let jwt_svid = |keys: &str| format!("{AGENT}caller: {{jwt_svid: {{{keys}}}}}\n");
    assert_told(
        &jwt_svid("header: x-svid"),
        "warning: caller.jwt_svid.header: is only looked at with `audiences`",
        "say for whom",
    );
    for header in ["x-countersign-svid", "x-countersign-"] {
        assert_told(
            &jwt_svid(&format!("header: {header}, audiences: [orders]")),
            "error: caller.jwt_svid.header: begins like Countersign's own headers, `x-countersign-`",
            "choose another name",
        );
    }
    let routes = "routes: {owned_header_prefix: x-spiffe-}\n";
    let told = told_of(&format!("{routes}{}", jwt_svid("audiences: [orders]")));
    assert!(told.len() == 1 && told[0].contains("own headers, `x-spiffe-`"), "{told:?}");
    assert_taken(routes);
    let settings = settings(&jwt_svid("audiences: [orders]"));
    assert_eq!(settings.caller.jwt_svid.unwrap().header, "x-spiffe-jwt-svid");
}

#[test]
fn tokens_of_workloads_are_evidence_of_callers_too() {
    let caller = |keys: &str| format!("{FILES}caller: {{principal: false, certificate: false, {keys}}}\n");
    for keys in ["jwt_svid: {audiences: [orders]}", "wimse: {audiences: ['https://orders.example']}"] {
        assert_taken(&caller(keys));
        let opa_envoy = settings(&format!("compatibility: opa-envoy\nroutes: {{token: off}}\n{}", caller(keys)));
        let shape = opa_envoy.rules(Arc::default()).shape;
        assert!(matches!(shape, crate::facts::Shape::OpaEnvoy { caller: true, .. }), "{keys}");
    }
    let told = told_of(&caller("jwt_svid: {audiences: []}, wimse: {audiences: []}"));
    assert!(told.len() == 1 && told[0].contains("no evidence of a caller is looked at"), "{told:?}");
}

#[test]
fn k5_what_an_endpoints_address_hides_is_not_shown() {
    let bundle = "trust_domain: partner.example, endpoint: 'https://partner.example/bundle?key=${CANARY}'";
    let settings = settings(&format!("spiffe: {{bundles: [{{{bundle}}}]}}\n"));
    let shown = settings.redacted()["spiffe"]["bundles"][0]["endpoint"].clone();
    assert_eq!(shown, "https://partner.example/bundle?[redacted]");
}
