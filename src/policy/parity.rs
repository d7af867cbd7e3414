//! OPA-Envoy's recorded answers: what the policy stage says to the same policies and results.
//!
//! The recorded request stands in for the input document: what these policies read of it has the same shape.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::*;
use crate::decision::Decision;
use crate::decision::HeaderField;
use crate::decision::Reason;

/// Where Countersign differs on purpose: what is not valid HTTP never leaves.
const NEVER_LEAVES: &[&str] =
    &["result/no-headers-crlf", "result/no-headers-odd-name", "result/ok-headers-odd-name", "result/ok-headers-pseudo"];

/// Where Countersign differs on purpose: numbers compare by value. OPA-Envoy fails; both deny.
const BY_VALUE: &[&str] = &["result/no-status-401.0", "result/no-status-4.01e2"];

/// Not the policy's: the request itself is refused before.
const INPUT: &[&str] = &["result/bad-query-first"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/parity")
}

fn cases(topic: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(root().join(topic).with_extension("jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

struct Group {
    instance: Instance,
    entry_point: String,
}

impl Group {
    fn load(name: &str) -> Self {
        let folder = root().join("groups").join(name);
        let plugin: Json = serde_json::from_str(&std::fs::read_to_string(folder.join("config.json")).unwrap()).unwrap();
        let entry_point = plugin["path"].as_str().unwrap().to_owned();
        let config = Config {
            paths: vec![folder.join("policy.rego")],
            entry_point: entry_point.clone(),
            builtin_errors: BuiltinErrors::Undefined,
            time_limit: Duration::from_secs(5),
            ..Config::default()
        };
        Self { instance: Bundle::load(&config).unwrap().instance().unwrap(), entry_point }
    }

    fn decide(&mut self, request: &Json) -> Decision {
        let output = OutputRules { compatibility: Compatibility::OpaEnvoy, owned_prefix: String::new() };
        let now = UnixTime::from_seconds(1_795_515_072);
        let entry_point = &self.entry_point;
        self.instance.decide(&Query { entry_point, facts: request, user: None, now, seed: 7, output: &output })
    }
}

#[test]
fn recorded_answers() {
    let mut groups = BTreeMap::new();
    let mut compared = 0;
    for case in ["result", "errors", "entry-point"].iter().flat_map(|topic| cases(topic)) {
        let (id, group) = (case["id"].as_str().unwrap(), case["group"].as_str().unwrap());
        if INPUT.contains(&id) {
            continue;
        }
        let decision = groups.entry(group.to_owned()).or_insert_with(|| Group::load(group)).decide(&case["request"]);
        match case["grpc_error"]["message"].as_str() {
            _ if NEVER_LEAVES.contains(&id) => assert_eq!(reason(&decision), Some(Reason::PolicyResultInvalid), "{id}"),
            _ if BY_VALUE.contains(&id) => assert_eq!(reason(&decision), Some(Reason::PolicyDenied), "{id}"),
            Some(message) => assert_eq!(reason(&decision), Some(expected_reason(message)), "{id}: {message}"),
            None => assert_eq!(response(&decision), with_doubles(&case["response"]), "{id}"),
        }
        compared += 1;
    }
    assert!(compared > 100, "only {compared} cases");
}

/// A package decides with the values of all its rules, of which `allowed` counts.
#[test]
fn a_package_is_an_entry_point() {
    let mut group = Group::load("path-package");
    let with_method = |method| json!({"attributes": {"request": {"http": {"method": method}}}});
    assert_eq!(response(&group.decide(&with_method("GET"))), json!({"okResponse": {}, "status": {}}));
    assert_eq!(reason(&group.decide(&with_method("POST"))), Some(Reason::PolicyResultType));
}

fn reason(decision: &Decision) -> Option<Reason> {
    match decision {
        Decision::Allow(_) => None,
        Decision::Deny(denial) => Some(denial.reason),
    }
}

/// What the plugin answers with a gRPC error is a denial, with a reason of its own.
fn expected_reason(message: &str) -> Reason {
    match message {
        "undefined decision" => Reason::PolicyUndefined,
        conflict if conflict.contains("eval_conflict_error") => Reason::PolicyConflict,
        status if status.starts_with("failed to get response status") => Reason::PolicyResultType,
        _ => Reason::PolicyResultInvalid,
    }
}

/// The decision as the recordings show it: protobuf JSON, sorted by name.
fn response(decision: &Decision) -> Json {
    let mut response = Map::new();
    let metadata = match decision {
        Decision::Allow(grant) => {
            response.insert("status".to_owned(), json!({}));
            let effects = &grant.effects;
            if effects.explicit {
                let pair = |(key, value): &(String, String)| json!({"key": key, "value": value});
                let lists = [
                    ("headers", headers(&effects.headers)),
                    ("headersToRemove", effects.headers_to_remove.iter().cloned().map(Json::from).collect()),
                    ("responseHeadersToAdd", headers(&effects.response_headers)),
                    ("queryParametersToSet", effects.query_to_set.iter().map(pair).collect()),
                    ("queryParametersToRemove", effects.query_to_remove.iter().cloned().map(Json::from).collect()),
                ];
                response.insert("okResponse".to_owned(), populated(lists));
            }
            &grant.dynamic_metadata
        }
        Decision::Deny(denial) => {
            response.insert("status".to_owned(), json!({"code": 7}));
            if let Some(denied) = &denial.response {
                let mut message = populated([("headers", headers(&denied.headers))]);
                message["status"] = json!({"code": status_name(denied.http_status)});
                if !denied.body.is_empty() {
                    message["body"] = json!(denied.body);
                }
                response.insert("deniedResponse".to_owned(), message);
            }
            &denial.dynamic_metadata
        }
    };
    // The decision's ID is always overwritten by the encoder, and left out of the recordings.
    let metadata: Map<_, _> = metadata.clone().into_iter().filter(|(name, _)| name != "decision_id").collect();
    if !metadata.is_empty() {
        response.insert("dynamicMetadata".to_owned(), Json::Object(metadata));
    }
    with_doubles(&Json::Object(response))
}

fn headers(fields: &[HeaderField]) -> Vec<Json> {
    let header = |field: &HeaderField| match field.value() {
        "" => json!({"header": {"key": field.name()}}),
        value => json!({"header": {"key": field.name(), "value": value}}),
    };
    fields.iter().map(header).collect()
}

fn populated<const N: usize>(lists: [(&str, Vec<Json>); N]) -> Json {
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    Json::Object(lists.map(|(name, list)| (name.to_owned(), Json::from(list))).collect())
}

fn status_name(code: u16) -> &'static str {
    match code {
        100 => "Continue",
        200 => "OK",
        401 => "Unauthorized",
        403 => "Forbidden",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        511 => "NetworkAuthenticationRequired",
        other => panic!("no recording has {other}"),
    }
}

/// Protobuf's `Struct` has doubles only.
fn with_doubles(json: &Json) -> Json {
    match json {
        Json::Number(number) => json!(number.as_f64().unwrap()),
        Json::Array(items) => items.iter().map(with_doubles).collect(),
        Json::Object(map) => map.iter().map(|(name, value)| (name.clone(), with_doubles(value))).collect(),
        other => other.clone(),
    }
}
