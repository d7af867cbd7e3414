//! What a workload gets from the Workload API. The workload is the agent's own command line, as `unix:path:` attests it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;
use serde_json::Value as Json;

use super::super::certs::Keyed;
use super::process;

/// An X509-SVID, and what it came with.
#[derive(Debug, Clone)]
pub(crate) struct Svid {
    /// Its SPIFFE ID.
    pub(crate) id: String,
    /// Leaf and intermediates, and the leaf's key.
    pub(crate) keyed: Keyed,
    /// The authorities of its own trust domain, PEM.
    pub(crate) bundle: String,
}

/// What stands before each SPIFFE ID in the command's output, in the order of the files that it writes.
const ID_LABEL: &str = "SPIFFE ID:";

/// All X509-SVIDs of the workload `agent`.
///
/// # Errors
/// When the agent does not answer, or has none for it.
pub(super) async fn x509_svids(agent: &Path, socket: &Path) -> Result<Vec<Svid>> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(agent);
    command.args(["api", "fetch", "x509", "-socketPath"]).arg(socket).arg("-write").arg(folder.path());
    let text = process::output(command).await?;
    let ids = text.lines().filter_map(|line| line.strip_prefix(ID_LABEL)).map(str::trim);
    ids.enumerate().map(|(number, id)| read_svid(folder.path(), number, id)).collect()
}

fn read_svid(folder: &Path, number: usize, id: &str) -> Result<Svid> {
    let read = |name: String| fs::read_to_string(folder.join(&name)).with_context(|| format!("no `{name}`"));
    let keyed = Keyed { certificate: read(format!("svid.{number}.pem"))?, key: read(format!("svid.{number}.key"))? };
    Ok(Svid { id: id.to_owned(), keyed, bundle: read(format!("bundle.{number}.pem"))? })
}

/// A JWT-SVID of the workload `agent`, which may be several.
///
/// # Errors
/// When the agent does not answer, or does not let it be `id`.
pub(super) async fn jwt_svid(agent: &Path, socket: &Path, id: &str, audience: &str) -> Result<String> {
    let mut command = Command::new(agent);
    command.args(["api", "fetch", "jwt", "-output", "json", "-socketPath"]).arg(socket);
    command.args(["-spiffeID", id, "-audience", audience]);
    let answer: Json = serde_json::from_str(&process::output(command).await?)?;
    let token = answer.pointer("/0/svids/0/svid").and_then(Json::as_str);
    Ok(token.context("no JWT-SVID in the agent's answer")?.to_owned())
}
