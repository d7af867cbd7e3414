use serde_json::json;

use super::*;

fn request(headers: &[(&str, &str)], body: &str) -> Http {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Http { headers, body: body.to_owned(), size: -1, ..Http::default() }
}

fn strict(http: &Http) -> Result<Body, Reason> {
    read(http, true).map_err(|denial| denial.reason)
}

fn plugin(http: &Http) -> Result<Body, Reason> {
    read(http, false).map_err(|denial| denial.reason)
}

const JSON: (&str, &str) = ("content-type", "application/json");
const INVALID: Result<Body, Reason> = Err(Reason::RequestBodyInvalid);

#[test]
fn a_json_body_is_parsed() {
    let parsed = Ok(Body::Parsed(json!({"a": 1})));
    let http = request(&[JSON], r#"{"a":1}"#);
    assert_eq!(strict(&http), parsed);
    let raw = Http { body: String::new(), raw_body: http.body.clone().into_bytes(), ..http };
    assert_eq!(strict(&raw), parsed);
    assert_eq!(plugin(&raw), parsed);
    assert_eq!(strict(&request(&[JSON], "")), Ok(Body::Absent));
    assert_eq!(strict(&request(&[JSON], "{")), INVALID);
}

#[test]
fn e8_a_clients_partial_body_header_cannot_hide_a_body() {
    let parsed = Ok(Body::Parsed(json!({"a": 1})));
    let said = |value| request(&[JSON, ("x-envoy-auth-partial-body", value)], r#"{"a":1}"#);
    for ignored in ["false", "", "True", "1"] {
        assert_eq!(strict(&said(ignored)), parsed, "{ignored}");
        assert_eq!(plugin(&said(ignored)), parsed, "{ignored}");
    }
    // Where the proxy sends no bodies, it says nothing about them either, and what the client says of one is nothing.
    let without_body = request(&[JSON, ("x-envoy-auth-partial-body", "false")], "");
    assert_eq!((strict(&without_body), plugin(&without_body)), (Ok(Body::Absent), Ok(Body::Absent)));
    assert_eq!(strict(&said("true")), Ok(Body::Truncated));
    assert_eq!(plugin(&said("true")), Ok(Body::Truncated));
}

#[test]
fn g1_a_body_shorter_than_announced_is_truncated() {
    for (length, truncated) in [("7", false), ("8", true), ("6", false), ("+7", false), ("-1", false), ("07", false)] {
        let http = request(&[JSON, ("content-length", length)], r#"{"a":1}"#);
        assert_eq!(matches!(strict(&http), Ok(Body::Truncated)), truncated, "{length}");
        assert_eq!(matches!(plugin(&http), Ok(Body::Truncated)), truncated, "{length}");
    }
    for length in ["abc", "7.0", " 7", "", "0x7", "99999999999999999999"] {
        let http = request(&[JSON, ("content-length", length)], r#"{"a":1}"#);
        assert_eq!(strict(&http), INVALID, "{length}");
        assert_eq!(plugin(&http), INVALID, "{length}");
    }
    let longer = Http { size: 8, ..request(&[JSON], r#"{"a":1}"#) };
    assert_eq!(strict(&longer), Ok(Body::Truncated));
    assert_eq!(plugin(&longer), Ok(Body::Parsed(json!({"a": 1}))));
}

#[test]
fn g6_the_media_type_is_compared_without_case() {
    for (content_type, in_strict, in_plugin) in [
        ("application/json", true, true),
        ("application/json; charset=utf-8", true, true),
        (" application/json ;charset=\"UTF-8\"", true, true),
        ("application/json; v=1", true, true),
        ("Application/JSON", true, false),
        ("Application/JSON; charset=utf-16", false, false),
        ("application/json; charset=utf-16", false, true),
        ("text/plain", false, false),
        ("text/plain; x=application/json", false, true),
        ("application/vnd.api+json", false, false),
        ("", false, false),
    ] {
        let http = request(&[("content-type", content_type)], "1");
        let body = |is_json| Ok(if is_json { Body::Parsed(json!(1)) } else { Body::Absent });
        assert_eq!(strict(&http), body(in_strict), "{content_type}");
        assert_eq!(plugin(&http), body(in_plugin), "{content_type}");
    }
    assert_eq!(strict(&request(&[], "1")), Ok(Body::Absent));
}

#[test]
fn the_plugin_sees_merged_lower_case_headers_alone() {
    let upper = request(&[("Content-Type", "application/json")], "1");
    assert_eq!(strict(&upper), Ok(Body::Parsed(json!(1))));
    assert_eq!(plugin(&upper), Ok(Body::Absent));
}

#[test]
fn e9_a_header_that_is_no_text_is_refused_where_it_is_used() {
    let raw = |key: &str, value: &[u8]| crate::facts::RawHeader {
        key: key.to_owned(),
        value: String::new(),
        raw_value: value.to_vec(),
    };
    let with = |headers| Http { header_map: Some(headers), ..request(&[], "1") };
    assert_eq!(strict(&with(vec![raw("content-type", b"\xff")])), INVALID);
    assert_eq!(
        strict(&with(vec![raw("content-type", b"text/plain"), raw("Content-Type", b"application/json")])),
        INVALID
    );
    let unused = with(vec![raw("x-bin", b"\xff"), raw("content-type", b"application/json")]);
    assert_eq!(strict(&unused), Ok(Body::Parsed(json!(1))));
}
