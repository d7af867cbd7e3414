use envoy_types::pb::google::protobuf;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn wire(attributes: auth::AttributeContext) -> Vec<u8> {
    auth::CheckRequest { attributes: Some(attributes) }.encode_to_vec()
}

fn with_http(http: auth::attribute_context::HttpRequest) -> Vec<u8> {
    let request = auth::attribute_context::Request { time: None, http: Some(http) };
    wire(auth::AttributeContext { request: Some(request), ..Default::default() })
}

fn reason(wire: &[u8]) -> Option<Reason> {
    decode(wire).err().map(|denial| denial.reason)
}

fn kind(kind: protobuf::value::Kind) -> protobuf::Value {
    protobuf::Value { kind: Some(kind) }
}

fn one_field(value: protobuf::Value) -> protobuf::Struct {
    protobuf::Struct { fields: HashMap::from([("k".to_owned(), value)]) }
}

fn with_metadata(structure: protobuf::Struct) -> Vec<u8> {
    let metadata =
        core::Metadata { filter_metadata: HashMap::from([("f".to_owned(), structure)]), ..Default::default() };
    wire(auth::AttributeContext { metadata_context: Some(metadata), ..Default::default() })
}

fn shown_address(address: core::address::Address) -> serde_json::Value {
    let peer =
        auth::attribute_context::Peer { address: Some(core::Address { address: Some(address) }), ..Default::default() };
    let attributes = decode(&wire(auth::AttributeContext { source: Some(peer), ..Default::default() })).unwrap();
    serde_json::to_value(attributes.source.unwrap().address.unwrap()).unwrap()
}

#[test]
fn everything_arrives() {
    let http = auth::attribute_context::HttpRequest {
        id: "1".to_owned(),
        method: "GET".to_owned(),
        headers: HashMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]),
        header_map: Some(core::HeaderMap {
            headers: vec![core::HeaderValue { key: "c".to_owned(), value: "3".to_owned(), raw_value: vec![4] }],
        }),
        path: "/p".to_owned(),
        host: "h".to_owned(),
        scheme: "https".to_owned(),
        query: "q".to_owned(),
        fragment: "f".to_owned(),
        size: -1,
        protocol: "HTTP/2".to_owned(),
        body: "body".to_owned(),
        raw_body: vec![0xff],
    };
    let peer = |principal: &str| auth::attribute_context::Peer {
        address: None,
        service: "s".to_owned(),
        labels: HashMap::from([("l".to_owned(), "v".to_owned())]),
        principal: principal.to_owned(),
        certificate: "pem".to_owned(),
    };
    let time = protobuf::Timestamp { seconds: 1, nanos: 2 };
    let attributes = decode(&wire(auth::AttributeContext {
        source: Some(peer("source")),
        destination: Some(peer("destination")),
        request: Some(auth::attribute_context::Request { time: Some(time), http: Some(http) }),
        context_extensions: HashMap::from([("x".to_owned(), "y".to_owned())]),
        metadata_context: Some(core::Metadata::default()),
        route_metadata_context: Some(core::Metadata::default()),
        tls_session: Some(auth::attribute_context::TlsSession { sni: "sni".to_owned() }),
    }))
    .unwrap();
    let peer = |principal| json!({"service": "s", "labels": {"l": "v"}, "principal": principal, "certificate": "pem"});
    assert_eq!(
        serde_json::to_value(attributes).unwrap(),
        json!({
            "source": peer("source"),
            "destination": peer("destination"),
            "request": {"time": {"seconds": 1, "nanos": 2}, "http": {
                "id": "1", "method": "GET", "headers": {"a": "1", "b": "2"},
                "headerMap": {"headers": [{"key": "c", "value": "3", "rawValue": "BA=="}]},
                "path": "/p", "host": "h", "scheme": "https", "query": "q", "fragment": "f", "size": -1,
                "protocol": "HTTP/2", "body": "body", "rawBody": "/w==",
            }},
            "contextExtensions": {"x": "y"},
            "metadataContext": {},
            "routeMetadataContext": {},
            "tlsSession": {"sni": "sni"},
        })
    );
}

