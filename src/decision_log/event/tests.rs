use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::decision::Reason;
use crate::decision_log::fixture;
use crate::facts::Body;
use crate::facts::Http;
use crate::facts::RawHeader;
use crate::facts::Shape;

/// Stands for every secret; no line may hold it.
const CANARY: &str = "canary-5a1f";

/// Every header that may carry one.
const SECRET_HEADERS: [&str; 14] = [
    "authorization",
    "Proxy-Authorization",
    "cookie",
    "set-cookie",
    "DPoP",
    "txn-token",
    "x-forwarded-client-cert",
    "workload-identity-token",
    "client_assertion",
    "subject_token",
    "actor_token",
    "x-api-key",
    "x-forwarded-access-token",
    "sec-websocket-protocol",
];

/// Headers whose value is a URL.
const URL_HEADERS: [&str; 5] = [":path", "referer", "x-envoy-original-path", "x-original-url", "x-forwarded-uri"];

/// Every parameter that may carry one.
const SECRET_PARAMETERS: [&str; 10] = [
    "access_token",
    "id_token",
    "refresh_token",
    "subject_token",
    "actor_token",
    "client_assertion",
    "client_secret",
    "code",
    "api_key",
    "password",
];

fn plain(include_input: bool) -> Format {
    fixture::format(include_input, Mask::default())
}

/// A record with a canary wherever a secret can be; headers in the one or the other form.
fn secretive(separate: bool, shape: Shape) -> Record {
    let parameters: Vec<_> = SECRET_PARAMETERS.iter().map(|name| format!("{name}={CANARY}")).collect();
    let url = format!("/orders?{}", parameters.join("&"));
    let secret = SECRET_HEADERS.iter().map(|name| ((*name).to_owned(), format!("Bearer {CANARY}")));
    let urls = URL_HEADERS.iter().map(|name| ((*name).to_owned(), url.clone()));
    let headers: Vec<_> = secret.chain(urls).chain([("x-plain".to_owned(), "visible".to_owned())]).collect();
    let raw = |(index, (name, value)): (usize, &(String, String))| {
        let (text, bytes) = if index % 2 == 0 { ("", value.as_str()) } else { (value.as_str(), "") };
        RawHeader { key: name.clone(), value: text.to_owned(), raw_value: bytes.as_bytes().to_vec() }
    };
    let raw: Vec<_> = headers.iter().enumerate().map(raw).collect();
    let http = Http {
        host: format!("alice:{CANARY}@orders.example"),
        query: parameters.join("&"),
        fragment: format!("access_token={CANARY}"),
        body: format!("{{\"pin\":\"{CANARY}\"}}"),
        raw_body: CANARY.as_bytes().to_vec(),
        headers: if separate { Vec::new() } else { headers },
        header_map: separate.then_some(raw),
        path: url,
        ..Http::default()
    };
    let mut record = fixture::record();
    let mut attributes = fixture::attributes(http);
    attributes.context_extensions = vec![("client_secret".to_owned(), CANARY.to_owned())];
    attributes.metadata_context = Some(json!({"filterMetadata": {"x": {"access_token": {"value": [CANARY, 7]}}}}));
    for peer in [&mut attributes.source, &mut attributes.destination] {
        peer.get_or_insert_default().certificate = format!("-----BEGIN%20CERTIFICATE-----{CANARY}");
    }
    record.attributes = Some(attributes);
    let request = record.request.as_mut().unwrap();
    request.body = Body::Parsed(json!({"pin": CANARY}));
    request.parsed_query = SECRET_PARAMETERS.iter().map(|name| ((*name).to_owned(), vec![CANARY.to_owned()])).collect();
    let http = request.http.as_mut().unwrap();
    http.path_raw = format!("/orders;access_token={CANARY}");
    http.path = http.path_raw.clone();
    http.segments = vec![format!("orders;access_token={CANARY}")];
    record.revision.as_mut().unwrap().shape = shape;
    record.outcome = Outcome::Denied {
        reason: Reason::PolicyDenied,
        detail: format!("no rule for /orders?access_token={CANARY}"),
        http_status: 403,
    };
    record
}

/// Whether a text shows in a document, in the clear or in base64.
fn shows(value: &Json, text: &str) -> bool {
    match value {
        Json::String(found) => {
            let decoded = STANDARD.decode(found).unwrap_or_default();
            found.contains(text) || String::from_utf8_lossy(&decoded).contains(text)
        }
        Json::Array(items) => items.iter().any(|item| shows(item, text)),
        Json::Object(members) => members.iter().any(|(name, value)| name.contains(text) || shows(value, text)),
        _ => false,
    }
}

#[test]
fn k5_no_secret_is_in_any_line() {
    for separate in [false, true] {
        for shape in [Shape::Strict, Shape::OpaEnvoy { caller: true, user: true }] {
            for include_input in [false, true] {
                let line = fixture::line(&plain(include_input), secretive(separate, shape));
                let event: Json = serde_json::from_str(&line).unwrap();
                assert!(!line.contains(CANARY) && !shows(&event, CANARY), "{line}");
                // The control: what is no secret does show, so the document was there to be searched.
                assert_eq!(shows(&event, "visible"), include_input, "{line}");
            }
        }
    }
}

#[test]
fn k5_no_secret_is_in_the_line_of_a_request_that_ended_early() {
    for separate in [false, true] {
        let mut record = secretive(separate, Shape::Strict);
        (record.request, record.user, record.caller, record.outcome) = (None, None, None, Outcome::Cancelled);
        let event = fixture::event(&plain(true), record);
        assert!(shows(&event, "visible") && !shows(&event, CANARY), "{event}");
        let input = event["input"].as_object().unwrap();
        assert_eq!(input.keys().collect::<Vec<_>>(), ["attributes"]);
    }
}

