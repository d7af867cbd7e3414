use serde_json::Value as Json;
use serde_json::json;

use super::*;
use crate::clock::UnixTime;
use crate::facts::Actor;
use crate::facts::Attributes;
use crate::facts::Caller;
use crate::facts::CertificateFacts;
use crate::facts::Delegation;
use crate::facts::Http;
use crate::facts::HttpView;
use crate::facts::Peer;
use crate::facts::Proof;
use crate::facts::RawHeader;
use crate::facts::Request;
use crate::facts::RequestView;
use crate::facts::User;
use crate::spiffe_id::SpiffeId;

fn document(facts: Facts<'_>) -> Json {
    serde_json::to_value(facts).unwrap()
}

fn keys(document: &Json) -> Vec<&str> {
    document.as_object().unwrap().keys().map(String::as_str).collect()
}

fn caller() -> Caller {
    Caller {
        spiffe_id: SpiffeId::parse("spiffe://prod.example/ns/agents/sa/planner").unwrap(),
        proof: Proof::PeerCertificate,
        certificate: Some(CertificateFacts {
            sha256: [0xab; 32],
            serial: "01".to_owned(),
            not_after: UnixTime::from_seconds(0),
        }),
    }
}

fn user(delegation: Option<Delegation>) -> User {
    let Json::Object(claims) = json!({"sub": "alice"}) else { panic!() };
    User {
        issuer: "https://idp.example".to_owned(),
        subject: "alice".to_owned(),
        audience: vec!["orders".to_owned()],
        client_id: None,
        scopes: vec!["read".to_owned(), "write".to_owned()],
        roles: vec!["reader".to_owned()],
        groups: Vec::new(),
        tenant: Some("acme".to_owned()),
        token_type: Some("at+jwt".to_owned()),
        issued_at: None,
        expires_at: 60,
        claims,
        delegation,
        rendered: crate::facts::Rendered::default(),
    }
}

#[test]
fn a_strict_document_has_every_key() {
    let (attributes, request) = (Attributes::default(), RequestView::default());
    let empty =
        document(Facts { attributes: &attributes, request: &request, caller: None, user: None, shape: Shape::Strict });
    for key in ["caller", "user", "delegation", "http", "mcp", "a2a"] {
        assert_eq!(empty.get(key), Some(&Json::Null), "{key}");
    }
}

#[test]
fn the_plugins_document_has_more_keys_only_where_they_are_configured() {
    let (attributes, request) = (Attributes::default(), RequestView::default());
    let plugins = ["attributes", "parsed_body", "parsed_path", "parsed_query", "truncated_body", "version"];
    for (caller, user, more) in [
        (false, false, &[][..]),
        (true, false, &["caller"]),
        (false, true, &["delegation", "user"]),
        (true, true, &["caller", "delegation", "user"]),
    ] {
        let shape = Shape::OpaEnvoy { caller, user };
        let document = document(Facts { attributes: &attributes, request: &request, caller: None, user: None, shape });
        let mut expected = [&plugins, more].concat();
        expected.sort_unstable();
        assert_eq!(keys(&document), expected);
    }
}

#[test]
fn what_is_proven_is_shown() {
    let actor = Actor { subject: "spiffe://prod.example/a".to_owned(), issuer: None };
    let (caller, user) = (caller(), user(Some(Delegation { actors: vec![actor], may_act: None })));
    let attributes = Attributes {
        source: Some(Peer { principal: "spiffe://prod.example/ns/agents/sa/planner".to_owned(), ..Peer::default() }),
        ..Attributes::default()
    };
    let request = RequestView::default();
    let document = document(Facts {
        attributes: &attributes,
        request: &request,
        caller: Some(&caller),
        user: Some(&user),
        shape: Shape::Strict,
    });
    assert_eq!(document["source_principal"], "spiffe://prod.example/ns/agents/sa/planner");
    assert_eq!(
        document["caller"],
        json!({
            "spiffe_id": "spiffe://prod.example/ns/agents/sa/planner", "trust_domain": "prod.example",
            "path": "/ns/agents/sa/planner", "segments": ["ns", "agents", "sa", "planner"],
            "kubernetes": {"namespace": "agents", "service_account": "planner"}, "proof": "peer_certificate",
            "certificate": {"sha256": "ab".repeat(32), "serial": "01", "not_after": "1970-01-01T00:00:00Z"},
        })
    );
    assert_eq!(
        document["user"],
        json!({
            "issuer": "https://idp.example", "subject": "alice", "audience": ["orders"], "client_id": null,
            "scopes": ["read", "write"], "roles": ["reader"],
            "groups": [], "tenant": "acme", "token_type": "at+jwt", "issued_at": null, "expires_at": 60,
            "claims": {"sub": "alice"},
        })
    );
    let actors = json!([{"subject": "spiffe://prod.example/a", "issuer": null}]);
    assert_eq!(document["delegation"], json!({"actors": actors, "depth": 1, "may_act": null}));
}

#[test]
fn the_normalised_request_has_every_header_as_a_list() {
    let raw =
        |key: &str, value: &[u8]| RawHeader { key: key.to_owned(), value: String::new(), raw_value: value.to_vec() };
    let http = Http {
        method: "POST".to_owned(),
        scheme: "https".to_owned(),
        header_map: Some(vec![raw("X-A", b"1"), raw("b", b""), raw("x-a", b"2")]),
        ..Http::default()
    };
    let attributes = Attributes { request: Some(Request { time: None, http: Some(http) }), ..Attributes::default() };
    let view = HttpView {
        host: "api.example".to_owned(),
        path: "/a".to_owned(),
        path_raw: "/./a".to_owned(),
        segments: vec!["a".to_owned()],
    };
    let parsed_query = vec![("q".to_owned(), vec!["2".to_owned(), "1".to_owned()])];
    let request = RequestView { http: Some(view), parsed_query, ..RequestView::default() };
    let facts = Facts { attributes: &attributes, request: &request, caller: None, user: None, shape: Shape::Strict };
    assert_eq!(
        document(facts)["http"],
        json!({
            "method": "POST", "scheme": "https", "host": "api.example", "path": "/a", "path_raw": "/./a",
            "segments": ["a"], "query": {"q": ["2", "1"]}, "headers": {"b": [""], "x-a": ["1", "2"]},
        })
    );
}

#[test]
fn absent_attributes_are_absent_and_empty_ones_are_not() {
    let request = RequestView::default();
    let shape = Shape::OpaEnvoy { caller: false, user: false };
    for absent in [true, false] {
        let attributes = Attributes { absent, ..Attributes::default() };
        let document = document(Facts { attributes: &attributes, request: &request, caller: None, user: None, shape });
        assert_eq!(document.get("attributes"), (!absent).then_some(&json!({})));
    }
}
