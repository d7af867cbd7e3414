//! Makes `proto/envoy.binpb`: `cargo run --example gen-descriptors`, with `--check` to compare instead of writing.
//!
//! The protos are the ones that the `envoy-types` crate ships, so that the descriptors (reflection, protobuf JSON) and
//! the generated messages (the check path) are of one version of Envoy's API.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use serde_json::Value as Json;

/// The service, which imports everything else that is needed.
const ROOT: &str = "envoy/service/auth/v3/external_auth.proto";
/// Where the proto roots are, under the crate's `proto` folder.
const INCLUDES: [&str; 4] = ["data-plane-api", "googleapis", "protoc-gen-validate", "xds"];

fn main() -> Result<()> {
    let protos = envoy_types_folder()?.join("proto");
    let set = protox::Compiler::new(INCLUDES.map(|include| protos.join(include)))?
        .include_imports(true)
        .open_file(ROOT)?
        .encode_file_descriptor_set();
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/envoy.binpb");
    if std::env::args().any(|argument| argument == "--check") {
        let current = fs::read(&target).with_context(|| format!("cannot read {}", target.display()))?;
        if current != set {
            bail!("proto/envoy.binpb is out of date: run `cargo run --example gen-descriptors`");
        }
        return Ok(());
    }
    fs::write(&target, set).with_context(|| format!("cannot write {}", target.display()))
}

/// The folder of the very `envoy-types` that Cargo.lock names.
fn envoy_types_folder() -> Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Json = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    let manifest = metadata
        .get("packages")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(Json::as_str) == Some("envoy-types"))
        .and_then(|package| package.get("manifest_path"))
        .and_then(Json::as_str)
        .context("cargo metadata names no envoy-types")?;
    let folder = Path::new(manifest).parent().context("the manifest has no folder")?;
    Ok(folder.to_owned())
}
