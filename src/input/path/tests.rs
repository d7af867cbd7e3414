use proptest::prelude::*;

use super::*;

fn normal(target: &str) -> Result<(String, Vec<String>), PathError> {
    normalise(target, "GET").map(|path| (path.text, path.segments))
}

/// Each target with its normal form and its segments.
fn check(rows: &[(&str, &str, &[&str])]) {
    for (target, text, segments) in rows {
        let segments = segments.iter().map(ToString::to_string).collect();
        assert_eq!(normal(target), Ok((text.to_string(), segments)), "{target}");
    }
}

fn check_refused(rows: &[(&str, PathError)]) {
    for (target, error) in rows {
        assert_eq!(normal(target), Err(*error), "{target:?}");
    }
}

#[test]
fn f1_two_slashes_are_a_path_and_no_authority() {
    check(&[
        ("//admin", "//admin", &["", "admin"]),
        ("//admin@x/..", "//", &["", ""]),
        ("//evil.example/a", "//evil.example/a", &["", "evil.example", "a"]),
        ("///", "///", &["", "", ""]),
        ("/a//b/", "/a//b/", &["a", "", "b", ""]),
    ]);
    assert_eq!(parsed("//admin").unwrap(), ["admin"]);
    assert_eq!(parsed("//admin@x/..").unwrap(), ["admin@x", ".."]);
}

#[test]
fn f2_dot_segments_are_resolved_however_they_are_written() {
    check(&[
        ("/public/../admin", "/admin", &["admin"]),
        ("/public/%2e%2e/admin", "/admin", &["admin"]),
        ("/public/.%2E/admin", "/admin", &["admin"]),
        ("/public/%2E./admin", "/admin", &["admin"]),
        ("/./a/./b", "/a/b", &["a", "b"]),
        ("/a/b/..", "/a/", &["a", ""]),
        ("/a/.", "/a/", &["a", ""]),
        ("/..", "/", &[""]),
        ("/../../admin", "/admin", &["admin"]),
        ("/a/...", "/a/...", &["a", "..."]),
    ]);
    check_refused(&[("/a//../b", PathError::DotsBehindEmpty), ("//..", PathError::DotsBehindEmpty)]);
}

#[test]
fn f3_escaped_slashes_and_backslashes_are_ambiguous() {
    check_refused(&[
        ("/public%2f..%2fadmin", PathError::EscapedSlash),
        ("/public%2Fadmin", PathError::EscapedSlash),
        ("/%5cadmin", PathError::Backslash),
        ("/public%5C..%5cadmin", PathError::Backslash),
        ("/\\admin", PathError::Backslash),
        ("/public\\..\\admin", PathError::Backslash),
        ("\\admin", PathError::Relative),
    ]);
    assert_eq!(PathError::EscapedSlash.reason(), Reason::RequestPathAmbiguous);
    assert_eq!(PathError::Backslash.reason(), Reason::RequestPathAmbiguous);
}

#[test]
fn f4_dot_segments_do_not_go_with_parameters() {
    check_refused(&[
        ("/..;foo=bar/admin", PathError::DotsAndParameters),
        ("/public;/../admin", PathError::DotsAndParameters),
        ("/public/..;/admin", PathError::DotsAndParameters),
        ("/public/.;a/admin", PathError::DotsAndParameters),
        ("/public/%2e%2e;/admin", PathError::DotsAndParameters),
        ("/public/..%3b/admin", PathError::DotsAndParameters),
        ("/public%3Ba/../admin", PathError::DotsAndParameters),
        ("/a/../b;c", PathError::DotsAndParameters),
    ]);
    assert_eq!(PathError::DotsAndParameters.reason(), Reason::RequestPathAmbiguous);
    check(&[("/a;x=1/b", "/a;x=1/b", &["a;x=1", "b"]), ("/a..;x/b", "/a..;x/b", &["a..;x", "b"])]);
}

#[test]
fn f5_a_request_has_no_fragment() {
    check_refused(&[
        ("/admin#x", PathError::Fragment),
        ("/public#/../admin", PathError::Fragment),
        ("/a?b#c", PathError::Fragment),
    ]);
    assert_eq!(PathError::Fragment.reason(), Reason::RequestPathInvalid);
    check(&[("/a%23b", "/a%23b", &["a#b"])]);
}

