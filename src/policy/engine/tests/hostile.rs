//! Hostile input and hostile policies, by their numbers in docs/threats.md.

use super::*;

#[test]
fn h1_an_endless_evaluation_is_stopped_and_the_next_is_not() {
    let rules = "
forever if {
    some x in numbers.range(1, 1000)
    some y in numbers.range(1, 1000)
    some z in numbers.range(1, 1000)
    x + y + z == -1
}

long := count([1 | some x in numbers.range(1, 1000); some y in numbers.range(1, 1000); some z in numbers.range(1, 1000)]) == 0

f(n) if { some x in numbers.range(1, n); some y in numbers.range(1, n); some z in numbers.range(1, n); x + y + z == -1 }

inside_a_function if f(1000)

allow := true
";
    for errors in [BuiltinErrors::Deny, BuiltinErrors::Undefined] {
        let time_limit = Duration::from_millis(1);
        let mut asked = Asked::with(&Config { builtin_errors: errors, time_limit, ..Config::default() }, rules);
        for rule in ["forever", "long", "inside_a_function"] {
            let began = std::time::Instant::now();
            let denial = asked.denial(rule, &json!({}));
            assert_eq!(denial.reason, Reason::PolicyTimeLimit, "{rule}: {}", denial.detail);
            assert!(began.elapsed() < Duration::from_secs(2), "{rule}");
            assert_eq!(asked.reason("allow"), None);
        }
    }
}

#[test]
fn h2_patterns_are_linear_and_bounded() {
    let mut asked = Asked::new(
        r#"
nested if regex.match(`(a+)+$`, input.text)

given if regex.match(input.pattern, "a")

not_given if not regex.match(input.pattern, "a")

valid if regex.is_valid(input.pattern)

replaced := regex.replace(input.text, `a`, input.pattern) == "x"

globbed if glob.match(input.pattern, [], "a")
"#,
    );
    let text = format!("{}!", "a".repeat(100_000));
    assert_eq!(asked.denial("nested", &json!({"text": text})).reason, Reason::PolicyUndefined);
    for pattern in ["a".repeat(1024 * 1024), "(a{1000}){1000}".to_owned()] {
        for rule in ["given", "not_given", "valid"] {
            let denial = asked.denial(rule, &json!({"pattern": pattern}));
            assert_eq!(denial.reason, Reason::PolicyBuiltinError, "{rule}: {}", denial.detail);
        }
    }
    let long = json!({"text": text, "pattern": "b".repeat(8192)});
    for rule in ["replaced", "globbed"] {
        let reason = asked.denial(rule, &long).reason;
        assert!(matches!(reason, Reason::PolicyBuiltinError | Reason::PolicyUndefined), "{rule}");
    }
}

#[test]
fn h3_only_boolean_true_allows() {
    let mut asked = Asked::new(
        r#"
undefined if input.missing

text := "true"

number := 1

nothing := null

set contains true

list := [true]

object := {"allow": true}

conflict := true if count(input) == 0

conflict := false if count(input) == 0

partial[key] := value if { key := "allowed"; some value in [true, false] }

f(x) := true if x == 0

f(x) := false if x == 0

function := f(0)

allow := true
"#,
    );
    for (rule, expected) in [
        ("undefined", Reason::PolicyUndefined),
        ("f", Reason::PolicyUndefined),
        ("text", Reason::PolicyResultType),
        ("number", Reason::PolicyResultType),
        ("nothing", Reason::PolicyResultType),
        ("set", Reason::PolicyResultType),
        ("list", Reason::PolicyResultType),
        ("object", Reason::PolicyResultType),
        ("conflict", Reason::PolicyConflict),
        ("partial", Reason::PolicyConflict),
        ("function", Reason::PolicyConflict),
    ] {
        assert_eq!(asked.reason(rule), Some(expected), "{rule}");
    }
    assert_eq!(asked.reason("allow"), None);
}

/// Each rule would allow if its builtin's failure counted as undefined.
const FAILING: &str = r#"
type if not startswith(input.path, "/")

arithmetic if not input.text + 1

division if not 1 / input.zero

modulo if not 1 % input.zero

smallest if not (-9223372036854775808 / input.minus_one) % input.zero

shift if not bits.lsh(1, input.huge)

json if not json.unmarshal(input.text)

number if not to_number(input.text)

range if not numbers.range(1, input.huge)

step if not numbers.range_step(1, 2, input.zero)

cidr if not net.cidr_expand(input.cidr)

width if not sprintf(input.format, [1])

digits if not to_number(input.digits)

digits_in_json if not json.unmarshal(sprintf("[%s]", [input.digits]))

random if not rand.intn(input.zero, 1)
"#;

fn hostile() -> Json {
    json!({
        "path": 5, "zero": 0, "minus_one": -1, "huge": 1_000_000_000, "text": "{", "cidr": "10.0.0.0/8",
        "format": "%1000000000d", "digits": "1e999999999",
    })
}

#[test]
fn h4_a_failing_builtin_opens_nothing() {
    let mut asked = Asked::new(FAILING);
    for rule in FAILING.lines().filter_map(|line| line.split_once(" if ")).map(|(rule, _)| rule) {
        let denial = asked.denial(rule, &hostile());
        assert_eq!(
            (denial.reason, denial.http_status()),
            (Reason::PolicyBuiltinError, 503),
            "{rule}: {}",
            denial.detail
        );
        assert!(denial.detail.starts_with("a.rego:"), "{}", denial.detail);
    }
    assert_eq!(asked.instance.panics(), 0);
}

