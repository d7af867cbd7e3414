//! A policy decides on the part of a document that it can see as on the whole.

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::facts::Attributes;
use crate::facts::Body;
use crate::facts::Facts;
use crate::facts::Http;
use crate::facts::HttpView;
use crate::facts::Rendered;
use crate::facts::Request;
use crate::facts::RequestView;
use crate::facts::Shape;
use crate::facts::User;

/// The same policy twice: as it serves, and with every document built as a whole.
struct Both {
    serving: Instance,
    whole: Instance,
}

impl Both {
    fn new(bundle: &Bundle) -> Self {
        let mut whole = bundle.instance().unwrap();
        whole.projection = Arc::new(Projection::Whole);
        Self { serving: bundle.instance().unwrap(), whole }
    }

    fn of(rules: &str) -> Self {
        let config = Config { builtin_errors: BuiltinErrors::Undefined, ..patient() };
        Self::new(&Bundle::of(&config, &[("p.rego", &format!("package p\n\n{rules}\n"))]).unwrap())
    }

    /// The decision of both, if it is one.
    fn assert_agree<D: Serialize + ?Sized>(&mut self, entry_point: &str, facts: &D) -> String {
        let output = OutputRules { compatibility: Compatibility::OpaEnvoy, owned_prefix: String::new() };
        let query = Query {
            entry_point,
            facts,
            user: None,
            now: UnixTime::from_seconds(1_795_515_072),
            seed: 7,
            output: &output,
        };
        let decision = format!("{:?}", self.serving.decide(&query));
        assert_eq!(decision, format!("{:?}", self.whole.decide(&query)), "{entry_point}");
        let rules = |instance: &Instance| format!("{:?}", instance.explain(&query));
        assert_eq!(rules(&self.serving), rules(&self.whole), "{entry_point}");
        decision
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every policy in the repository, with the data beside it.
fn policies() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> =
        ["benches", "demo", "k8s", "policies", "tests/cases", "tests/parity"].map(|name| root().join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rego") {
                found.push(path);
            }
        }
    }
    let folders: BTreeSet<_> = found.iter().map(|path| path.parent().unwrap().to_owned()).collect();
    folders.into_iter().collect()
}

/// The documents that OPA-Envoy was recorded with, and what stands in a strict document beside them.
fn documents() -> Vec<Json> {
    let mut documents = Vec::new();
    for topic in ["rbac", "result", "attributes", "body", "query"] {
        let text = std::fs::read_to_string(root().join(format!("tests/parity/{topic}.jsonl"))).unwrap();
        // Every recording would take a minute; a few of each topic differ enough.
        for line in text.lines().step_by(7) {
            let case: Json = serde_json::from_str(line).unwrap();
            let recorded = case["input_json"].as_str().and_then(|text| serde_json::from_str(text).ok());
            documents.push(recorded.unwrap_or_else(|| case["request"].clone()));
        }
    }
    documents.truncate(60);
    for (method, segments, scopes) in [
        ("GET", json!(["accounts"]), json!(["accounts:read"])),
        ("POST", json!(["transfers"]), json!([])),
        ("GET", json!(["orders", "1"]), json!(["orders:read"])),
    ] {
        let workload = "spiffe://prod.example/ns/agents/sa/planner";
        documents.push(json!({
            "http": {"method": method, "segments": segments, "host": "api.example", "headers": {}, "query": {}},
            "caller": {"spiffe_id": workload, "trust_domain": "prod.example", "kubernetes": {"namespace": "agents"}},
            "user": {"subject": "alice", "scopes": scopes, "claims": {"sub": "alice"}},
            "delegation": null, "mcp": null, "a2a": null,
        }));
    }
    documents
}

#[test]
fn every_policy_of_the_repository_decides_alike() {
    let documents = documents();
    let mut answers = BTreeSet::new();
    let folders = policies();
    assert!(folders.len() > 15, "{folders:?}");
    // One verifies tokens in Rego, which is refused when it is loaded.
    for folder in folders.iter().filter(|folder| !folder.ends_with("parity/groups/rbac")) {
        let config = Config { paths: vec![folder.clone()], builtin_errors: BuiltinErrors::Undefined, ..patient() };
        let bundle = Bundle::load(&config).unwrap_or_else(|problems| panic!("{}: {problems:?}", folder.display()));
        let mut both = Both::new(&bundle);
        for document in &documents {
            for entry_point in ["envoy/authz/allow", "envoy/authz", "envoy/authz/result", "nope"] {
                answers.insert(both.assert_agree(entry_point, document));
            }
        }
    }
    assert!(answers.len() > 50, "{}", answers.len());
}

