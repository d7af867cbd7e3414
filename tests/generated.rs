//! The checked-in files that are generated are what would be generated now.
//!
//! `make gen` runs this with `COUNTERSIGN_GENERATE` set, and then it writes them instead of comparing.

#![cfg(test)]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use countersign::config::reference;
use countersign::decision::Reason;
use serde_json::Value as Json;

/// The services that the server speaks; their imports come with them.
const PROTOS: [&str; 1] = ["envoy/service/auth/v3/external_auth.proto"];

/// The folders of envoy-types' `proto` that hold Envoy's own protos and what they import.
const INCLUDES: [&str; 4] = ["data-plane-api", "googleapis", "protoc-gen-validate", "xds"];

/// Between these stands the generated part of docs/configuration.md.
const REFERENCE_BEGINS: &str = "<!-- From here on by `make gen`. -->\n";
const REFERENCE_ENDS: &str = "<!-- To here. -->\n";

#[test]
fn the_descriptor_set_is_current() {
    check("proto/envoy.binpb", &descriptor_set());
}

#[test]
fn the_table_of_reasons_is_current() {
    check("docs/reasons.md", reasons().as_bytes());
}

#[test]
fn the_configuration_reference_is_current() {
    let page = include_str!("../docs/configuration.md");
    let (before, rest) = page.split_once(REFERENCE_BEGINS).unwrap();
    let (_, after) = rest.split_once(REFERENCE_ENDS).unwrap();
    let reference = reference::markdown();
    let page = format!("{before}{REFERENCE_BEGINS}\n{reference}\n{REFERENCE_ENDS}{after}");
    check("docs/configuration.md", page.as_bytes());
}

#[test]
fn the_configuration_schema_is_current() {
    let schema = serde_json::to_string_pretty(&reference::schema()).unwrap();
    check("docs/config.schema.json", format!("{schema}\n").as_bytes());
}

/// Compares the file at `path` with what it should hold, or writes it.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn check(path: &str, wanted: &[u8]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var("COUNTERSIGN_GENERATE").is_ok() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, wanted).unwrap();
    }
    let found = fs::read(&file).unwrap_or_default();
    assert!(found == wanted, "{path} is not what would be generated: run `make gen`");
}

/// What reflection and protobuf JSON need to know of the messages, without comments.
fn descriptor_set() -> Vec<u8> {
    let protos = envoy_types().join("proto");
    let includes = INCLUDES.iter().map(|folder| protos.join(folder));
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).include_source_info(false);
    compiler.open_files(PROTOS).unwrap();
    compiler.encode_file_descriptor_set()
}

/// The folder of the envoy-types that this package is built with.
fn envoy_types() -> PathBuf {
    let cargo = Command::new(env!("CARGO")).args(["metadata", "--format-version=1", "--locked", "--offline"]).output();
    let metadata: Json = serde_json::from_slice(&cargo.unwrap().stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "envoy-types").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

/// docs/reasons.md.
fn reasons() -> String {
    let mut page = String::from(REASONS_HEAD);
    for reason in Reason::ALL {
        writeln!(page, "| `{reason}` | {} | {} |", reason.http_status(), reason.sentence()).unwrap();
    }
    page
}

const REASONS_HEAD: &str = "\
# Reasons

Why a request was refused: `reason` in the decision log, the label of the metrics, and, where `routes.reason_in_body`
is on, the body of the answer. The status is what the client gets unless the policy sets another. An allowed request
has the reason `policy_allowed`, one that was answered with a resource's metadata (RFC 9728)
`answered_resource_metadata`. This page is generated (`make gen`) from `src/decision/reason.rs`.

| reason | status | meaning |
|---|---|---|
";