#[test]
fn h4_what_goes_too_far_is_refused_in_opas_way_too() {
    let mut asked = Asked::lenient(FAILING);
    for undefined in ["type", "division", "modulo", "json", "number", "random"] {
        let decision = asked.ask(&format!("a/{undefined}"), &hostile());
        assert!(matches!(decision, Decision::Allow(_)), "{undefined}: {decision:?}");
    }
    // The interpreter takes a wrong operand as an error in any case, where OPA has it undefined.
    for refused in ["arithmetic", "shift", "range", "step", "cidr", "width", "digits", "digits_in_json"] {
        assert_eq!(asked.denial(refused, &hostile()).reason, Reason::PolicyBuiltinError, "{refused}");
    }
}

#[test]
fn a_refused_call_is_final() {
    let rules = "
f(n) if count(numbers.range(1, n)) > 0

f(n) if n > 0

allow if f(input.huge)
";
    let mut asked = Asked::lenient(rules);
    let denial = asked.denial("allow", &hostile());
    assert_eq!(denial.reason, Reason::PolicyBuiltinError);
    assert!(denial.detail.contains("`numbers.range` would make more than"), "{}", denial.detail);
    assert!(matches!(asked.ask("a/allow", &json!({"huge": 5})), Decision::Allow(_)), "the next decision is free of it");
}

#[test]
fn h4_a_panic_is_a_denial_and_the_engine_is_replaced() {
    let mut asked = Asked::new("allow if upper(\"a\") == \"A\"\n\nother := true");
    for panics in 1..=3 {
        asked.instance.engine.add_extension("upper".to_owned(), 1, Box::new(|_| panic!("a defect"))).unwrap();
        assert_eq!(asked.reason("other"), None);
        let denial = asked.denial("allow", &json!({}));
        assert_eq!((denial.reason, denial.http_status()), (Reason::PolicyPanic, 503));
        assert_eq!(asked.instance.panics(), panics);
        assert_eq!((asked.reason("allow"), asked.reason("other")), (None, None));
    }
}

#[test]
fn counting_nothing_is_no_panic() {
    let mut asked = Asked::new(
        r#"
empty if strings.count("aé", "") == 3

apart if strings.count("ababa", "aba") == 1
"#,
    );
    assert_eq!((asked.reason("empty"), asked.reason("apart")), (None, None));
}

#[test]
fn h6_time_and_chance_are_the_decisions() {
    let mut asked = Asked::new(
        r#"
now := {"allowed": false, "reason": sprintf("%d", [time.now_ns()])}

chance := {"allowed": false, "reason": sprintf("%d %d %d", [rand.intn("a", 1000000), rand.intn("a", 1000000), rand.intn("b", 1000000)])}

name := {"allowed": false, "reasons": [uuid.rfc4122("a"), uuid.rfc4122("a"), uuid.rfc4122("b")]}

mocked := {"allowed": false, "reason": sprintf("%d", [x])} if {
    x := time.now_ns() with time.now_ns as 7
}

small if { every n in numbers.range(1, 100) { rand.intn(sprintf("%d", [n]), 3) < 3 }; rand.intn("x", 0) == 0; rand.intn("x", -5) < 5 }
"#,
    );
    assert_eq!(asked.text("now", 1), "1795515072500000000");
    assert_eq!(asked.text("mocked", 1), "7");
    assert_eq!(asked.reason("small"), None);
    for rule in ["chance", "name"] {
        let first = asked.text(rule, 1);
        assert_eq!(first, asked.text(rule, 1), "a replay is exact");
        assert_ne!(first, asked.text(rule, 2), "another decision draws anew");
        let drawn: Vec<_> = first.split(['\u{3b}', ' ']).filter(|word| !word.is_empty()).collect();
        assert_eq!(drawn[0], drawn[1], "one name, one draw: {first}");
        assert_ne!(drawn[0], drawn[2], "{first}");
    }
    let name = asked.text("name", 1);
    let uuid = uuid::Uuid::parse_str(name.split(';').next().unwrap()).unwrap();
    assert_eq!(uuid.get_version_num(), 4);
}

#[test]
fn h12_input_is_never_data() {
    let mut asked = Asked::new(
        r#"
allow if { input.data.a.allow; not data.a.injected; not data.x }

proto if input["__proto__"].allow == input["é"]
"#,
    );
    let input = json!({"data": {"a": {"allow": true, "injected": true}, "x": 1}, "a": {"injected": 1}, "input": 1, "__proto__": {"allow": 1}, "é": 1});
    assert!(matches!(asked.ask("a/allow", &input), Decision::Allow(_)));
    assert!(matches!(asked.ask("a/proto", &input), Decision::Allow(_)));
    assert_eq!(asked.denial("injected", &input).reason, Reason::PolicyUndefined);
}

#[test]
fn a_document_beyond_the_limits_is_the_clients_fault() {
    let mut asked = Asked::new("allow := true");
    let huge: Json = serde_json::from_str(r#"{"parsed_body": {"n": 1e999999999}}"#).unwrap();
    let denial = asked.denial("allow", &huge);
    assert_eq!((denial.reason, denial.http_status()), (Reason::RequestTooLarge, 400));
}
