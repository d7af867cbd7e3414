use prost::Message as _;
use serde_json::json;

use super::*;
use crate::decision::Demand;
use crate::decision::Quotable;
use crate::decision::StepUp;
use crate::ext_authz::proto_json::check_response_to_json;

const ID: &str = "3f0e2b1c-0000-4000-8000-000000000000";
const PLAIN: Options = Options { reason_in_body: false, problem_details: false, several_values: SeveralValues::Joined };
const LAST: Options = Options { several_values: SeveralValues::Last, ..PLAIN };
const WITH_REASON: Options = Options { reason_in_body: true, ..PLAIN };
const PROBLEMS: Options = Options { problem_details: true, ..PLAIN };

fn terms(options: Options) -> Terms<'static> {
    Terms { decision_id: ID, options, challenge: Words::default() }
}

/// The answer as protobuf JSON, without the metadata.
fn answer(decision: Decision, options: Options) -> Json {
    let mut json = check_response_to_json(&encode(decision, &terms(options))).unwrap();
    let metadata = json.as_object_mut().unwrap().remove("dynamicMetadata").unwrap();
    assert_eq!(metadata["decision_id"], ID);
    json
}

fn allow(effects: Effects) -> Decision {
    Decision::Allow(Grant::from_policy_true(effects, Map::new()))
}

fn deny(reason: Reason) -> Decision {
    Decision::Deny(Denial::new(reason, "never sent"))
}

fn policy_denial(response: Option<DeniedResponse>) -> Decision {
    Decision::Deny(Denial { response, ..Denial::new(Reason::PolicyDenied, "never sent") })
}

fn fields(fields: &[(&str, &str)]) -> Vec<HeaderField> {
    fields.iter().map(|(name, value)| HeaderField::new(name, value).unwrap()).collect()
}

fn overwriting(name: &str, value: &str) -> Json {
    json!({"header": {"key": name, "value": value}, "append": false, "appendAction": "OVERWRITE_IF_EXISTS_OR_ADD"})
}

fn silent(name: &str, value: &str) -> Json {
    json!({"header": {"key": name, "value": value}})
}

#[test]
fn a_plain_true_is_ok_and_nothing_else() {
    assert_eq!(answer(allow(Effects::default()), Options::default()), json!({"status": {}}));
    let explicit = Effects { explicit: true, ..Effects::default() };
    assert_eq!(answer(allow(explicit), Options::default()), json!({"status": {}, "okResponse": {}}));
}

#[test]
fn every_effect_arrives() {
    let effects = Effects {
        headers: fields(&[("x-a", "1"), ("X-B", "")]),
        headers_to_remove: vec!["x-drop".to_owned()],
        response_headers: fields(&[("set-cookie", "a=1"), ("set-cookie", "b=2")]),
        query_to_set: vec![("a".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())],
        query_to_remove: vec!["b".to_owned()],
        explicit: false,
    };
    let empty = json!({"header": {"key": "X-B"}, "append": false, "appendAction": "OVERWRITE_IF_EXISTS_OR_ADD"});
    assert_eq!(
        answer(allow(effects), Options::default()),
        json!({"status": {}, "okResponse": {
            "headers": [overwriting("x-a", "1"), empty],
            "headersToRemove": ["x-drop"],
            "responseHeadersToAdd": [silent("set-cookie", "a=1"), silent("set-cookie", "b=2")],
            "queryParametersToSet": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}],
            "queryParametersToRemove": ["b"],
        }})
    );
}

#[test]
fn the_first_value_of_a_request_header_always_overwrites_the_clients() {
    let effects = || Effects { headers: fields(&[("x-a", "1"), ("x-b", "2"), ("X-A", "3")]), ..Effects::default() };
    let joined = answer(allow(effects()), Options::default());
    let appending = json!({"header": {"key": "X-A", "value": "3"}, "append": true});
    let expected = json!([overwriting("x-a", "1"), overwriting("x-b", "2"), appending]);
    assert_eq!(joined["okResponse"]["headers"], expected);

    let last = answer(allow(effects()), LAST);
    let expected = json!([overwriting("x-a", "1"), overwriting("x-b", "2"), overwriting("X-A", "3")]);
    assert_eq!(last["okResponse"]["headers"], expected);
}

