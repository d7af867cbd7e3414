use proptest::prelude::*;
use serde_json::json;

use super::*;

const BOTH: [Dialect; 2] = [Dialect::Strict, Dialect::Go];

#[test]
fn values_are_read_and_numbers_kept_exactly() {
    for dialect in BOTH {
        for (text, value) in [
            ("null", json!(null)),
            (" \t\r\n[true, false ,null]", json!([true, false, null])),
            (r#"{"a":{"b":[1,{"c":null}]},"":"x"}"#, json!({"a": {"b": [1, {"c": null}]}, "": "x"})),
            (r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é""#, json!("\"\\/\u{8}\u{c}\n\r\té😀é")),
            ("{}", json!({})),
            ("[]", json!([])),
        ] {
            assert_eq!(parsed(text.as_bytes(), dialect), Ok(value), "{text}");
        }
        for number in ["0", "-0", "1.0", "12345678901234567890", "0.1", "1e+400", "2.50"] {
            let Ok(Json::Number(read)) = parsed(number.as_bytes(), dialect) else { panic!("{number}") };
            assert_eq!(read.to_string(), number);
        }
    }
}

#[test]
fn an_object_cannot_pass_for_a_number() {
    let text = r#"{"$serde_json::private::Number":"1"}"#;
    let value = parsed(text.as_bytes(), Dialect::Go).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 1);
}

#[test]
fn g2_a_repeated_key_is_refused() {
    for text in [
        r#"{"method":"tools/list","method":"tools/call"}"#,
        r#"{"params":{"name":"a","name":"b"}}"#,
        r#"{"method":"a","\u006dethod":"b"}"#,
    ] {
        assert_eq!(parsed(text.as_bytes(), Dialect::Strict), Err(JsonError::RepeatedKey), "{text}");
    }
    assert_eq!(parsed(br#"{"a":1,"\u0061":2}"#, Dialect::Go), Ok(json!({"a": 2})));
}

#[test]
fn g3_what_is_no_json_is_refused() {
    let rows: &[(&[u8], JsonError)] = &[
        (b"", JsonError::End),
        (b" ", JsonError::End),
        (br#"{"a":"#, JsonError::End),
        (br#"{"a""#, JsonError::End),
        (b"[1", JsonError::End),
        (b"\"a", JsonError::End),
        (br#""\u12"#, JsonError::End),
        (b"NaN", JsonError::Character),
        (b"{\"a\":NaN}", JsonError::Character),
        (b"Infinity", JsonError::Character),
        (b"+1", JsonError::Character),
        (b".5", JsonError::Character),
        (b"tru", JsonError::Character),
        (b"{'a':1}", JsonError::Character),
        (b"{a:1}", JsonError::Character),
        (br#"{"a":1,}"#, JsonError::Character),
        (b"[1,]", JsonError::Character),
        (b"[1 2]", JsonError::Character),
        (b"// c\n{}", JsonError::Character),
        (b"\xef\xbb\xbf{}", JsonError::Character),
        (b"\xff\xfe{\0}\0", JsonError::Character),
        (b"\"a\nb\"", JsonError::Character),
        (b"\"a\0b\"", JsonError::Character),
        (b"\x0c{}", JsonError::Character),
        (b"01", JsonError::Number),
        (b"1.", JsonError::Number),
        (b"1e", JsonError::Number),
        (b"-", JsonError::Number),
        (b"1-1", JsonError::Number),
        (br#""\x""#, JsonError::Escape),
        (br#""\'""#, JsonError::Escape),
        (br#""\u00zz""#, JsonError::Escape),
        (br#""\ud800\u00zz""#, JsonError::Escape),
        (b"{} x", JsonError::Trailing),
        (b"{}{}", JsonError::Trailing),
        (b"{}\n{}", JsonError::Trailing),
        (b"{} null", JsonError::Trailing),
        (b"1]", JsonError::Trailing),
    ];
    for dialect in BOTH {
        for (text, error) in rows {
            assert_eq!(parsed(text, dialect), Err(*error), "{}", text.escape_ascii());
        }
    }
}

#[test]
fn g3_what_is_no_text_is_refused_or_replaced() {
    let rows: &[(&[u8], JsonError, &str)] = &[
        (br#""\ud800""#, JsonError::Surrogate, "\u{fffd}"),
        (br#""\udc00""#, JsonError::Surrogate, "\u{fffd}"),
        (br#""\ud800\u0041""#, JsonError::Surrogate, "\u{fffd}A"),
        (br#""\ud800\ud83d\ude00""#, JsonError::Surrogate, "\u{fffd}😀"),
        (br#""\ud800x""#, JsonError::Surrogate, "\u{fffd}x"),
        (b"\"\xff\"", JsonError::NotText, "\u{fffd}"),
        (b"\"a\xe2\x82b\"", JsonError::NotText, "a\u{fffd}\u{fffd}b"),
        (b"\"\xed\xa0\x80\"", JsonError::NotText, "\u{fffd}\u{fffd}\u{fffd}"),
    ];
    for (text, error, replaced) in rows {
        assert_eq!(parsed(text, Dialect::Strict), Err(*error), "{}", text.escape_ascii());
        assert_eq!(parsed(text, Dialect::Go), Ok(json!(replaced)), "{}", text.escape_ascii());
    }
}

#[test]
fn g3_nesting_is_bounded() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    for dialect in BOTH {
        let limit = dialect.max_depth();
        assert!(parsed(&nested(limit), dialect).is_ok());
        assert_eq!(parsed(&nested(limit + 1), dialect), Err(JsonError::TooDeep));
        assert_eq!(parsed(&[b'['; 10_000], dialect), Err(JsonError::TooDeep));
        let objects = r#"{"a":"#.repeat(limit + 1);
        assert_eq!(parsed(objects.as_bytes(), dialect), Err(JsonError::TooDeep));
    }
}

#[test]
fn g3_values_and_digits_are_counted() {
    let keys = |count: usize| {
        let keys: Vec<_> = (0..count).map(|key| format!("\"{key}\":0")).collect();
        format!("{{{}}}", keys.join(","))
    };
    assert!(parsed(keys(40_000).as_bytes(), Dialect::Strict).is_ok());
    assert_eq!(parsed(keys(1_000_000).as_bytes(), Dialect::Strict), Err(JsonError::TooMany));
    assert_eq!(parsed(keys(1_000_000).as_bytes(), Dialect::Go), Err(JsonError::TooMany));
    for dialect in BOTH {
        assert!(parsed("1".repeat(MAX_NUMBER_BYTES).as_bytes(), dialect).is_ok());
        assert_eq!(parsed("1".repeat(10_000_000).as_bytes(), dialect), Err(JsonError::Number));
    }
}

fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(".{0,4}", inner, 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in values()) {
        for text in [value.to_string(), format!("{value:#}")] {
            prop_assert_eq!(parsed(text.as_bytes(), Dialect::Strict), Ok(value.clone()));
            prop_assert_eq!(parsed(text.as_bytes(), Dialect::Go), Ok(value.clone()));
        }
    }

    #[test]
    fn serde_json_agrees_on_what_is_json(text in r#"[\[\]{}",:0-9eE.+\\u -]{0,24}"#) {
        // serde_json keeps the last of a repeated key's values too, and refuses lone surrogates as the strict dialect.
        let theirs = serde_json::from_str::<Json>(&text).ok();
        let ours = match parsed(text.as_bytes(), Dialect::Strict) {
            Err(JsonError::RepeatedKey) => parsed(text.as_bytes(), Dialect::Go),
            other => other,
        };
        prop_assert_eq!(ours.ok(), theirs);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _either = parsed(&bytes, Dialect::Strict);
        let _either = parsed(&bytes, Dialect::Go);
    }
}