#[test]
fn what_was_masked_and_erased_is_listed() {
    let event = fixture::event(&plain(true), secretive(false, Shape::Strict));
    let list = |name: &str| -> Vec<String> { serde_json::from_value(event[name].clone()).unwrap() };
    let erased =
        ["/input/attributes/request/http/body", "/input/attributes/request/http/rawBody", "/input/parsed_body"];
    assert_eq!(list("erased"), erased);
    for pointer in [
        "/input/attributes/request/http/headers/authorization",
        "/input/attributes/request/http/path",
        "/input/attributes/source/certificate",
        "/input/http/headers/cookie",
        "/input/http/query/access_token",
        "/input/parsed_query/client_secret",
    ] {
        assert!(list("masked").iter().any(|masked| masked == pointer), "{pointer}: {event}");
    }
    assert_eq!(event["input"]["parsed_query"]["code"], json!(["[masked]"]));
    assert_eq!(event["input"]["user"]["claims"]["email"], "alice@example.com");
}

#[test]
fn the_documented_line_is_the_line() {
    let documented = include_str!("../../../docs/decision-log.md");
    let example = documented.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let example: Json = serde_json::from_str(example).unwrap();
    let mut event = fixture::event(&plain(false), fixture::record());
    event["labels"]["version"] = example["labels"]["version"].clone();
    assert_eq!(event, example);
}

#[test]
fn a_line_has_a_result_or_an_error() {
    let denied = |reason: Reason| Outcome::Denied { reason, detail: String::new(), http_status: reason.http_status() };
    for (outcome, result, error) in [
        (Outcome::Allowed, json!(true), json!(null)),
        (denied(Reason::TokenMissing), json!({"allowed": false, "http_status": 401}), json!(null)),
        (denied(Reason::PolicyUndefined), json!({"allowed": false, "http_status": 403}), json!(null)),
        (Outcome::Answered { http_status: 204 }, json!({"allowed": false, "http_status": 204}), json!(null)),
        (denied(Reason::PolicyConflict), json!(null), json!(Reason::PolicyConflict.sentence())),
        (denied(Reason::RequestQueryInvalid), json!(null), json!(Reason::RequestQueryInvalid.sentence())),
    ] {
        let event = fixture::event(&plain(false), Record { outcome, ..fixture::record() });
        assert_eq!(event.get("result").cloned().unwrap_or_default(), result);
        assert_eq!(event.get("error").cloned().unwrap_or_default(), error);
    }
}

#[test]
fn a_record_of_nothing_is_a_line() {
    let line = fixture::line(&plain(true), Record::default());
    let event: Json = serde_json::from_str(&line).unwrap();
    assert_eq!(event["countersign"]["reason"], "cancelled");
    assert_eq!(event["timestamp"], "1970-01-01T00:00:00Z");
    assert!(event.get("input").is_none() && event.get("path").is_none());
}

#[test]
fn the_two_ways_to_a_line_agree() {
    let masked = fixture::format(false, Mask::parse(&["/countersign/nothing"]).unwrap());
    let event = fixture::event(&masked, fixture::record());
    assert_eq!(event, fixture::event(&plain(false), fixture::record()));
}

#[test]
fn k6_hostile_text_is_one_bounded_line() {
    let hostile = format!("/\n\r\u{1b}[2J\u{9b}2J\u{202e}\"}}{}", "é".repeat(1 << 20));
    for include_input in [false, true] {
        let mut record = fixture::record();
        let headers = vec![("x-plain".to_owned(), hostile.clone()), (hostile.clone(), "a".to_owned())];
        let http =
            Http { path: hostile.clone(), host: hostile.clone(), method: hostile.clone(), headers, ..Http::default() };
        record.attributes = Some(fixture::attributes(http));
        let user = std::sync::Arc::make_mut(record.user.as_mut().unwrap());
        (user.subject, user.issuer, user.client_id) = (hostile.clone(), hostile.clone(), Some(hostile.clone()));
        user.delegation.as_mut().unwrap().actors[0].subject.clone_from(&hostile);
        record.entry_point = hostile.as_str().into();
        record.outcome = Outcome::Denied { reason: Reason::PolicyDenied, detail: hostile.clone(), http_status: 403 };
        let line = fixture::line(&plain(include_input), record);
        assert_eq!(line.lines().count(), 1);
        assert!(line.len() < 16 << 10, "{}", line.len());
        assert!(line.trim_end().chars().all(|letter| !letter.is_control() && letter != '\u{202e}'));
        let event: Json = serde_json::from_str(&line).unwrap();
        let path = event["countersign"]["path"].as_str().unwrap();
        assert!(path.starts_with("/\n\r\u{1b}[2J") && path.ends_with('…') && path.len() < 2100);
        assert_eq!(event.get("erased").is_some(), include_input);
    }
}

#[test]
fn k6_a_long_string_in_the_input_is_cut() {
    let mut record = fixture::record();
    let headers = vec![("x-plain".to_owned(), "a".repeat(1 << 20))];
    record.attributes = Some(fixture::attributes(Http { headers, ..Http::default() }));
    let event = fixture::event(&plain(true), record);
    let value = event["input"]["attributes"]["request"]["http"]["headers"]["x-plain"].as_str().unwrap();
    assert!(value.ends_with("a…") && value.len() < 8200);
    assert!(event.get("erased").is_none());
}
