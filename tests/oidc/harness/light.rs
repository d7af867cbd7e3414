//! oidc-provider, a certified library for Node.js, in a program of a few lines: `../provider.mjs`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;
use serde_json::json;
use tempfile::TempDir;

use super::super::super::harness::child::Child;
use super::super::super::harness::client::Call;
use super::super::super::harness::client::Client;
use super::super::super::harness::eventually;
use super::super::super::harness::tool;
use super::super::super::peers::certs;
use super::super::super::peers::certs::Keyed;
use super::form;
use super::granted;
use super::introspection;
use super::issuer;
use super::keyed;
use super::proof::ProofKey;
use super::text;

/// The resources that it knows, which the audiences of tokens follow from: `accounts` and `others`.
pub(crate) const ACCOUNTS: &str = "https://accounts.example";
pub(crate) const OTHERS: &str = "https://others.example";
/// The same audiences, by tokens that are no JWTs.
pub(crate) const OPAQUE: &str = "https://opaque.example";
pub(crate) const OPAQUE_OTHERS: &str = "https://opaque-others.example";

/// Its clients: who acts for users, who proves possession twice, and who asks what has become of tokens.
pub(crate) const AGENT: &str = "agent";
pub(crate) const BOUND: &str = "bound";
pub(crate) const RESOURCE: &str = "resource";
/// What all of them are known by.
pub(crate) const SECRET: &str = "secret";

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

    /// Ends it, and starts it again at the same address with another key. What it gave out before is forgotten.
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

    /// An access token of the agent itself for a resource (RFC 8707).
    pub(crate) async fn access_token(&self, resource: &str) -> String {
        let form = self.token_form(AGENT, &[("grant_type", "client_credentials"), ("resource", resource)]);
        text(&granted(&self.client(), &form).await, "access_token")
    }

    /// The same of a client whose tokens are bound to the key and, those that are JWTs, to the connection's certificate too.
    pub(crate) async fn bound_token(&self, resource: &str, identity: &Keyed, key: &ProofKey) -> String {
        let form = self.token_form(BOUND, &[("grant_type", "client_credentials"), ("resource", resource)]);
        let proof = key.proof(&json!({"htm": "POST", "htu": format!("{}/token", self.url)}));
        text(&granted(&self.client_with(identity), &form.header("dpop", proof)).await, "access_token")
    }

    /// An access token of a user for a resource.
    pub(crate) async fn users_token(&self, user: &str, resource: &str) -> String {
        let subject_type = "urn:example:token-type:name";
        self.exchange(&[("subject_token", user), ("subject_token_type", subject_type), ("resource", resource)]).await
    }

    /// What may be exchanged for the user's access tokens, and is none.
    pub(crate) async fn refresh_token(&self, user: &str) -> String {
        let wanted = ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token");
        self.exchange(&[("subject_token", user), ("subject_token_type", "urn:example:token-type:name"), wanted]).await
    }

    /// A token for the same subject as this one, with one more actor (RFC 8693 §4.1).
    pub(crate) async fn delegated(&self, token: &str, actor: &str, resource: &str) -> String {
        self.exchange(&[
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("actor_token", actor),
            ("actor_token_type", "urn:example:token-type:spiffe-id"),
            ("resource", resource),
        ])
        .await
    }

    /// Revokes what the agent was given (RFC 7009).
    pub(crate) async fn revoke(&self, token: &str) {
        let fields = [("client_id", AGENT), ("client_secret", SECRET), ("token", token)];
        let reply = self.client().send(&form(self.host(), "/token/revocation", &fields)).await;
        assert_eq!(reply.status, 200, "not revoked: {}", reply.text());
    }

    /// Where a resource asks what has become of a token, with these changes (RFC 7662).
    pub(crate) fn introspection(&self, more: &Json) -> Json {
        let url = format!("{}/token/introspection", self.url);
        introspection(&url, (RESOURCE, SECRET), self.dir.path(), &self.dir.path().join("web-ca.pem"), more)
    }

    /// Ends it at once, as a failure would.
    pub(crate) fn kill(&self) {
        self.child.signal("KILL");
    }

    async fn exchange(&self, fields: &[(&str, &str)]) -> String {
        let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
        let form = self.token_form(AGENT, &[&[grant], fields].concat());
        text(&granted(&self.client(), &form).await, "access_token")
    }

    fn token_form(&self, client_id: &str, fields: &[(&str, &str)]) -> Call {
        self.child.must_run();
        let credentials = [("client_id", client_id), ("client_secret", SECRET)];
        form(self.host(), "/token", &[&credentials, fields].concat())
    }

    fn host(&self) -> &str {
        self.url.trim_start_matches("https://")
    }

    fn client(&self) -> Client {
        self.client_with(&keyed(self.dir.path(), "planner"))
    }

    fn client_with(&self, identity: &Keyed) -> Client {
        let web_ca = fs::read_to_string(self.dir.path().join("web-ca.pem")).unwrap();
        Client::with_certificate(self.host().parse().unwrap(), "127.0.0.1", &web_ca, identity)
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
