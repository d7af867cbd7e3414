//! The architecture as a test: the layers of `src/lib.rs`, each heavy crate's home, and what may stand nowhere.
//!
//! One package has no compiler to hold its layers, so this reads the source and does it. A failure names the file, the
//! line and the rule; docs/adr/0001-one-package.md says why.

#![cfg(test)]

#[path = "layers/source.rs"]
mod source;

use std::fmt;
use std::path::Path;

use source::Line;
use source::Source;

/// Where the rules look. Only `src` has layers; the length of a file is held everywhere.
const FOLDERS: [&str; 5] = ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"];

/// Crates that would spread if they could, and the module that each stays in.
const CRATE_HOMES: [(&str, &str); 19] = [
    ("axum", "admin"),
    ("clap", "cli"),
    ("envoy_types", "ext_authz"),
    ("jsonwebtoken", "jose"),
    ("opentelemetry", "telemetry"),
    ("prometheus_client", "telemetry"),
    ("prost", "ext_authz"),
    ("prost_reflect", "ext_authz"),
    ("prost_types", "ext_authz"),
    ("regorus", "policy"),
    ("reqwest", "fetch"),
    ("saphyr_parser", "config::yaml"),
    ("spiffe::", "trust"),
    ("tokio_rustls", "listener"),
    ("tonic_health", "ext_authz"),
    ("tonic_prost", "ext_authz"),
    ("tonic_reflection", "ext_authz"),
    ("webpki", "trust"),
    ("x509_parser", "trust"),
];

/// Names that are said in one place only, why, and where.
const CONFINED: [(&str, &[&str], &str); 2] = [
    ("from_policy_true", &["decision", "policy::result"], "a grant is made from a policy's boolean `true` alone"),
    ("SystemTime::now", &["clock"], "time is a value: take a `clock::UnixTime`"),
];

/// What production code never does: it answers, whatever it is asked.
const PANICS: [&str; 6] = [".unwrap()", ".expect(\"", "panic!", "todo!", "unimplemented!", "unreachable!"];

/// Longer than this, a file holds more than one idea.
const MAX_LINES: usize = 400;

/// The binary parses, calls and exits; everything else is in the library.
const MAX_MAIN_LINES: usize = 40;

#[test]
fn the_source_keeps_its_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources: Vec<Source> = FOLDERS.iter().flat_map(|folder| source::read(root, folder).unwrap()).collect();
    source::mark_test_files(&mut sources);
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "no source found below {}", root.display());
    let found = violations(&sources);
    assert!(found.is_empty(), "{} broken\n{}", found.len(), listing(&found));
}

/// A rule broken at a place.
struct Violation {
    path: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

fn listing(violations: &[Violation]) -> String {
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("\n")
}

fn violations(sources: &[Source]) -> Vec<Violation> {
    let layers = sources.iter().find(|source| source.path == "src/lib.rs").map(layers).unwrap_or_default();
    let mut found: Vec<Violation> = sources.iter().filter_map(too_long).collect();
    let mut uses = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        for line in &source.lines {
            let named: Vec<Use<'_>> = uses_of(source, line).collect();
            let rules = named.iter().filter_map(|used| broken_layer(&layers, used)).chain(broken_bans(source, line));
            found.extend(rules.map(|rule| Violation { path: source.path.clone(), line: line.number, rule }));
            uses.extend(named);
        }
    }
    found.extend(cycles(layers.last().map(Vec::as_slice).unwrap_or_default(), uses));
    found
}

/// The modules of `lib.rs`, top layer first: the declarations between two blank lines are one layer.
fn layers(lib: &Source) -> Vec<Vec<&str>> {
    let mut layers = vec![Vec::new()];
    for line in lib.text.lines() {
        let module = line.trim_start_matches("pub ").strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
        if line.is_empty() {
            layers.push(Vec::new());
        } else if let (Some(module), Some(layer)) = (module, layers.last_mut()) {
            layer.push(module);
        }
    }
    layers.retain(|layer| !layer.is_empty());
    layers
}

/// A top module that names a top module.
#[derive(Clone, Copy)]
struct Use<'a> {
    from: &'a str,
    to: &'a str,
    path: &'a str,
    line: usize,
}

/// The top modules that a line names: through `crate::`, and through a `super::` that reaches the root.
fn uses_of<'a>(source: &'a Source, line: &'a Line) -> impl Iterator<Item = Use<'a>> {
    let module = source.module();
    let reaches_root = module.len() == 1 && !line.test;
    let roots = if reaches_root { ["crate::", "super::"].as_slice() } else { ["crate::"].as_slice() };
    let named = roots.iter().flat_map(|root| words(&line.code, root)).map(|(_, after)| identifier(after));
    let from = module.first().copied();
    named.filter_map(move |to| Some(Use { from: from?, to, path: &source.path, line: line.number }))
}

