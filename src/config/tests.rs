//! The format as its users meet it: text in, settings or problems out.

mod across;
mod answers;
mod docs;
mod tokens;
mod values;
mod workloads;

use std::fs;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::*;
use crate::config::format::claims;
use crate::config::walk::Place;
use crate::policy::Compatibility;

/// Every key, none with its default where it has one and can have another.
const EVERYTHING: &str = include_str!("tests/everything.yaml");
/// No more than must be there.
const LEAST: &str = "\
issuers:
- {issuer: https://idp.example, keys: {file: jwks.json}, algorithms: [ES256], audiences: [orders-api]}
policy: {paths: [policies]}
";

/// Files that configurations here and in the documentation name.
const NAMED_FILES: &[&str] = &[
    "jwks.json",
    "ca.pem",
    "svid.pem",
    "svid_key.pem",
    "svid_bundle.pem",
    "jwt_bundle.json",
    "partner.json",
    "prod.json",
    "revoked.json",
    "secret",
    "nonce.secret",
];

/// A folder with the files that configurations here name, and what variables they know.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in NAMED_FILES {
            fs::write(folder.path().join(file), "{}").unwrap();
        }
        fs::create_dir(folder.path().join("policies")).unwrap();
        Self(folder)
    }

    fn read(&self, text: &str) -> Result<Loaded, Vec<Problem>> {
        let environment = |name: &str| match name {
            "CANARY" => Some("c4n4ry".to_owned()),
            "SPIFFE_ENDPOINT_SOCKET" => Some("unix:/spiffe-workload-api/spire-agent.sock".to_owned()),
            _ => None,
        };
        Settings::read(text, &self.0.path().join("config.yaml"), &environment)
    }

    fn everything(&self) -> String {
        EVERYTHING.replace("DIRECTORY", self.0.path().to_str().unwrap())
    }
}

/// Problems as an operator sees them, without the folder.
fn told(result: Result<Loaded, Vec<Problem>>) -> Vec<String> {
    let problems = result.map_or_else(|problems| problems, |loaded| loaded.warnings);
    problems.into_iter().map(|problem| Problem { file: None, ..problem }.to_string()).collect()
}

/// A document as plain JSON.
fn json(text: &str) -> Json {
    let (root, problems) = yaml::parse(text);
    assert_eq!(problems, []);
    let surroundings = Surroundings { directory: Path::new(""), environment: &|_| None };
    let root = root.unwrap();
    claims::json(&root, &Place::top(&root), &surroundings).unwrap()
}

#[test]
fn every_key_arrives_where_it_belongs() {
    let folder = Folder::new();
    let loaded = folder.read(&folder.everything()).unwrap();
    let mut expected = json(&folder.everything());
    // What follows from the others stands there too.
    expected["issuers"][2]["keys"] = json("{discovery: true}");
    pretty_assert(&loaded.settings.redacted(), &expected);
    assert_eq!(loaded.settings.routes.path, "orders/authz/allow");
    assert!(loaded.settings.input.normalise);
}

#[test]
fn what_is_shown_is_a_configuration_that_means_the_same() {
    let folder = Folder::new();
    let opa_envoy = "compatibility: opa-envoy\npolicy: {paths: [policies]}\n";
    let plaintext = format!(
        "{LEAST}listeners: {{checks: ['0.0.0.0:1'], insecure_plaintext_beyond_loopback: true}}\n\
         admin: {{private: '0.0.0.0:2', insecure_plaintext_beyond_loopback: true}}\n"
    );
    for text in [LEAST, opa_envoy, &plaintext, &folder.everything()] {
        let shown = folder.read(text).unwrap().settings.redacted();
        let again = folder.read(&shown.to_string()).unwrap().settings.redacted();
        pretty_assert(&shown, &again);
    }
}

