//! Everything a test starts: certificates, issuer, upstream, Countersign and Envoy, all on loopback in a folder of
//! its own, all gone when the test ends.

pub(super) mod child;
pub(super) mod client;
pub(super) mod envoy;
pub(super) mod server;

use std::fs;
use std::future::Future;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value as Json;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::sleep;

use self::client::Client;
use self::envoy::Envoy;
use self::envoy::EnvoySetup;
use self::server::Record;
use self::server::Server;
use super::peers::certs;
use super::peers::certs::Authority;
use super::peers::certs::Keyed;
use super::peers::certs::Leaf;
use super::peers::certs::agent_id;
use super::peers::issuer::Issuer;
use super::peers::token::Forgery;
use super::peers::token::LIFETIME_SECONDS;
use super::peers::token::SigningKey;
use super::peers::token::TokenRequest;
use super::peers::upstream;

/// How long anything may take that normally takes far less: a busy machine is no failure.
const PATIENCE: Duration = Duration::from_mins(1);

/// Allows everybody who gets as far as the policy.
pub(super) const ALLOW: &str = "package envoy.authz\n\nallow := true\n";

/// What a test wants different from the rule.
pub(super) struct Setup {
    /// `policy/authz.rego`.
    pub(super) policy: &'static str,
    /// `policy/data.json`.
    pub(super) data: Json,
    /// Merged over the configuration.
    pub(super) settings: Json,
    /// Merged over the issuer's entry in it.
    pub(super) issuer: Json,
    /// How many Countersigns stand behind the one Envoy.
    pub(super) servers: usize,
    /// The proxy.
    pub(super) envoy: EnvoySetup,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            policy: ALLOW,
            data: json!({}),
            settings: Json::Null,
            issuer: Json::Null,
            servers: 1,
            envoy: EnvoySetup::default(),
        }
    }
}

/// Everything that runs for one test.
pub(super) struct Stack {
    pub(super) envoy: Envoy,
    pub(super) servers: Vec<Server>,
    pub(super) issuer: Issuer,
    pub(super) mesh: Authority,
    // Last, so that the folder goes after those who write to it.
    dir: TempDir,
}

impl Setup {
    /// Starts everything and waits until it is ready.
    pub(super) async fn start(self) -> Stack {
        let dir = TempDir::new().unwrap();
        let mesh = certs::write_all(dir.path()).unwrap();
        let issuer = Issuer::start(dir.path(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        upstream::start(listener);

        write_policy(&dir.path().join("policy"), self.policy, &self.data);
        let mut servers = Vec::new();
        for number in 0..self.servers {
            let settings = merged(base_settings(issuer.url(), &self.issuer), &self.settings);
            servers.push(Server::start(dir.path(), number, &settings).await);
        }
        for server in &servers {
            server.ready().await;
        }
        let checks: Vec<_> = servers.iter().map(Server::checks).collect();
        let envoy = Envoy::start(dir.path(), &self.envoy, &checks, &upstream).await;
        Stack { envoy, servers, issuer, mesh, dir }
    }
}

impl Stack {
    /// The only Countersign.
    pub(super) fn server(&self) -> &Server {
        self.servers.first().unwrap()
    }

    /// The folder with everything in it.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The folder of policies that all Countersigns read.
    pub(super) fn policy_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("policy")
    }

    /// A client with an agent's own X509-SVID.
    pub(super) fn agent(&self, name: &str) -> Client {
        self.client(&self.mesh.issue(&Leaf::svid(&agent_id(name))).unwrap())
    }

    /// A client with this certificate.
    pub(super) fn client(&self, identity: &Keyed) -> Client {
        Client::with_certificate(self.envoy.address(), "127.0.0.1", &self.mesh.pem(), identity)
    }

    /// A client that speaks no TLS.
    pub(super) fn plaintext(&self) -> Client {
        Client::plaintext(self.envoy.address())
    }

    /// A genuine token of a user.
    pub(super) fn token(&self, subject: &str) -> String {
        self.token_as(&token_of(subject))
    }

    /// A token made as asked, with the key the issuer signs with now.
    pub(super) fn token_as(&self, request: &TokenRequest) -> String {
        request.mint(self.issuer.url(), &SigningKey::read(self.dir.path()).unwrap()).unwrap()
    }

    /// The next record of the decision log that the test has not looked at.
    pub(super) async fn decision(&self) -> Record {
        self.server().next_record().await
    }
}

/// What to ask of the issuer for a genuine token.
pub(super) fn token_of(subject: &str) -> TokenRequest {
    TokenRequest {
        subject: subject.to_owned(),
        audience: "accounts".to_owned(),
        scope: String::new(),
        expires_in: LIFETIME_SECONDS,
        forgery: Forgery::Genuine,
        claims: Vec::new(),
    }
}

/// Polls until there is something, and fails the test when there never is.
pub(super) async fn eventually<T, F>(what: &str, poll: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    eventually_within(PATIENCE, what, poll).await
}

/// The same, for what may take another time.
pub(super) async fn eventually_within<T, F>(patience: Duration, what: &str, mut poll: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    while start.elapsed() < patience {
        if let Some(found) = poll().await {
            return found;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("never came: {what}");
}

/// A program that the Makefile names.
pub(super) fn tool(variable: &str) -> std::ffi::OsString {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run the tests by `make`, which installs it"))
}

/// `over` laid on `base`: objects key by key, anything else whole; null changes nothing.
pub(super) fn merged(base: Json, over: &Json) -> Json {
    match (base, over) {
        (base, Json::Null) => base,
        (Json::Object(mut base), Json::Object(over)) => {
            for (key, over) in over {
                let value = merged(base.remove(key).unwrap_or_default(), over);
                base.insert(key.clone(), value);
            }
            Json::Object(base)
        }
        (_, over) => over.clone(),
    }
}

/// Writes the policy and its data as a plain folder.
pub(super) fn write_policy(dir: &Path, rego: &str, data: &Json) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("authz.rego"), rego).unwrap();
    fs::write(dir.join("data.json"), data.to_string()).unwrap();
}

fn base_settings(issuer: &str, changes: &Json) -> Json {
    let issuer = json!({
        "issuer": issuer,
        "keys": {"discovery": true, "ca_file": "web-ca.pem"},
        "algorithms": ["ES256"],
        "audiences": ["accounts"],
        "leeway": "1s",
        "refresh_cooldown": "1s",
    });
    json!({
        // Much more time than in production: the tests run an unoptimised build on a busy machine.
        "policy": {"paths": ["policy"], "time_limit": "1s"},
        // Longer than the proxy's health interval, see `envoy`.
        "listeners": {"workers": 2, "drain_delay": "1s"},
        "caller": {"principal": true, "certificate": true, "xfcc": "sanitize_set"},
        "issuers": [merged(issuer, changes)],
    })
}
