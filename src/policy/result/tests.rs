mod demands;

use super::*;
use crate::policy::Compatibility;

fn strict() -> OutputRules {
    OutputRules { compatibility: Compatibility::Strict, owned_prefix: "x-countersign-".to_owned() }
}

fn opa_envoy() -> OutputRules {
    OutputRules { compatibility: Compatibility::OpaEnvoy, owned_prefix: String::new() }
}

fn read(json: &str, rules: &OutputRules) -> Decision {
    decision_from_json(json, rules).unwrap_or_else(|| panic!("no JSON: {json}"))
}

fn grant(json: &str, rules: &OutputRules) -> Grant {
    match read(json, rules) {
        Decision::Allow(grant) => grant,
        Decision::Deny(denial) => panic!("{json} is denied: {denial:?}"),
    }
}

fn denial(json: &str, rules: &OutputRules) -> Denial {
    match read(json, rules) {
        Decision::Deny(denial) => denial,
        Decision::Allow(_) => panic!("{json} is allowed"),
    }
}

#[test]
fn h3_only_boolean_true_allows() {
    for rules in [strict(), opa_envoy()] {
        assert!(!grant("true", &rules).effects.explicit);
        assert!(grant(r#"{"allowed": true}"#, &rules).effects.explicit);
        for other in [
            r#""true""#,
            "1",
            "null",
            "[true]",
            "[]",
            "{}",
            r#"{"allow": true}"#,
            r#"{"allowed": "true"}"#,
            r#"{"allowed": 1}"#,
            r#"{"allowed": null}"#,
            r#"{"allowed": [true]}"#,
            r#"{"Allowed": true}"#,
        ] {
            let denial = denial(other, &rules);
            assert_eq!(denial.reason, Reason::PolicyResultType, "{other}");
            assert_eq!(denial.http_status(), 503, "{other}");
        }
    }
    let set = Value::from(std::collections::BTreeSet::from([Value::from(true)]));
    assert!(
        matches!(decision(&set, &strict(), ""), Decision::Deny(denial) if denial.reason == Reason::PolicyResultType)
    );
}

#[test]
fn a_no_is_bare_or_has_a_response() {
    let bare = denial("false", &strict());
    assert_eq!((bare.reason, bare.http_status()), (Reason::PolicyDenied, 403));
    assert!(bare.response.is_none());
    let named = denial(
        r#"{"allowed": false, "http_status": 429, "body": "later", "headers": {"retry-after": "5"}}"#,
        &strict(),
    );
    let response = named.response.unwrap();
    assert_eq!((response.http_status, response.body.as_str()), (429, "later"));
    assert_eq!(response.headers[0].value(), "5");
}

#[test]
fn sets_are_lists_wherever_they_leave() {
    let set = |texts: &[&str]| {
        Value::from(texts.iter().map(|text| Value::from(*text)).collect::<std::collections::BTreeSet<_>>())
    };
    let object = |entries: Vec<(&str, Value)>| {
        Value::from(
            entries
                .into_iter()
                .map(|(name, value)| (Value::from(name), value))
                .collect::<std::collections::BTreeMap<_, _>>(),
        )
    };
    let value = object(vec![
        ("allowed", Value::from(true)),
        ("request_headers_to_remove", set(&["b", "a"])),
        ("headers", object(vec![("x", set(&["2", "1"]))])),
        ("dynamic_metadata", object(vec![("roles", set(&["r"]))])),
    ]);
    let Decision::Allow(grant) = decision(&value, &strict(), "") else { panic!("denied") };
    assert_eq!(grant.effects.headers_to_remove, ["a", "b"]);
    assert_eq!(grant.effects.headers.iter().map(crate::decision::HeaderField::value).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(grant.dynamic_metadata["roles"], serde_json::json!(["r"]));
}

#[test]
fn fields_of_the_other_branch_are_not_looked_at() {
    grant(r#"{"allowed": true, "body": 1, "http_status": "x", "reason": {}, "unknown": []}"#, &strict());
    denial(
        r#"{"allowed": false, "request_headers_to_remove": 1, "query_parameters_to_set": [], "response_headers_to_add": 5}"#,
        &strict(),
    );
}

#[test]
fn statuses_are_those_that_envoy_and_go_know() {
    let status = |code: u64| denial(&format!(r#"{{"allowed": false, "http_status": {code}}}"#), &strict());
    let valid = (0..1000).filter(|&code| status(code).reason == Reason::PolicyDenied).collect::<Vec<_>>();
    let expected = [
        vec![100],
        (200..=208).collect(),
        vec![226],
        (300..=305).collect(),
        vec![307, 308],
        (400..=417).collect(),
        vec![421, 422, 423, 424, 426, 428, 429, 431],
        (500..=508).collect(),
        vec![510, 511],
    ];
    assert_eq!(valid, expected.concat());
    for bad in ["-1", "65936", "1e30", "403.5", r#""403""#, "null"] {
        let denial = denial(&format!(r#"{{"allowed": false, "http_status": {bad}}}"#), &strict());
        assert_eq!(denial.reason, Reason::PolicyResultInvalid, "{bad}");
    }
}

#[test]
fn e6_values_cannot_split_a_request() {
    let long = "a".repeat(8193);
    for value in ["alice\r\nx-admin: 1", "a\nb", "a\rb", "a\0b", "\u{7f}", long.as_str()] {
        for field in ["headers", "response_headers_to_add"] {
            let result = serde_json::json!({"allowed": true, field: {"x-user": value}}).to_string();
            for rules in [strict(), opa_envoy()] {
                assert_eq!(denial(&result, &rules).reason, Reason::PolicyResultInvalid, "{field}: {value:.20?}");
            }
        }
        let refused = serde_json::json!({"allowed": false, "headers": {"x-user": value}}).to_string();
        assert_eq!(denial(&refused, &opa_envoy()).reason, Reason::PolicyResultInvalid, "{value:.20?}");
    }
    let beyond_ascii = r#"{"allowed": true, "headers": {"x-user": "é"}}"#;
    assert_eq!(denial(beyond_ascii, &strict()).reason, Reason::PolicyResultInvalid);
    grant(beyond_ascii, &opa_envoy());
}

#[test]
fn e7_names_that_change_the_message_are_refused() {
    let set = |field: &str, name: &str| serde_json::json!({"allowed": true, field: {name: "1"}}).to_string();
    for name in [":path", "host", "Host", "", "a b", "é"] {
        for rules in [strict(), opa_envoy()] {
            for field in ["headers", "response_headers_to_add"] {
                assert_eq!(denial(&set(field, name), &rules).reason, Reason::PolicyResultInvalid, "{field}: {name}");
            }
            let removed = serde_json::json!({"allowed": true, "request_headers_to_remove": [name]}).to_string();
            assert_eq!(denial(&removed, &rules).reason, Reason::PolicyResultInvalid, "{name}");
        }
    }
    for name in [
        "x-envoy-original-path",
        "x_envoy_original_path",
        "transfer-encoding",
        "connection",
        "content-length",
        "te",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-client-cert",
        "X-Upper",
        "x-http-method-override",
        "x-original-url",
    ] {
        let denial = denial(&set("headers", name), &strict());
        assert_eq!(denial.reason, Reason::PolicyResultInvalid, "{name}");
        assert!(denial.detail.starts_with("`headers`: `"), "{}", denial.detail);
        grant(&set("headers", name), &opa_envoy());
    }
    for framing in ["transfer-encoding", "connection", "content-length", "Content_Length"] {
        let response = serde_json::json!({"allowed": false, "headers": {framing: "1"}}).to_string();
        assert_eq!(denial(&response, &strict()).reason, Reason::PolicyResultInvalid, "{framing}");
        let removed = serde_json::json!({"allowed": true, "request_headers_to_remove": [framing]}).to_string();
        assert_eq!(denial(&removed, &strict()).reason, Reason::PolicyResultInvalid, "{framing}");
    }
    grant(r#"{"allowed": true, "request_headers_to_remove": ["x-forwarded-host", "Authorization"]}"#, &strict());
    grant(r#"{"allowed": true, "response_headers_to_add": {"x-envoy-ratelimited": "true"}}"#, &strict());
}

#[test]
fn e4_owned_headers_are_not_the_policys() {
    for name in ["x-countersign-user", "x_countersign_user", "x-countersign-anything"] {
        for result in [
            serde_json::json!({"allowed": true, "headers": {name: "1"}}),
            serde_json::json!({"allowed": true, "headers": [{"x-a": "1"}, {name: ["1"]}]}),
            serde_json::json!({"allowed": true, "response_headers_to_add": {name: "1"}}),
            serde_json::json!({"allowed": true, "request_headers_to_remove": [name.to_uppercase()]}),
            serde_json::json!({"allowed": false, "headers": {name: "1"}}),
        ] {
            let value = to_value(&result, &mut Names::default()).unwrap();
            let Decision::Deny(denial) = decision(&value, &strict(), "authz.rego:7") else { panic!("{result}") };
            assert_eq!(denial.reason, Reason::PolicyOwnedHeader, "{result}");
            assert!(denial.detail.starts_with("authz.rego:7: `"), "{}", denial.detail);
        }
    }
    grant(r#"{"allowed": true, "headers": {"x-countersign-user": "1"}}"#, &opa_envoy());
    grant(r#"{"allowed": true, "headers": {"x-countersigned": "1"}}"#, &strict());
}

#[test]
fn query_parameters_cannot_make_others() {
    let set =
        |value: &str| serde_json::json!({"allowed": true, "query_parameters_to_set": {"user": value}}).to_string();
    grant(&set("alice%20b/c@example.org"), &strict());
    for bad in ["a&admin=1", "a#", "a b", "a;b", "a=b", "a+b", "é", "%", "50%", "a%2", "%zz"] {
        assert_eq!(denial(&set(bad), &strict()).reason, Reason::PolicyResultInvalid, "{bad}");
    }
    for split in ["a\r\nb", "a b", "\0"] {
        assert_eq!(denial(&set(split), &opa_envoy()).reason, Reason::PolicyResultInvalid, "{split:?}");
    }
    grant(&set("a&b=1"), &opa_envoy());
}

#[test]
fn a_policys_reasons_go_to_the_log_bounded() {
    let detail = |json: &str| denial(json, &strict()).detail;
    assert_eq!(detail(r#"{"allowed": false, "reason": "no role", "reasons": ["a", 1, "b"]}"#), "no role; a; b");
    assert_eq!(detail(r#"{"allowed": false, "reason": 5}"#), "");
    let long = serde_json::json!({"allowed": false, "reason": "é".repeat(1000)}).to_string();
    assert_eq!(detail(&long).chars().count(), crate::policy::MAX_DETAIL_CHARS + 1);
}

#[test]
fn details_never_hold_values() {
    for result in [
        r#"{"allowed": true, "headers": {"authorization": "Bearer canary\n"}}"#,
        r#"{"allowed": true, "headers": {"authorization": ["Bearer canary", 1]}}"#,
        r#"{"allowed": true, "query_parameters_to_set": {"token": "canary canary"}}"#,
        r#"{"allowed": false, "http_status": "canary"}"#,
        r#"{"allowed": "canary"}"#,
        r#""canary""#,
    ] {
        let detail = denial(result, &strict()).detail;
        assert!(!detail.is_empty() && !detail.contains("canary"), "{detail}");
    }
}

#[test]
fn sizes_are_bounded() {
    let body = serde_json::json!({"allowed": false, "body": "a".repeat(MAX_BODY_BYTES + 1)}).to_string();
    assert_eq!(denial(&body, &opa_envoy()).reason, Reason::PolicyResultInvalid);
    let many: Vec<String> = (0..2000).map(|number| format!("x-{number}")).collect();
    let single: Vec<_> = many.iter().map(|name| serde_json::json!({name: "1"})).collect();
    let set = serde_json::json!({"allowed": true, "headers": single}).to_string();
    assert_eq!(denial(&set, &opa_envoy()).reason, Reason::PolicyResultInvalid);
    let removed = serde_json::json!({"allowed": true, "request_headers_to_remove": many}).to_string();
    assert_eq!(denial(&removed, &opa_envoy()).reason, Reason::PolicyResultInvalid);
}

#[test]
fn metadata_is_no_deeper_than_the_proxy_reads() {
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for rules in [strict(), opa_envoy()] {
        for allowed in [true, false] {
            let result = |depth| format!(r#"{{"allowed": {allowed}, "dynamic_metadata": {}}}"#, nested(depth));
            let deepest = read(&result(MAX_METADATA_DEPTH), &rules);
            assert_eq!(matches!(deepest, Decision::Allow(_)), allowed);
            let deeper = denial(&result(MAX_METADATA_DEPTH + 1), &rules);
            assert_eq!(deeper.reason, Reason::PolicyResultInvalid);
        }
    }
}
