use serde_json::Value as Json;
use serde_json::json;

use super::*;
use crate::facts::Facts;
use crate::facts::RawHeader;
use crate::facts::Request;
use crate::facts::Shape;

const STRICT: Config = Config { normalise: true, parse_body: true };
const OPA_ENVOY: Config = Config { normalise: false, parse_body: true };

fn request(http: Http) -> Attributes {
    Attributes { request: Some(Request { time: None, http: Some(http) }), ..Attributes::default() }
}

fn get(path: &str) -> Attributes {
    request(Http { method: "GET".to_owned(), path: path.to_owned(), ..Http::default() })
}

fn reason(attributes: &Attributes, config: Config) -> Option<Reason> {
    view(attributes, &config).err().map(|denial| denial.reason)
}

fn document(attributes: &Attributes) -> Json {
    let request = view(attributes, &STRICT).unwrap();
    let facts = Facts { attributes, request: &request, caller: None, user: None, shape: Shape::Strict };
    serde_json::to_value(facts).unwrap()
}

#[test]
fn both_readings_stand_side_by_side() {
    let document = document(&get("//a/./%62?x=1&x=2"));
    assert_eq!(document["parsed_path"], json!(["a", ".", "b"]));
    assert_eq!(document["parsed_query"], json!({"x": ["1", "2"]}));
    assert_eq!(document["http"]["path"], "//a/b");
    assert_eq!(document["http"]["path_raw"], "//a/./%62");
    assert_eq!(document["http"]["segments"], json!(["", "a", "b"]));
    assert_eq!(document["http"]["query"], json!({"x": ["1", "2"]}));
}

#[test]
fn the_plugins_reading_refuses_no_more_than_the_plugin() {
    for path in ["/a%2Fb", "/a#b", "/..;x/", "http://h/p", "/%00", "/\\", "*", "", "/%25"] {
        let view = view(&get(path), &OPA_ENVOY).unwrap();
        assert!(view.http.is_none(), "{path}");
    }
    assert_eq!(reason(&get("/%zz"), OPA_ENVOY), Some(Reason::RequestPathInvalid));
    assert_eq!(reason(&get("/?a;b"), OPA_ENVOY), Some(Reason::RequestQueryInvalid));
}

#[test]
fn each_stage_of_reading_has_its_reason() {
    for (path, expected) in [
        ("/a%2fb", Reason::RequestPathAmbiguous),
        ("/a%00b", Reason::RequestPathInvalid),
        ("/?a=1;b=2", Reason::RequestQueryInvalid),
        ("/?a=%zz", Reason::RequestQueryInvalid),
    ] {
        assert_eq!(reason(&get(path), STRICT), Some(expected), "{path}");
    }
    let host = request(Http { path: "/".to_owned(), host: "a@b".to_owned(), ..Http::default() });
    assert_eq!(reason(&host, STRICT), Some(Reason::RequestHostAmbiguous));
    assert_eq!(reason(&host, OPA_ENVOY), None);
}

#[test]
fn f7_a_request_without_a_path_does_not_panic() {
    let connect = |path: &str| {
        request(Http {
            method: "CONNECT".to_owned(),
            path: path.to_owned(),
            host: "h:443".to_owned(),
            ..Http::default()
        })
    };
    for path in ["", "h:443"] {
        let document = document(&connect(path));
        assert_eq!(document["http"]["path"], "");
        assert_eq!(document["http"]["segments"], json!([]));
        assert_eq!(document["http"]["host"], "h");
    }
}

#[test]
fn f9_a_path_of_64_kib_is_refused() {
    let path = format!("/{}", "a".repeat(MAX_TARGET_BYTES - 1));
    for config in [STRICT, OPA_ENVOY] {
        assert_eq!(reason(&get(&path), config), None);
        assert_eq!(reason(&get(&format!("{path}a")), config), Some(Reason::RequestPathInvalid));
        let parameters = format!("/?{}", "a&".repeat(100_000));
        assert_eq!(reason(&get(&parameters), config), Some(Reason::RequestPathInvalid));
        let parameters = format!("/?{}", "a&".repeat(32_000));
        assert_eq!(reason(&get(&parameters), config), Some(Reason::RequestQueryInvalid));
    }
}

#[test]
fn j4_a_request_with_parts_missing_is_refused_in_strict_mode_and_shown_otherwise() {
    let absent = Attributes { absent: true, ..Attributes::default() };
    let without_request = Attributes::default();
    let without_http = Attributes { request: Some(Request::default()), ..Attributes::default() };
    for (attributes, missing) in [(absent, "attributes"), (without_request, "request"), (without_http, "HTTP part")] {
        let denial = view(&attributes, &STRICT).unwrap_err();
        assert_eq!(denial.reason, Reason::RequestIncomplete);
        assert_eq!(denial.detail, format!("there is no {missing}"));
        let view = view(&attributes, &OPA_ENVOY).unwrap();
        assert_eq!(view.parsed_path, [""]);
        assert_eq!(view.body, Body::Absent);
    }
}

#[test]
fn e9_a_header_that_is_no_text_does_no_harm() {
    let raw = RawHeader { key: "X-Bin".to_owned(), value: String::new(), raw_value: b"a\xffb".to_vec() };
    let http = Http { path: "/".to_owned(), header_map: Some(vec![raw]), ..Http::default() };
    assert_eq!(document(&request(http))["http"]["headers"], json!({"x-bin": ["a\u{fffd}b"]}));
}

#[test]
fn e10_header_names_are_folded_and_may_be_empty() {
    let headers = [("X-Up", "1"), ("x-up", "2"), ("", "3")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let document = document(&request(Http { path: "/".to_owned(), headers, ..Http::default() }));
    assert_eq!(document["http"]["headers"], json!({"x-up": ["1", "2"], "": ["3"]}));
}

#[test]
fn e12_a_forwarded_address_is_a_header_and_nothing_more() {
    let headers =
        vec![("x-forwarded-for".to_owned(), "10.0.0.1".to_owned()), ("x-real-ip".to_owned(), "::1".to_owned())];
    let document = document(&request(Http { path: "/".to_owned(), headers, ..Http::default() }));
    assert_eq!(document["http"]["headers"], json!({"x-forwarded-for": ["10.0.0.1"], "x-real-ip": ["::1"]}));
    assert_eq!(document["attributes"].get("source"), None);
}

#[test]
fn e13_rewriting_headers_change_nothing_but_are_seen() {
    let names = ["x-original-url", "x-rewrite-url", "x-http-method-override"];
    let headers = names.map(|name| (name.to_owned(), "/admin".to_owned())).to_vec();
    let http = Http { method: "GET".to_owned(), path: "/public".to_owned(), headers, ..Http::default() };
    let document = document(&request(http));
    assert_eq!(document["http"]["path"], "/public");
    assert_eq!(document["http"]["method"], "GET");
    assert!(names.iter().all(|name| document["http"]["headers"][name] == json!(["/admin"])));
}

#[test]
fn a_body_that_is_not_to_be_parsed_is_not() {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let http = Http { path: "/".to_owned(), headers, body: "{".to_owned(), ..Http::default() };
    let config = Config { parse_body: false, ..STRICT };
    assert_eq!(view(&request(http), &config).unwrap().body, Body::Skipped);
}