#[test]
fn a_mode_has_its_defaults() {
    let folder = Folder::new();
    let shown = folder.read(LEAST).unwrap().settings.redacted();
    assert_eq!(shown["routes"]["caller"], "required");
    assert_eq!(shown["routes"]["token"], "required");
    assert_eq!(shown["routes"]["txn_token"], "remove");
    let workloads = "verify_peer_certificate: false, jwt_svid: {header: x-spiffe-jwt-svid, audiences: []}, \
                     wimse: {audiences: []}";
    assert_eq!(shown["caller"], json(&format!("{{principal: true, certificate: true, xfcc: off, {workloads}}}")));
    assert_eq!(shown["spiffe"], json("{bundles: []}"));
    assert_eq!(shown["listeners"]["tls"], json("{enabled: false, allowed_proxies: []}"));
    assert_eq!(shown["admin"]["tls"], json("{enabled: false, allowed_clients: []}"));
    assert_eq!(shown["issuers"][0]["workload_subjects"], json("false"));
    assert_eq!(shown["issuers"][0]["proof_of_possession"], "optional");
    assert_eq!(shown["issuers"][0]["actor"], "any");
    assert_eq!(shown["dpop"], json("{targets: [], max_age: 1m, nonce: false}"));
    assert_eq!(shown["policy"]["builtin_errors"], "deny");

    let Loaded { settings, warnings } = folder.read("compatibility: opa-envoy\npolicy: {paths: [policies]}\n").unwrap();
    let shown = settings.redacted();
    assert_eq!(shown["routes"]["caller"], "optional");
    assert_eq!(shown["routes"]["token"], "off");
    assert_eq!(shown["routes"]["txn_token"], "pass");
    assert_eq!(shown["caller"], json(&format!("{{principal: false, certificate: false, xfcc: off, {workloads}}}")));
    assert!(settings.spiffe.is_empty() && settings.listeners.tls.is_none() && settings.admin.tls.is_none());
    assert_eq!(shown["policy"]["builtin_errors"], "undefined");
    assert!(!settings.input.normalise);
    assert_eq!(settings.compatibility, Compatibility::OpaEnvoy);
    assert_eq!(warnings, []);
}

#[test]
fn paths_start_at_the_configuration() {
    let folder = Folder::new();
    let settings = folder.read(LEAST).unwrap().settings;
    assert_eq!(settings.policy.paths, [folder.0.path().join("policies")]);
}

#[test]
fn every_problem_is_told_at_once() {
    let folder = Folder::new();
    let problems = told(folder.read(include_str!("tests/terrible.yaml")));
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_that_names_it() {
    let folder = Folder::new();
    let path = folder.0.path().join("config.yaml");
    let load = || Settings::load(&path, &|_| None).map(|_| ()).unwrap_err().remove(0).to_string();
    assert!(load().contains("config.yaml: error: cannot be read: No such file"), "{}", load());
    fs::write(&path, b"\xff").unwrap();
    assert!(load().contains("config.yaml: error: is no UTF-8"), "{}", load());
    fs::write(&path, vec![b'#'; yaml::MAX_BYTES + 1]).unwrap();
    assert!(load().contains("is longer than 1048576 bytes"), "{}", load());
    fs::write(&path, LEAST).unwrap();
    assert!(Settings::load(&path, &|_| None).is_ok());
}

#[test]
fn k5_what_a_variable_holds_shows_up_nowhere() {
    let folder = Folder::new();
    let query = LEAST.replace("file: jwks.json", "url: 'https://idp.example/keys?code=${CANARY}'");
    let settings = folder.read(&query).unwrap().settings;
    assert!(matches!(&settings.token.issuers[0].keys, token::KeySource::Url { url, .. } if url.ends_with("c4n4ry")));
    assert!(!settings.redacted().to_string().contains("c4n4ry"));
}

fn pretty_assert(left: &Json, right: &Json) {
    let pretty = |value| serde_json::to_string_pretty(value).unwrap();
    assert_eq!(pretty(left), pretty(right));
}
