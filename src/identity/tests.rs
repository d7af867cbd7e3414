mod certificates;
mod jwt_svid;
mod mutation;
mod wimse;

use proptest::prelude::*;

use crate::facts::Attributes;
use crate::spiffe_id::SpiffeId;

use super::fixtures::request;
use super::*;
use crate::facts::Proof;
use crate::hex;
use crate::trust::Bundles;
use crate::trust::certificate::Leaf;
use crate::trust::fixtures::HOUR;
use crate::trust::fixtures::NOW;
use crate::trust::fixtures::certificate;

const ALICE: &str = "spiffe://td/alice";
const ADMIN: &str = "spiffe://td/admin";
const NOBODY: &str = "nobody";
const HASH: &str = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF";
const APPEND_FORWARD: XfccMode = XfccMode::AppendForward { by: None };

fn config(xfcc: XfccMode) -> Config {
    Config { xfcc, ..Config::default() }
}

fn resolve(config: Config, attributes: &Attributes) -> Result<Option<Caller>, Reason> {
    Resolver::new(config).resolve(attributes, &Bundles::default(), NOW).map_err(|denial| denial.reason)
}

/// The caller's ID, [`NOBODY`] or the name of the denial's reason, with principal and certificate on.
fn who(mode: XfccMode, attributes: &Attributes) -> String {
    match resolve(config(mode), attributes) {
        Ok(Some(caller)) => caller.spiffe_id.to_string(),
        Ok(None) => NOBODY.to_owned(),
        Err(reason) => reason.name().to_owned(),
    }
}

fn by_gateway(by: &str) -> XfccMode {
    XfccMode::AppendForward { by: Some(by.to_owned()) }
}

#[test]
fn a1_only_the_last_element_counts() {
    let prepended = format!("By=spiffe://td/gw;Hash={HASH};URI={ADMIN},By=spiffe://td/gw;Hash={HASH};URI={ALICE}");
    assert_eq!(who(APPEND_FORWARD, &request(ALICE, "", &[&prepended])), ALICE);
    assert_eq!(who(by_gateway("spiffe://td/gw"), &request(ALICE, "", &[&prepended])), ALICE);
    assert_eq!(who(XfccMode::SanitizeSet, &request(ALICE, "", &[&prepended])), Reason::CallerXfccElements.name());
    assert_eq!(who(APPEND_FORWARD, &request(ADMIN, "", &[&prepended])), Reason::CallerConflict.name());
}

#[test]
fn a1_the_last_element_is_the_configured_proxys() {
    let mode = || by_gateway("spiffe://td/gw");
    for by in ["", "By=spiffe://td/other;", "By=spiffe://td/gw;By=spiffe://td/other;", "By=spiffe://td/gw2;"] {
        let header = format!("By=spiffe://td/gw;URI={ALICE},{by}Hash={HASH};URI={ALICE}");
        assert_eq!(who(mode(), &request(ALICE, "", &[&header])), Reason::CallerXfccProxy.name(), "{by}");
    }
    let quoted = format!("by=\"spiffe://td/gw\";By=spiffe://td/gw;URI={ALICE}");
    assert_eq!(who(mode(), &request(ALICE, "", &[&quoted])), ALICE);
}

#[test]
fn a1_append_forward_believes_no_element_alone() {
    let header = format!("By=spiffe://td/gw;Hash={HASH};URI={ALICE}");
    let alone = request("", "", &[&header]);
    assert_eq!(who(APPEND_FORWARD, &alone), Reason::CallerXfccUnproven.name());
    assert_eq!(who(by_gateway("spiffe://td/gw"), &alone), Reason::CallerXfccUnproven.name());
    assert_eq!(who(XfccMode::SanitizeSet, &alone), ALICE);
    let off = Config { principal: false, certificate: false, xfcc: APPEND_FORWARD, ..Config::default() };
    assert_eq!(resolve(off, &request(ALICE, "", &[&header])), Err(Reason::CallerXfccUnproven));
    let without_source = Attributes { source: None, ..alone };
    assert_eq!(who(APPEND_FORWARD, &without_source), Reason::CallerXfccUnproven.name());
}

