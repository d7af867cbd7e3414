use super::*;

fn value(json: &str) -> Value {
    Value::from_json_str(json).unwrap()
}

fn arguments(json: &str) -> Vec<Value> {
    value(json).as_array().unwrap().to_vec()
}

/// What each limit lets pass, and what not.
const TABLE: &[(&str, Limit, &[&str], &[&str])] = &[
    (
        "range",
        range,
        &["[1, 65536]", "[-5, 5]", "[5, -65530]", "[1.5, 100000000000]", "[\"a\", 1]", "[1]"],
        &["[1, 65537]", "[65537, 1]", "[-9223372036854775808, 9223372036854775807]", "[1, 99999999999999999999]"],
    ),
    (
        "range_step",
        range_step,
        &["[1, 1000000, 100]", "[\"a\", 1, 1]", "[1, 10, 3]"],
        &["[1, 10, 0]", "[1, 10, -1]", "[1, 10, 0.5]", "[1, 1000000, 1]", "[1, 99999999999999999999, 1]"],
    ),
    (
        "cidr",
        cidr,
        &["[\"10.0.0.0/16\"]", "[\"10.0.0.0/32\"]", "[\"fe80::/112\"]", "[\"x\"]", "[\"10.0.0.0/x\"]", "[5]"],
        &["[\"10.0.0.0/15\"]", "[\"0.0.0.0/0\"]", "[\"fe80::/64\"]"],
    ),
    ("shift", shift, &["[1, 4096]", "[1, -5]", "[1, \"a\"]"], &["[1, 4097]", "[1, 99999999999999999999]"]),
    (
        "sprintf",
        sprintf,
        &[
            "[\"%s %d %5d %05d %.2f %% %v\", []]",
            "[\"100%\", []]",
            "[\"%1024d\", []]",
            "[\"%%9999999d\", []]",
            "[\"9999999\", []]",
            "[5, []]",
        ],
        &[
            "[\"%1025d\", []]",
            "[\"%.99999999f\", []]",
            "[\"a %1000000000d\", []]",
            "[\"%99999999999d\", []]",
            "[\"%٣d\", []]",
            "[\"%½d\", []]",
        ],
    ),
    (
        "marshal_options",
        marshal_options,
        &[r#"[1, {"indent": "  ", "pretty": true}]"#, "[1]"],
        &[r#"[1, {"indent": "                                                                 "}]"#],
    ),
    (
        "json_text",
        json_text,
        &[r#"["1e100"]"#, r#"["[1, {\"a\": 2}]"]"#, r#"["\"1e999999999\""]"#, r#"["10Ki"]"#, r#"["1E"]"#, "[5]"],
        &[r#"["1e999999999"]"#, r#"["[1, {\"a\": 1e5000}]"]"#, r#"["1e999999999K"]"#],
    ),
    (
        "json_paths",
        json_paths,
        &[r#"[[1], ["a/0", ["b", 0]]]"#, "[[1], 5]"],
        &[r#"[[1], ["a/1e999999999"]]"#, r#"[[1], [["a", "1e999999999"]]]"#],
    ),
    ("regex", regex, &[r#"["a+", "aaa"]"#, "[1, 2]", "[]"], &[]),
    ("concat", concat, &[r#"[",", ["a", "b"]]"#, r#"[",", 5]"#], &[]),
    ("product", product, &["[[1, 2, 3]]", "[[\"a\"]]", "[5]"], &[]),
];

#[test]
fn limits_let_pass_what_fits_and_nothing_else() {
    for (name, limit, pass, fail) in TABLE {
        for fits in *pass {
            assert_eq!(limit(&arguments(fits)), Ok(()), "{name}: {fits}");
        }
        for excess in *fail {
            assert!(limit(&arguments(excess)).is_err(), "{name}: {excess}");
        }
    }
}

#[test]
fn texts_do_not_grow_without_end() {
    let text = |length: usize| Value::from("a".repeat(length));
    assert!(replace(&[text(1000), Value::from("a"), text(1000)]).is_ok());
    assert!(replace(&[text(100_000), Value::from("a"), text(1000)]).is_err());
    assert!(replace(&[text(100_000), Value::from(""), text(1000)]).is_err());
    assert!(replace(&[text(20_000_000), Value::from("a"), Value::from("b")]).is_ok(), "it does not grow");
    assert!(concat(&[text(100_000), Value::from(vec![Value::from(""); 1000])]).is_err());
    assert!(regex_replace(&[text(100_000), Value::from("a"), text(1000)]).is_err());
    assert!(regex_replace(&[text(1000), Value::from("a"), text(100)]).is_ok());
    let doubling = |count: usize| {
        let patterns = (0..count).map(|number| {
            let (old, new) =
                (char::from(b'a' + u8::try_from(number).unwrap()), char::from(b'b' + u8::try_from(number).unwrap()));
            (Value::from(old.to_string()), Value::from(format!("{new}{new}")))
        });
        Value::from(patterns.collect::<std::collections::BTreeMap<_, _>>())
    };
    assert!(replace_n(&[doubling(10), Value::from("a")]).is_ok());
    assert!(replace_n(&[doubling(25), Value::from("a")]).is_err(), "each pattern doubles what the one before made");
}

#[test]
fn patterns_and_products_are_held() {
    let text = |length: usize| Value::from("a".repeat(length));
    assert!(regex(&[text(8 * 1024), text(1024)]).is_ok());
    assert!(regex(&[text(8 * 1024 + 1), text(0)]).is_err());
    assert!(regex(&[text(1024), text(1024 * 1024)]).is_err());
    assert!(glob(&[text(1024), Value::Null, text(1024 * 1024)]).is_err());
    let large = value(&"9".repeat(4000));
    assert!(product(&[Value::from(vec![large.clone(); 4])]).is_ok());
    assert!(product(&[Value::from(vec![large; 5])]).is_err());
}

#[test]
fn yaml_is_short_and_shallow() {
    assert!(yaml_text(&[Value::from("a: [1, {b: 2}]")]).is_ok());
    assert!(yaml_text(&[Value::from("[".repeat(1000))]).is_err());
    assert!(yaml_text(&[Value::from("a".repeat(MAX_YAML_BYTES + 1))]).is_err());
}