#[test]
fn addresses_are_shown_by_kind() {
    let socket = |port_specifier, protocol| {
        core::address::Address::SocketAddress(core::SocketAddress {
            address: "h".to_owned(),
            port_specifier,
            protocol,
            ..Default::default()
        })
    };
    let port = |port| Some(PortSpecifier::PortValue(port));
    let named = Some(PortSpecifier::NamedPort("http".to_owned()));
    for (address, shown) in [
        (socket(port(1), 0), json!({"socketAddress": {"address": "h", "portValue": 1}})),
        (socket(port(0), 0), json!({"socketAddress": {"address": "h", "portValue": 0}})),
        (socket(None, 0), json!({"socketAddress": {"address": "h"}})),
        (socket(port(1), 1), json!({"socketAddress": {"address": "h", "portValue": 1, "protocol": 1}})),
        (socket(named, 0), json!({"socketAddress": {"address": "h", "namedPort": "http"}})),
        (
            core::address::Address::Pipe(core::Pipe { path: "/s".to_owned(), mode: 384 }),
            json!({"pipe": {"path": "/s", "mode": 384}}),
        ),
        (
            core::address::Address::EnvoyInternalAddress(core::EnvoyInternalAddress::default()),
            json!({"envoyInternalAddress": {}}),
        ),
    ] {
        assert_eq!(shown_address(address), shown);
    }
}

#[test]
fn a_struct_is_shown_as_the_json_it_stands_for() {
    use protobuf::value::Kind;
    for (value, shown) in [
        (protobuf::Value { kind: None }, json!(null)),
        (kind(Kind::NullValue(0)), json!(null)),
        (kind(Kind::BoolValue(false)), json!(false)),
        (kind(Kind::NumberValue(1.0)), json!(1)),
        (kind(Kind::NumberValue(2.5)), json!(2.5)),
        (kind(Kind::NumberValue(f64::NAN)), json!("NaN")),
        (kind(Kind::NumberValue(f64::INFINITY)), json!("Infinity")),
        (kind(Kind::NumberValue(f64::NEG_INFINITY)), json!("-Infinity")),
        (kind(Kind::StringValue(String::new())), json!("")),
        (kind(Kind::ListValue(protobuf::ListValue { values: vec![] })), json!([])),
        (kind(Kind::StructValue(protobuf::Struct::default())), json!({})),
    ] {
        let attributes = decode(&with_metadata(one_field(value))).unwrap();
        assert_eq!(attributes.metadata_context, Some(json!({"filterMetadata": {"f": {"k": shown}}})));
    }
}

#[test]
fn an_any_is_shown_raw() {
    let any = |type_url: &str, value: &[u8]| protobuf::Any { type_url: type_url.to_owned(), value: value.to_vec() };
    let typed_filter_metadata =
        HashMap::from([("a".to_owned(), any("t", b"\x0a\x01v")), ("b".to_owned(), any("", b""))]);
    let metadata = core::Metadata { typed_filter_metadata, ..Default::default() };
    let attributes =
        decode(&wire(auth::AttributeContext { route_metadata_context: Some(metadata), ..Default::default() })).unwrap();
    let shown = json!({"typedFilterMetadata": {"a": {"typeUrl": "t", "value": "CgF2"}, "b": {}}});
    assert_eq!(attributes.route_metadata_context, Some(shown));
}

#[test]
fn j4_bytes_that_are_no_check_request_are_refused() {
    let valid = with_http(auth::attribute_context::HttpRequest { path: "/p".to_owned(), ..Default::default() });
    let truncated = &valid[..valid.len() - 1];
    let not_text = valid.iter().map(|&byte| if byte == b'p' { 0xff } else { byte }).collect::<Vec<_>>();
    let gzipped = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    for wire in [b"\xff".as_slice(), b"\x0a\xff", b"\x08", truncated, &not_text, gzipped] {
        assert_eq!(reason(wire), Some(Reason::RequestUndecodable), "{}", wire.escape_ascii());
    }
}

#[test]
fn j4_a_message_with_parts_missing_decodes() {
    assert!(decode(b"").unwrap().absent);
    let attributes = decode(&wire(auth::AttributeContext::default())).unwrap();
    assert!(!attributes.absent && attributes.request.is_none());
    let request = auth::attribute_context::Request::default();
    let attributes = decode(&wire(auth::AttributeContext { request: Some(request), ..Default::default() })).unwrap();
    assert!(attributes.request.is_some() && attributes.http().is_none());
    assert!(decode(&with_http(auth::attribute_context::HttpRequest::default())).unwrap().http().is_some());
}