fn broken_layer(layers: &[Vec<&str>], used: &Use<'_>) -> Option<String> {
    let Use { from, to, .. } = *used;
    let layer_of = |module| layers.iter().position(|layer| layer.contains(&module));
    let (Some(own), Some(other)) = (layer_of(from), layer_of(to)) else {
        let stranger = if layer_of(from).is_none() { from } else { to };
        return Some(format!("`crate::{stranger}` is no module of src/lib.rs: name the module that owns it"));
    };
    let vocabulary = layers.len().saturating_sub(1);
    let allowed = from == to || own < other || (own == vocabulary && other == vocabulary);
    (!allowed).then(|| format!("`{from}` may not name `{to}`, which stands above or beside it in src/lib.rs"))
}

/// The vocabulary may name itself, but never in a circle.
fn cycles(vocabulary: &[&str], uses: Vec<Use<'_>>) -> Vec<Violation> {
    let inside = |used: &Use<'_>| used.from != used.to && [used.from, used.to].iter().all(|m| vocabulary.contains(m));
    let uses: Vec<Use<'_>> = uses.into_iter().filter(inside).collect();
    let violation = |Use { from, to, path, line }| Violation {
        path: String::from(path),
        line,
        rule: format!("`{from}` names `{to}` in a circle of the vocabulary"),
    };
    on_a_cycle(&uses).into_iter().map(violation).collect()
}

/// Drops what leads nowhere and what nothing leads to, until only circles and the paths between them are left.
fn on_a_cycle<'a>(uses: &[Use<'a>]) -> Vec<Use<'a>> {
    let goes_on = |used: &Use<'_>| uses.iter().any(|next| next.from == used.to);
    let is_reached = |used: &Use<'_>| uses.iter().any(|previous| previous.to == used.from);
    let kept: Vec<Use<'a>> = uses.iter().filter(|used| goes_on(used) && is_reached(used)).copied().collect();
    if kept.len() == uses.len() { kept } else { on_a_cycle(&kept) }
}

/// What a line says that may not be said here, or anywhere.
fn broken_bans(source: &Source, line: &Line) -> Vec<String> {
    let module = source.module().join("::");
    let says = |name| words(&line.code, name).next().is_some();
    let at_home = |home: &str| module == home || module.strip_prefix(home).is_some_and(|rest| rest.starts_with("::"));
    let mut broken = Vec::new();
    if says("unsafe") {
        broken.push("no unsafe code".to_owned());
    }
    if line.code.contains("super::super::") {
        broken.push("two `super` hide where the name leads: start at `crate::`".to_owned());
    }
    if !line.test {
        // Tests forge with whatever crate forges best.
        let strays = CRATE_HOMES.iter().filter(|(name, home)| says(name) && !at_home(home));
        broken.extend(strays.map(|(name, home)| format!("`{name}` is at home in `{home}` alone")));
        let strays = CONFINED.iter().filter(|(name, homes, _)| says(name) && !homes.iter().any(|home| at_home(home)));
        broken.extend(
            strays.map(|(name, homes, why)| format!("`{name}` stands in `{}` alone: {why}", homes.join("`, `"))),
        );
        let panics = PANICS.iter().filter(|panic| line.code.contains(*panic));
        broken.extend(panics.map(|panic| format!("`{panic}` outside of tests: answer instead")));
    }
    broken
}

fn too_long(source: &Source) -> Option<Violation> {
    let limit = if source.path == "src/main.rs" { MAX_MAIN_LINES } else { MAX_LINES };
    let count = source.lines.len();
    let rule = || format!("{count} lines, more than {limit}: split it along its ideas");
    (count > limit).then(|| Violation { path: source.path.clone(), line: count, rule: rule() })
}

/// Every place where `word` stands in `code` by itself, as what is before it and what follows it.
fn words<'a>(code: &'a str, word: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let found = code.match_indices(word).filter_map(|(at, found)| {
        let (before, rest) = code.split_at_checked(at)?;
        Some((before, rest.strip_prefix(found)?))
    });
    let ends_in_word = word.ends_with(in_identifier);
    found.filter(move |(before, after)| {
        let goes_on = ends_in_word && after.starts_with(in_identifier);
        !goes_on && !before.ends_with(in_identifier)
    })
}

/// The identifier that `text` starts with; empty where it starts with something else.
fn identifier(text: &str) -> &str {
    text.find(|c| !in_identifier(c)).and_then(|end| text.split_at_checked(end)).map_or(text, |(name, _)| name)
}

fn in_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A small crate that keeps the rules; each test breaks one.
const LIB: &str = "//! Doc.\n\n// Top.\npub mod cli;\n\npub mod policy;\npub mod token;\n\n// Words.\npub mod clock;\npub mod facts;\n";

fn found_in(files: &[(&str, &str)]) -> String {
    let lib = [("src/lib.rs", LIB)];
    let mut sources: Vec<Source> = lib.iter().chain(files).map(|(path, text)| Source::new(path, text)).collect();
    source::mark_test_files(&mut sources);
    listing(&violations(&sources))
}

#[test]
fn reads_the_layers_from_the_crate_root() {
    let lib = Source::new("src/lib.rs", LIB);
    assert_eq!(layers(&lib), [vec!["cli"], vec!["policy", "token"], vec!["clock", "facts"]]);
}

