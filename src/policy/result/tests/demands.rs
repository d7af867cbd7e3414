//! `step_up` and `insufficient_scope`.

use super::*;
use crate::decision::Quotable;
use crate::decision::StepUp;

fn with(fields: &str) -> String {
    format!(r#"{{"allowed": false, {fields}}}"#)
}

#[test]
fn a_step_up_is_a_401_that_says_what_is_missing() {
    let quotable = |text: &str| Some(Quotable::words(text).unwrap());
    for (step_up, expected) in [
        (
            r#"{"acr_values": ["urn:acr:hw", "phr"], "max_age": 300, "scope": "a b"}"#,
            StepUp { acr_values: quotable("urn:acr:hw phr"), max_age: Some(300), scope: quotable("a b") },
        ),
        (r#"{"max_age": 0}"#, StepUp { acr_values: None, max_age: Some(0), scope: None }),
        (r#"{"max_age": 300.0}"#, StepUp { acr_values: None, max_age: Some(300), scope: None }),
        (r#"{"max_age": 2147483647}"#, StepUp { acr_values: None, max_age: Some(2_147_483_647), scope: None }),
        (r#"{"acr_values": ["phr"]}"#, StepUp { acr_values: quotable("phr"), max_age: None, scope: None }),
    ] {
        for more in ["", r#", "http_status": 401, "body": "again", "reason": "old""#] {
            let denial = denial(&with(&format!(r#""step_up": {step_up}{more}"#)), &strict());
            assert_eq!((denial.reason, denial.http_status()), (Reason::PolicyStepUp, 401), "{step_up}");
            assert_eq!(denial.demand.as_deref(), Some(&Demand::StepUp(expected.clone())), "{step_up}");
        }
    }
}

#[test]
fn an_insufficient_scope_is_a_403_that_names_the_scope() {
    let denial = denial(&with(r#""insufficient_scope": "orders:read orders:write""#), &strict());
    assert_eq!((denial.reason, denial.http_status()), (Reason::PolicyInsufficientScope, 403));
    let scope = Quotable::words("orders:read orders:write").unwrap();
    assert_eq!(denial.demand.as_deref(), Some(&Demand::Scope(scope)));
}

#[test]
fn e6_a_demand_that_no_header_can_say_is_invalid() {
    let long = "a".repeat(1025);
    let long_scope = format!(r#""insufficient_scope": "{long}""#);
    let half = "a".repeat(600);
    let long_values = format!(r#""step_up": {{"acr_values": ["{half}", "{half}"]}}"#);
    for fields in [
        long_scope.as_str(),
        long_values.as_str(),
        r#""insufficient_scope": null"#,
        r#""insufficient_scope": """#,
        r#""insufficient_scope": ["a"]"#,
        r#""insufficient_scope": "a  b""#,
        r#""insufficient_scope": " a""#,
        r#""insufficient_scope": "a\", error=\"b""#,
        r#""insufficient_scope": "a\\""#,
        r#""insufficient_scope": "a\r\nset-cookie: b""#,
        r#""insufficient_scope": "é""#,
        r#""step_up": null"#,
        r#""step_up": true"#,
        r#""step_up": "phr""#,
        r#""step_up": ["phr"]"#,
        r#""step_up": {}"#,
        r#""step_up": {"scope": "a"}"#,
        r#""step_up": {"max_age": 1, "maxage": 1}"#,
        r#""step_up": {"max_age": -1}"#,
        r#""step_up": {"max_age": 1.5}"#,
        r#""step_up": {"max_age": "300"}"#,
        r#""step_up": {"max_age": null}"#,
        r#""step_up": {"max_age": 2147483648}"#,
        r#""step_up": {"max_age": 1e30}"#,
        r#""step_up": {"acr_values": []}"#,
        r#""step_up": {"acr_values": "phr"}"#,
        r#""step_up": {"acr_values": [1]}"#,
        r#""step_up": {"acr_values": ["a b"]}"#,
        r#""step_up": {"acr_values": [""]}"#,
        r#""step_up": {"acr_values": ["a\""]}"#,
        r#""step_up": {"max_age": 1, "scope": "a\n"}"#,
        r#""step_up": {"max_age": 1, "scope": 1}"#,
        r#""step_up": {"max_age": 1}, "insufficient_scope": "a""#,
        r#""step_up": {"max_age": 1}, "http_status": 403"#,
        r#""insufficient_scope": "a", "http_status": 401"#,
        r#""insufficient_scope": "a", "headers": {"www-authenticate": "Bearer"}"#,
    ] {
        let denial = denial(&with(fields), &strict());
        assert_eq!((denial.reason, denial.http_status()), (Reason::PolicyResultInvalid, 503), "{fields}");
        assert_eq!(denial.demand, None, "{fields}");
        assert!(!denial.detail.contains("set-cookie"), "{}", denial.detail);
    }
}

#[test]
fn an_allow_that_asks_for_more_is_invalid() {
    for fields in [r#""step_up": {"max_age": 1}"#, r#""step_up": null"#, r#""insufficient_scope": "a""#] {
        let denial = denial(&format!(r#"{{"allowed": true, {fields}}}"#), &strict());
        assert_eq!(denial.reason, Reason::PolicyResultInvalid, "{fields}");
    }
}

#[test]
fn opa_envoy_does_not_know_demands() {
    for fields in [r#""step_up": {"max_age": 1}"#, r#""step_up": 1"#, r#""insufficient_scope": "a""#] {
        grant(&format!(r#"{{"allowed": true, {fields}}}"#), &opa_envoy());
        let denial = denial(&with(fields), &opa_envoy());
        assert_eq!((denial.reason, denial.http_status(), denial.demand), (Reason::PolicyDenied, 403, None), "{fields}");
    }
}
