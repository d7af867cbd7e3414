use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::json;

use super::*;
use crate::facts::Attributes;
use crate::facts::Facts;
use crate::facts::Http;
use crate::facts::Request;
use crate::facts::RequestView;
use crate::facts::Shape;

fn value<T: Serialize>(document: &T) -> Result<Value, ValueError> {
    to_value(document, &mut Names::default())
}

/// The engine's own reading of the same JSON is the independent opinion.
fn assert_like_json<T: Serialize>(document: &T) {
    let json = serde_json::to_string(document).unwrap();
    assert_eq!(value(document).unwrap(), Value::from_json_str(&json).unwrap(), "{json}");
}

#[test]
fn values_are_what_json_would_have_made() {
    assert_like_json(&json!(null));
    assert_like_json(&json!([true, false, "é", "", [], {}, [[1]], {"a": {"b": null}}]));
    assert_like_json(&json!({"b": 1, "a": -1, "": 1.5, "u": u64::MAX, "i": i64::MIN}));
    assert_like_json(&(1_u8, -2_i16, 'x', "s", Some(1.25_f32), (), None::<u8>));
    assert_like_json(&BTreeMap::from([(1, "one"), (2, "two")]));
    assert_like_json(&u128::MAX);
    let exact: serde_json::Value = serde_json::from_str("[12345678901234567890123, 1e30, 0.1, -0, 1E+2]").unwrap();
    assert_like_json(&exact);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "\\PC*".prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from);
        let map = prop::collection::btree_map("[a-c]{0,2}|\\PC{1,60}", inner, 0..8);
        prop_oneof![list, map.prop_map(|map| Json::Object(map.into_iter().collect()))]
    })
}

proptest! {
    #[test]
    fn any_document_is_what_json_would_have_made(document in any_json()) {
        assert_like_json(&document);
    }
}

#[test]
fn structs_and_variants_have_their_json_form() {
    #[derive(Serialize)]
    enum Kind {
        Unit,
        Newtype(u8),
    }
    #[derive(Serialize)]
    struct Pair(u8, u8);
    #[derive(Serialize)]
    struct Document {
        name: &'static str,
        kinds: [Kind; 2],
        pair: Pair,
    }
    assert_like_json(&Document { name: "n", kinds: [Kind::Unit, Kind::Newtype(1)], pair: Pair(1, 2) });
}

#[test]
fn the_last_of_two_equal_names_counts() {
    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([("a", 1), ("b", 2), ("a", 3)])
        }
    }
    assert_eq!(value(&Twice), value(&json!({"a": 3, "b": 2})));
}

#[test]
fn what_goes_too_far_is_refused() {
    let huge: serde_json::Value = serde_json::from_str("[1e999999999]").unwrap();
    assert_eq!(value(&huge), Err(ValueError::Number));
    let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(value(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(value(&nested(MAX_DEPTH + 1)), Err(ValueError::Depth));
    assert_eq!(value(&BTreeMap::from([(vec![1], 1)])), Err(ValueError::Key));
}

#[test]
fn names_are_kept_and_never_confused() {
    let mut names = Names::default();
    let first = names.name("attributes");
    let again = names.name("attributes");
    assert!(matches!((&first, &again), (Value::String(a), Value::String(b)) if Arc::ptr_eq(a, b)));
    for number in 0..5000 {
        let name = format!("x-header-{number}");
        assert_eq!(names.name(&name), Value::from(name.as_str()));
    }
    let long = "n".repeat(MAX_CACHED_BYTES + 1);
    assert_eq!(names.name(&long), Value::from(long.as_str()));
    assert_eq!(names.name("attributes"), first);
}

#[test]
fn h12_odd_names_are_only_names() {
    let http = Http {
        headers: ["__proto__", "data", "input", "", "é", "$serde_json::private::Number"]
            .map(|name| (name.to_owned(), "1".to_owned()))
            .to_vec(),
        ..Http::default()
    };
    let request = Request { time: None, http: Some(http) };
    let attributes = Attributes { request: Some(request), ..Attributes::default() };
    let request = RequestView::default();
    let facts = Facts { attributes: &attributes, request: &request, caller: None, user: None, shape: Shape::Strict };
    assert_like_json(&facts);
    let document = value(&facts).unwrap();
    let headers = &document["attributes"]["request"]["http"]["headers"];
    for name in ["__proto__", "data", "input", "", "é", "$serde_json::private::Number"] {
        assert_eq!(headers[name], Value::from("1"), "{name}");
    }
    assert_eq!(document["caller"], Value::Null);
}