#[test]
fn j4_deep_metadata_is_refused_without_overflowing_the_stack() {
    use protobuf::value::Kind;
    let nested = |depth| {
        (0..depth).fold(one_field(kind(Kind::BoolValue(true))), |inner, _| one_field(kind(Kind::StructValue(inner))))
    };
    assert!(decode(&with_metadata(nested(20))).is_ok());
    assert_eq!(reason(&with_metadata(nested(60))), Some(Reason::RequestUndecodable));

    // Ten thousand levels, written by hand: a list in a list, each the field 6 of a `Value`.
    let deep = (0..10_000).fold(Vec::new(), |inner, _| field(6, &field(1, &inner)));
    let entry = |value: &[u8]| field(1, &[field(1, b"k"), field(2, value)].concat());
    let metadata = entry(&entry(&deep));
    assert_eq!(reason(&field(1, &field(11, &metadata))), Some(Reason::RequestUndecodable));
}

/// A length-delimited field.
fn field(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut field);
    prost::encoding::encode_varint(content.len().try_into().unwrap(), &mut field);
    [field.as_slice(), content].concat()
}

#[test]
fn e10_headers_are_counted_and_weighed() {
    let merged = |count: usize, value: &str| auth::attribute_context::HttpRequest {
        headers: (0..count).map(|name| (format!("{name:04}"), value.to_owned())).collect(),
        ..Default::default()
    };
    let separate = |count: usize, value: &str| {
        let headers = (0..count)
            .map(|name| core::HeaderValue {
                key: format!("{name:04}"),
                value: String::new(),
                raw_value: value.as_bytes().to_vec(),
            })
            .collect();
        auth::attribute_context::HttpRequest { header_map: Some(core::HeaderMap { headers }), ..Default::default() }
    };
    let makes: [fn(usize, &str) -> auth::attribute_context::HttpRequest; 2] = [merged, separate];
    for make in makes {
        assert_eq!(reason(&with_http(make(MAX_HEADERS, "v"))), None);
        assert_eq!(reason(&with_http(make(MAX_HEADERS + 1, "v"))), Some(Reason::RequestTooLarge));
        let half = "v".repeat(MAX_HEADER_BYTES / 2 - 4);
        assert_eq!(reason(&with_http(make(2, &half))), None);
        assert_eq!(reason(&with_http(make(2, &format!("{half}v")))), Some(Reason::RequestTooLarge));
    }
}

#[test]
fn headers_come_in_one_order_whatever_the_hash_maps() {
    let http = auth::attribute_context::HttpRequest {
        headers: ["c", "a", "b"].map(|name| (name.to_owned(), String::new())).into(),
        ..Default::default()
    };
    let attributes = decode(&with_http(http)).unwrap();
    let names: Vec<_> = attributes.http().unwrap().headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

fn recorded() -> Vec<u8> {
    use protobuf::value::Kind;
    let http = auth::attribute_context::HttpRequest {
        method: "POST".to_owned(),
        path: "/a/b?c=d".to_owned(),
        headers: HashMap::from([("content-type".to_owned(), "application/json".to_owned())]),
        header_map: Some(core::HeaderMap { headers: vec![core::HeaderValue::default()] }),
        body: "{}".to_owned(),
        ..Default::default()
    };
    let structure =
        one_field(kind(Kind::ListValue(protobuf::ListValue { values: vec![kind(Kind::NumberValue(1.5))] })));
    let metadata =
        core::Metadata { filter_metadata: HashMap::from([("f".to_owned(), structure)]), ..Default::default() };
    wire(auth::AttributeContext {
        request: Some(auth::attribute_context::Request { time: None, http: Some(http) }),
        metadata_context: Some(metadata),
        ..Default::default()
    })
}

proptest! {
    #[test]
    fn any_bytes_are_answered(wire in prop::collection::vec(any::<u8>(), 0..256)) {
        let _either = decode(&wire);
    }

    #[test]
    fn any_mutation_of_a_message_is_answered(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
    ) {
        let mut wire = recorded();
        for (index, byte) in changes {
            let index = index.index(wire.len());
            wire[index] = byte;
        }
        let _either = decode(&wire);
        wire.truncate(length.index(wire.len()));
        let _either = decode(&wire);
    }
}