#[test]
fn a1_a_dns_san_that_writes_the_last_element_is_refused() {
    let san = "a,By=x;URI=spiffe://td/admin";
    let header = format!("By=spiffe://td/gw;Hash={HASH};Subject=\"CN=x\";URI=;DNS={san}");
    let x = || by_gateway("x");
    assert_eq!(who(APPEND_FORWARD, &request("", "", &[&header])), Reason::CallerXfccUnproven.name());
    assert_eq!(who(x(), &request("", "", &[&header])), Reason::CallerXfccUnproven.name());
    assert_eq!(who(x(), &request(san, "", &[&header])), Reason::CallerPrincipalInvalid.name());
    assert_eq!(who(x(), &request(ALICE, "", &[&header])), Reason::CallerConflict.name());
    assert_eq!(who(x(), &request("", &certificate(ALICE, |_| {}), &[&header])), Reason::CallerConflict.name());
    assert_eq!(who(XfccMode::SanitizeSet, &request("", "", &[&header])), Reason::CallerXfccElements.name());
}

#[test]
fn a2_a_source_that_is_off_is_ignored() {
    let hostile = ["URI=spiffe://td/admin", "[{\"uri\":[\"spiffe://td/admin\"]}]", "", "a,,\"", "URI=x,URI=y"];
    for header in hostile {
        assert_eq!(who(XfccMode::Off, &request(ALICE, "", &[header])), ALICE, "{header}");
        assert_eq!(who(XfccMode::Off, &request("", "", &[header])), NOBODY, "{header}");
    }
    let xfcc_alone = Config { principal: false, certificate: false, xfcc: XfccMode::SanitizeSet, ..Config::default() };
    let header = format!("Hash={HASH};Cert=\"rubbish\";URI={ALICE}");
    let caller = resolve(xfcc_alone, &request("admin.example.org", "rubbish", &[&header])).unwrap().unwrap();
    assert_eq!((caller.spiffe_id.as_str(), caller.proof), (ALICE, Proof::ForwardedClientCert));
    let nothing = Config { principal: false, certificate: false, xfcc: XfccMode::Off, ..Config::default() };
    assert_eq!(resolve(nothing, &request(ALICE, "rubbish", &[&header])), Ok(None));
}

#[test]
fn a3_two_uris_prove_nobody() {
    for header in [
        "URI=spiffe://td/a;URI=spiffe://td/b",
        "URI=spiffe://td/a;uri=spiffe://td/b;URI=spiffe://td/a",
        "URI=;URI=spiffe://td/a",
        "URI=spiffe://td/a;URI=",
    ] {
        for mode in [XfccMode::SanitizeSet, APPEND_FORWARD] {
            let answer = who(mode.clone(), &request("spiffe://td/a", "", &[header]));
            assert_eq!(answer, Reason::CallerXfccUri.name(), "{mode:?} {header}");
        }
    }
    // Not in the chosen element, and so nobody's business.
    let earlier = "URI=spiffe://td/a;URI=spiffe://td/b,URI=spiffe://td/a";
    assert_eq!(who(APPEND_FORWARD, &request("spiffe://td/a", "", &[earlier])), "spiffe://td/a");
}

#[test]
fn a4_a_quoted_subject_cannot_smuggle_a_uri() {
    for subject in [
        r#""CN=x,O=\"a,b;URI=spiffe://td/admin\"""#,
        // As Envoy 1.40 writes them: RFC 2253 escapes, the quote's being the header's too.
        r#""CN=a\\""#,
        r#""CN=a\"b""#,
        r#""CN=a\\\"""#,
        r#""CN=a\"""#,
        r#""CN=a\,b\;c=d\+e\<f\>#g""#,
        r#""CN=\# x\ ""#,
        r#""CN=\C3\A9""#,
        r#""CN=a\0A\09b\7F\01""#,
        r#""CN=x\"\,URI=spiffe://td/admin\;Subject=\"y""#,
        r#""""#,
    ] {
        let header = format!("By=spiffe://td/gw;Hash={HASH};Subject={subject};URI={ALICE}");
        assert_eq!(who(XfccMode::SanitizeSet, &request("", "", &[&header])), ALICE, "{subject}");
        assert_eq!(who(APPEND_FORWARD, &request(ALICE, "", &[&header])), ALICE, "{subject}");
    }
    // Ends at the second quote, since a backslash escapes the backslash before it.
    let header = r#"Subject="CN=a\\",URI=spiffe://td/admin;Subject="b""#;
    assert_eq!(who(XfccMode::SanitizeSet, &request("", "", &[header])), Reason::CallerXfccElements.name());
}