#[test]
fn facts_are_seen_alike() {
    let http = Http {
        method: "GET".to_owned(),
        header_map: Some(Vec::new()),
        headers: vec![("a".to_owned(), "1".to_owned())],
        ..Http::default()
    };
    let attributes = Attributes { request: Some(Request { time: None, http: Some(http) }), ..Attributes::default() };
    let view = HttpView {
        host: "api.example".to_owned(),
        path: "/a".to_owned(),
        path_raw: "/a".to_owned(),
        segments: vec!["a".to_owned()],
    };
    let body = Body::Parsed(json!({"a": [1, 2]}));
    let request = RequestView { http: Some(view), body, ..RequestView::default() };
    for key in ["attributes", "version", "parsed_body", "truncated_body", "caller", "user", "delegation", "http", "x"] {
        let mut both = Both::of(&format!("x := {{\"allowed\": false, \"body\": json.marshal(input.{key})}}"));
        assert!(both.serving.projection.shows(key) && !both.serving.projection.shows("mcp"));
        for shape in [Shape::Strict, Shape::OpaEnvoy { caller: false, user: true }] {
            let facts = Facts { attributes: &attributes, request: &request, caller: None, user: None, shape };
            both.assert_agree("p/x", &facts);
        }
    }
}

/// What others wrote is refused for what it is, read or not.
#[test]
fn what_goes_too_far_is_refused_unread() {
    let mut both = Both::of("allow := true");
    for name in ["parsed_body", "user"] {
        let huge = serde_json::from_str("1e999999999").unwrap();
        let decision = both.assert_agree("p/allow", &json!({name: {"claims": {"n": Json::Number(huge)}}}));
        assert!(decision.contains("RequestTooLarge"), "{decision}");
    }
}

/// What nobody reads is not built, and what is not built costs nothing and cannot go too far.
#[test]
fn what_no_policy_reads_is_not_serialised() {
    struct Untouchable;
    impl Serialize for Untouchable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("serialised")
        }
    }
    struct Document;
    impl Serialize for Document {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap as _;
            let mut map = serializer.serialize_map(Some(3))?;
            map.serialize_entry("unread", &Untouchable)?;
            map.serialize_entry("read", &json!({"unread": true}))?;
            map.serialize_key("unread")?;
            map.serialize_value(&Untouchable)?;
            map.end()
        }
    }
    #[derive(Serialize)]
    struct Fields {
        read: Json,
        unread: Untouchable,
    }
    let mut both = Both::of("allow := input.read.unread");
    let output = OutputRules { compatibility: Compatibility::Strict, owned_prefix: String::new() };
    let (now, seed, entry_point) = (UnixTime::default(), 0, "p/allow");
    let query = Query { entry_point, facts: &Document, user: None, now, seed, output: &output };
    assert!(matches!(both.serving.decide(&query), Decision::Allow(_)));
    let fields = Fields { read: json!({"unread": true}), unread: Untouchable };
    let query = Query { entry_point, facts: &fields, user: None, now, seed, output: &output };
    assert!(matches!(both.serving.decide(&query), Decision::Allow(_)));
}

/// The user's value is kept with the user from one request to the next, and is what it would be without that.
#[test]
fn a_user_met_again_is_the_same_user() {
    let mut both = Both::of("x := {\"allowed\": false, \"body\": json.marshal([input.user, input.parsed_path])}");
    let claims = json!({"sub": "alice", "tenant": {"id": 7}, "roles": ["a", "b"]});
    let user = User {
        issuer: "https://idp.example".to_owned(),
        subject: "alice".to_owned(),
        audience: vec!["orders".to_owned()],
        client_id: None,
        scopes: vec!["orders:read".to_owned()],
        roles: vec!["a".to_owned(), "b".to_owned()],
        groups: vec!["staff".to_owned()],
        tenant: None,
        token_type: Some("at+jwt".to_owned()),
        issued_at: Some(1),
        expires_at: 2,
        claims: claims.as_object().cloned().unwrap(),
        delegation: None,
        rendered: Rendered::default(),
    };
    let output = OutputRules { compatibility: Compatibility::Strict, owned_prefix: String::new() };
    for path in ["first", "second"] {
        let request = RequestView { parsed_path: vec![path.to_owned()], ..RequestView::default() };
        let attributes = Attributes::default();
        let user = Some(&user);
        let facts = Facts { attributes: &attributes, request: &request, caller: None, user, shape: Shape::Strict };
        let now = UnixTime::default();
        let query = Query { entry_point: "p/x", facts: &facts, user, now, seed: 0, output: &output };
        let kept = format!("{:?}", both.serving.decide(&query));
        let plain = format!("{:?}", both.whole.decide(&Query { user: None, ..query }));
        assert_eq!(kept, plain);
        assert!(kept.contains("alice") && kept.contains(path), "{kept}");
    }
}

