//! docs/threats.md is complete, and each test and reason that it names is there.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::path::PathBuf;

use countersign::decision::Reason;

/// The threats that the check must answer for, by letter.
const DEMANDED: &[(&str, &[RangeInclusive<u8>])] = &[
    ("A", &[1..=19]),
    ("C", &[1..=10]),
    ("D", &[1..=27]),
    ("E", &[1..=13]),
    ("F", &[1..=10]),
    ("G", &[1..=3]),
    ("H", &[1..=4, 6..=6, 8..=8, 12..=13]),
    ("I", &[1..=8]),
    ("J", &[1..=10]),
    ("K", &[1..=11]),
    ("L", &[8..=9, 17..=17]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/threats.md")).unwrap()
}

/// The rows of all tables by their IDs, as cells.
fn rows(page: &str) -> BTreeMap<&str, Vec<&str>> {
    let tables = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = tables.map(|row| row.split(" | ").collect::<Vec<_>>());
    let is_id = |text: &str| text.len() <= 3 && text.bytes().any(|byte| byte.is_ascii_digit());
    rows.filter(|row| is_id(row[0]) || row[0].split(", ").all(is_id))
        .flat_map(|row| row[0].split(", ").map(move |id| (id, row[1..].to_vec())))
        .collect()
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_threat_has_a_row() {
    let page = page();
    let rows = rows(&page);
    let mut demanded = vec!["1B".to_owned()];
    for (letter, ranges) in DEMANDED {
        demanded.extend(ranges.iter().cloned().flatten().map(|number| format!("{letter}{number}")));
    }
    let missing: Vec<_> = demanded.iter().filter(|id| !rows.contains_key(id.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_row_names_tests_that_exist() {
    let page = page();
    let (proven, _not_yet) = page.split_once("\n## Not yet\n").unwrap();
    let mut named = 0;
    for (id, cells) in rows(proven) {
        let tests: Vec<_> = quoted(cells.last().unwrap()).collect();
        assert!(!tests.is_empty(), "{id} names no test");
        for test in tests {
            assert!(exists(test), "{id}: there is no `{test}`");
            named += 1;
        }
    }
    assert!(named >= 150, "only {named} tests found");
}

#[test]
fn a_name_that_leads_nowhere_is_noticed() {
    for good in [
        "token::credential::tests::e2_what_is_no_token68_is_malformed",
        "tests/serve.rs: j9_other_services_are_there_only_where_asked_for",
    ] {
        assert!(exists(good), "{good}");
    }
    for bad in [
        "token::credential::tests::e2_nothing",
        "token::nothing::tests::e2_what_is_no_token68_is_malformed",
        "tests/serve.rs: j9",
        "tests/nothing.rs: j9_other_services_are_there_only_where_asked_for",
        "tests/cases/token/nothing",
        "",
    ] {
        assert!(!exists(bad), "{bad}");
    }
}

/// A request case, a function of a file, or a function of a module.
fn exists(test: &str) -> bool {
    if test.starts_with("tests/cases/") {
        return root().join(test).join("want.json").exists();
    }
    let (file, name) = match (test.split_once(": "), test.rsplit_once("::")) {
        (Some((file, name)), _) => (root().join(file), name),
        (None, Some((module, name))) => (module_file(module), name),
        (None, None) => return false,
    };
    fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")))
}

/// A module's own file; or its parent's, where the tests stand at the end of the code.
fn module_file(module: &str) -> PathBuf {
    let file = |module: &str| root().join("src").join(module.replace("::", "/")).with_extension("rs");
    match module.strip_suffix("::tests") {
        Some(parent) if !file(module).exists() => file(parent),
        _ => file(module),
    }
}

#[test]
fn every_reason_named_exists() {
    const STAGES: [&str; 5] = ["request_", "caller_", "token_", "policy_", "server_"];
    const PAGES: [&str; 8] = [
        "docs/threats.md",
        "docs/spiffe.md",
        "docs/tokens.md",
        "docs/proof-of-possession.md",
        "docs/challenges.md",
        "docs/parity.md",
        "README.md",
        "ARCHITECTURE.md",
    ];
    const OTHER_WORDS: [&str; 3] = ["policy_allowed", "request_headers_to_remove", "token_use"];
    let known: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    for page in PAGES {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for word in quoted(&text).filter(|word| STAGES.iter().any(|stage| word.starts_with(stage))) {
            let is_known = known.contains(&word) || OTHER_WORDS.contains(&word) || word.ends_with(['*', '_']);
            assert!(is_known, "{page}: there is no reason `{word}`");
        }
    }
}