#[test]
fn a7_an_element_without_a_uri_proves_nobody_and_contradicts_nobody() {
    let by_hash = format!("By=spiffe://td/gw;Hash={HASH}");
    let leaf = certificate(ALICE, |_| {});
    let cert = format!("By=spiffe://td/gw;Cert=\"{leaf}\"");
    for header in ["By=spiffe://td/admin", &by_hash, "By=spiffe://td/gw;Subject=\"\";DNS=a.example", &cert] {
        assert_eq!(who(XfccMode::SanitizeSet, &request("", "", &[header])), NOBODY, "{header}");
        assert_eq!(who(APPEND_FORWARD, &request("", "", &[header])), Reason::CallerXfccUnproven.name(), "{header}");
        for mode in [XfccMode::SanitizeSet, APPEND_FORWARD] {
            assert_eq!(who(mode, &request(ALICE, "", &[header])), ALICE, "{header}");
        }
    }
}

#[test]
fn a7_an_empty_uri_says_that_the_certificate_has_none() {
    let header = "By=spiffe://td/gw;Subject=\"\";URI=;DNS=a.example";
    assert_eq!(who(XfccMode::SanitizeSet, &request("", "", &[header])), NOBODY);
    assert_eq!(who(APPEND_FORWARD, &request("", "", &[header])), Reason::CallerXfccUnproven.name());
    for mode in [XfccMode::SanitizeSet, APPEND_FORWARD] {
        // The principal can only be the DNS SAN `spiffe://td/admin`.
        assert_eq!(who(mode, &request(ADMIN, "", &[header])), Reason::CallerConflict.name());
    }
}

#[test]
fn a8_the_json_form_is_refused() {
    for mode in [XfccMode::SanitizeSet, APPEND_FORWARD] {
        let answer = |headers: &[&str]| who(mode.clone(), &request(ADMIN, "", headers));
        assert_eq!(answer(&["[{\"uri\":[\"spiffe://td/admin\"]}]"]), Reason::CallerXfccFormat.name());
        assert_eq!(answer(&["[]"]), Reason::CallerXfccFormat.name());
        assert_eq!(answer(&["[,URI=spiffe://td/admin"]), Reason::CallerXfccFormat.name());
        assert_eq!(answer(&["URI=spiffe://td/admin", "[{}]"]), Reason::CallerXfccFormat.name());
        // Never switches Envoy to JSON: a client's text.
        assert_eq!(answer(&["{\"uri\":[\"spiffe://td/admin\"]}"]), Reason::CallerXfccMalformed.name());
        assert_eq!(answer(&["{...}"]), Reason::CallerXfccMalformed.name());
    }
}

#[test]
fn a9_several_headers_are_elements_in_order() {
    let headers = ["URI=spiffe://td/admin", "By=spiffe://td/gw;URI=spiffe://td/alice"];
    assert_eq!(who(APPEND_FORWARD, &request(ALICE, "", &headers)), ALICE);
    assert_eq!(who(APPEND_FORWARD, &request(ADMIN, "", &headers)), Reason::CallerConflict.name());
    assert_eq!(who(XfccMode::SanitizeSet, &request(ALICE, "", &headers)), Reason::CallerXfccElements.name());
    for broken in [["", headers[1]], [headers[0], ""], ["a=b", headers[1]]] {
        assert_eq!(who(APPEND_FORWARD, &request(ALICE, "", &broken)), Reason::CallerXfccMalformed.name(), "{broken:?}");
    }
}

#[test]
fn a10_a18_a_principal_that_is_no_spiffe_id_is_refused() {
    for principal in [
        "admin.example.org",
        "CN=spiffe://td/admin",
        "spiffe://td/adm!n",
        "spiffe://td",
        "SPIFFE://td/admin",
        "spiffe://td/a;URI=spiffe://td/admin",
        " spiffe://td/admin",
        " ",
    ] {
        let answer = who(XfccMode::Off, &request(principal, "", &[]));
        assert_eq!(answer, Reason::CallerPrincipalInvalid.name(), "{principal}");
        let beside = request(principal, &certificate(ADMIN, |_| {}), &["URI=spiffe://td/admin"]);
        assert_eq!(who(APPEND_FORWARD, &beside), Reason::CallerPrincipalInvalid.name(), "{principal}");
    }
}

