//! oidc-provider, a certified library for Node.js, in a program of a few lines: `../provider.mjs`.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;
use tempfile::TempDir;

use super::super::super::harness::child::Child;
use super::super::super::harness::client::Client;
use super::super::super::harness::eventually;
use super::super::super::harness::tool;
use super::super::super::peers::certs;
use super::issuer;
use super::keyed;
use super::text;
use super::tokens;

/// The resources that it knows, which the audiences of tokens follow from: `accounts` and `others`.
pub(crate) const ACCOUNTS: &str = "https://accounts.example";
pub(crate) const OTHERS: &str = "https://others.example";

/// A running provider. Its key is a new one each time.
pub(crate) struct Provider {
    child: Child,
    url: String,
    // Last, so that the folder goes after those who write to it.
    dir: TempDir,
}

impl Provider {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        drop(certs::write_all(dir.path()).unwrap());
        let (child, url) = run(dir.path(), "0").await;
        Self { child, url, dir }
    }

    /// Ends it, and starts it again at the same address with another key.
    pub(crate) async fn restart(self) -> Self {
        let Self { child, url, dir } = self;
        drop(child);
        let (child, url) = run(dir.path(), url.rsplit(':').next().unwrap()).await;
        Self { child, url, dir }
    }

    /// Its entry in Countersign's configuration, with these changes.
    pub(crate) fn issuer(&self, more: &Json) -> Json {
        issuer(&self.url, &self.dir.path().join("web-ca.pem"), "ES256", more)
    }

    /// An access token of its only client for a resource (RFC 8707).
    pub(crate) async fn access_token(&self, resource: &str) -> String {
        self.child.must_run();
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", "agent"),
            ("client_secret", "secret"),
            ("resource", resource),
        ];
        let address = self.url.trim_start_matches("https://").parse().unwrap();
        let web_ca = std::fs::read_to_string(self.dir.path().join("web-ca.pem")).unwrap();
        let client = Client::with_certificate(address, "127.0.0.1", &web_ca, &keyed(self.dir.path(), "planner"));
        text(&tokens(&client, "/token", &fields).await, "access_token")
    }
}

/// Starts the program, and gives the issuer that it says it is.
async fn run(dir: &Path, port: &str) -> (Child, String) {
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc/provider.mjs")).arg(port);
    command.env("OIDC_PROVIDER", tool("OIDC_PROVIDER"));
    let child = Child::start("provider", &mut command, dir);
    let url = eventually("oidc-provider", async || {
        child.must_run();
        child.documents().iter().find_map(|line| line["issuer"].as_str().map(str::to_owned))
    })
    .await;
    (child, url)
}