/// A document that is no object stays what it is.
#[test]
fn only_entries_are_left_out() {
    let mut both = Both::of("x := {\"allowed\": false, \"body\": json.marshal([input.a])}");
    for document in [json!(1.5), json!([1, {"b": 1}]), json!("a"), json!(null), json!({"b": 1}), json!({"a": {"b": 1}})]
    {
        both.assert_agree("p/x", &document);
    }
}

/// Expressions that touch the input in every way there is.
const EXPRESSIONS: &[&str] = &[
    "1",
    "input",
    "input.a",
    "input[\"b\"]",
    "input[`c`].a",
    "input.a.b",
    "input[input.a]",
    "input.b[input.a]",
    "[x | x := input[_]]",
    "[x | x := input.a[_]]",
    "{k: v | some k, v in input}",
    "{k | some k, _ in input.c}",
    "[v | some v in input]",
    "count(input)",
    "count(input.b)",
    "object.get(input, \"a\", 1)",
    "object.get(input.b, \"a\", input.c)",
    "object.keys(input)",
    "[p | walk(input, [p, _])]",
    "[p | walk(input.c, [p, _])]",
    "[x | x := input.a] == [input.b]",
    "object.union({\"a\": 1}, input)",
    "{\"whole\": input}",
    "h.b",
    "all_of.a",
    "[1 | not input.a]",
    "[1 | every x in input.c { x == input.b }]",
    "[1 | every x in [1] { input[x] }]",
    "[1 | \"a\" in input.c]",
    "[x | x := seen with input as {\"a\": 1}]",
    "[x | x := seen with input.b as 1]",
    "[x | x := seen with input as input.c]",
    "[x | x := seen with data.q as input.b]",
    "[x | x := by_argument(1) with by_argument as input.b]",
    "[x | input = {\"a\": x}]",
    "[x | {\"a\": x} = input.c]",
    "seen",
    "parts",
    "by_argument(input.b)",
    "by_argument(input)",
    "else_body",
    "sprintf(\"%v\", [input.a])",
];

const HELPERS: &[&str] = &[
    "seen := [input.a, input.b] if true\nelse := input.c",
    "parts contains x if some x in input.a\nparts contains input.b",
    "by_argument(x) := x.a",
    "by_argument(x) := [x, input.c]",
    "else_body := 1 if input.a == 1\nelse := input.b if input.c\nelse := 2",
    "by_key[input.a] := input.b",
];

fn any_document() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![Just(json!(null)), Just(json!("a")), Just(json!("b")), Just(json!(1)), Just(json!(true))];
    let part = leaf.prop_recursive(2, 8, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from);
        let map = prop::collection::btree_map("[a-c]", inner, 0..3);
        prop_oneof![list, map.prop_map(|map| Json::Object(map.into_iter().collect()))]
    });
    prop::collection::btree_map("[a-e]", part, 0..5).prop_map(|map| Json::Object(map.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_policy_decides_alike(
        expressions in prop::collection::vec(prop::sample::select(EXPRESSIONS), 1..4),
        documents in prop::collection::vec(any_document(), 1..6),
    ) {
        let mut rules = vec!["import input as all_of".to_owned(); usize::from(expressions.contains(&"all_of.a"))];
        rules.push("import input.b as h\n".to_owned());
        rules.extend(HELPERS.iter().map(|&helper| helper.to_owned()));
        for (at, expression) in expressions.iter().enumerate() {
            rules.push(format!("x{at} := {{\"allowed\": false, \"body\": json.marshal({expression})}}"));
        }
        let mut both = Both::of(&rules.join("\n"));
        for document in &documents {
            for at in 0..expressions.len() {
                both.assert_agree(&format!("p/x{at}"), document);
            }
            both.assert_agree("p", document);
        }
    }
}

/// The property above is no use where all policies read everything.
#[test]
fn most_ways_to_read_leave_something_out() {
    let is_partial = |expression: &&&str| {
        let both = Both::of(&format!(
            "import input.b as h\nimport input.a as all_of\n{}\nanswer := {expression}",
            HELPERS.join("\n")
        ));
        *both.serving.projection != Projection::Whole
    };
    assert!(EXPRESSIONS.iter().filter(is_partial).count() * 2 > EXPRESSIONS.len());
}
