use super::*;

const POLICY: (&str, &str) = (
    "authz.rego",
    r#"package authz

default allow := false

allow if input.role == "admin"

allow if {
    input.role == "auditor"
    input.method == "GET"
}

now := time.now_ns()
"#,
);

fn report(files: &[(&str, &str)], options: &Options) -> Report {
    let files = [&[POLICY], files].concat();
    run(&Bundle::of(&Config::default(), &files).unwrap(), options).unwrap()
}

fn outcomes(report: &Report) -> Vec<(&str, &Outcome)> {
    report.tests.iter().map(|test| (test.name.as_str(), &test.outcome)).collect()
}

const TESTS: (&str, &str) = (
    "authz_test.rego",
    r#"package authz_test

import data.authz

test_admin if authz.allow with input as {"role": "admin"}

test_nobody if not authz.allow with input as {}

test_wrong if authz.allow with input as {"role": "guest"}

test_false := false

test_text := "true"

test_error if startswith(input.missing.x, 5 + input.y) with input as {"missing": {"x": 1}, "y": "a"}

test_prints if print("hello", 1)

test_time if authz.now == 1000000000

test_["odd name"] if true

helper_test_x if false

test_function(x) if x
"#,
);

#[test]
fn each_test_stands_for_itself() {
    let report = report(&[TESTS], &Options { now: UnixTime::from_seconds(1), ..Options::default() });
    let error = Outcome::Error("authz_test.rego:15: `add` expects numeric argument. Got `\"a\"` instead".to_owned());
    let expected = [
        ("data.authz_test.test_admin", &Outcome::Passed),
        ("data.authz_test.test_nobody", &Outcome::Passed),
        ("data.authz_test.test_wrong", &Outcome::Failed),
        ("data.authz_test.test_false", &Outcome::Failed),
        ("data.authz_test.test_text", &Outcome::Failed),
        ("data.authz_test.test_error", &error),
        ("data.authz_test.test_prints", &Outcome::Passed),
        ("data.authz_test.test_time", &Outcome::Passed),
        ("data.authz_test.test_[\"odd name\"]", &Outcome::Passed),
    ];
    assert_eq!(outcomes(&report), expected);
    assert_eq!(report.tests[6].prints, ["authz_test.rego:17: hello 1"]);
    assert_eq!((report.tests[0].file.as_str(), report.tests[0].line), ("authz_test.rego", 5));
    assert!(!report.passed());
}

#[test]
fn a_filter_chooses() {
    let report = report(&[TESTS], &Options { filter: "test_admin".to_owned(), ..Options::default() });
    assert_eq!(outcomes(&report), [("data.authz_test.test_admin", &Outcome::Passed)]);
    assert!(report.passed());
}

#[test]
fn no_test_is_no_pass() {
    assert!(!report(&[], &Options::default()).passed());
}

#[test]
fn tests_of_one_name_hide_each_other() {
    let twice = ("b_test.rego", "package b\n\ntest_a if true\n\ntest_a if false\n");
    let bundle = Bundle::of(&Config::default(), &[POLICY, twice]).unwrap();
    let problems = run(&bundle, &Options::default()).unwrap_err();
    assert_eq!(problems[0].to_string(), "b_test.rego:5: error: `data.b.test_a` is a test already at b_test.rego:3");
}

#[test]
fn tests_are_checked_like_policies() {
    let wrong = ("b_test.rego", "package b\n\ntest_a if http.send({})\n");
    let broken = ("c_test.rego", "package c\n\ntest_a if )\n");
    let bundle = Bundle::of(&Config::default(), &[POLICY, wrong, broken]).unwrap();
    assert_eq!(run(&bundle, &Options::default()).unwrap_err().len(), 2);
}

#[test]
fn coverage_says_which_lines_were_evaluated() {
    let unreached = ("unreached.rego", "package unreached\n\nx := 1\n\ny := [1,\n    2]\n");
    let tests =
        ("authz_test.rego", "package t\n\ntest_admin if data.authz.allow with input as {\"role\": \"admin\"}\n");
    let report = report(&[unreached, tests], &Options { coverage: true, ..Options::default() });
    let coverage = report.coverage.unwrap();
    let lines: Vec<_> = coverage.files.iter().map(|file| (&*file.file, &*file.covered, &*file.not_covered)).collect();
    assert_eq!(lines, [("authz.rego", &[3, 5, 8][..], &[9, 12][..]), ("unreached.rego", &[][..], &[3, 5, 6][..])]);
    assert!((coverage.percent() - 37.5).abs() < 0.001, "{}", coverage.percent());
}

#[test]
fn a_panic_is_one_tests_error() {
    let tests = (
        "t_test.rego",
        r#"package t

test_panics if upper("a") == "A"

test_after if data.authz.allow with input as {"role": upper("admin")}

test_more if data.authz.allow with input as {"role": "admin"}
"#,
    );
    let bundle = Bundle::of(&Config::default(), &[POLICY, tests]).unwrap();
    let options = Options { coverage: true, ..Options::default() };
    let mut runner = Runner::new(&bundle, &options).unwrap();
    runner.engine.add_extension("upper".to_owned(), 1, Box::new(|_| panic!("a defect"))).unwrap();
    let report = runner.report();
    let panicked = Outcome::Error("the engine panicked".to_owned());
    let expected = [
        ("data.t.test_panics", &panicked),
        ("data.t.test_after", &Outcome::Failed),
        ("data.t.test_more", &Outcome::Passed),
    ];
    assert_eq!(outcomes(&report), expected);
    assert_eq!(report.coverage.unwrap().files[0].covered, [3, 5, 8]);
}