#[test]
fn f6_bad_escapes_controls_and_overlong_forms_are_refused() {
    check_refused(&[
        ("/a%00b", PathError::Control),
        ("/%", PathError::Escape(BadEscape)),
        ("/%zz", PathError::Escape(BadEscape)),
        ("/%u0041", PathError::Escape(BadEscape)),
        ("/%4", PathError::Escape(BadEscape)),
        ("/%c0%af", PathError::NotText),
        ("/%c0%ae%c0%ae/", PathError::NotText),
        ("/%ff", PathError::NotText),
        ("/%ed%a0%80", PathError::NotText),
        ("/%25%32%66", PathError::DoubleEscape),
        ("/%252f", PathError::DoubleEscape),
        ("/100%25", PathError::DoubleEscape),
        ("/a%0d%0ab", PathError::Control),
        ("/a%7f", PathError::Control),
        ("/a\0b", PathError::Control),
        ("/a\r\nb", PathError::Control),
        ("/a b", PathError::Control),
        ("/a?b c", PathError::Control),
    ]);
    assert_eq!(PathError::DoubleEscape.reason(), Reason::RequestPathAmbiguous);
    for invalid in [PathError::Control, PathError::Escape(BadEscape), PathError::NotText] {
        assert_eq!(invalid.reason(), Reason::RequestPathInvalid);
    }
}

#[test]
fn f7_targets_without_a_path_are_known_as_such() {
    for (target, method, text) in [
        ("", "CONNECT", ""),
        ("", "GET", ""),
        ("?a=1", "GET", ""),
        ("*", "OPTIONS", "*"),
        ("host:443", "CONNECT", ""),
        ("/p", "CONNECT", "/p"),
    ] {
        assert_eq!(normalise(target, method).unwrap().text, text, "{method} {target}");
    }
    for (target, method, error) in [
        ("*", "GET", PathError::Relative),
        ("host:443", "GET", PathError::Relative),
        ("a/b", "GET", PathError::Relative),
        ("http://h/p", "GET", PathError::AbsoluteForm),
        ("http://h/p", "CONNECT", PathError::AbsoluteForm),
    ] {
        assert_eq!(normalise(target, method), Err(error), "{method} {target}");
    }
    assert_eq!(PathError::AbsoluteForm.reason(), Reason::RequestPathAmbiguous);
    assert_eq!(PathError::Relative.reason(), Reason::RequestPathInvalid);
}

#[test]
fn f10_case_and_ends_are_the_policys() {
    check(&[
        ("/Admin", "/Admin", &["Admin"]),
        ("/admin/", "/admin/", &["admin", ""]),
        ("/admin.", "/admin.", &["admin."]),
    ]);
}

#[test]
fn segments_are_split_before_they_are_decoded() {
    check(&[
        ("/", "/", &[""]),
        ("/a%20b/c+d", "/a%20b/c+d", &["a b", "c+d"]),
        ("/%61%2D%7e", "/a-~", &["a-~"]),
        ("/a%3db=c", "/a%3Db=c", &["a=b=c"]),
        ("/café", "/caf%C3%A9", &["café"]),
        ("/caf%c3%a9", "/caf%C3%A9", &["café"]),
        ("/\"<x>\"", "/%22%3Cx%3E%22", &["\"<x>\""]),
        ("/a?b/../c", "/a", &["a"]),
    ]);
}

#[test]
fn the_raw_path_is_as_sent() {
    assert_eq!(normalise("/a/./%62?c=%zz", "GET").unwrap().raw, "/a/./%62");
}

fn targets() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "/", "//", ".", "..", "%2e", "%2E%2e", "a", "B", "%41", "%c3%a9", "é", ";", "%3b", "%20", "+", "=", "%2f",
        "%25", "\\", "#", "?", "%", "~", "\u{202e}",
    ]);
    prop::collection::vec(parts, 0..12).prop_map(|parts| format!("/{}", parts.concat()))
}

proptest! {
    #[test]
    fn a_normal_form_is_its_own_normal_form(target in targets()) {
        if let Ok((text, segments)) = normal(&target) {
            prop_assert_eq!(normal(&text), Ok((text.clone(), segments)));
        }
    }

    #[test]
    fn a_normal_form_has_no_dots_and_only_uri_characters(target in targets()) {
        if let Ok((text, segments)) = normal(&target) {
            prop_assert!(segments.iter().all(|segment| segment != "." && segment != ".."));
            prop_assert!(text.bytes().all(|byte| byte == b'/' || byte == b'%' || is_path_character(byte)));
            prop_assert_eq!(text.matches('/').count(), segments.len());
        }
    }

    #[test]
    fn any_text_is_answered(target in ".{0,64}", method in "[A-Z]{0,7}") {
        let _either = normalise(&target, &method);
        let _either = parsed(&target);
    }

    #[test]
    fn escaping_a_plain_path_changes_nothing(path in "(/[a-zA-Z0-9_~-]{1,6}){1,4}") {
        let escaped: String =
            path.bytes().map(|byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") }).collect();
        prop_assert_eq!(normal(&escaped), normal(&path));
    }
}