#[test]
fn several_values_of_a_denials_header_all_stay() {
    let headers = fields(&[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-a", "1")]);
    for options in [Options::default(), LAST] {
        let response = DeniedResponse { http_status: 302, headers: headers.clone(), body: "no".to_owned() };
        assert_eq!(
            answer(policy_denial(Some(response)), options),
            json!({"status": {"code": 7}, "deniedResponse": {
                "status": {"code": "Found"},
                "headers": [overwriting("set-cookie", "a=1"), silent("set-cookie", "b=2"), overwriting("x-a", "1")],
                "body": "no",
            }})
        );
    }
}

#[test]
fn a_bare_denial_is_a_status_and_nothing_else() {
    assert_eq!(answer(policy_denial(None), Options::default()), json!({"status": {"code": 7}}));
}

#[test]
fn each_reason_is_a_denial_with_its_own_statuses_and_no_body() {
    for &reason in Reason::ALL {
        let answer = answer(deny(reason), Options::default());
        let (code, status) = match reason.http_status() {
            400 => (7, "BadRequest"),
            401 => (16, "Unauthorized"),
            403 => (7, "Forbidden"),
            _ => (14, "ServiceUnavailable"),
        };
        assert_eq!(answer["status"], json!({"code": code}), "{reason}");
        assert_eq!(answer["deniedResponse"]["status"]["code"], status, "{reason}");
        assert_eq!(answer["deniedResponse"].get("body"), None, "{reason}");
        assert!(!answer.to_string().contains("never sent"), "{reason}");
    }
}

#[test]
fn a_policys_own_401_is_a_policys_no() {
    let response = DeniedResponse { http_status: 401, headers: Vec::new(), body: String::new() };
    let answer = answer(policy_denial(Some(response)), Options::default());
    assert_eq!(answer, json!({"status": {"code": 7}, "deniedResponse": {"status": {"code": "Unauthorized"}}}));
}

#[test]
fn refusals_for_want_of_a_token_carry_a_challenge() {
    for (reason, expected) in [
        (Reason::TokenMissing, Some("Bearer realm=\"countersign\"")),
        (Reason::TokenExpired, Some("Bearer realm=\"countersign\", error=\"invalid_token\"")),
        (Reason::PolicyDenied, None),
    ] {
        let headers = answer(deny(reason), Options::default())["deniedResponse"].get("headers").cloned();
        assert_eq!(headers, expected.map(|challenge| json!([overwriting("www-authenticate", challenge)])), "{reason}");
    }
}

#[test]
fn a_policys_demand_is_a_challenge_with_its_status() {
    let demand = Demand::Scope(Quotable::words("a b").unwrap());
    let denial =
        Denial { demand: Some(Box::new(demand)), ..Denial::new(Reason::PolicyInsufficientScope, "never sent") };
    let challenge = "Bearer realm=\"countersign\", error=\"insufficient_scope\", scope=\"a b\"";
    assert_eq!(
        answer(Decision::Deny(denial), Options::default()),
        json!({"status": {"code": 7}, "deniedResponse": {
            "status": {"code": "Forbidden"},
            "headers": [overwriting("www-authenticate", challenge)],
        }})
    );
    let step_up = StepUp { acr_values: None, max_age: Some(300), scope: None };
    let demand = Some(Box::new(Demand::StepUp(step_up)));
    let denial = Denial { demand, ..Denial::new(Reason::PolicyStepUp, "never sent") };
    let challenge = "Bearer realm=\"countersign\", error=\"insufficient_user_authentication\", max_age=\"300\"";
    assert_eq!(
        answer(Decision::Deny(denial), Options::default()),
        json!({"status": {"code": 16}, "deniedResponse": {
            "status": {"code": "Unauthorized"},
            "headers": [overwriting("www-authenticate", challenge)],
        }})
    );
}

/// Whatever its HTTP status: to the proxy it is a refusal, with which no request goes on.
#[test]
fn a_document_is_a_refusal_to_the_proxy() {
    let document = Document::Json(r#"{"resource":"https://a"}"#.into());
    let response = check_response_to_json(&encode_document(&document, ID)).unwrap();
    assert_eq!(
        response,
        json!({
            "status": {"code": 7},
            "dynamicMetadata": {"decision_id": ID},
            "deniedResponse": {
                "status": {"code": "OK"},
                "headers": [
                    overwriting("content-type", "application/json"),
                    overwriting("access-control-allow-origin", "*"),
                ],
                "body": r#"{"resource":"https://a"}"#,
            },
        })
    );
}

#[test]
fn a_preflight_is_answered_for_every_origin_and_has_no_content() {
    let response = check_response_to_json(&encode_document(&Document::Preflight, ID)).unwrap();
    assert_eq!(
        response,
        json!({
            "status": {"code": 7},
            "dynamicMetadata": {"decision_id": ID},
            "deniedResponse": {
                "status": {"code": "NoContent"},
                "headers": [
                    overwriting("access-control-allow-origin", "*"),
                    overwriting("access-control-allow-methods", "GET, HEAD"),
                    overwriting("access-control-allow-headers", "*"),
                    overwriting("access-control-max-age", "7200"),
                ],
            },
        })
    );
}

#[test]
fn a_reason_in_the_body_is_json_and_never_in_place_of_the_policys() {
    let content_type = overwriting("content-type", "application/json");
    let denied = answer(deny(Reason::PolicyUndefined), WITH_REASON)["deniedResponse"].clone();
    assert_eq!(denied["body"], r#"{"reason":"policy_undefined"}"#);
    assert_eq!(denied["headers"], json!([content_type]));

    let bare = answer(policy_denial(None), WITH_REASON)["deniedResponse"].clone();
    assert_eq!(bare["status"]["code"], "Forbidden");
    assert_eq!(bare["body"], r#"{"reason":"policy_denied"}"#);

    let response = DeniedResponse { http_status: 403, headers: Vec::new(), body: "mine".to_owned() };
    let own = answer(policy_denial(Some(response)), WITH_REASON)["deniedResponse"].clone();
    assert_eq!(own, json!({"status": {"code": "Forbidden"}, "body": "mine"}));
}

#[test]
fn problems_are_rfc_9457_and_never_in_place_of_the_policys_body() {
    let both = Options { reason_in_body: true, ..PROBLEMS };
    let own = |http_status, body: &str| {
        policy_denial(Some(DeniedResponse { http_status, headers: Vec::new(), body: body.to_owned() }))
    };
    let problem = |title: &str, status: u16, more: &str| {
        format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"decision_id":"{ID}"{more}}}"#)
    };
    for (decision, options, body) in [
        (deny(Reason::TokenExpired), PROBLEMS, problem("Unauthorized", 401, "")),
        (deny(Reason::TokenExpired), both, problem("Unauthorized", 401, r#","reason":"token_expired""#)),
        (deny(Reason::RequestTooLarge), PROBLEMS, problem("Bad Request", 400, "")),
        (deny(Reason::ServerPanic), PROBLEMS, problem("Service Unavailable", 503, "")),
        (policy_denial(None), PROBLEMS, problem("Forbidden", 403, "")),
        (own(429, ""), PROBLEMS, problem("Too Many Requests", 429, "")),
        (own(404, ""), both, problem("Not Found", 404, r#","reason":"policy_denied""#)),
    ] {
        let denied = answer(decision, options)["deniedResponse"].clone();
        assert_eq!(denied["body"], body);
        let headers = denied["headers"].as_array().unwrap();
        assert_eq!(headers.last(), Some(&overwriting("content-type", "application/problem+json")), "{body}");
    }
    for (decision, body) in [(own(403, "mine"), json!("mine")), (own(302, ""), Json::Null), (own(204, ""), Json::Null)]
    {
        let denied = answer(decision, PROBLEMS)["deniedResponse"].clone();
        assert_eq!((denied["body"].clone(), denied["headers"].clone()), (body, Json::Null));
    }
}

#[test]
fn metadata_is_the_policys_but_for_the_decision_id() {
    let policy = json!({
        "decision_id": "mine", "n": null, "b": true, "i": 1, "f": 2.5, "s": "x", "l": [1, [2]], "o": {"k": {}},
    });
    let Json::Object(mut policy) = policy else { panic!() };
    policy.insert("big".to_owned(), serde_json::from_str("12345678901234567890").unwrap());
    policy.insert("huge".to_owned(), serde_json::from_str("1e400").unwrap());
    let denial = Denial { dynamic_metadata: policy.clone(), ..Denial::new(Reason::PolicyDenied, "") };
    for decision in [Decision::Allow(Grant::from_policy_true(Effects::default(), policy)), Decision::Deny(denial)] {
        let json = check_response_to_json(&encode(decision, &terms(Options::default()))).unwrap();
        assert_eq!(
            json["dynamicMetadata"],
            json!({
                "decision_id": ID, "n": null, "b": true, "i": 1.0, "f": 2.5, "s": "x", "l": [1.0, [2.0]],
                "o": {"k": {}}, "big": 1.234_567_890_123_456_7e19, "huge": "1e+400",
            })
        );
    }
}

/// To Envoy an answer that it cannot read is a failure of the authorizer.
#[test]
fn the_deepest_metadata_of_a_policy_can_be_read_again() {
    for (open, close) in [(r#"{"a":"#, "}"), ("[", "]")] {
        let (depth, rules) = (
            31,
            crate::policy::OutputRules {
                compatibility: crate::policy::Compatibility::Strict,
                owned_prefix: String::new(),
            },
        );
        let inner = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let result = format!(r#"{{"allowed": true, "dynamic_metadata": {{"a": {inner}}}}}"#);
        let decision = crate::policy::decision_from_json(&result, &rules).unwrap();
        assert!(matches!(decision, Decision::Allow(_)), "{open}");
        let wire = encode(decision, &terms(Options::default())).encode_to_vec();
        CheckResponse::decode(wire.as_slice()).unwrap();
    }
}