#[test]
fn a10_a_header_uri_that_is_no_spiffe_id_is_refused() {
    // A NUL in a SAN reaches the header as a space.
    for uri in ["https://example.org/a", "spiffe://td", "\"spiffe://td/a;b\"", "\"spiffe://td/admin .evil\""] {
        let header = format!("URI={uri}");
        assert_eq!(who(XfccMode::SanitizeSet, &request("", "", &[&header])), Reason::CallerXfccUri.name(), "{uri}");
        assert_eq!(who(APPEND_FORWARD, &request(ALICE, "", &[&header])), Reason::CallerXfccUri.name(), "{uri}");
    }
}

#[test]
fn a11_no_evidence_is_no_caller() {
    for mode in [XfccMode::Off, XfccMode::SanitizeSet, APPEND_FORWARD] {
        assert_eq!(who(mode.clone(), &request("", "", &[])), NOBODY);
        assert_eq!(who(mode, &Attributes::default()), NOBODY);
    }
}

#[test]
fn a12_evidence_that_disagrees_is_a_conflict() {
    let leaf = certificate(ALICE, |_| {});
    let other = certificate(ADMIN, |_| {});
    let twin = certificate(ALICE, |_| {});
    let uri = |id: &str| format!("URI={id}");
    let with_cert = |text: &str| format!("Cert=\"{text}\";URI={ALICE}");
    for (principal, certificate, header) in [
        (ALICE, "", uri(ADMIN)),
        (ALICE, other.as_str(), uri(ALICE)),
        (ADMIN, &leaf, uri(ADMIN)),
        ("", &leaf, uri(ADMIN)),
        ("spiffe://td.evil/alice", "", uri(ALICE)),
        ("spiffe://td/alice2", "", uri(ALICE)),
        (ALICE, &leaf, format!("Hash={HASH};URI={ALICE}")),
        (ALICE, &leaf, format!("Hash={HASH}")),
        (ALICE, "", with_cert(&other)),
        (ALICE, &leaf, with_cert(&other)),
        (ALICE, &leaf, with_cert(&twin)),
        (ALICE, "", format!("Hash={HASH};{}", with_cert(&leaf))),
    ] {
        for mode in [XfccMode::SanitizeSet, APPEND_FORWARD] {
            let answer = who(mode, &request(principal, certificate, &[&header]));
            assert_eq!(answer, Reason::CallerConflict.name(), "{principal} {header}");
        }
    }
    assert_eq!(who(XfccMode::Off, &request(ADMIN, &leaf, &[])), Reason::CallerConflict.name());
}

#[test]
fn a12_evidence_that_agrees_gives_the_strongest_proof() {
    let leaf = certificate(ALICE, |_| {});
    let digest = hex::lower(&Leaf::read(&leaf).unwrap().facts.sha256);
    let header = format!("By=spiffe://td/gw;Hash={};Cert=\"{leaf}\";URI={ALICE}", digest.to_uppercase());
    for (mode, principal, certificate, headers, proof, facts) in [
        (XfccMode::Off, ALICE, "", vec![], Proof::Principal, false),
        (XfccMode::Off, "", leaf.as_str(), vec![], Proof::PeerCertificate, true),
        (XfccMode::Off, ALICE, &leaf, vec![], Proof::PeerCertificate, true),
        (APPEND_FORWARD, ALICE, &leaf, vec![header.as_str()], Proof::PeerCertificate, true),
        (APPEND_FORWARD, "", &leaf, vec![&header], Proof::PeerCertificate, true),
        // A client can write a last element of `APPEND_FORWARD`, so its `Cert` adds nothing.
        (APPEND_FORWARD, ALICE, "", vec![&header], Proof::Principal, false),
        (XfccMode::SanitizeSet, ALICE, "", vec![&header], Proof::Principal, true),
        (XfccMode::SanitizeSet, "", "", vec![&header], Proof::ForwardedClientCert, true),
        (XfccMode::SanitizeSet, "", &leaf, vec![&header], Proof::PeerCertificate, true),
    ] {
        let caller = resolve(config(mode.clone()), &request(principal, certificate, &headers)).unwrap().unwrap();
        assert_eq!((caller.spiffe_id.as_str(), caller.proof), (ALICE, proof), "{mode:?}");
        assert_eq!(
            caller.certificate.map(|facts| hex::lower(&facts.sha256)),
            facts.then(|| digest.clone()),
            "{mode:?}"
        );
    }
}