#[test]
fn names_the_place_and_the_rule_of_each_violation() {
    let long = "\n".repeat(MAX_LINES + 1);
    let long_main = "\n".repeat(MAX_MAIN_LINES + 1);
    let cases = [
        ("src/token.rs", "\nuse crate::cli::Run;\n", "src/token.rs:2: `token` may not name `cli`"),
        ("src/token/jwks.rs", "use crate::policy::Bundle;", "src/token/jwks.rs:1: `token` may not name `policy`"),
        ("src/token.rs", "use super::policy;", "src/token.rs:1: `token` may not name `policy`"),
        ("src/token/jwks.rs", "use super::super::policy;", "src/token/jwks.rs:1: two `super`"),
        ("src/token.rs", "use crate::{clock, facts};", "src/token.rs:1: `crate::` is no module"),
        ("src/token.rs", "use crate::Facts;", "src/token.rs:1: `crate::Facts` is no module"),
        ("src/stray.rs", "use crate::facts;", "src/stray.rs:1: `crate::stray` is no module"),
        ("src/token.rs", "use regorus::Value;", "src/token.rs:1: `regorus` is at home in `policy`"),
        ("src/token.rs", "Grant::from_policy_true(effects)", "src/token.rs:1: `from_policy_true` stands in"),
        ("src/policy.rs", "let now = SystemTime::now();", "src/policy.rs:1: `SystemTime::now` stands in `clock`"),
        ("src/policy.rs", "let a = b\n    .unwrap();", "src/policy.rs:2: `.unwrap()` outside of tests"),
        ("src/policy.rs", "a.expect(\"b\");", "src/policy.rs:1: `.expect(\"` outside of tests"),
        ("src/policy.rs", "#[cfg(test)]\nmod t {}\nfn f() { todo!() }", "src/policy.rs:3: `todo!`"),
        ("src/clock.rs", "unsafe { x() }", "src/clock.rs:1: no unsafe code"),
        ("src/clock.rs", long.as_str(), "src/clock.rs:401: 401 lines, more than 400"),
        ("tests/long.rs", long.as_str(), "tests/long.rs:401: 401 lines"),
        ("src/main.rs", long_main.as_str(), "src/main.rs:41: 41 lines, more than 40"),
    ];
    for (path, text, wanted) in cases {
        let found = found_in(&[(path, text)]);
        assert!(found.starts_with(wanted), "wanted `{wanted}` for {path}, found:\n{found}");
        assert_eq!(found.lines().count(), 1, "one violation for {path}, found:\n{found}");
    }
}

#[test]
fn the_vocabulary_may_name_itself_but_not_in_a_circle() {
    assert_eq!(found_in(&[("src/facts.rs", "use crate::clock::UnixTime;")]), "");
    let circle =
        found_in(&[("src/facts.rs", "use crate::clock::UnixTime;"), ("src/clock.rs", "use crate::facts::Facts;")]);
    assert!(circle.contains("src/facts.rs:1: `facts` names `clock` in a circle"), "{circle}");
    assert!(circle.contains("src/clock.rs:1: `clock` names `facts` in a circle"), "{circle}");
}

#[test]
fn keeps_quiet_about_what_is_allowed() {
    let cases = [
        ("src/cli.rs", "use crate::policy::Bundle;\nuse clap::Parser;"),
        ("src/policy/result.rs", "use regorus::Value;\nGrant::from_policy_true(effects)"),
        ("src/policy.rs", "use super::facts;\nlet x = y.unwrap_or_default();"),
        ("src/token.rs", "// crate::cli, unsafe\n/* regorus /* panic!() */ */ let a = \"todo!() \\\" crate::cli\";"),
        ("src/token.rs", "let a = r#\"crate::cli \"quoted\" unsafe\"#; let b: &'static str = 'x';"),
        ("src/token.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n    fn f() { x.unwrap(); }\n}\n"),
        ("src/token.rs", "let a = parser.expect(b'{')?;"),
        ("src/main.rs", "fn main() { countersign::cli::main() }"),
        ("tests/it/main.rs", "fn f() { x.unwrap() }"),
    ];
    for (path, text) in cases {
        assert_eq!(found_in(&[(path, text)]), "", "{path}: {text}");
    }
}

#[test]
fn a_file_declared_for_tests_is_a_test_with_all_below() {
    let below = [("src/token/keys.rs", "fn f() { panic!() }"), ("src/token/keys/rsa.rs", "fn f() { todo!() }")];
    assert_eq!(found_in(&[&[("src/token.rs", "#[cfg(test)]\nmod keys;")], below.as_slice()].concat()), "");
    let found = found_in(&[&[("src/token.rs", "mod keys;")], below.as_slice()].concat());
    assert!(found.starts_with("src/token/keys.rs:1: `panic!`"), "{found}");
    assert!(found.contains("src/token/keys/rsa.rs:1: `todo!`"), "{found}");
}
