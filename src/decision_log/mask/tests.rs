use serde_json::json;

use super::*;
use crate::decision_log::fixture;
use crate::facts::Http;
use crate::facts::RawHeader;

fn mask(pointers: &[&str]) -> Mask {
    Mask::parse(pointers).unwrap()
}

#[test]
fn k8_a_broken_mask_never_comes_into_force() {
    let broken = [
        "",
        "input/http",
        "/",
        "/input",
        "/input/",
        "/result",
        "/inputs/http",
        "/input/a~2b",
        "/input/a~",
        "/input/~é",
    ];
    let problems = Mask::parse(&broken).unwrap_err();
    assert_eq!(problems.len(), broken.len());
    for (index, problem) in problems.iter().enumerate() {
        assert_eq!(problem.path, format!("decision_log.mask[{index}]"));
        assert!(problem.is_error() && problem.hint.is_some(), "{problem}");
    }
    assert_eq!(
        problems[1].to_string(),
        "error: decision_log.mask[1]: `input/http` is no JSON pointer (begin it with a slash, as in /input/http/host)"
    );
    assert!(Mask::parse(&["/input/http/host", "/result"]).is_err(), "one broken mask stops the good ones too");
}

#[test]
fn a_pointer_reads_back_as_written() {
    for text in ["/input/a", "/input/a~1b/~0c/", "/countersign/user/subject"] {
        assert_eq!(Pointer::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Pointer::parse("/input/a~1b~01").unwrap().0, ["input", "a/b~1"]);
}

#[test]
fn a_pointer_masks_one_place() {
    let mut event = json!({"input": {"a/b": [{"c": 1}, {"c": 2}], "d": null}, "countersign": {"host": "h"}});
    let masked =
        mask(&["/input/a~1b/1/c", "/input/d", "/input/x/y", "/input/a~1b/7", "/countersign/host"]).apply(&mut event);
    assert_eq!(masked, ["/countersign/host", "/input/a~1b/1/c"]);
    let expected = json!({
        "input": {"a/b": [{"c": 1}, {"c": "[masked]"}], "d": null},
        "countersign": {"host": "[masked]"},
    });
    assert_eq!(event, expected);
}

#[test]
fn k5_a_masked_header_is_masked_in_every_form() {
    for pointer in ["/input/attributes/request/http/headers/x-tenant", "/input/http/headers/X-Tenant"] {
        for separate in [false, true] {
            let header = ("X-Tenant".to_owned(), "canary".to_owned());
            let raw = RawHeader { key: header.0.clone(), value: String::new(), raw_value: header.1.clone().into() };
            let http = Http {
                path: "/a?x_tenant=canary".to_owned(),
                headers: if separate { Vec::new() } else { vec![header] },
                header_map: separate.then(|| vec![raw]),
                ..Http::default()
            };
            let mut record = fixture::record();
            record.attributes = Some(fixture::attributes(http));
            let line = fixture::line(&fixture::format(true, mask(&[pointer])), record);
            assert!(line.contains("X-Tenant"), "{line}");
            assert!(!line.contains("canary") && !line.contains("Y2FuYXJ5"), "{line}");
        }
    }
}

#[test]
fn k5_a_masked_parameter_is_masked_in_every_form() {
    for pointer in ["/input/parsed_query/verbose", "/input/http/query/verbose/0"] {
        let line = fixture::line(&fixture::format(true, mask(&[pointer])), fixture::record());
        assert!(line.contains("verbose=[masked]"), "{line}");
        assert!(line.contains("\"verbose\":[\"[masked]\"]") || line.contains("\"verbose\":\"[masked]\""), "{line}");
        assert!(!line.contains("\"1\""), "{line}");
    }
}

#[test]
fn the_summary_is_masked_without_an_input_too() {
    let format = fixture::format(false, mask(&["/countersign/user/subject", "/countersign/delegation"]));
    let event = fixture::event(&format, fixture::record());
    assert_eq!(event["countersign"]["user"]["subject"], MASKED);
    assert_eq!(event["countersign"]["delegation"], MASKED);
    assert_eq!(event["masked"], json!(["/countersign/delegation", "/countersign/user/subject"]));
}

#[test]
fn k6_the_list_of_masks_is_bounded_and_the_masking_is_not() {
    let members: serde_json::Map<String, Json> =
        (0..1000).map(|index| (format!("{index}_token"), Json::from("canary"))).collect();
    let mut event = json!({"input": {"parsed_query": members}});
    assert_eq!(Mask::default().apply(&mut event).len(), MAX_LISTED);
    assert!(!event.to_string().contains("canary"));
}

#[test]
fn k5_a_configured_credential_is_masked_in_every_form() {
    for separate in [false, true] {
        let header = ("X-Agent-Identity".to_owned(), "canary".to_owned());
        let raw = RawHeader { key: header.0.clone(), value: String::new(), raw_value: header.1.clone().into() };
        let http = Http {
            path: "/a?x_agent_identity=canary".to_owned(),
            headers: if separate { Vec::new() } else { vec![header] },
            header_map: separate.then(|| vec![raw]),
            ..Http::default()
        };
        let mut record = fixture::record();
        record.attributes = Some(fixture::attributes(http));
        let format = fixture::format(true, Mask::default().with_credential("x-agent-identity"));
        let line = fixture::line(&format, record);
        assert!(line.contains("X-Agent-Identity"), "{line}");
        assert!(!line.contains("canary") && !line.contains("Y2FuYXJ5"), "{line}");
    }
}