#[test]
fn a13_validity_is_judged_at_every_use() {
    let leaf = certificate(ALICE, |_| {});
    let header = format!("Cert=\"{leaf}\";URI={ALICE}");
    for attributes in [request(ALICE, &leaf, &[]), request("", "", &[&header])] {
        let mut resolver = Resolver::new(config(XfccMode::SanitizeSet));
        let mut at = |seconds: i64| {
            resolver
                .resolve(&attributes, &Bundles::default(), NOW.plus_seconds(seconds))
                .map(|caller| caller.is_some())
                .map_err(|denial| denial.reason)
        };
        assert_eq!(at(-HOUR - 1), Err(Reason::CallerCertificateNotYetValid));
        assert_eq!(at(0), Ok(true));
        assert_eq!(at(HOUR), Ok(true));
        assert_eq!(at(HOUR + 1), Err(Reason::CallerCertificateExpired));
        assert_eq!(at(0), Ok(true));
        assert_eq!(at(-HOUR - 1), Err(Reason::CallerCertificateNotYetValid));
    }
}

#[test]
fn a15_the_log_gets_an_excerpt_only() {
    let long = "x".repeat(10_000);
    let principal = format!("{long}\n\u{1b}[31m");
    let uri = format!("URI={long}");
    let by = XfccMode::AppendForward { by: Some("spiffe://td/gw".to_owned()) };
    for (mode, attributes) in [
        (XfccMode::Off, request(&principal, "", &[])),
        (XfccMode::Off, request("", &long, &[])),
        (XfccMode::SanitizeSet, request("", "", &[&uri])),
        (XfccMode::SanitizeSet, request("", "", &[&long])),
        (by, request("", "", &[&format!("By={long}")])),
    ] {
        let denial = Resolver::new(config(mode)).resolve(&attributes, &Bundles::default(), NOW).unwrap_err();
        assert!(denial.detail.len() < 200 && !denial.detail.contains(char::is_control), "{}", denial.detail);
    }
}

proptest! {
    /// What Envoy 1.40 writes for a peer whose DNS SAN is hostile, `URI` being written or not as it is configured.
    #[test]
    fn a_dns_san_can_never_name_another_workload(san in hostile_san(), uri in prop_oneof![
        Just(None), Just(Some("")), Just(Some("spiffe://td/mallory")),
    ]) {
        let pair = uri.map(|uri| format!("URI={uri};")).unwrap_or_default();
        let header = format!("By=spiffe://td/gw;Hash={HASH};Subject=\"CN=x\";{pair}DNS={san}");
        // Envoy's principal is the URI SAN, or else the DNS SAN, which only the `URI` pair can tell from the former.
        let principal = uri.filter(|uri| !uri.is_empty()).unwrap_or(&san);
        prop_assume!(uri.is_some() || SpiffeId::parse(&san).is_err());
        for (mode, principal) in [(XfccMode::SanitizeSet, ""), (XfccMode::SanitizeSet, principal), (APPEND_FORWARD, principal)] {
            let answer = who(mode, &request(principal, "", &[&header]));
            prop_assert!(!answer.contains("://") || answer == "spiffe://td/mallory", "{answer}");
        }
    }

    /// A URI SAN is the principal, and that one is not escaped either: it is its own defence.
    #[test]
    fn a_uri_san_can_never_name_another_workload(san in hostile_san()) {
        prop_assume!(SpiffeId::parse(&san).is_err());
        let header = format!("By=spiffe://td/gw;Hash={HASH};Subject=\"CN=x\";URI={san};DNS=a.example");
        for mode in [XfccMode::SanitizeSet, APPEND_FORWARD] {
            let answer = who(mode, &request(&san, "", &[&header]));
            prop_assert!(answer.starts_with("caller_"), "{answer}");
        }
    }
}

/// SAN texts made of what the header's grammar is made of.
fn hostile_san() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("URI=spiffe://td/admin".to_owned()),
        Just("spiffe://td/admin".to_owned()),
        Just(format!("Hash={HASH}")),
        Just("By=spiffe://td/gw".to_owned()),
        Just("DNS=a".to_owned()),
        Just("Subject=\"\"".to_owned()),
        "[,;=\"\\\\ a]{1,2}",
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}
